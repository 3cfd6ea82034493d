"""A worker dies by SIGKILL at every point that the code names, and another one goes on."""

import asyncio
import signal
import time
from collections import Counter
from decimal import Decimal

import pytest

from hub.engine import points
from tests.kill.stage import Stage

IN_WINDOWS = (points.AFTER_INTENT, points.BEFORE_SEND, points.BEFORE_RECORD, points.AFTER_RECORD)
DEATHS = (
    *(f"{point}:1" for point in points.ALL),
    *(f"{point}:{passing}" for point in IN_WINDOWS for passing in (2, 3)),
    *(f"{points.AFTER_SEND}:{passing}" for passing in (6, 12)),
    f"{points.AFTER_CURSOR}:2",
)
"""The run of `dies` delivers 4 customers, then 6 invoices, then 3 payments: each in one window, each sent singly."""
KNOWN, NEW = 6, 6


@pytest.mark.parametrize("death", DEATHS)
async def test_nothing_is_lost_or_doubled_by_a_death(deaths: dict[str, asyncio.Task[float]], death: str) -> None:
    recovery = await deaths[death]
    assert recovery < 30
    print(f"{death}: recovered in {recovery:.1f} s")  # noqa: T201


async def dies(stage: Stage, death: str) -> float:
    """The seconds from death to a finished run. Of what was known three are paid in full and one in part."""
    stage.fill(KNOWN, 3)
    combi = await stage.combi()
    await stage.hub.engine.sweep()
    await stage.hub.engine.drain()
    await stage.assert_books(KNOWN, 3)
    await stage.age()
    stage.pay(20260001, 20260002, 20260003)
    stage.pay(20260004, share=Decimal(100))
    # All is read again, and nothing is so new that an overlap would show it once more.
    stage.fill(NEW, 4, first=101, updated_at="2026-03-09 12:00:00")
    await stage.change("DELETE FROM position")
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
