"""While the calls of one batch are being made the next one is prepared; whatever happens then, each is booked once."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from hub.engine import deliver, protocol
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.outcome import WRITTEN
from hub.engine.resolve import Work
from tests.engine.test_hands_on_a_run import another, fill, started
from tests.engine.world import World

BATCH = 4


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "BATCH", BATCH)


async def states(world: World) -> list[DeliveryState]:
    return [one.state for one in await world.deliveries()]


async def finished_once(world: World, run: UUID, expected: dict[int, Decimal]) -> None:
    """The run goes on to its end, and each invoice stands in the books."""
    await world.finish(run)
    assert world.totals() == expected
    assert {one.status for one in await world.items()} == {ItemStatus.booked}


async def test_the_next_batch_is_ready_before_the_calls_of_one_are_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 3 * BATCH)
    combi = await world.combi()
    whole = protocol._call
    seen: list[int] = []

    async def patient(ctx: Any, flow: str, job: Any) -> Any:
        async with asyncio.timeout(20):
            while flow == "invoices" and not seen:
                ready = (await states(world)).count(DeliveryState.intended)
                if ready == BATCH:
                    seen[:] = [ready]
                await asyncio.sleep(0.01)
        return await whole(ctx, flow, job)

    monkeypatch.setattr(protocol, "_call", patient)
    run = await world.run(combi)
    assert seen == [BATCH]
    assert run.outcome == WRITTEN.code
    assert world.totals() == expected
    assert run.counts["invoices"]["booked"] == 3 * BATCH


async def test_what_stops_one_batch_keeps_the_prepared_one_from_being_sent(world: World) -> None:
    expected = fill(world, 3 * BATCH)
    combi = await world.combi()
    run = await started(world, combi)
    world.minox.fault("busy", method="PUT", path="/transaction_line_batch", times=100, after=1)
    await world.slice()
    tried = [call for call in world.minox.log if call[0] == "PUT" and "/transaction_line_batch" in call[1]]
    assert len(tried) <= BATCH
    assert len(world.totals()) == 1
    assert DeliveryState.sent not in await states(world)
    world.minox.faults.clear()
    await finished_once(world, run, expected)


async def test_trouble_while_preparing_waits_for_the_calls_that_are_being_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 3 * BATCH)
    combi = await world.combi()
    whole = deliver.prepare
    batches: list[Sequence[Work]] = []

    async def broken(ctx: Any, flow: str, works: Sequence[Work]) -> Any:
        batches.extend([works] if flow == "invoices" else [])
        if len(batches) == 2:
            raise RuntimeError("our own mistake")
        return await whole(ctx, flow, works)

    monkeypatch.setattr(deliver, "prepare", broken)
    await started(world, combi)
    await world.slice()
    assert len(world.totals()) == BATCH
    assert await states(world) == [DeliveryState.recorded] * BATCH
    monkeypatch.undo()
    await world.run(combi)
    assert world.totals() == expected


async def test_a_worker_that_is_broken_off_leaves_what_was_sent_to_be_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 3 * BATCH)
    combi = await world.combi()
    run = await started(world, combi)
    under_way, whole = asyncio.Event(), protocol._call

    async def stuck(ctx: Any, flow: str, job: Any) -> Any:
        receipt = await whole(ctx, flow, job)
        if flow == "invoices":
            under_way.set()
            await asyncio.sleep(3600)
        return receipt

    monkeypatch.setattr(protocol, "_call", stuck)
    working = asyncio.create_task(world.engine.drain())
    await under_way.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 20)
    monkeypatch.undo()
    assert DeliveryState.sent in await states(world)
    await world.rows_changed("UPDATE run SET lease_until = clock_timestamp() - interval '1 second'")
    world.clock.advance(120)
    await finished_once(world, run, expected)


async def test_two_workers_and_small_batches_book_everything_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 5 * BATCH)
    combis = [await world.combi() for _ in range(2)]
    ids = [await started(world, combi) for combi in combis]
    world.minox.fault("slow", times=80, seconds=0.01)
    await asyncio.gather(*(engine.drain() for engine in (world.engine, another(world))))
    for run_id in ids:
        await world.finish(run_id)
    for combi in combis:
        await world.run(combi)
    assert world.totals() == expected
