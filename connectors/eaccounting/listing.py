"""Paging over eAccounting's lists, and the proof that a list was seen whole (dossier 2)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from connectors.eaccounting.reading import ident, rows, whole
from hub.sdk.connector import Raw
from hub.sdk.errors import RecordRejected, TransientError
from hub.sdk.http import Http

PAGE = 1000
ATTEMPTS = 3


@dataclass(frozen=True)
class Part:
    """A page: its records, and how many there are in all, when that was said."""

    records: list[Raw]
    total: int | None


async def pages(http: Http, path: str, condition: str = "") -> AsyncIterator[Part]:
    """All pages to the end, in the order of the ids; without order, then without condition where those are refused.

    Raises TransientError when the listing repeats itself.
    """
    wishes = [("$filter", condition)] if condition else []
    wishes.append(("$orderby", "Id"))
    page, count, before = 1, 0, [""]
    while True:
        try:
            body = await http.get(path, [("$page", str(page)), ("$pagesize", str(PAGE)), *wishes])
        except RecordRejected:
            if not wishes or page > 1:
                raise
            wishes.pop()
            continue
        found = rows(body)
        here = [ident(row.get("Id")) for row in found]
        total, last = _meta(body)
        if found and here == before and total is None:
            raise TransientError("eaccounting.listing_repeats", path=path)
        before, count = here, count + len(found)
        yield Part(found, total)
        if not found or (total is not None and count >= total) or (total is None and last is not None and page >= last):
            return
        if total is None and last is None and len(found) < PAGE:
            return
        page += 1


def _meta(body: object) -> tuple[int | None, int | None]:
    meta = body.get("Meta") if isinstance(body, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    return whole(meta.get("TotalNumberOfResults")), whole(meta.get("TotalNumberOfPages"))


async def everything(http: Http, path: str) -> list[Raw]:
    """The whole list. Raises TransientError when it kept moving while it was read: then absence proves nothing."""
    for _ in range(ATTEMPTS):
        found: list[Raw] = []
        totals: set[int] = set()
        async for part in pages(http, path):
            found += part.records
            totals |= {part.total} if part.total is not None else set()
        different = {ident(row.get("Id")) or str(at) for at, row in enumerate(found)}
        if not totals or totals == {len(different)}:
            return found
    raise TransientError("eaccounting.listing_moved", path=path)


async def filtered(http: Http, path: str, condition: str, size: int = 10) -> list[Raw] | None:
    """What a filter lets through, untrusted; None when this filter is not taken."""
    try:
        return rows(await http.get(path, [("$filter", condition), ("$page", "1"), ("$pagesize", str(size))]))
    except RecordRejected:
        return None
    except TransientError as error:
        if error.retry_after is not None:
            raise
        return None  # Some servers break on a filter they do not know; the full listing that follows decides.
