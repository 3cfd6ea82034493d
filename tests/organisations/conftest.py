"""One hub per test, on emptied tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from hub.config import Config
from hub.kit.database import Database
from tests.connections import house as building
from tests.connections.house import House


@pytest.fixture
async def house(config: Config, database: Database, redis: Redis, clean: None, tmp_path: Path) -> AsyncIterator[House]:
    """The hub beside its package."""
    async with building.house(config, database, redis, tmp_path) as built:
        yield built
