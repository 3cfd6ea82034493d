"""A hub beside the sandboxes of Simplicate and Minox."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from redis.asyncio import Redis

from hub import sandbox as sandboxes
from hub.config import Config
from hub.kit.database import Database
from hub.sdk.sandbox import Sandbox
from tests.connections import house as building
from tests.connections.house import House
from tests.web import office as opening
from tests.web.office import Office


@pytest.fixture(scope="session")
def books() -> Mapping[str, Sandbox]:
    """The sandboxes, with the books of a believable company."""
    return sandboxes.load()


@pytest.fixture
async def house(
    config: Config, database: Database, redis: Redis, clean: None, tmp_path: Path, books: Mapping[str, Sandbox]
) -> AsyncIterator[House]:
    """The hub beside them."""
    mounts = sandboxes.mounts(books, "/sandbox")
    async with building.house(config, database, redis, tmp_path, *mounts) as built:
        yield built


@pytest.fixture
async def office(
    config: Config, database: Database, redis: Redis, clean: None, tmp_path: Path
) -> AsyncIterator[Office]:
    """A bookkeeper at a browser, with packages of their own."""
    async with opening.office(config, database, redis, tmp_path) as opened:
        yield opened
