"""Paging by `limit` and `offset`; what `count` means is not known, so a short page is the end (dossier 4)."""

from collections.abc import AsyncIterator, Sequence

from connectors.eboekhouden.reading import amount, part, rows
from hub.sdk.connector import Raw
from hub.sdk.errors import TransientError
from hub.sdk.http import Http

LIMIT = 500
"""The safe choice: one production importer uses it, the documentation allows 2,000."""
Query = Sequence[tuple[str, str]]


async def pages(http: Http, path: str, query: Query = ()) -> AsyncIterator[list[Raw]]:
    """All records, a page at a time. A short page is not the end when `count` says that there is more.

    Raises TransientError when the listing repeats itself or is no listing.
    """
    offset = 0
    before: list[Raw] = []
    while True:
        body = await http.get(path, [*query, ("limit", str(LIMIT)), ("offset", str(offset))])
        found = rows(body)
        if found and found == before:
            raise TransientError("eboekhouden.listing_repeats", path=path)
        if not found and body is None:
            raise TransientError("eboekhouden.listing_empty", path=path)
        yield found
        offset, before = offset + len(found), found
        if not found or (len(found) < LIMIT and (amount(part(body).get("count")) or 0) <= offset):
            return


async def everything(http: Http, path: str, query: Query = ()) -> list[Raw]:
    """All records of a short list."""
    return [row async for page in pages(http, path, query) for row in page]
