"""A fresh world for every test of the engine."""

from collections.abc import AsyncIterator

import pytest

from hub.config import Config
from hub.kit import log
from hub.kit.embedded import Services
from tests.engine.world import World, a_world


@pytest.fixture
async def world(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[World]:
    """Empty books, one organisation, two connections."""
    async with a_world(config, services) as made:
        yield made


log.set_up("console")
