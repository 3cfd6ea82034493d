"""Payroll: a worker dies at every point, the queue is emptied, the database restarts; journals stand there once."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from hub.engine import points
from hub.kit.embedded import Services
from tests.kill.nursery import Nursery
from tests.kill.stage import Stage, a_stage
from tests.kill.wages import TARGETS, wages

TOGETHER = 8
"""Stages at the same time; their waits overlap."""
DEATHS = (
    *((target, f"{point}:1") for target in TARGETS for point in points.ALL),
    *((target, f"{point}:2") for target in TARGETS for point in (points.BEFORE_INTENT, points.AFTER_INTENT)),
    *((target, f"{points.AFTER_SEND}:{passing}") for target in TARGETS for passing in (3, 5)),
    *(
        ("eboekhouden", f"{point}:{passing}")
        for point, passing in (
            (points.BEFORE_INTENT, 3),
            (points.AFTER_INTENT, 3),
            (points.BEFORE_SEND, 2),
            (points.AFTER_SEND, 7),
            (points.BEFORE_RECORD, 2),
            (points.AFTER_RECORD, 2),
        )
    ),
)
"""In the run of `_dies` new journals and corrections are intended apart and sent in one window; what was reversed is
booked anew in a window of its own."""


@pytest.fixture(scope="module")
async def deaths(
    request: pytest.FixtureRequest,
    services: Services,
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[tuple[str, str], asyncio.Task[None]]]:
    """The death at each point that was asked for, played a few at a time."""
    asked: list[tuple[str, str]] = [
        cast(tuple[str, str], item.callspec.params["death"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "death" in item.fixturenames
    ]
    turns = asyncio.Semaphore(TOGETHER)

    async def play(target: str, death: str) -> None:
        folder = tmp_path_factory.mktemp(f"{target}_{death.replace(':', '_')}")
        async with turns, a_stage(services, nursery, folder) as stage:
            await _dies(stage, target, death)

    tasks = {one: asyncio.create_task(play(*one)) for one in asked}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("death", DEATHS, ids=":".join)
async def test_no_journal_is_lost_or_doubled_by_a_death(
    deaths: dict[tuple[str, str], asyncio.Task[None]], death: tuple[str, str]
) -> None:
    await deaths[death]


async def _dies(stage: Stage, target: str, death: str) -> None:
    """Three journals are known. Then two are corrected and three are new, one of them of two transactions."""
    payroll = await wages(stage, target)
    known = [payroll.pay(number, f"{number}000.10") for number in (1, 2, 3)]
    await stage.hub.engine.sweep()
    await stage.hub.engine.drain()
    await payroll.assert_books()
    await stage.age()
    payroll.correct(known[0], "1100.20")
    payroll.correct(known[1], "2100.20")
    payroll.pay(4, "4000.30")
    payroll.pay(5, "5000.30", parts=2)

    await stage.due(payroll.combi)
    doomed = await stage.worker(HUB_TEST_DIE_AT=death)
    assert await doomed.ended(60) == -signal.SIGKILL, doomed.said()
    died = time.monotonic()
    await stage.worker()
    await stage.rest(runs=2)

    print(f"{target} {death}: recovered in {time.monotonic() - died:.1f} s")  # noqa: T201
    await payroll.assert_books(corrected=2)


JOURNALS = 300


@pytest.mark.parametrize("target", TARGETS)
async def test_servers_may_fail_while_journals_are_booked(stage: Stage, services: Services, target: str) -> None:
    payroll = await wages(stage, target)
    runs = [payroll.pay(number, f"{number}0.10") for number in range(1, JOURNALS + 1)]
    # The server of a whole test run has much in its log by now: its recovery is not what is looked at.
    async with stage.hub.database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CHECKPOINT"))
    worker = await stage.worker()
    await stage.until(lambda: len(payroll.entries()) > 3)

    client = Redis.from_url(services.redis_url)
    await client.flushall()
    await client.aclose()
    pid = services.postgres_pid()
    assert pid is not None
    assert len(payroll.entries()) < JOURNALS, "it was over already"
    os.kill(pid, signal.SIGKILL)
    await stage.rest(patience_s=120)
    await payroll.assert_books()

    # The same worker hears of what is corrected afterwards.
    await stage.age()
    payroll.correct(runs[0], "7.77")
    await stage.due(payroll.combi)
    await stage.rest(runs=2, patience_s=30)
    await payroll.assert_books(corrected=1)
    assert not worker.code.done(), worker.said()
