"""Simplicate's spellings read as values: strings for numbers, absent keys, nulls and zero dates (dossier 2.6)."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

from hub.accounting.money import decimal
from hub.sdk.reading import flag, part, text

__all__ = ["flag", "part", "text"]
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
TOO_LARGE = Decimal(10) ** 12
_BREAK = re.compile(r"<(br|/p|/div|/li|/tr|/h\d)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<(/?[a-z][^<>]*|!--.*?--)>", re.IGNORECASE | re.DOTALL)
_ENVELOPE = frozenset({"data", "errors", "error", "message", "metadata", "debug"})
_ZERO_DATES = ("0000-00-00", "1970-01-01")


def plain(value: object) -> str:
    """Text without markup, on one line."""
    stripped = unescape(_TAG.sub("", _BREAK.sub(" ", text(value))))
    return " ".join(stripped.replace("\x00", "").split())


def number(value: object) -> Decimal:
    """An exact number. Raises ValueError for nothing, for text that is none, and for sizes that no invoice has."""
    found = decimal(value)
    if abs(found) >= TOO_LARGE:
        raise ValueError("too large")
    return found


def day(value: object) -> date | None:
    """The day of a date or datetime, None for nothing. Raises ValueError for other text."""
    word = text(value)
    return None if not word or word.startswith(_ZERO_DATES) else date.fromisoformat(word[:10])


def moment(value: object) -> str:
    """A datetime as `YYYY-MM-DD HH:MM:SS`, as filters want it; empty for nothing or nonsense.

    One with an offset is read as stated or as on Dutch clocks, whichever is earlier: which of them a filter means is
    unknown (dossier 2.6), and too early only reads more.
    """
    word = text(value)
    if len(word) < len("2026-01-01 00:00") or word.startswith(_ZERO_DATES):
        return ""
    try:
        read = datetime.fromisoformat(word)
        dutch = (read.astimezone(AMSTERDAM) if read.tzinfo else read).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return ""
    return min(dutch, read.replace(tzinfo=None)).isoformat(" ", "seconds")


def rows(body: object) -> list[Mapping[str, Any]]:
    """The records of an answer, whether its `data` is a list, one object or nothing, or it comes without envelope."""
    wrapped = isinstance(body, Mapping) and not _ENVELOPE.isdisjoint(body)
    data = body.get("data") if isinstance(body, Mapping) and wrapped else body
    found = data if isinstance(data, list) else [data]
    return [row for row in found if isinstance(row, Mapping) and row]


def one(body: object) -> Mapping[str, Any] | None:
    """The record of an answer by id; some come as a list of one (dossier 2.2)."""
    found = rows(body)
    return found[0] if len(found) == 1 else None


def words(body: object) -> list[str]:
    """The package's own words in `errors` (objects or texts) or `message` (dossier 2.5)."""
    if not isinstance(body, Mapping):
        return []
    errors = body.get("errors") or body.get("error")
    found = errors if isinstance(errors, list) else [errors]
    said = [_words_of(error) for error in found]
    return [word for word in said if word] or [word for word in (text(body.get("message")),) if word]


def _words_of(error: object) -> str:
    if not isinstance(error, Mapping):
        return text(error)
    names = ("translated_message", "message", "error_message")
    inner = part(error.get("error"))
    return next((text(source.get(name)) for source in (error, inner) for name in names if text(source.get(name))), "")
