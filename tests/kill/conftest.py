"""Stages for the kill tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.kit import log
from hub.kit.embedded import Services
from tests.engine.world import unhurried
from tests.kill.nursery import Nursery, a_nursery
from tests.kill.stage import Stage, a_stage


@pytest.fixture(autouse=True, scope="package")
def _unhurried() -> Iterator[None]:
    """Our own rate limits are out of the way in this process too."""
    with unhurried():
        yield


@pytest.fixture(scope="package")
async def nursery() -> AsyncIterator[Nursery]:
    """Where workers come from."""
    async with a_nursery() as made:
        yield made


@pytest.fixture
async def stage(services: Services, nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage of its own."""
    async with a_stage(services, nursery, tmp_path) as made:
        yield made


log.set_up("console")
