"""JSON with exact numbers: a number with a point is a Decimal on the way in and the same digits on the way out."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import simplejson


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def loads(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for anything else, NaN and infinities included."""
    return simplejson.loads(text, use_decimal=True, parse_constant=_refuse)


def dumps(value: object, *, sort_keys: bool = False) -> str:
    """Compact JSON; Decimals as number literals, dates and UUIDs as text. Raises on NaN."""
    return simplejson.dumps(
        value,
        use_decimal=True,
        default=_plain,
        separators=(",", ":"),
        sort_keys=sort_keys,
        allow_nan=False,
        ensure_ascii=False,
        namedtuple_as_object=False,
    )
