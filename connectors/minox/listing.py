"""Paging over lists whose cursor's form is unknown: an address, a token or nothing (dossier 2)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from connectors.minox.reading import part, rows, text
from hub.sdk.connector import Raw
from hub.sdk.errors import TransientError
from hub.sdk.http import Http

Query = Sequence[tuple[str, str]]


async def pages(http: Http, path: str, query: Query = (), *, absent: Sequence[int] = ()) -> AsyncIterator[list[Raw]]:
    """All records, a page at a time, until no next page is named; a status of `absent` stands for an empty list.

    A last page may name itself as the next; a page that comes twice under two names is a cursor that was ignored.
    Raises TransientError when the listing repeats itself.
    """
    seen: set[tuple[str, Query]] = set()
    here, asked = path, tuple(query)
    before: list[Raw] = []
    while (here, asked) not in seen:
        seen.add((here, asked))
        body = await http.get(here, asked, absent=absent)
        found = rows(body)
        if found and found == before:
            break
        yield found
        following = _next(body)
        if not following or _target(following, path, query) == (here, asked):
            return
        before = found
        here, asked = _target(following, path, query)
    raise TransientError("minox.listing_repeats", path=path)


async def everything(http: Http, path: str, query: Query = ()) -> list[Raw]:
    """All records of a short list."""
    return [row async for page in pages(http, path, query) for row in page]


def _next(body: object) -> str:
    if not isinstance(body, Mapping):
        return ""
    links = body.get("links")
    if isinstance(links, list):
        links = {text(part(link).get("rel")): link for link in links}
    found = part(links).get("next") or body.get("next")
    return text(part(found).get("href") or part(found).get("url")) if isinstance(found, Mapping) else text(found)


def _target(following: str, path: str, query: Query) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Only path and query are taken over, never the host: the token goes nowhere else."""
    split = urlsplit(following)
    following = following.removeprefix("next=")
    given = parse_qsl(split.query, keep_blank_values=True)
    if not given and "/tenant/" not in split.path:
        return path, (*((name, value) for name, value in query if name != "next"), ("next", following))
    names = {name for name, _ in given}
    here = split.path[split.path.index("/tenant/") :] if "/tenant/" in split.path else path
    return here, (*((name, value) for name, value in query if name not in names), *given)
