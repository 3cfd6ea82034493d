"""Workers that die, stop, leave or race each other at any moment."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta

from hub.engine.schedule import Schedule, next_slot
from tests.kill.hasty import LEASE_S
from tests.kill.stage import Stage


async def test_five_deaths_in_a_row_at_random_moments(stage: Stage) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 100_000))
    print(f"SEED={seed}")  # noqa: T201
    moments = random.Random(seed)
    stage.fill(800, 12)
    await stage.combi()

    for _ in range(5):
        worker = await stage.worker()
        before = stage.writes()
        await stage.until(lambda before=before: stage.writes() > before)  # type: ignore[misc]
        await asyncio.sleep(moments.uniform(0, 0.12))
        await worker.kill()
    assert 0 < len(stage.booked()) < 800, "every death came too late to mean anything"
    await stage.worker()
    await stage.rest()

    await stage.assert_books(800, 12)


async def test_two_workers_on_the_same_combis_book_each_document_once(stage: Stage) -> None:
    combis = [await stage.combi(due=False), await stage.combi(due=False)]
    await asyncio.gather(stage.worker(), stage.worker())
    owners: set[str] = set()

    async def watch() -> None:
        while True:
            held = await stage.rows("SELECT lease_owner FROM run WHERE lease_owner IS NOT NULL")
            owners.update(row.lease_owner.partition(":")[0] for row in held)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    turns = 0
    # A quick worker may take a whole turn alone: turns go on until both have worked.
    while turns < 3 or (len(owners) < 2 and turns < 20):
        stage.fill(12, 4, first=1 + 100 * turns)
        turns += 1
        await stage.due(*combis)
        await stage.rest(runs=2 * turns)
    watching.cancel()

    await stage.assert_books(12 * turns, 4 * turns)
    assert len(owners) == 2


async def test_a_worker_that_is_asked_to_go_leaves_its_run_to_another(stage: Stage) -> None:
    stage.fill(800, 12)
    await stage.combi()
    leaving = await stage.worker()
    await stage.until(lambda: len(stage.booked()) > 3)

    asked = time.monotonic()
    leaving.signal(signal.SIGTERM)
    assert await leaving.ended(10) == 0, leaving.said()
    gone = time.monotonic()
    assert 3 < len(stage.booked()) < 800
    hanging = await stage.rows("SELECT key FROM delivery WHERE state = 'sent'")
    assert hanging == [], "a call was broken off although there was time to end it"
    await stage.worker()
    await stage.rest()

    print(f"SIGTERM: gone in {gone - asked:.1f} s, done {time.monotonic() - gone:.1f} s later")  # noqa: T201
    await stage.assert_books(800, 12)


async def test_a_worker_that_was_stopped_writes_nothing_more_when_it_wakes(stage: Stage) -> None:
    stage.fill(8, 3)
    combi = await stage.combi()
    await stage.hub.engine.sweep()
    await stage.hub.engine.drain()
    await stage.age()
    stage.pay(20260001, 20260002)
    # The worker asks what is still outstanding, and is stopped before it hears the answer.
    gate = stage.gate("GET", "/invoices/invoice/invoice")
    await stage.due(combi)
    stopped = await stage.worker()
    await asyncio.wait_for(gate.reached.wait(), 30)
    stopped.signal(signal.SIGSTOP)
    gate.opened.set()
    began = time.monotonic()
    await stage.worker()
    await stage.rest(runs=2)
    assert time.monotonic() - began > LEASE_S - 1
    books = Counter({"F2026-0001": 1, "F2026-0002": 1})
    await stage.assert_books(8, 3, paid=books)
    before, calls = stage.writes(), stage.calls()

    stopped.signal(signal.SIGCONT)
    await asyncio.sleep(1.5)

    assert stage.writes() == before, stage.last_calls()
    assert stage.calls() == calls, stage.last_calls()
    assert "lease_lost" in stopped.said()
    await stage.assert_books(8, 3, paid=books)


async def test_after_an_hour_without_workers_there_is_one_run(stage: Stage) -> None:
    stage.fill(3, 1)
    combi = await stage.combi(due=False, schedule=Schedule.every_15_minutes)
    planned = next_slot(Schedule.every_15_minutes, combi, stage.hub.clock.now() - timedelta(minutes=61))
    await stage.change("UPDATE combi SET slot = :planned WHERE id = :id", planned=planned, id=combi)
    await stage.worker()
    await stage.rest()
    await asyncio.sleep(2.5)

    (run,) = await stage.runs()
    assert run.slot == planned
    assert run.skipped_slots == (run.created_at - run.slot) // timedelta(minutes=15) >= 3
    (row,) = await stage.rows("SELECT slot FROM combi WHERE id = :id", id=combi)
    assert timedelta(0) < row.slot - stage.hub.clock.now() <= timedelta(minutes=15)
    await stage.assert_books(3, 1)
