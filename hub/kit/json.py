"""JSON with exact numbers: a number with a point is a Decimal on the way in and the same digits on the way out."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import simplejson

_NUL = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_READER = simplejson.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
_WRITER = {
    sort_keys: simplejson.JSONEncoder(
        use_decimal=True,
        default=_plain,
        separators=(",", ":"),
        sort_keys=sort_keys,
        allow_nan=False,
        ensure_ascii=False,
        namedtuple_as_object=False,
    )
    for sort_keys in (False, True)
}


def loads(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for anything else, NaN and infinities included."""
    return _READER.decode(text if isinstance(text, str) else text.decode())


def dumps(value: object, *, sort_keys: bool = False) -> str:
    """Compact JSON; Decimals as number literals, dates and UUIDs as text. Raises ValueError on NaN and infinities.

    PostgreSQL refuses NUL characters and half surrogates; both become a replacement character here, for whatever reads
    it: a package that sent us one gets back what is stored of it.
    """
    written = _WRITER[sort_keys].encode(value)
    if "NaN" in written or "Infinity" in written:
        # The library looks at floats only; inside a text these are words like any other.
        loads(written)
    if "\\u0000" in written:
        written = _NUL.sub("\\1\N{REPLACEMENT CHARACTER}", written)
    if not written.isascii():
        written = written.encode("utf-8", "replace").decode("utf-8")
    return written
