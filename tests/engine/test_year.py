"""A year on a virtual clock: clock changes, a leap day, workers that are away, trouble; no slot is lost or doubled.

A seed that fails is played again with HUB_YEAR_SEED=<seed>.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from hub.config import Config
from hub.engine import points
from hub.engine.models import CombiStatus
from hub.engine.schedule import Schedule, missed, next_slot
from hub.kit.embedded import Services
from tests.engine.test_random_mix import CUSTOMERS, WHERE, Mix
from tests.engine.test_schedule import slots
from tests.engine.world import World, a_world

BEGIN, END = datetime(2027, 7, 1, 6, tzinfo=UTC), datetime(2028, 7, 1, 6, tzinfo=UTC)
THERE = timedelta(hours=7)
NIGHTS = (datetime(2027, 10, 30, 21, tzinfo=UTC), datetime(2028, 2, 28, 21, tzinfo=UTC),
          datetime(2028, 3, 25, 21, tzinfo=UTC))  # fmt: skip
"""Before the clocks go back, the leap day, and before they go forward; a worker is there until the morning."""
SCHEDULES = (Schedule.every_15_minutes, Schedule.hourly, Schedule.nightly)
SEEDS = [int(os.environ["HUB_YEAR_SEED"])] if "HUB_YEAR_SEED" in os.environ else [1]
STRETCHES = 24
PROMPT = timedelta(minutes=5)

Stretch = tuple[datetime, datetime]


def stretches(dice: random.Random) -> list[Stretch]:
    """When a worker is there: the nights that matter, and shorter times at random all over the year."""
    there = [(night, night + THERE) for night in NIGHTS]
    for _ in range(STRETCHES):
        began = BEGIN + dice.random() * (END - BEGIN)
        there.append((began, began + timedelta(minutes=dice.randrange(1, 100))))
    found: list[Stretch] = []
    for began, ended in sorted(there):
        if not found or began > found[-1][1]:
            found.append((began, ended))
    return found


@dataclass
class Year:
    """A hub, its combis by schedule, one of which keeps books, and the hands that trouble them."""

    mix: Mix
    dice: random.Random
    quiet: dict[UUID, Schedule] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.mix.world

    async def go(self, there: Sequence[Stretch]) -> None:
        """Lives through the year. A worker that is there looks for work as soon as a slot is due, or a bit later."""
        clock = self.world.clock
        for began, ended in there:
            clock.advance(began - clock.now())
            await self.world.rested()
            while clock.now() < ended:
                await self.hands()
                await self.work()
                (row,) = await self.world.rows("SELECT min(slot) AS slot FROM combi")
                late = timedelta(seconds=self.dice.randrange(30))
                clock.advance(max(row["slot"] + late - clock.now(), timedelta(seconds=1)))

    async def work(self) -> None:
        """Sweeps and works until no run is left; the clock jumps over the waits."""
        for _ in range(120):
            await self.world.engine.sweep()
            await self.mix.live(self.world.engine.drain())
            if not await self.world.rows("SELECT 1 FROM run WHERE finished_at IS NULL"):
                return
            self.world.clock.advance(60)
            await self.world.rested()
        raise AssertionError("a run does not end")

    async def hands(self) -> None:
        """What customers, packages and machines do in between."""
        dice, mix = self.dice, self.mix
        deeds: tuple[tuple[float, Any], ...] = (
            (0.15, lambda: mix.invoice(dice.randrange(CUSTOMERS), dice.randrange(1, 99999))),
            (0.10, lambda: mix.pay(dice.randrange(20), True)),
            (0.08, lambda: mix.fault(dice.choice(WHERE), dice.choice(["lost", "error", "busy"]), 2, dice.randrange(2))),
            (0.05, lambda: mix.crash(dice.choice(points.ALL), dice.randrange(1, 3))),
            (0.10, lambda: mix.lag(dice.choice([0, 0, 5, 60, 600]))),
            (0.03, lambda: mix.clock(-600)),
        )
        for chance, deed in deeds:
            if dice.random() < chance:
                await deed()

    async def check(self, there: Sequence[Stretch]) -> None:
        """Each slot of the year was planned once, or is counted as skipped; who was there began on time."""
        for combi, schedule in {**self.quiet, self.mix.combi: Schedule.hourly}.items():
            rows = await self.world.rows(
                """SELECT slot, skipped_slots, started_at FROM run WHERE combi_id = :id AND slot IS NOT NULL
                ORDER BY slot""",
                id=combi,
            )
            left = (await self.world.combi_row(combi)).slot
            assert left is not None
            assert self.world.clock.now() < left
            every = slots(schedule, combi, BEGIN, left)
            at = 0
            for row in rows:
                assert row["slot"] == every[at]
                assert row["started_at"] >= row["slot"]
                at += 1 + row["skipped_slots"]
                if combi in self.quiet and any(began <= row["slot"] <= ended - PROMPT for began, ended in there):
                    assert row["skipped_slots"] == 0
                    assert row["started_at"] - row["slot"] <= PROMPT
            assert every[at] == left
            assert at > {Schedule.every_15_minutes: 35_000, Schedule.hourly: 8_700, Schedule.nightly: 360}[schedule]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_year_loses_no_slot_and_books_each_document_once(
    clean: None, config: Config, services: Services, seed: int
) -> None:
    dice = random.Random(seed)
    there = stretches(dice)
    async with a_world(config, services, now=BEGIN) as world:
        year = Year(Mix(world, await world.combi(schedule=Schedule.hourly)), dice)
        for schedule in SCHEDULES:
            year.quiet[await world.combi(schedule=schedule, flows=[])] = schedule
        with year.mix.mortal():
            await year.go(there)
            world.clock.advance(END - world.clock.now())
            await year.mix.calm()
            await year.work()
        assert len(year.mix.invoices) > 10
        assert (await world.combi_row(year.mix.combi)).status == CombiStatus.active
        await year.check(there)
        await year.mix.check()


@pytest.mark.parametrize("seed", range(20))
def test_every_slot_of_a_year_is_planned_or_counted_whenever_somebody_looks(seed: int) -> None:
    """The rule of the sweep alone, at full density: looks every few seconds to days, runs that take long."""
    dice = random.Random(seed)
    for schedule in SCHEDULES:
        combi = UUID(int=dice.getrandbits(128))
        planned = next_slot(schedule, combi, BEGIN)
        assert planned is not None
        every = slots(schedule, combi, BEGIN, END + timedelta(days=3))
        now, at = BEGIN, 0
        while now < END:
            now += timedelta(seconds=dice.choice([2, 2, 30, 900, 3600, 86_400]) * dice.random())
            if planned > now:
                now = max(now, planned - timedelta(seconds=dice.randrange(60)))
                continue
            assert planned == every[at]
            skipped, upcoming = missed(schedule, combi, planned, now)
            assert upcoming is not None
            assert now < upcoming
            at += 1 + skipped
            planned = upcoming
        assert planned == every[at]
