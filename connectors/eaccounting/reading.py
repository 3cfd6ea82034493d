"""eAccounting's spellings read as values: envelopes, ids, dates with and without a time, our mark in a reference."""

import re
from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from hub.accounting.documents import Finding
from hub.sdk.connector import Raw
from hub.sdk.reading import amount, cut, flag, only, text, whole
from hub.sdk.reading import perhaps_day as day

__all__ = ["amount", "cut", "day", "flag", "text", "whole"]

MARK = re.compile(r"#([0-9a-f]{12})(?![0-9a-f])")


def ident(value: object) -> str:
    """A UUID in its plain form; empty for nothing, zeros and nonsense."""
    try:
        own = UUID(text(value))
    except ValueError:
        return ""
    return str(own) if own.int else ""


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
    return only(rows(body))


def mark_of(record: Raw) -> str:
    """Our key on a document; empty when it bears none."""
    found = MARK.search(text(record.get("OurReference")).lower())
    return found[1] if found else ""


def quoted(value: str) -> str:
    """A text inside an OData filter."""
    return "'" + value.replace("'", "''") + "'"


def wrong(key: str, *, field: str | None = None, **values: str) -> Finding:
    """A finding; `field` names the setting that may solve it."""
    return Finding(key=key, values=values, field=field)
