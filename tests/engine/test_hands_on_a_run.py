"""One combi, many hands: leases, slices, cancels, clocks that jump, and two engines at once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from hub.engine import deliver, points, protocol, registry, store
from hub.engine import run as runs
from hub.engine.context import Lease
from hub.engine.engine import AlreadyRunning, Engine
from hub.engine.models import Combi, DeliveryState, ItemStatus, Run
from hub.engine.outcome import INTERRUPTED, OUTCOMES, WRITTEN
from tests.engine.world import QuietBell, World

D = Decimal


def fill(world: World, count: int = 6) -> dict[int, Decimal]:
    """Invoices for two customers, and what the books are to say of them."""
    owners = [world.simplicate.add_organization(f"Klant {at} B.V.", email=f"k{at}@klanten.example") for at in range(2)]
    for at in range(count):
        world.simplicate.add_invoice(f"F2026-{at:04d}", organization=owners[at % 2])
    return {20260000 + at: D("1210.00") for at in range(count)}


def another(world: World) -> Engine:
    """A second worker of the same hub."""
    return Engine(world.hub.database, world.clock, world.hub.clients, QuietBell())


async def started(world: World, combi: UUID, **facts: Any) -> UUID:
    """A manual run that nobody works on yet."""
    async with world.hub.database.tenant(world.organisation) as session:
        run = await world.engine.start_run(session, await session.get_one(Combi, combi), **facts)
    return run.id


async def test_a_second_run_of_a_combi_is_refused_and_names_the_first(world: World) -> None:
    combi = await world.combi()
    first = await started(world, combi)
    with pytest.raises(AlreadyRunning) as refused:
        await started(world, combi)
    assert refused.value.run_id == first


async def test_two_engines_on_one_combi_book_everything_once(world: World) -> None:
    expected = fill(world, 12)
    combi = await world.combi()
    await started(world, combi)
    world.minox.fault("slow", method="PUT", times=12, seconds=0.02)
    await asyncio.gather(*(engine.drain() for engine in (world.engine, another(world), another(world))))
    assert world.totals() == expected
    assert len(world.minox.customers_of()) == 2
    assert world.minox.calls.total() == len(world.minox.log)
    assert sum(count for call, count in world.minox.calls.items() if call.startswith("PUT")) == 12


async def test_two_combis_on_one_pair_at_the_same_time_book_everything_once(world: World) -> None:
    expected = fill(world, 12)
    combis = [await world.combi() for _ in range(3)]
    ids = [await started(world, combi) for combi in combis]
    world.minox.fault("slow", times=60, seconds=0.01)
    await asyncio.gather(*(engine.drain() for engine in (world.engine, another(world), another(world))))
    for run_id in ids:
        await world.finish(run_id)
    for combi in combis:
        await world.run(combi)

    assert world.totals() == expected
    assert len(world.minox.customers_of()) == 2
    posts = [count for call, count in world.minox.calls.items() if call.startswith("POST") and "customer" in call]
    assert sum(posts) == 2
    assert {one.status for one in await world.items()} == {ItemStatus.booked}


@pytest.mark.parametrize("how", ["stolen", "expired", "ended"])
async def test_after_the_lease_is_lost_not_one_more_write_goes_out(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 6)
    combi = await world.combi()
    run_id = await started(world, combi)
    leases: list[Lease] = []
    whole = protocol._call
    seen: list[int] = []

    async def lost_after_one(ctx: Any, flow: str, job: Any) -> Any:
        receipt = await whole(ctx, flow, job)
        if flow == "invoices" and not seen:
            leases.append(ctx.lease)
            ctx.lease.lost = how != "expired"
            ctx.lease.valid_until = 0.0
            statement = {
                "stolen": "UPDATE run SET lease_owner = 'thief', lease_until = clock_timestamp() + interval '1 hour'",
                "expired": "UPDATE run SET lease_until = clock_timestamp() - interval '1 second'",
                "ended": "UPDATE run SET finished_at = now(), outcome = 3000, lease_owner = NULL",
            }[how]
            await world.rows_changed(f"{statement} WHERE id = :id", id=run_id)
            seen.append(world.writes())
        return receipt

    monkeypatch.setattr(protocol, "PARALLEL", 1)
    monkeypatch.setattr(protocol, "_call", lost_after_one)
    await world.slice()

    assert world.writes() == seen[0]
    assert len(world.totals()) == 1
    row = (await world.rows("SELECT lease_owner, finished_at, outcome FROM run"))[0]
    if how == "stolen":
        assert row["lease_owner"] == "thief"
        assert row["finished_at"] is None
        await world.rows_changed("UPDATE run SET lease_until = clock_timestamp() - interval '1 second'")
    if how == "ended":
        assert row["outcome"] == INTERRUPTED.code
        run_id = await started(world, combi)
    monkeypatch.undo()
    world.clock.advance(60)
    await world.finish(run_id)
    await world.run(combi)
    assert world.totals() == expected
    assert {one.status for one in await world.items()} == {ItemStatus.booked}


async def test_a_worker_without_lease_cannot_give_the_run_away(world: World) -> None:
    fill(world, 1)
    combi = await world.combi()
    await started(world, combi)
    claimed = await world.engine._claim("me")
    assert claimed is not None
    await world.rows_changed("UPDATE run SET lease_owner = 'thief'")
    await runs._go_on(world.engine, claimed, world.clock.now())
    await runs._finish(world.engine, claimed, WRITTEN, None)
    (row,) = await world.rows("SELECT lease_owner, finished_at FROM run")
    assert (row["lease_owner"], row["finished_at"]) == ("thief", None)


async def test_slices_of_no_time_end_in_the_same_books(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fill(world, 8)
    monkeypatch.setattr(runs, "SLICE_S", -1.0)
    monkeypatch.setattr(deliver, "BATCH", 2)
    combi = await world.combi(note_success=True)
    run = await world.run(combi)
    assert run.outcome == WRITTEN.code
    assert world.totals() == expected
    assert run.counts["invoices"]["booked"] == 8
    assert len(world.simplicate.books["messages"]) == 8


async def test_a_cancelled_run_stops_before_the_next_write_and_the_next_one_goes_on(world: World) -> None:
    expected = fill(world, 4)
    combi = await world.combi()
    run_id = await started(world, combi)
    await world.rows_changed("UPDATE run SET cancelled = true WHERE id = :id", id=run_id)
    run = await world.finish(run_id)
    assert run.outcome == INTERRUPTED.code
    assert world.writes() == 0
    await world.run(combi)
    assert world.totals() == expected


async def test_a_run_cancelled_in_the_middle_leaves_nothing_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 6)
    combi = await world.combi()
    whole = protocol._call

    async def cancels(ctx: Any, flow: str, job: Any) -> Any:
        receipt = await whole(ctx, flow, job)
        ctx.lease.cancelled = flow == "invoices"
        return receipt

    monkeypatch.setattr(protocol, "PARALLEL", 1)
    with monkeypatch.context() as patch:
        patch.setattr(protocol, "_call", cancels)
        run = await world.run(combi)
    assert run.outcome == INTERRUPTED.code
    assert len(world.totals()) == 1
    statuses = sorted(str(one.status) for one in await world.items())
    assert statuses == ["booked"] + ["waiting"] * 5
    run = await world.run(combi)
    assert world.totals() == expected
    assert run.counts["invoices"]["booked"] == 5


async def test_settings_that_change_between_slices_hold_from_the_next_run_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(world, 6)
    monkeypatch.setattr(runs, "SLICE_S", -1.0)
    monkeypatch.setattr(deliver, "BATCH", 2)
    combi = await world.combi()
    run_id = await started(world, combi)
    while not world.totals():
        await world.slice()
    assert 0 < len(world.totals()) < 6
    await world.settings(combi, booking_date="today", default_revenue_account="8000")
    run = await world.finish(run_id)
    assert run.settings_version == 1
    assert world.totals() == expected
    days = {line["document_date"] for lines in world.minox.batches().values() for line in lines}
    assert days == {"2026-03-09"}


@pytest.mark.parametrize("jump", [timedelta(days=40), timedelta(hours=-5), timedelta(days=-400)])
async def test_a_clock_that_jumps_between_slices_doubles_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    expected = fill(world, 6)
    monkeypatch.setattr(runs, "SLICE_S", -1.0)
    monkeypatch.setattr(deliver, "BATCH", 2)
    world.minox.fault("lost", method="PUT")
    world.minox.fault("lost", method="POST", path="/customer")
    sandbox_time = world.clock.now().timestamp()
    world.minox.now = world.simplicate.now = lambda: sandbox_time
    combi = await world.combi()
    run_id = await started(world, combi)
    for _ in range(4):
        await world.slice()
    world.clock.advance(jump)
    # A clock that went back comes round again.
    for _ in range(8):
        await world.engine.drain()
        world.clock.advance(abs(jump) / 4)
    await world.finish(run_id)
    await world.run(combi)
    assert world.totals() == expected
    assert len(world.minox.customers_of()) == 2


class Died(BaseException):
    """A worker that is no more."""


@pytest.mark.parametrize("passing", [1, 2])
@pytest.mark.parametrize("point", points.ALL)
async def test_a_worker_that_dies_anywhere_leaves_books_that_the_next_one_completes(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str, passing: int
) -> None:
    expected = fill(world, 5)
    combi = await world.combi()
    run_id = await started(world, combi)
    left = [passing]

    def reach(name: str) -> None:
        if name == point:
            left[0] -= 1
            if left[0] == 0:
                raise Died(name)

    monkeypatch.setattr(points, "reach", reach)
    try:
        await world.engine.drain()
        assert point == points.BEFORE_FINISH or passing == 2
    except Died:
        await world.rows_changed("UPDATE run SET lease_until = clock_timestamp() - interval '1 second'")
    engine = another(world)
    world.hub.engine = engine
    run = await world.finish(run_id)
    assert run.outcome is not None
    assert OUTCOMES[run.outcome].good
    assert world.totals() == expected
    assert len(world.minox.customers_of()) == 2
    assert {one.status for one in await world.items()} == {ItemStatus.booked}


async def test_an_ended_run_never_changes(world: World) -> None:
    combi = await world.combi()
    run = await world.run(combi)
    async with world.hub.database.tenant(world.organisation) as session:
        stored = await session.get_one(Run, run.id)
    await runs._finish(world.engine, stored, INTERRUPTED, None)
    assert (await world.rows("SELECT outcome FROM run"))[0]["outcome"] == run.outcome


async def test_what_was_recorded_never_changes(world: World) -> None:
    fill(world, 1)
    combi = await world.combi()
    await world.run(combi)
    (before,) = await world.deliveries()
    ctx = await world.engine.context(world.organisation, combi)
    async with world.hub.database.tenant(world.organisation) as session:
        await store.record(session, ctx, [{"id": before.id, "state": "sent", "check_at": world.clock.now()}])
        await store.unsend(session, [before.id])
        await session.execute(text("SELECT 1"))
    (after,) = await world.deliveries()
    assert after == before


async def test_an_edited_combi_keeps_its_cursor(world: World) -> None:
    fill(world, 2)
    combi = await world.combi()
    await world.run(combi)
    before = await world.rows("SELECT stream, cursor FROM position ORDER BY stream")
    world.clock.advance(600)
    world.simplicate.add_invoice("F2026-0100")
    await world.settings(combi, booking_date="today", customers="all")
    assert await world.rows("SELECT stream, cursor FROM position ORDER BY stream") == before
    await world.run(combi)
    assert 20260100 in world.totals()


async def test_what_a_dead_worker_sent_is_looked_up_and_never_sent_blindly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, 5)
    combi = await world.combi()
    run_id = await started(world, combi)

    def reach(name: str) -> None:
        if name == points.BEFORE_RECORD and world.totals():
            raise Died(name)

    with monkeypatch.context() as patch:
        patch.setattr(points, "reach", reach)
        with pytest.raises(Died):
            await world.engine.drain()
    landed = len(world.totals())
    assert landed
    assert [one.state for one in await world.deliveries()].count(DeliveryState.sent) == 5
    await world.rows_changed("UPDATE run SET lease_until = clock_timestamp() - interval '1 second'")
    await world.finish(run_id)
    assert (await world.log()).count("delivery.found_again") == landed
    assert sum(count for call, count in world.minox.calls.items() if call.startswith("PUT")) == 5


async def test_progress_shows_while_a_slice_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHOWN_S", 0.0)
    fill(world, 40)
    combi = await world.combi()
    run = await started(world, combi)
    world.minox.fault("slow", method="PUT", times=40, seconds=0.05)
    working = asyncio.create_task(world.engine.drain())
    seen: list[int] = []
    while not working.done():
        (row,) = await world.rows("SELECT counts, finished_at FROM run WHERE id = :id", id=run)
        if row["finished_at"] is None:
            seen.append(row["counts"].get("invoices", {}).get("booked", 0))
        await asyncio.sleep(0.01)
    await working
    assert any(0 < count < 40 for count in seen)
    assert seen == sorted(seen)
    (row,) = await world.rows("SELECT counts FROM run WHERE id = :id", id=run)
    assert row["counts"]["invoices"]["booked"] == 40


async def test_after_a_429_the_rest_of_a_window_is_not_issued(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PARALLEL", 2)
    # Turns are to be had again at once, as when Valkey was emptied: it is the window itself that has to end.
    minox = registry.get("minox")
    rate = minox.manifest.rate_limit.model_copy(update={"default_pause_s": 0.0001})
    registry.add(replace(minox, manifest=minox.manifest.model_copy(update={"rate_limit": rate})))
    expected = fill(world, 8)
    combi = await world.combi()
    run = await started(world, combi)
    world.minox.fault("busy", method="PUT", path="/transaction_line_batch", times=100, after=1)
    await world.slice()
    puts = [status for method, path, status in world.minox.log if method == "PUT" and "/transaction_line_batch" in path]
    # One that was booked, the one that was refused, and at most one that was under way beside it.
    assert 2 <= len(puts) <= 3
    states = [one.state for one in await world.deliveries()]
    assert states.count(DeliveryState.recorded) == 1
    assert states.count(DeliveryState.intended) == 7
    world.minox.faults.clear()
    await world.finish(run)
    assert world.totals() == expected
