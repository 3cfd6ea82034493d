"""Stages for the kill tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.kit import log
from hub.kit.embedded import Services
from tests.engine.world import unhurried
from tests.kill.nursery import Nursery, a_nursery
from tests.kill.stage import Stage, a_stage

TOGETHER = 8
"""Stages at the same time; their waits overlap."""


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


@pytest.fixture(scope="module")
async def deaths(
    request: pytest.FixtureRequest, services: Services, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Task[Any]]]:
    """Each `death` that the module's tests ask for, played by its `dies` on a stage of its own, a few at a time."""
    asked = [
        str(item.callspec.params["death"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "death" in item.fixturenames
    ]
    turns = asyncio.Semaphore(TOGETHER)

    async def play(death: str, folder: Path) -> Any:
        async with turns, a_stage(services, nursery, folder) as stage:
            return await request.module.dies(stage, death)

    tasks = {
        death: asyncio.create_task(play(death, tmp_path_factory.mktemp(death.replace(":", "_")))) for death in asked
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


log.set_up("console")
