"""Minox's spellings read as values: lists in three forms, ids as numbers or text, two forms of dates (dossier 2)."""

from collections.abc import Iterable, Mapping

from hub.sdk.connector import Raw
from hub.sdk.errors import ConfigError
from hub.sdk.reading import amount, cut, day, flag, only, part, text

__all__ = ["amount", "cut", "day", "flag", "part", "text"]

LISTS = ("collection", "data", "items", "results", "lines")
REFUSING = ("err", "fout", "fatal")
CALM = ("warn", "info", "notice", "hint", "success", "waarsch")
"""How the type of a message starts that says nothing went wrong; every other type wants a look."""


def ident(value: object) -> str:
    """An id as text without padding; empty for 0, nothing and nonsense."""
    word = text(value)
    return "" if word.strip("0") == "" else word


def number(value: object) -> str:
    """A whole number as text, however it was padded; empty when it is none or 0."""
    word = text(value)
    return str(int(word)) if word.isdecimal() and int(word) else ""


def rows(body: object) -> list[Raw]:
    """The records of an answer: `{links, collection}`, a bare array, or one bare object."""
    if isinstance(body, Mapping):
        inner = next((body[name] for name in LISTS if isinstance(body.get(name), list | Mapping)), None)
        body = body if inner is None and set(body) - {"links"} else inner
    found = body if isinstance(body, list) else [body]
    return [row for row in found if isinstance(row, Mapping) and row]


def nothing(body: object) -> bool:
    """True for an answer that says "there is none": an empty array or object, bare or in its envelope."""
    if isinstance(body, Mapping):
        inner = {name: value for name, value in body.items() if name != "links"}
        return all(name in LISTS and nothing(value) for name, value in inner.items())
    return body == []


def one_of(value: object) -> Raw:
    """The single record of an answer; empty when there is none or more than one."""
    return only(rows(value))


def messages(body: object) -> list[Raw]:
    """All message objects in an answer: at the top, or inside the lines that hold them (dossier 2)."""
    if isinstance(body, str):
        return [{"message": body}] if body.strip() else []
    found: list[Raw] = []
    for row in body if isinstance(body, list) else [body]:
        if isinstance(row, str) and row.strip():
            found.append({"message": row})
        elif isinstance(row, Mapping):
            found.extend(_messages_in(row))
    return found


def _messages_in(row: Raw) -> Iterable[Raw]:
    if any(text(row.get(name)) for name in ("message", "message_code", "error", "error_description")):
        yield row
    for name in ("messages", "errors", "collection", "error"):
        if isinstance(row.get(name), list | Mapping):
            yield from messages(row[name])


def alarming(message: Raw) -> bool:
    """True unless the type says that it is a mere warning: no list of types is known (dossier 2, 7)."""
    return not text(message.get("message_type")).lower().startswith(CALM)


def refusing(message: Raw) -> bool:
    """True when the type calls it an error; of every other message nothing is known."""
    return text(message.get("message_type")).lower().startswith(REFUSING)


def words(found: Iterable[Raw]) -> str:
    """What the package said, for humans."""
    names = ("message", "error_description", "error", "message_code")
    said = [next((text(one.get(name)) for name in names if text(one.get(name))), "") for one in found]
    return "; ".join(dict.fromkeys(word for word in said if word))[:1000]


def place(administration: str) -> str:
    """The path of an administration, `<tenant>/<administration>` in our settings. Raises ConfigError."""
    tenant, _, own = administration.partition("/")
    if not (tenant.isdecimal() and own.isdecimal()):
        raise ConfigError("minox.administration_unknown", field="administrations", administration=administration)
    return f"/tenant/{tenant}/administration/{own}"
