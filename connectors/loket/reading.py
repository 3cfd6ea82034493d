"""Loket.nl's spellings read as values: any case of names and ids, objects with a key (dossier 2.4)."""

import re
from collections.abc import Mapping
from decimal import Decimal

from hub.accounting.money import decimal
from hub.sdk.connector import Raw
from hub.sdk.reading import line, said, value

__all__ = ["said", "value"]

TOO_LARGE = Decimal(10) ** 12
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_NO_ID = re.compile(r"[0-]*")


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
