"""Valkey and PostgreSQL that are emptied, killed, stopped and restarted under a worker that lives."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from hub.kit.embedded import Services
from tests.kill.stage import Stage

INVOICES = 400


async def _empty(services: Services) -> None:
    client = Redis.from_url(services.redis_url)
    await client.flushall()
    await client.aclose()


async def _kill(services: Services) -> None:
    before = services.valkey_pid()
    assert before is not None
    os.kill(before, signal.SIGKILL)


async def _stop_for_seconds(services: Services) -> None:
    pid = services.valkey_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(4)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("harm", [_empty, _kill, _stop_for_seconds])
async def test_the_queue_may_be_lost_at_any_moment(
    stage: Stage, services: Services, harm: Callable[[Services], Awaitable[None]]
) -> None:
    stage.fill(INVOICES, 6)
    combi = await stage.combi()
    worker = await stage.worker()
    await stage.until(lambda: len(stage.booked()) > 3)

    harmed = time.monotonic()
    await harm(services)
    assert len(stage.booked()) > 3, "nothing was under way"
    await stage.rest()
    print(f"{harm.__name__}: done after {time.monotonic() - harmed:.1f} s")  # noqa: T201
    await stage.assert_books(INVOICES, 6)

    # The same worker hears the bell again.
    stage.fill(2, 1, first=501)
    await stage.due(combi)
    await stage.rest(runs=2, patience_s=15)
    await stage.assert_books(INVOICES + 2, 7)
    assert not worker.code.done(), worker.said()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "fast_shutdown"])
async def test_the_database_may_restart_in_the_middle(stage: Stage, services: Services, number: signal.Signals) -> None:
    stage.fill(INVOICES, 6)
    combi = await stage.combi()
    # The server of a whole test run has much in its log by now: its recovery is not what is looked at.
    async with stage.hub.database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CHECKPOINT"))
    worker = await stage.worker()
    await stage.until(lambda: len(stage.booked()) > 3)

    pid = services.postgres_pid()
    assert pid is not None
    assert len(stage.booked()) < INVOICES, "it was over already"
    os.kill(pid, number)
    harmed = time.monotonic()
    await stage.rest(patience_s=120)
    print(f"{number.name}: done after {time.monotonic() - harmed:.1f} s")  # noqa: T201
    await stage.assert_books(INVOICES, 6)

    stage.fill(2, 1, first=501)
    await stage.due(combi)
    await stage.rest(runs=2, patience_s=15)
    await stage.assert_books(INVOICES + 2, 7)
    assert not worker.code.done(), worker.said()
    assert services.postgres_pid() != pid
