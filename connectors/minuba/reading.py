"""Minuba's spellings read as values: any case of names, numbers as text, several addresses in one text (dossier 3)."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hub.accounting.money import decimal
from hub.sdk.reading import day, flag
from hub.sdk.reading import line as text

__all__ = ["day", "flag", "text"]

TOO_LARGE = Decimal(10) ** 12
_EMAIL = re.compile(r"[^\s;,<>\"'()@]+@[^\s;,<>\"'()@]+\.[^\s;,<>\"'()@]+")
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")


class Named:
    """A record whose fields are found by name, whatever the case and underscores; a record that is none is empty."""

    def __init__(self, raw: object) -> None:
        fields = raw.items() if isinstance(raw, Mapping) else ()
        self._fields = {str(name).replace("_", "").lower(): value for name, value in fields}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def value(self, *names: str) -> Any:
        """The first of these fields that is filled; None when none is."""
        return next((one for name in names if (one := self._fields.get(name)) not in (None, "")), None)

    def text(self, *names: str) -> str:
        """The same as text on one line."""
        return next((one for name in names if (one := text(self._fields.get(name)))), "")

    def part(self, *names: str) -> "Named":
        """A nested record; an empty one when there is none."""
        return Named(self.value(*names))

    def parts(self, *names: str) -> list["Named"]:
        """Nested records; those that are none are left out."""
        found = self.value(*names)
        return [Named(one) for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def number(value: object) -> Decimal:
    """An exact number; a text may have a decimal comma. Raises ValueError for what is none and for absurd sizes."""
    if isinstance(value, str) and _COMMA.fullmatch(value.strip()):
        value = value.replace(".", "").replace(",", ".")
    found = decimal(value)
    if abs(found) >= TOO_LARGE:
        raise ValueError("too large")
    return found


def word(value: object) -> str:
    """A state or type for comparing: lower-case letters only (`CREDIT_NOTE` is `creditnote`)."""
    return "".join(letter for letter in text(value).lower() if letter.isalpha())


def emails(*values: object) -> tuple[str, ...]:
    """All addresses in these texts, lower-cased, each once: one text may hold several (dossier 4.3)."""
    found = (one.lower().strip(".") for value in values for one in _EMAIL.findall(text(value)))
    return tuple(dict.fromkeys(found))
