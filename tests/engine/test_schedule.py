"""Slots: from the last planned one, right across both changes of the clocks, each exactly once."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.engine.schedule import AMSTERDAM, INTERVALS, Schedule, jitter, missed, next_slot
from tests.engine.world import World

COMBI = UUID("019cf5df-a280-7000-8000-0123456789ab")
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def slots(schedule: Schedule, combi: UUID, after: datetime, until: datetime) -> list[datetime]:
    """All slots in a stretch, each from the one before."""
    found: list[datetime] = []
    slot = next_slot(schedule, combi, after)
    while slot is not None and slot <= until:
        found.append(slot)
        slot = next_slot(schedule, combi, slot)
    return found


@given(MOMENTS, st.uuids(), st.sampled_from([one for one in Schedule if one is not Schedule.manual]))
def test_the_next_slot_is_later_and_soon(after: datetime, combi: UUID, schedule: Schedule) -> None:
    slot = next_slot(schedule, combi, after)
    assert slot is not None
    assert after < slot <= after + INTERVALS.get(schedule, timedelta(hours=26))
    assert slot.utcoffset() == timedelta(0)


@given(MOMENTS, st.uuids(), st.sampled_from(list(INTERVALS)))
def test_intervals_never_drift(after: datetime, combi: UUID, schedule: Schedule) -> None:
    found = slots(schedule, combi, after, after + timedelta(days=2))
    assert {later - earlier for earlier, later in pairwise(found)} == {INTERVALS[schedule]}


@given(st.uuids(), st.dates(date(2024, 1, 1), date(2030, 1, 1)))
def test_a_night_has_one_slot_between_two_and_five(combi: UUID, day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=AMSTERDAM).astimezone(UTC)
    found = [one.astimezone(AMSTERDAM) for one in slots(Schedule.nightly, combi, noon, noon + timedelta(days=3))]
    days = [one.date() for one in found]
    assert days[:2] == [day + timedelta(days=1), day + timedelta(days=2)]
    assert len(set(days)) == len(days)
    assert all(2 <= one.hour < 5 for one in found)


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("combi", [UUID(int=at << 100) for at in range(1, 40)])
def test_the_night_of_a_change_has_one_slot(change: date, combi: UUID) -> None:
    eve = datetime(change.year, change.month, change.day, tzinfo=AMSTERDAM).astimezone(UTC) - timedelta(hours=12)
    found = [one.astimezone(AMSTERDAM) for one in slots(Schedule.nightly, combi, eve, eve + timedelta(days=1))]
    assert [one.date() for one in found] == [change]
    assert 2 <= found[0].hour < 5


def test_the_leap_day_has_its_night() -> None:
    found = slots(Schedule.nightly, COMBI, datetime(2028, 2, 27, 12, tzinfo=UTC), datetime(2028, 3, 2, tzinfo=UTC))
    days = [one.astimezone(AMSTERDAM).date() for one in found]
    assert days == [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]


def test_a_combi_keeps_its_place_and_combis_are_spread() -> None:
    within = timedelta(minutes=15)
    assert jitter(COMBI, within) == jitter(UUID(str(COMBI)), within)
    places = Counter(jitter(uuid4(), within) // timedelta(minutes=1) for _ in range(3000))
    assert set(places) == set(range(15))
    assert max(places.values()) < 3 * min(places.values())


@given(MOMENTS, st.uuids(), st.integers(0, 400), st.sampled_from([one for one in Schedule if one != Schedule.manual]))
def test_what_passed_is_counted_and_the_next_lies_ahead(
    planned: datetime, combi: UUID, hours: int, schedule: Schedule
) -> None:
    slot = next_slot(schedule, combi, planned)
    assert slot is not None
    now = slot + timedelta(hours=hours, seconds=1)
    count, upcoming = missed(schedule, combi, slot, now)
    every = slots(schedule, combi, slot, now)
    assert count == len(every)
    assert upcoming == next_slot(schedule, combi, every[-1] if every else slot)
    assert upcoming is not None
    assert upcoming > now


def test_a_manual_combi_has_no_slot() -> None:
    assert next_slot(Schedule.manual, COMBI, datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
async def test_a_week_around_a_change_plans_every_slot_once(world: World, change: date) -> None:
    start = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(days=4)
    world.clock.advance(start - world.clock.now())
    combis = {
        Schedule.nightly: await world.combi(schedule=Schedule.nightly, flows=[]),
        Schedule.hourly: await world.combi(schedule=Schedule.hourly, flows=[]),
    }
    end = start + timedelta(days=8)
    while world.clock.now() < end:
        (due,) = await world.rows("SELECT min(slot) AS slot FROM combi")
        world.clock.advance(due["slot"] + timedelta(seconds=7) - world.clock.now())
        await world.engine.sweep()
        await world.engine.drain()

    for schedule, combi in combis.items():
        rows = await world.rows("SELECT slot, skipped_slots FROM run WHERE combi_id = :id ORDER BY slot", id=combi)
        planned = slots(schedule, combi, start, world.clock.now())
        assert [row["slot"] for row in rows] == planned
        assert sum(row["skipped_slots"] for row in rows) == 0


async def test_slots_that_passed_while_nobody_worked_are_counted(world: World) -> None:
    combi = await world.combi(schedule=Schedule.hourly, flows=[])
    world.clock.advance(timedelta(hours=7, minutes=59))
    await world.engine.sweep()
    await world.engine.drain()
    await world.engine.sweep()
    rows = await world.rows("SELECT slot, skipped_slots, started_at FROM run")
    assert len(rows) == 1
    assert rows[0]["skipped_slots"] in (6, 7)
    assert rows[0]["started_at"] > rows[0]["slot"]
    following = (await world.combi_row(combi)).slot
    assert following is not None
    assert world.clock.now() < following <= world.clock.now() + timedelta(hours=1)


async def test_two_sweeps_at_once_plan_a_slot_once(world: World) -> None:
    for _ in range(5):
        await world.combi(schedule=Schedule.hourly, flows=[])
    world.clock.advance(timedelta(hours=1))
    await asyncio.gather(*(world.engine.sweep() for _ in range(4)))
    assert len(await world.rows("SELECT 1 FROM run")) == 5


async def test_a_run_that_goes_on_holds_the_next_slot_up_and_is_not_doubled(world: World) -> None:
    combi = await world.combi(schedule=Schedule.hourly, flows=[])
    world.clock.advance(timedelta(hours=1))
    await world.engine.sweep()
    world.clock.advance(timedelta(hours=2))
    await world.engine.sweep()
    assert len(await world.rows("SELECT 1 FROM run")) == 1
    await world.engine.drain()
    await world.engine.sweep()
    rows = await world.rows("SELECT slot, skipped_slots FROM run WHERE combi_id = :id ORDER BY slot", id=combi)
    assert len(rows) == 2
    assert rows[1]["slot"] - rows[0]["slot"] == timedelta(hours=1)
    assert rows[1]["skipped_slots"] == 1


async def test_a_paused_combi_and_one_that_backs_off_are_left_alone(world: World) -> None:
    paused = await world.combi(schedule=Schedule.hourly, flows=[])
    waiting = await world.combi(schedule=Schedule.hourly, flows=[])
    await world.rows_changed("UPDATE combi SET status = 'paused' WHERE id = :id", id=paused)
    later = world.clock.now() + timedelta(hours=5)
    await world.rows_changed("UPDATE combi SET not_before = :later WHERE id = :id", id=waiting, later=later)
    world.clock.advance(timedelta(hours=3))
    await world.engine.sweep()
    assert await world.rows("SELECT 1 FROM run") == []
    world.clock.advance(timedelta(hours=3))
    await world.engine.sweep()
    assert [row["combi_id"] for row in await world.rows("SELECT combi_id FROM run")] == [waiting]
