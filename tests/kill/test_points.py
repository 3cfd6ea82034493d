"""A worker dies by SIGKILL at every point that the code names, and another one goes on."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from hub.engine import points
from hub.kit.embedded import Services
from tests.kill.nursery import Nursery
from tests.kill.stage import Stage, a_stage

TOGETHER = 6
"""Stages at the same time; their waits overlap."""
DEATHS = (
    *(f"{point}:1" for point in points.ALL),
    *(
        f"{point}:{passing}"
        for point in (points.AFTER_INTENT, points.BEFORE_SEND, points.AFTER_SEND)
        for passing in (2, 3)
    ),
    *(f"{point}:{passing}" for point in (points.BEFORE_RECORD, points.AFTER_RECORD) for passing in (2, 3)),
    f"{points.AFTER_CURSOR}:2",
)
"""The run of `_dies` passes the points of delivery with customers, then with invoices, then with payments."""
KNOWN, NEW = 6, 10


@pytest.fixture(scope="module")
async def deaths(
    request: pytest.FixtureRequest,
    services: Services,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, asyncio.Task[float]]]:
    """The death at each point that was asked for, played a few at a time."""
    asked = [
        str(item.callspec.params["death"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    turns = asyncio.Semaphore(TOGETHER)

    async def play(death: str, folder: Path) -> float:
        async with turns, a_stage(services, nursery, folder) as stage:
            return await _dies(stage, death)

    tasks = {
        death: asyncio.create_task(play(death, tmp_path_factory.mktemp(death.replace(":", "_")))) for death in asked
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("death", DEATHS)
async def test_nothing_is_lost_or_doubled_by_a_death(deaths: dict[str, asyncio.Task[float]], death: str) -> None:
    recovery = await deaths[death]
    assert recovery < 30
    print(f"{death}: recovered in {recovery:.1f} s")  # noqa: T201


async def _dies(stage: Stage, death: str) -> float:
    """The seconds from death to a finished run. A third of what was known is paid, in full or in part."""
    stage.fill(KNOWN, 3)
    combi = await stage.combi()
    await stage.hub.engine.sweep()
    await stage.hub.engine.drain()
    await stage.assert_books(KNOWN, 3)
    await stage.age()
    stage.pay(20260001, 20260002, 20260003)
    stage.pay(20260004, share=Decimal(100))
    stage.fill(NEW, 4, first=101)
    paid = Counter({"F2026-0001": 1, "F2026-0002": 1, "F2026-0003": 1})

    await stage.due(combi)
    doomed = await stage.worker(HUB_TEST_DIE_AT=death)
    assert await doomed.ended(60) == -signal.SIGKILL, doomed.said()
    died = time.monotonic()
    await stage.worker()
    await stage.rest(runs=2)
    recovery = time.monotonic() - died

    await stage.assert_books(KNOWN + NEW, 7, paid=paid)
    return recovery
