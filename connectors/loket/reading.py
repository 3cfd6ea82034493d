"""Loket.nl's spellings read as values: any case of names and ids, numbers as text (dossier 2.4)."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from hub.accounting.money import decimal
from hub.sdk.connector import Raw

TOO_LARGE = Decimal(10) ** 12
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NO_ID = re.compile(r"[0-]*")


def value(raw: object, *names: str) -> Any:
    """The first of these fields that is filled, whatever the case of its name; None when none is."""
    if not isinstance(raw, Mapping):
        return None
    for name in names:
        if (found := raw.get(name)) not in (None, ""):
            return found
    folded = {str(name).lower(): one for name, one in raw.items()}
    return next((one for name in names if (one := folded.get(name.lower())) not in (None, "")), None)


def text(found: object) -> str:
    """A string or a number as text on one line; empty for all that means nothing."""
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        return ""
    return " ".join(str(found).replace("\x00", "").split())


def said(raw: object, *names: str) -> str:
    """A field as text."""
    return text(value(raw, *names))


def part(raw: object, *names: str) -> Raw:
    """A nested object; empty when there is none."""
    found = value(raw, *names)
    return found if isinstance(found, Mapping) else {}


def ident(found: object) -> str:
    """A GUID in lower case; empty for nothing and for the GUID of only zeros."""
    word = text(found).strip("{}").lower()
    return "" if _NO_ID.fullmatch(word) else word


def whole(found: object) -> int | None:
    """A whole number in any of its spellings; None for anything else."""
    word = text(found)
    return int(word) if re.fullmatch(r"-?\d{1,18}", word) else None


def number(found: object) -> Decimal:
    """An exact amount, 0 for nothing; a text may have a decimal comma. Raises ValueError for anything else."""
    if found is None or (isinstance(found, str) and not text(found)):
        return Decimal(0)
    if isinstance(found, str) and _COMMA.fullmatch(found.strip()):
        found = found.replace(".", "").replace(",", ".")
    amount = decimal(found)
    if abs(amount) >= TOO_LARGE:
        raise ValueError("too large")
    return amount


def day(found: object) -> date | None:
    """The day that a date or date-time starts with; None for nothing and for nonsense."""
    try:
        return date.fromisoformat(text(found)[:10])
    except ValueError:
        return None


def flag(found: object) -> bool:
    """True in any of its spellings; everything else is False."""
    return isinstance(found, bool | int | str) and str(found).strip().lower() in ("true", "1", "yes", "ja")
