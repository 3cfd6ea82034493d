"""Keyset pagination: a list goes on after the last row that was seen."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Query

from hub.kit.problem import Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

CursorValue = str | int | bool | None | datetime | date | Decimal | UUID

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The most rows to give, 1 to 200.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="`next_cursor` of the previous page; opaque.", examples=[None])
]


def encode(values: Sequence[CursorValue]) -> str:
    """Make an opaque, URL-safe cursor of the sort values of the last row."""
    text = json.dumps([_plain(value) for value in values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, length: int | None = None) -> list[CursorValue]:
    """Read a cursor back with the types it was made of; raise `Problem` 400 `bad_cursor` when it is not ours."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        return [_typed(value) for value in _row(values, length)]
    except (ValueError, ArithmeticError, binascii.Error, RecursionError):
        raise Problem(
            400, "bad_cursor", "The cursor is not valid.", "Use next_cursor of the previous page as it was given."
        ) from None


def _row(values: object, length: int | None) -> list[object]:
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise ValueError("another shape")
    return values


def _plain(value: CursorValue) -> object:
    match value:
        case datetime():
            return {"t": value.isoformat()}
        case date():
            return {"d": value.isoformat()}
        case Decimal():
            return {"n": str(value)}
        case UUID():
            return {"u": str(value)}
        case _:
            return value


def _typed(value: object) -> CursorValue:
    match value:
        case None | str() | bool() | int():
            return value
        case {"t": str(text)}:
            return datetime.fromisoformat(text)
        case {"d": str(text)}:
            return date.fromisoformat(text)
        case {"n": str(text)}:
            return Decimal(text)
        case {"u": str(text)}:
            return UUID(text)
        case _:
            raise ValueError("a value of an unknown kind")
