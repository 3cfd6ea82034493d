"""eAccounting's spellings read as values: envelopes, ids, dates with and without a time, our mark in a reference."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from uuid import UUID

from hub.accounting.documents import Finding
from hub.accounting.money import decimal
from hub.sdk.connector import Raw

_MARK = re.compile(r"#([0-9a-f]{12})(?![0-9a-f])")


def text(value: object) -> str:
    """A string or a number as trimmed text; empty for all that means nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    word = f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
    return word.replace("\x00", "").strip()


def ident(value: object) -> str:
    """A UUID in its plain form; empty for nothing, zeros and nonsense."""
    try:
        own = UUID(text(value))
    except ValueError:
        return ""
    return str(own) if own.int else ""


def flag(value: object) -> bool:
    """A boolean in any plausible spelling."""
    return value if isinstance(value, bool) else text(value).lower() in ("1", "true", "yes")


def amount(value: object) -> Decimal | None:
    """An exact amount; None for nothing and for nonsense."""
    try:
        return None if value is None else decimal(value)
    except ValueError:
        return None


def whole(value: object) -> int | None:
    """A whole number; None for nothing and for nonsense."""
    found = amount(value)
    return None if found is None or found != int(found) else int(found)


def day(value: object) -> date | None:
    """The date part of a date or date-time (dossier 2); None for nothing and for nonsense."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def percentage(value: object) -> Decimal | None:
    """A VAT rate as a percentage, whether it came as 21, 0.21, `21` or `21 %` (dossier 9)."""
    found = amount(text(value).rstrip("%").strip().replace(",", ".") or None)
    if found is None or found < 0:
        return None
    return found * 100 if 0 < found < 1 else found


def rows(body: object) -> list[Raw]:
    """The records of an answer: `{Meta, Data}`, a bare array, or one bare object."""
    if isinstance(body, Mapping) and ("Data" in body or "Meta" in body):
        body = body.get("Data")
    found = body if isinstance(body, list) else [body]
    return [row for row in found if isinstance(row, Mapping) and row]


def one_of(body: object) -> Raw:
    """The single record of an answer; empty when there is none or more than one."""
    found = rows(body)
    return found[0] if len(found) == 1 else {}


def mark_of(record: Raw) -> str:
    """Our key on a document; empty when it bears none."""
    found = _MARK.search(text(record.get("OurReference")).lower())
    return found[1] if found else ""


def quoted(value: str) -> str:
    """A text inside an OData filter."""
    return "'" + value.replace("'", "''") + "'"


def cut(words: str, length: int) -> str:
    """Deliberately short, on one line, at the end of a word where that costs little."""
    whole_words = " ".join(words.split())
    if len(whole_words) <= length:
        return whole_words
    short = whole_words[:length]
    shorter = short.rsplit(" ", 1)[0]
    return (shorter if len(shorter) > length * 2 // 3 else short).rstrip(" ,;-")


def wrong(key: str, *, field: str | None = None, **values: str) -> Finding:
    """A finding; `field` names the setting that may solve it."""
    return Finding(key=key, values=values, field=field)
