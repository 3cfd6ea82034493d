"""Loket.nl's spellings read as values: any case of names and ids, objects with a key (dossier 2.4)."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hub.accounting.money import decimal
from hub.sdk.connector import Raw
from hub.sdk.reading import line

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


def said(raw: object, *names: str) -> str:
    """A field as text."""
    return line(value(raw, *names))


def part(raw: object, *names: str) -> Raw:
    """A nested object; empty when there is none."""
    found = value(raw, *names)
    return found if isinstance(found, Mapping) else {}


def ident(found: object) -> str:
    """A GUID in lower case; empty for nothing and for the GUID of only zeros."""
    word = line(found).strip("{}").lower()
    return "" if _NO_ID.fullmatch(word) else word


def number(found: object) -> Decimal:
    """An exact amount, 0 for nothing; a text may have a decimal comma. Raises ValueError for anything else."""
    if found is None or (isinstance(found, str) and not line(found)):
        return Decimal(0)
    if isinstance(found, str) and _COMMA.fullmatch(found.strip()):
        found = found.replace(".", "").replace(",", ".")
    amount = decimal(found)
    if abs(amount) >= TOO_LARGE:
        raise ValueError("too large")
    return amount
