"""A sandbox of Loket.nl with a connection to it, and a reader that keeps its cursor."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from connectors.loket import CONNECTOR
from connectors.loket.sandbox import LoketSandbox
from connectors.loket.settings import LoketSettings
from hub.accounting.documents import Document, Ignored
from hub.kit import json
from hub.sdk.connector import Page, Since
from hub.sdk.http import Http
from tests.connectors.support import connected

STREAM = CONNECTOR.sources["journals"]


class Reader:
    """The stream with the cursor of the last page that was committed, as the database gives it back."""

    def __init__(self, http: Http, start: date | None = None, **chosen: Any) -> None:
        self.http = http
        self.start = start
        self.settings = LoketSettings(**chosen)
        self.companies: tuple[str, ...] = ()
        self.cursor: Any = None
        self.raws: dict[str, Any] = {}
        self.pages: list[Page] = []

    async def read(self, pages: int = 10_000, *, thorough: bool = False) -> list[str]:
        """The source ids of what was given, in so many pages at most."""
        found: list[str] = []
        self.pages = []
        since = Since(self.cursor, self.start, self.companies, thorough)
        async for page in STREAM.read(self.http, since, self.settings):
            self.pages.append(page)
            for raw in page.records:
                found.append(STREAM.key(raw))
                self.raws[found[-1]] = json.loads(json.dumps(raw))
            self.cursor = json.loads(json.dumps(page.cursor)) if page.cursor else self.cursor
            if len(self.pages) >= pages:
                break
        return found

    def mapped(self, source_id: str) -> Document | Ignored:
        """What was read, as a document."""
        return STREAM.map(self.raws[source_id], self.settings)

    def standing(self) -> set[str]:
        """What the last read proved to be all there is."""
        return {one for page in self.pages for whole in page.wholes for one in whole.source_ids}


@pytest.fixture
def box() -> LoketSandbox:
    return LoketSandbox()


@pytest.fixture
async def http(box: LoketSandbox) -> AsyncIterator[Http]:
    access, refresh = box.grant()
    async with connected(CONNECTOR, box, "/v2", {"access_token": access, "refresh_token": refresh}) as client:
        yield client


@pytest.fixture
def reader(http: Http) -> Reader:
    return Reader(http)


def source_id(run: Any) -> str:
    """Under which id a run of the sandbox is a document."""
    return f"{run['administration']}/{run['payrollRun']}"
