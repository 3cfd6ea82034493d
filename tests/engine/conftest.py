"""A fresh world for every test of the engine."""

from collections.abc import AsyncIterator, Iterator

import pytest
import stamina

from connectors.minox import unclear
from hub.config import Config
from hub.kit import log
from hub.kit.embedded import Services
from tests.engine.world import World, a_world, unhurried


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Repeated reads follow at once, and our own rate limits are out of the way."""
    monkeypatch.setattr(unclear, "READ_BACK_S", (0.0, 0.0))
    with stamina.set_testing(True, attempts=3, cap=True), unhurried():
        yield


@pytest.fixture
async def world(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[World]:
    """Empty books, one organisation, two connections."""
    async with a_world(config, services) as made:
        yield made


log.set_up("console")
