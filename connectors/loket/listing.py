"""Loket.nl's envelope and its pages, read to the end (dossier 2.2, 2.3)."""

from collections.abc import Mapping, Sequence

from connectors.loket.reading import value
from hub.sdk.connector import Raw
from hub.sdk.errors import TransientError
from hub.sdk.http import Http
from hub.sdk.reading import whole

SIZE = 250
"""The documented default; the maximum is not known."""
_MOST_PAGES = 1000
Query = Sequence[tuple[str, str]]


def rows(body: object) -> list[Raw]:
    """The records of an answer: `_embedded`, a bare array, or one object where a list has one record.

    Raises TransientError for an answer in which no list can be recognised.
    """
    found = body
    if isinstance(body, Mapping):
        found = value(body, "_embedded", "embedded", "content", "items")
        if found is None:
            if "_embedded" in body or "totalSize" in body or "content" in body:
                return []
            found = [body] if body else []
    if isinstance(found, Mapping):
        found = [found] if found else []
    if found is None:
        return []
    if not isinstance(found, list):
        raise TransientError("loket.answer_unreadable")
    return [row for row in found if isinstance(row, Mapping) and row]


def detail(body: object) -> Raw:
    """The single record of an answer: in `content`, in a list of one, or bare."""
    found = rows(body)
    return found[0] if len(found) == 1 else {}


async def everything(http: Http, path: str, query: Query = (), *, sized: bool = True) -> list[Raw]:
    """All records of a listing. Raises TransientError when it cannot be had whole: a part is never taken for it.

    `sized` False: a path for which no page parameters are documented; they are only sent where the answer itself
    says that there are more pages (dossier 4.3).
    """
    found: list[Raw] = []
    page, before = 1, None
    while True:
        paging = [("pageNumber", str(page)), ("pageSize", str(SIZE))] if sized or page > 1 else []
        body = await http.get(path, [*query, *(paging if sized else paging[:1])])
        if body is None:
            raise TransientError("loket.answer_empty", path=path)
        got = rows(body)
        current = whole(value(body, "currentPage"))
        if (current is not None and current != page and got) or (got and got == before):
            raise TransientError("loket.listing_repeats", path=path)
        found += got
        if not _more(body, page, len(got), len(found)):
            break
        if page >= _MOST_PAGES:
            raise TransientError("loket.listing_repeats", path=path)
        page, before = page + 1, got
    total = whole(value(body, "totalSize"))
    if total is not None and total > len(found):
        raise TransientError("loket.listing_incomplete", path=path)
    return found


def _more(body: object, page: int, got: int, received: int) -> bool:
    """`totalPages` may be 0 for an empty list. Where it is missing, the total or a full page says it."""
    pages, total, size = (whole(value(body, name)) for name in ("totalPages", "totalSize", "pageSize"))
    if pages is not None:
        return page < pages
    if total is not None:
        return got > 0 and received < total
    return size is not None and got > 0 and got >= size
