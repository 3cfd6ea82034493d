"""e-Boekhouden.nl's spellings read as values: fields may be left out, types are numbers or text (dossier 4)."""

from collections.abc import Mapping

from hub.sdk.connector import Raw
from hub.sdk.reading import amount, cut, flag, only, part, text
from hub.sdk.reading import perhaps_day as day

__all__ = ["amount", "cut", "day", "flag", "part", "text"]

LISTS = ("items", "data", "collection", "results")


def ident(value: object) -> str:
    """A numeric id as text; empty for 0 (none, dossier 5.4), nothing and nonsense."""
    word = text(value)
    return str(int(word)) if word.isdecimal() and int(word) else ""


def rows(body: object) -> list[Raw]:
    """The records of an answer: `{items, count}`, a bare array, or one bare object."""
    if isinstance(body, Mapping):
        inner = next((body[name] for name in LISTS if isinstance(body.get(name), list)), None)
        body = [body] if inner is None and not set(body) <= {*LISTS, "count"} else inner
    return [row for row in body if isinstance(row, Mapping) and row] if isinstance(body, list) else []


def one_of(body: object) -> Raw:
    """The single record of an answer; empty when there is none or more than one."""
    return only(rows(body))
