"""e-Boekhouden.nl's spellings read as values: fields may be left out, types are numbers or text (dossier 4)."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from hub.accounting.money import decimal
from hub.sdk.connector import Raw

LISTS = ("items", "data", "collection", "results")


def text(value: object) -> str:
    """A string or a number as trimmed text; empty for all that means nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    word = f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
    return word.replace("\x00", "").strip()


def ident(value: object) -> str:
    """A numeric id as text; empty for 0 (none, dossier 5.4), nothing and nonsense."""
    word = text(value)
    return str(int(word)) if word.isdecimal() and int(word) else ""


def part(value: object) -> Raw:
    """A nested object; empty when there is none."""
    return value if isinstance(value, Mapping) else {}


def flag(value: object) -> bool:
    """A boolean in any plausible spelling."""
    return value if isinstance(value, bool) else text(value).lower() in ("1", "true", "yes", "ja")


def day(value: object) -> date | None:
    """The date part of a date or datetime; None for nothing and for nonsense."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def amount(value: object) -> Decimal | None:
    """An exact amount; None for nothing and for nonsense."""
    try:
        return None if value is None else decimal(value)
    except ValueError:
        return None


def rows(body: object) -> list[Raw]:
    """The records of an answer: `{items, count}`, a bare array, or one bare object."""
    if isinstance(body, Mapping):
        inner = next((body[name] for name in LISTS if isinstance(body.get(name), list)), None)
        body = [body] if inner is None and not set(body) <= {*LISTS, "count"} else inner
    return [row for row in body if isinstance(row, Mapping) and row] if isinstance(body, list) else []


def one_of(body: object) -> Raw:
    """The single record of an answer; empty when there is none or more than one."""
    found = rows(body)
    return found[0] if len(found) == 1 else {}


def cut(words: str, longest: int) -> str:
    """Deliberately short, on one line."""
    return " ".join(words.split())[:longest].rstrip()
