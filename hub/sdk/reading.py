"""Values out of packages' JSON, whose spellings differ: numbers as text, fields left out, nothing in many forms."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from hub.accounting.money import decimal
from hub.sdk.connector import Raw

_YES, _NO = ("true", "1", "yes", "y", "j", "ja"), ("false", "0", "no", "n", "nee")


def text(value: object) -> str:
    """A string or a number as trimmed text; empty for all that means nothing."""
    if isinstance(value, str):
        return value.replace("\x00", "").strip()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def line(value: object) -> str:
    """The same on one line."""
    return " ".join(text(value).split())


def value(record: object, *names: str) -> Any:
    """The first of these fields that is filled, whatever the case of its name; None when none is."""
    if not isinstance(record, Mapping):
        return None
    for name in names:
        if (found := record.get(name)) not in (None, ""):
            return found
    folded = {str(name).lower(): one for name, one in record.items()}
    return next((one for name in names if (one := folded.get(name.lower())) not in (None, "")), None)


def said(record: object, *names: str) -> str:
    """The same as text on one line."""
    return line(value(record, *names))


def part(value: object) -> Raw:
    """A nested object; empty when there is none."""
    return value if isinstance(value, Mapping) else {}


def only(found: Sequence[Raw]) -> Raw:
    """The single record among those found; empty when there is none or more than one."""
    return found[0] if len(found) == 1 else {}


def flag(value: object, default: bool = False) -> bool:
    """A boolean in any plausible spelling; `default` for everything else."""
    word = str(value).lower() if isinstance(value, bool) else text(value).lower()
    return True if word in _YES else False if word in _NO else default


def day(value: object) -> date | None:
    """The day that a date or date-time starts with; None for nothing. Raises ValueError for other text."""
    word = text(value)
    return None if not word or word.startswith("0000") else date.fromisoformat(word[:10])


def perhaps_day(value: object) -> date | None:
    """The same, and None for other text too."""
    try:
        return day(value)
    except ValueError:
        return None


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


def cut(words: str, longest: int) -> str:
    """Deliberately short, on one line, at the end of a word where that costs little."""
    spaced = " ".join(words.split())
    if len(spaced) <= longest:
        return spaced
    short = spaced[:longest]
    shorter = short.rsplit(" ", 1)[0]
    return (shorter if len(shorter) > longest * 2 // 3 else short).rstrip(" ,;-")
