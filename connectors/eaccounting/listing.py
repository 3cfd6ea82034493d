"""Paging over eAccounting's lists, and the proof that a list was seen whole (dossier 2)."""

from collections.abc import AsyncIterator, Mapping

from connectors.eaccounting.reading import ident, one_of, rows, whole
from hub.sdk.connector import Raw
from hub.sdk.errors import RecordRejected, TransientError
from hub.sdk.http import Http

PAGE, USUAL_PAGE = 1000, 50
ATTEMPTS = 3
ABSENT = (404, 410)


Part = tuple[list[Raw], int | None]
"""A page: its records, and how many there are in all, when that was said."""


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
            if len(found) % USUAL_PAGE:
                return  # The whole list, from a server that does not page.
            raise TransientError("eaccounting.listing_repeats", path=path)
        before, count = here, count + len(found)
        yield found, total
        if not found or (total is not None and count >= total) or (total is None and last is not None and page >= last):
            return
        page += 1


def _meta(body: object) -> tuple[int | None, int | None]:
    meta = body.get("Meta") if isinstance(body, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    return whole(meta.get("TotalNumberOfResults")), whole(meta.get("TotalNumberOfPages"))


async def everything(http: Http, path: str, condition: str = "") -> list[Raw]:
    """The whole list, or what a condition lets through where it is taken.

    Raises TransientError when it kept moving while it was read: then absence proves nothing.
    """
    for _ in range(ATTEMPTS):
        found: list[Raw] = []
        totals: set[int] = set()
        async for records, total in pages(http, path, condition):
            found += records
            totals |= {total} if total is not None else set()
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


async def single(http: Http, path: str) -> Raw:
    """One record by its id; empty when there is none such, however that is said."""
    try:
        return one_of(await http.get(path, absent=ABSENT))
    except RecordRejected as error:
        if error.key != "eaccounting.not_found":
            raise
        return {}
