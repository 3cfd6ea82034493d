"""Payroll: workers die at every point and any moment, the servers fail; every offered pair books each journal once."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Mapping

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from hub.engine import points
from hub.kit.embedded import Services
from tests.kill.stage import Stage
from tests.kill.wages import PAIRS, wages

JOURNALS = 300
RANDOM = "random"
"""Instead of a point: five deaths in a row at random moments."""
AGAIN: Mapping[str, tuple[str, ...]] = {
    "nmbrs-minox": (
        *(f"{point}:2" for point in (points.BEFORE_INTENT, points.AFTER_INTENT)),
        *(f"{points.AFTER_SEND}:{passing}" for passing in (3, 5)),
    ),
    "nmbrs-eboekhouden": (
        *(f"{point}:{passing}" for point in (points.BEFORE_INTENT, points.AFTER_INTENT) for passing in (2, 3)),
        *(f"{points.AFTER_SEND}:{passing}" for passing in (3, 5, 7)),
        *(f"{point}:2" for point in (points.BEFORE_SEND, points.BEFORE_RECORD, points.AFTER_RECORD)),
    ),
    "loket-finmaster": tuple(f"{points.AFTER_SEND}:{passing}" for passing in (2, 3)),
    "loket-finmaster-file": tuple(f"{points.AFTER_SEND}:{passing}" for passing in (2, 3)),
}
"""Later passings. In the run of `dies` new journals and corrections are intended apart and sent in one window; what
was reversed is booked anew in a window of its own; what is asked about is not intended at all."""
FIRST = tuple(f"{point}:1" for point in points.ALL)
DEATHS = tuple(f"{pair}:{death}" for pair in PAIRS for death in (*FIRST, *AGAIN[pair], RANDOM))


@pytest.mark.parametrize("death", DEATHS)
async def test_no_journal_is_lost_or_doubled_by_a_death(deaths: dict[str, asyncio.Task[None]], death: str) -> None:
    await deaths[death]


async def dies(stage: Stage, death: str) -> None:
    """Three journals are known. Then two are corrected and three are new, two of them of one run."""
    pair, _, point = death.partition(":")
    if point == RANDOM:
        await _dies_at_random(stage, pair)
        return
    payroll = await wages(stage, pair)
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
    doomed = await stage.worker(HUB_TEST_DIE_AT=point)
    assert await doomed.ended(60) == -signal.SIGKILL, doomed.said()
    died = time.monotonic()
    await stage.worker()
    await stage.rest(runs=2)

    print(f"{death}: recovered in {time.monotonic() - died:.1f} s")  # noqa: T201
    await payroll.assert_books()


async def _dies_at_random(stage: Stage, pair: str) -> None:
    """Some deaths soon after the first call, some soon after something was recorded."""
    seed = int(os.environ.get("SEED", time.time_ns() % 100_000))
    print(f"{pair} SEED={seed}")  # noqa: T201
    moments = random.Random(seed)
    payroll = await wages(stage, pair)
    for number in range(1, JOURNALS + 1):
        payroll.pay(number, f"{number}0.10")

    for death in range(5):
        worker = await stage.worker()
        before = stage.calls(), await _recorded(stage)
        sign = 0 if death == 0 else moments.randrange(2)

        async def alive(before: tuple[int, int] = before, sign: int = sign) -> bool:
            now = stage.calls(), await _recorded(stage)
            return now[sign] > before[sign] or now[1] == JOURNALS

        await stage.until(alive)
        await asyncio.sleep(moments.uniform(0, 0.4))
        await worker.kill()
        assert death or await _recorded(stage) < JOURNALS, "every death came too late to mean anything"
    await stage.worker()
    await stage.rest()
    await payroll.assert_books()


async def _recorded(stage: Stage) -> int:
    (row,) = await stage.rows("SELECT count(*) AS n FROM delivery WHERE state = 'recorded'")
    return int(row.n)


@pytest.mark.parametrize("pair", PAIRS)
async def test_servers_may_fail_while_journals_are_booked(stage: Stage, services: Services, pair: str) -> None:
    payroll = await wages(stage, pair)
    runs = [payroll.pay(number, f"{number}0.10") for number in range(1, JOURNALS + 1)]
    # The server of a whole test run has much in its log by now: its recovery is not what is looked at.
    async with stage.hub.database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CHECKPOINT"))
    worker = await stage.worker()

    async def begun() -> bool:
        return await _recorded(stage) > 3

    await stage.until(begun)

    client = Redis.from_url(services.redis_url)
    await client.flushall()
    await client.aclose()
    pid = services.postgres_pid()
    assert pid is not None
    assert await _recorded(stage) < JOURNALS, "it was over already"
    os.kill(pid, signal.SIGKILL)
    await stage.rest(patience_s=120)
    await payroll.assert_books()

    # The same worker hears of what is corrected afterwards.
    await stage.age()
    payroll.correct(runs[0], "7.77")
    await stage.due(payroll.combi)
    await stage.rest(runs=2, patience_s=30)
    await payroll.assert_books()
    assert not worker.code.done(), worker.said()
