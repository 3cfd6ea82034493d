"""Answers of the stand-in interface read as values: lists in any envelope, names in Dutch or English (dossier 5)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hub.sdk.connector import Raw
from hub.sdk.errors import TransientError
from hub.sdk.reading import amount as exact
from hub.sdk.reading import said, value

__all__ = ["said", "value"]

Names = tuple[str, ...]
CODE: Names = ("nummer", "code", "rekeningnummer", "rekening", "id", "number")
NAME: Names = ("omschrijving", "naam", "description", "name")
KIND: Names = ("soort", "type", "kind")
REFERENCE: Names = ("referentie", "reference")
VOUCHER: Names = ("boekstuknummer", "boekstuk", "nummer", "id")
_BESIDE: Names = ("fouten", "waarschuwingen", "meldingen", "errors", "warnings", "messages", "links")
LINES: Names = ("regels", "boekingsregels", "lines")


def rows(body: object) -> list[Raw]:
    """The records of an answer: a bare list, the only list in an object, or one record. None is an empty list.

    Lists of what FinMaster has to say beside them are no records.

    Raises TransientError for anything else.
    """
    if body is None:
        return []
    if isinstance(body, Mapping):
        lists = [
            one for name, one in body.items() if isinstance(one, list) and str(name).lower() not in (*LINES, *_BESIDE)
        ]
        if len(lists) > 1:
            raise TransientError("finmaster.answer_unreadable")
        body = lists[0] if lists else _single(body)
    if not isinstance(body, list):
        raise TransientError("finmaster.answer_unreadable")
    return [row for row in body if isinstance(row, Mapping) and row]


def _single(body: Mapping[str, Any]) -> list[Any]:
    """One record where a list has one: bare, or as the only thing in the answer. An empty answer is an empty list."""
    inner = [one for one in body.values() if one is not None]
    return inner if len(inner) == 1 and isinstance(inner[0], Mapping) else [body] if inner else []


def amount(found: object) -> Decimal | None:
    """An exact amount; a text may have a decimal comma. None for nothing and for nonsense."""
    if isinstance(found, str) and "," in found:
        found = found.replace(".", "").replace(",", ".")
    return exact(found)
