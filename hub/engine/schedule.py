"""When a combi runs: slots that follow from the last planned one, spread over the hub, right across clock changes."""

import hashlib
from datetime import datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NIGHT_START = time(2, 0)
NIGHT = timedelta(hours=3)


class Schedule(StrEnum):
    """How often a combi runs."""

    every_15_minutes = "every_15_minutes"
    hourly = "hourly"
    nightly = "nightly"
    """Once a night between 02:00 and 05:00, Europe/Amsterdam."""
    manual = "manual"
    """Only when asked."""


INTERVALS = {Schedule.every_15_minutes: timedelta(minutes=15), Schedule.hourly: timedelta(hours=1)}


def jitter(combi: UUID, within: timedelta) -> timedelta:
    """A delay in [0, within) that is this combi's own for ever, in whole seconds."""
    share = int.from_bytes(hashlib.sha256(combi.bytes).digest()[:8]) / 2**64
    return timedelta(seconds=int(share * within.total_seconds()))


def next_slot(schedule: Schedule, combi: UUID, after: datetime) -> datetime | None:
    """The first slot later than `after` (aware). None for a manual schedule.

    Interval slots lie on multiples of the interval since the epoch plus the jitter, so the change of the clocks does
    not touch them. A night's slot is planned on the wall clock; on the night that skips 02:00–03:00 a slot in that hour
    falls an hour later, and on the night that has it twice it is in the first.
    """
    if schedule is Schedule.manual:
        return None
    if interval := INTERVALS.get(schedule):
        shift = jitter(combi, interval).total_seconds()
        step = interval.total_seconds()
        count = (after.timestamp() - shift) // step + 1
        return datetime.fromtimestamp(count * step + shift, tz=after.tzinfo)
    day = after.astimezone(AMSTERDAM).date() - timedelta(days=1)
    while True:
        wall = datetime.combine(day, NIGHT_START) + jitter(combi, NIGHT)
        slot = wall.replace(tzinfo=AMSTERDAM).astimezone(after.tzinfo)
        if slot > after:
            return slot
        day += timedelta(days=1)


def missed(schedule: Schedule, combi: UUID, planned: datetime, now: datetime) -> tuple[int, datetime | None]:
    """How many slots after `planned` have passed by `now`, and the first one that lies ahead."""
    count = 0
    slot = next_slot(schedule, combi, planned)
    if (interval := INTERVALS.get(schedule)) and slot is not None and slot <= now:
        count = int((now - slot) // interval) + 1
        return count, slot + count * interval
    while slot is not None and slot <= now:
        count += 1
        slot = next_slot(schedule, combi, slot)
    return count, slot
