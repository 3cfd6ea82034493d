"""Random mixes of journals that come, change, vanish and return, and of trouble: in the end the books say it once."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.accounting.chart import LedgerAccount
from hub.config import Config
from hub.engine import items, points
from hub.engine.models import ItemStatus
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.sdk.manifest import OnChange
from tests.engine.payroll import Payroll, a_payroll
from tests.engine.test_random_mix import Mix, emptied, enact, in_order

D = Decimal
RUNS = 6
OPERATIONS = st.one_of(
    st.tuples(st.just("pay_run"), st.integers(0, RUNS - 1), st.integers(1, 99999)),
    st.tuples(st.just("pay_run"), st.integers(0, RUNS - 1), st.integers(1, 99999)),
    st.tuples(st.just("pay_run"), st.integers(0, RUNS - 1), st.integers(1, 3)),
    st.tuples(st.just("vanish"), st.integers(0, RUNS - 1)),
    st.tuples(st.just("trouble"), st.lists(st.sampled_from(["", "busy", "lost", "error", "refused"]), max_size=4)),
    st.tuples(st.just("crash"), st.sampled_from(points.ALL), st.integers(1, 3)),
    st.tuples(st.just("lag"), st.integers(0, 20)),
    st.tuples(st.just("clock"), st.sampled_from([30, 700, 4000])),
    st.tuples(st.just("answer"), st.integers(0, RUNS - 1)),
    st.tuples(st.just("reinstall")),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
    st.tuples(st.just("slice")),
)


class JournalMix(Mix):
    """A payroll hub under random hands."""

    world: Payroll

    def __init__(self, world: Payroll, combi: UUID) -> None:
        self.world = world
        self.combi = combi
        self.deadly: dict[str, int] = {}
        world.books.accounts = tuple(
            LedgerAccount(number=one) for one in ("0170", *(f"40{at:02d}" for at in range(RUNS)))
        )

    async def pay_run(self, at: int, cents: int) -> None:
        """A run with this content: new, changed or returned."""
        amount = str(D(cents) / 100)
        self.world.runs.add(str(at), (f"40{at:02d}", "Loon", amount, "0"), ("0170", "Netto", "0", amount))

    async def vanish(self, at: int) -> None:
        """Not between a new installation and its first look: it does not know of what it never read."""
        known = {item.source_id for item in await self.world.items("journals")}
        own = {item.source_id for item in await self.world.items("journals", self.combi)}
        if f"512:{at}" not in known - own:
            self.world.runs.runs.pop(f"512:{at}", None)

    async def trouble(self, faults: list[str]) -> None:
        self.world.books.faults.extend(faults)

    async def lag(self, seconds: int) -> None:
        self.world.books.lag_s = seconds

    async def reinstall(self) -> None:
        """Only while nothing vanished: a new combi does not know of what it never read."""
        known = {item.source_id for item in await self.world.items("journals")}
        if known <= self.world.runs.runs.keys():
            await super().reinstall()

    async def answer(self, at: int) -> None:
        """A human answers what is asked about this run, if anything."""
        for item in await self.world.items("journals", self.combi):
            if item.source_id == f"512:{at}" and item.status in (ItemStatus.changed, ItemStatus.rejected):
                await self.answered(item)

    async def answered(self, item: Any) -> None:
        keys = [one["key"] for one in item.findings]
        if "cannot_reverse" in keys:
            # By hand, with the care that is asked for.
            self.world.books.entries.pop(item.target_ref, None)
            await self.world.human(items.resolve, item, "absent")
        else:
            await self.world.human(items.retry, item)

    async def calm(self) -> None:
        """Trouble is over, and a human answers whatever is asked."""
        self.deadly.clear()
        self.world.books.faults.clear()
        self.world.books.lag_s = 0
        for _ in range(6):
            self.world.clock.advance(timedelta(hours=3))
            await self.run()
            for item in await self.world.items("journals", self.combi):
                if item.status in (ItemStatus.changed, ItemStatus.rejected):
                    await self.answered(item)

    async def check(self) -> None:
        """Each run that exists stands in the books once, to the cent; what does not exist comes to nothing."""
        world = self.world
        expected = {}
        for record in world.runs.runs.values():
            account, _, amount, _ = record["lines"][0]
            expected[account] = D(amount)
        found = world.books.balance()
        assert found.pop("0170", D(0)) == -sum(expected.values())
        assert found == expected
        states = [row["state"] for row in await world.rows("SELECT state FROM delivery WHERE state <> 'gone'")]
        assert "sent" not in states
        shown = await world.rows(
            "SELECT count(*) AS n FROM delivery WHERE revision = 1 AND state IN ('recorded', 'reversed')"
        )
        assert shown[0]["n"] == len(world.books.entries)
        for item in await world.items("journals", self.combi):
            there = item.source_id in world.runs.runs
            assert item.status in ([ItemStatus.booked] if there else [ItemStatus.reversed, ItemStatus.ignored])


async def play(
    config: Config, services: Services, database: Database, on_change: OnChange, operations: list[tuple[Any, ...]]
) -> None:
    """One example from empty books to the laws."""
    await emptied(database)
    async with a_payroll(config, services, on_change=on_change) as world:
        mix = JournalMix(world, await world.combi())
        await enact(mix, operations)


@pytest.mark.parametrize("on_change", list(OnChange))
@in_order(25)
@given(operations=st.lists(OPERATIONS, min_size=6, max_size=30))
async def test_any_mix_of_journals_ends_in_right_books(
    clean: None,
    config: Config,
    services: Services,
    database: Database,
    on_change: OnChange,
    operations: list[tuple[Any, ...]],
) -> None:
    print(operations)  # noqa: T201 - pytest shows it when it fails
    await play(config, services, database, on_change, operations)


DEATHS = [(point, passing) for point in points.ALL for passing in (1, 2)]


@pytest.mark.parametrize(("point", "passing"), DEATHS)
@pytest.mark.parametrize("vanished", [False, True])
async def test_a_death_at_any_point_of_a_reversal_doubles_nothing(
    clean: None, config: Config, services: Services, database: Database, point: str, passing: int, vanished: bool
) -> None:
    begun: list[tuple[Any, ...]] = [("pay_run", 0, 1000), ("pay_run", 1, 2000), ("run",), ("clock", 700)]
    what = [("vanish", 0), ("run",), ("answer", 0)] if vanished else [("pay_run", 0, 1500)]
    await play(config, services, database, OnChange.reverse, [*begun, *what, ("crash", point, passing), ("run",)])
