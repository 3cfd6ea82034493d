"""Answers of the stand-in interface read as values: lists in any envelope, names in Dutch or English (dossier 5)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hub.sdk.connector import Raw
from hub.sdk.errors import TransientError
from hub.sdk.reading import amount as exact
from hub.sdk.reading import line

Names = tuple[str, ...]
CODE: Names = ("nummer", "code", "rekeningnummer", "rekening", "id", "number")
NAME: Names = ("omschrijving", "naam", "description", "name")
KIND: Names = ("soort", "type", "kind")
REFERENCE: Names = ("referentie", "reference")
VOUCHER: Names = ("boekstuknummer", "boekstuk", "nummer", "id")
LINES: Names = ("regels", "boekingsregels", "lines")


def value(raw: object, *names: str) -> Any:
    """The first of these fields that is filled, whatever the case of its name; None when none is."""
    fields = {str(name).lower(): one for name, one in raw.items()} if isinstance(raw, Mapping) else {}
    return next((one for name in names if (one := fields.get(name.lower())) not in (None, "")), None)


def said(raw: object, *names: str) -> str:
    """A field as text."""
    return line(value(raw, *names))


def rows(body: object) -> list[Raw]:
    """The records of an answer: a bare list, the only list in an object, or one record. None is an empty list.

    Raises TransientError for anything else.
    """
    if body is None:
        return []
    if isinstance(body, Mapping):
        lists = [one for name, one in body.items() if isinstance(one, list) and str(name).lower() not in LINES]
        if len(lists) > 1:
            raise TransientError("finmaster.answer_unreadable")
        body = lists[0] if lists else [body] if _is_record(body) else []
    if not isinstance(body, list):
        raise TransientError("finmaster.answer_unreadable")
    return [row for row in body if isinstance(row, Mapping) and row]


def _is_record(body: Mapping[str, Any]) -> bool:
    return any(not isinstance(one, Mapping) and one is not None for one in body.values())


def amount(found: object) -> Decimal | None:
    """An exact amount; a text may have a decimal comma. None for nothing and for nonsense."""
    if isinstance(found, str) and "," in found:
        found = found.replace(".", "").replace(",", ".")
    return exact(found)
