"""Whole listings without a filter on changes, told apart by what is in them (dossier 3)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.minuba.reading import Named, flag, text
from hub.sdk.connector import Cursor, Page, Raw, Whole
from hub.sdk.errors import RecordRejected, TransientError
from hub.sdk.http import Http

BUCKETS = 256
PAGE = 200
Query = Sequence[tuple[str, str]]


def rows(body: object, resource: str) -> list[Raw]:
    """The records of an answer: a bare list, or one under `invoices`, `Invoices` or `data` (dossier 3).

    Raises TransientError for an object in which no list can be recognised.
    """
    if body in (None, {}, ""):
        return []
    if isinstance(body, list):
        return [row for row in body if isinstance(row, Mapping)]
    facts = Named(body)
    name = resource.lower()
    found = facts.value(f"{name}s", name, "data", "items", "results", "records")
    if isinstance(found, list):
        return rows(found, resource)
    if isinstance(found, Mapping):
        return [found] if Named(found).text("id") else rows(found, resource)
    if isinstance(body, Mapping) and facts.text("id"):
        return [body]
    if isinstance(body, Mapping) and any(one in facts_of(body) for one in (f"{name}s", "data", "items")):
        return []
    raise TransientError("minuba.answer_unreadable", path=resource)


def facts_of(body: Mapping[str, Any]) -> set[str]:
    """The names in an answer, for comparing."""
    return {str(name).lower() for name in body}


async def listed(http: Http, resource: str, query: Query) -> AsyncIterator[list[Raw]]:
    """All records of a listing, a page at a time. No paging was seen (dossier 3); where an answer says that there
    is more, it is asked for. Raises TransientError when the rest cannot be had: a part is never taken for the whole.
    """
    asked: Query = query
    known: set[str] = set()
    while True:
        try:
            body = await http.get(f"/{resource}", asked)
        except RecordRejected as error:
            if not known:
                raise
            raise TransientError("minuba.listing_incomplete", path=resource, words=error.words) from error
        fresh = {identity(row): row for row in rows(body, resource) if identity(row) not in known}
        known |= set(fresh)
        onward = _onward(body, len(known))
        if onward and not fresh:
            raise TransientError("minuba.listing_incomplete", path=resource)
        yield list(fresh.values())
        if not onward:
            return
        asked = [*((name, value) for name, value in query if name not in onward), *onward.items()]


def identity(row: Raw) -> str:
    """The id of a record, or all of it when it has none."""
    return Named(row).text("id") or repr(row)


def _onward(body: object, received: int) -> dict[str, str]:
    """What to ask for the next page; empty when the answer does not say that there is one."""
    if not isinstance(body, Mapping):
        return {}
    own = Named(body)
    meta = own.part("meta", "metadata", "paging", "pagination", "links")
    following = own.value("next", "nextlink", "nextpageurl") or meta.value("next", "nextlink", "nextpageurl")
    link = Named(following).text("href") or text(following)
    if "?" in link:
        return dict(parse_qsl(urlsplit(link).query))
    said = {**_counted(meta), **_counted(own)}
    if said.get("pages", 0) > said.get("page", said.get("pages", 0)):
        return {"page": str(said["page"] + 1)}
    more = flag(own.value("hasmore")) or flag(meta.value("hasmore"))
    return {"offset": str(received)} if more or said.get("total", 0) > received else {}


def _counted(facts: Named) -> dict[str, int]:
    names = {
        "page": ("page", "currentpage", "pagenumber"),
        "pages": ("pages", "totalpages", "pagecount", "lastpage"),
        "total": ("total", "totalcount", "totalrecords"),
    }
    found = {name: facts.text(*spellings) for name, spellings in names.items()}
    return {name: int(value) for name, value in found.items() if value.isdecimal()}


def changes(
    found: Sequence[Raw], cursor: Cursor, facts: Mapping[str, Any], wholes: tuple[Whole, ...] = ()
) -> Iterator[Page]:
    """What is new or different since the cursor, in pages that each carry how far that brings us; the last one says
    what they prove to be all there is.

    There is no filter on changes, so the whole listing is laid into buckets by id and each bucket's sum compared with
    what the cursor remembers. A bucket in which anything differs is given in full: no date is trusted, and an invoice
    that turns up late with an earlier one is seen. What vanished is only noticed by its bucket: absence proves nothing.
    """
    buckets = _buckets(found)
    now = sums(found)
    known: Mapping[str, str] = cursor.get("buckets") or {}
    reached = dict(known)
    waiting: list[Raw] = []
    for name in sorted(now):
        if known.get(name) == now[name]:
            continue
        waiting += buckets[name]
        reached[name] = now[name]
        if len(waiting) >= PAGE:
            yield Page(waiting, {**facts, "buckets": dict(reached)})
            waiting = []
    yield Page(waiting, {**facts, "buckets": now}, wholes)


def sums(found: Iterable[Raw]) -> dict[str, str]:
    """What a cursor remembers of a listing: the same in whatever order it comes, another for any difference in it."""
    return {name: f"{_sum(members):016x}" for name, members in _buckets(found).items()}


def _buckets(found: Iterable[Raw]) -> dict[str, list[Raw]]:
    buckets: dict[str, list[Raw]] = {}
    for row in {identity(row): row for row in found}.values():
        buckets.setdefault(f"{_digest(identity(row)) % BUCKETS:02x}", []).append(row)
    return buckets


def _digest(words: str) -> int:
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest())


def _sum(members: Iterable[Raw]) -> int:
    """The same in whatever order they come."""
    total = 0
    for row in members:
        total ^= _digest(repr(sorted(row.items(), key=lambda pair: str(pair[0]))))
    return total
