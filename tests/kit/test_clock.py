"""The passed-in clock and the ids made with it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from hub.kit.clock import FakeClock, SystemClock
from hub.kit.ids import new_id


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_today_is_the_date_in_amsterdam() -> None:
    assert FakeClock(datetime(2026, 6, 30, 22, 30, tzinfo=UTC)).today() == date(2026, 7, 1)
    assert FakeClock(datetime(2026, 12, 31, 22, 30, tzinfo=UTC)).today() == date(2026, 12, 31)


def test_a_fake_clock_needs_an_aware_start() -> None:
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001 - this is what is refused


async def test_sleeping_on_a_fake_clock_moves_it_on_at_once() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    await asyncio.wait_for(clock.sleep(3600), 1)
    assert clock.now() == datetime(2026, 1, 1, 1, tzinfo=UTC)


async def test_a_sleeper_wakes_when_the_clock_passes_its_moment() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC), sleep_advances=False)
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    clock.advance(59)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(timedelta(seconds=1))
    await asyncio.wait_for(sleeper, 1)


def test_ids_of_one_moment_sort_in_the_order_they_were_made() -> None:
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    ids = [new_id(clock) for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


def test_ids_of_later_moments_sort_after() -> None:
    clock = FakeClock(datetime(2031, 1, 1, tzinfo=UTC))
    earlier = new_id(clock)
    clock.advance(0.002)
    assert earlier < new_id(clock)
