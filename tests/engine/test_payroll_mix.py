"""Random mixes on the real payroll pairs: whatever happened, each run stands there once, to the cent, or is told of."""

import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.eboekhouden.sandbox import SANDBOX as EBOEKHOUDEN
from connectors.finmaster.sandbox import SANDBOX as FINMASTER
from connectors.loket import sandbox as loket
from connectors.nmbrs import sandbox as nmbrs
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import items, points
from hub.engine.models import Item, ItemStatus
from hub.kit.clock import FakeClock
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client
from tests.engine.payroll import START
from tests.engine.test_random_mix import Mix, emptied, enact, in_order
from tests.engine.world import BrokenPipes, QuietBell, World
from tests.kill.wages import HOME, Books, Eboekhouden, Finmaster, Loket, Nmbrs, Payroll, Run, Sums, amounts

D = Decimal
T = TypeVar("T")
MONTHS = 4
PAIRS: dict[str, tuple[type[Payroll], type[Books]]] = {
    "loket-finmaster": (Loket, Finmaster),
    "nmbrs-eboekhouden": (Nmbrs, Eboekhouden),
}
WHERE = {
    "loket-finmaster": [
        ("finmaster", "POST", "/memoriaalboekingen"),
        ("finmaster", "POST", "/memoriaalboekingen"),
        ("finmaster", "GET", "/memoriaalboekingen"),
        ("finmaster", "GET", "/grootboekrekeningen"),
        ("loket", "GET", "/journalruns"),
        ("loket", "GET", "/results"),
    ],
    "nmbrs-eboekhouden": [
        ("eboekhouden", "POST", "/mutation"),
        ("eboekhouden", "POST", "/mutation"),
        ("eboekhouden", "GET", "/mutation"),
        ("eboekhouden", "GET", "/ledger"),
        ("eboekhouden", "POST", "/session"),
        ("nmbrs", "POST", "/CompanyService"),
    ],
}
KINDS = ["lost", "error", "busy", "html", "malformed", "refused", "expired"]
KEYED = ("finmaster", "nmbrs")
"""A key that is refused once is a dead key: that asks for a human, and ends the mix."""
BY_HAND = {
    "booking_gone", "cannot_reverse", "change_by_hand", "changed_after_booking", "edited_before_reversal",
    "edited_in_target", "total_differs", "vanished_to_correct_by_hand",
}  # fmt: skip
"""Findings with which people first put the books right."""
ASKED = (ItemStatus.changed, ItemStatus.rejected, ItemStatus.finding)
month, cents, place = st.integers(1, MONTHS), st.integers(1, 99999), st.integers(0, 5)
OPERATIONS = st.one_of(
    st.tuples(st.just("pay_run"), month, cents),
    st.tuples(st.just("pay_run"), month, cents),
    st.tuples(st.just("pay_run"), month, st.integers(1, 2)),
    st.tuples(st.just("vanish"), month),
    st.tuples(st.just("hold"), month),
    st.tuples(st.just("trouble"), place, st.sampled_from(KINDS), st.integers(1, 4), st.integers(0, 2)),
    st.tuples(st.just("trouble"), st.integers(0, 1), st.sampled_from(KINDS), st.integers(1, 2), st.just(0)),
    st.tuples(st.just("take_out"), month),
    st.tuples(st.just("edit"), month, cents),
    st.tuples(st.just("answer"), month, st.booleans()),
    st.tuples(st.just("expire")),
    st.tuples(st.just("crash"), st.sampled_from(points.ALL), st.integers(1, 3)),
    st.tuples(st.just("lag"), st.integers(0, 20)),
    st.tuples(st.just("clock"), st.sampled_from([-3600, 30, 700, 4000, 90000])),
    st.tuples(st.just("reinstall")),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
    st.tuples(st.just("slice")),
)


@dataclass(frozen=True)
class Entry:
    """What stands in the books: its own id there, the month, and debit less credit per account."""

    ref: Any
    month: int
    sums: Sums


class Hands(ABC):
    """A user in the books."""

    def __init__(self, box: Any) -> None:
        self.box = box

    @abstractmethod
    def entries(self) -> list[Entry]:
        """All that stands there, in the order of booking."""

    @abstractmethod
    def take_out(self, entry: Entry) -> None:
        """Deletes it."""

    @abstractmethod
    def edit(self, entry: Entry, gross: str) -> None:
        """Gives its lines other amounts."""


class AtFinmaster(Hands):
    """The stand-in interface knows no change; its users may."""

    def entries(self) -> list[Entry]:
        return [
            Entry(
                one["boekstuknummer"],
                int(one["boekdatum"][5:7]),
                {row["rekening"]: D(row["debet"]) - D(row["credit"]) for row in one["regels"]},
            )
            for one in self.box.entries(HOME)
        ]

    def take_out(self, entry: Entry) -> None:
        del self.box.books["administrations"][HOME]["entries"][entry.ref]

    def edit(self, entry: Entry, gross: str) -> None:
        now = amounts(gross)
        for row in self.box.books["administrations"][HOME]["entries"][entry.ref]["regels"]:
            side = "debet" if D(row["debet"]) else "credit"
            row[side] = f"{now[row['rekening']]}"


class AtEboekhouden(Hands):
    """Whoever is signed in there may do anything."""

    def entries(self) -> list[Entry]:
        home = self.box.administration()
        codes = {own: one["code"] for own, one in home["ledgers"].items()}
        memorials = self.box.mutations()
        assert len({one["entryNumber"] for one in memorials}) == len(memorials), "a key stands there twice"
        return [
            Entry(one["id"], int(one["date"][5:7]), {codes[row["ledgerId"]]: -D(row["amount"]) for row in one["rows"]})
            for one in memorials
        ]

    def take_out(self, entry: Entry) -> None:
        self.box.delete(entry.ref)

    def edit(self, entry: Entry, gross: str) -> None:
        home = self.box.administration()
        wages, holiday, net = (self.box.ledger(home, account) for account in amounts(gross))
        whole, extra, owed = amounts(gross).values()
        signed = ((wages, -whole), (holiday, -extra), (net, owed))
        self.box.edit(
            entry.ref, rows=[{"ledgerId": own, "vatCode": "GEEN", "amount": amount} for own, amount in signed]
        )


HANDS: dict[str, type[Hands]] = {"finmaster": AtFinmaster, "eboekhouden": AtEboekhouden}


@dataclass
class PairOffice(World):
    """A hub whose organisation is connected to both packages of a pair."""

    boxes: dict[str, Any] = field(default_factory=dict)
    payroll: Any = None
    books: Any = None
    chosen: dict[str, Any] = field(default_factory=dict)

    async def combi(self, **settings: Any) -> UUID:
        """An active combi of the one company into the one administration."""
        return await self.active(f"{self.payroll.name}-{self.books.name}", {**self.chosen, **settings})


@asynccontextmanager
async def an_office(config: Config, services: Services, pair: str) -> AsyncIterator[PairOffice]:
    """Both packages empty."""
    clock = FakeClock(START)
    boxes = {made.name: made() for made in (loket.SANDBOX, nmbrs.NmbrsSandbox, FINMASTER, EBOEKHOUDEN)}
    for box in boxes.values():
        box.now = lambda: clock.now().timestamp()
    client = new_client(BrokenPipes(app=runner.create_app(boxes)))
    made, kept = PAIRS[pair]
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        organisation = new_id(clock)
        async with hub.database.system() as session:
            session.add(Organisation(id=organisation, name="Loon", created_at=clock.now()))
        office = PairOffice(hub, None, None, organisation, organisation, organisation, clock, boxes=boxes)
        office.payroll, office.books = made(office), kept(office)
        office.source, company = await office.payroll.connected()
        office.target, administration = await office.books.connected()
        office.chosen = {
            "administrations": {company: administration}, **office.payroll.settings, **office.books.settings,
        }  # fmt: skip
        yield office


class PayrollMix(Mix):
    """A pair under random hands, and what the hands know of the truth."""

    world: PairOffice

    def __init__(self, world: PairOffice, combi: UUID, pair: str) -> None:
        self.world, self.combi, self.where = world, combi, WHERE[pair]
        self.hands = HANDS[world.books.name](world.books.box)
        self.runs: dict[int, Run] = {}
        self.shown: dict[int, list[Sums]] = {at: [{}] for at in range(1, MONTHS + 1)}
        """Per month all that its journal ever said."""
        self.touched: dict[int, Sums] = {}
        """Per month what hands left in the books."""
        self.deadly: dict[str, int] = {}
        self.ahead = 0
        for box in world.boxes.values():
            box.now = self.vendors_now

    def vendors_now(self) -> float:
        """The packages' clocks go on when ours goes back."""
        return self.world.clock.now().timestamp() + self.ahead

    # What hands do

    async def clock(self, seconds: int) -> None:
        await super().clock(seconds)
        self.ahead += max(0, -seconds)

    async def pay_run(self, at: int, cents: int) -> None:
        """A run with this content: new, made again, or returned."""
        gross, run = f"{D(cents) / 100:.2f}", self.runs.get(at)
        made = self.world.payroll.pay(at, gross, at, 1) if run is None else self.world.payroll.correct(run, gross)
        self.runs[at] = made
        self.shown[at] += self.world.payroll.journals(made)

    async def vanish(self, at: int) -> None:
        """Not between a new installation and its first look: it does not know of what it never read."""
        known = {item.number for item in await self.world.items("journals")}
        own = {item.number for item in await self.world.items("journals", self.combi)}
        if known == own and (run := picked([one for at, one in self.runs.items() if self.said(at)], at)) is not None:
            self.world.payroll.undo(run)

    async def hold(self, at: int) -> None:
        """The run is not ready (any more), for now."""
        if (chosen := picked(sorted(self.runs), at)) is not None:
            self.runs[chosen] = self.world.payroll.hold(self.runs[chosen])

    async def trouble(self, at: int, kind: Any, times: int, after: int) -> None:
        where, method, path = self.where[at]
        if kind != "expired" or where not in KEYED:
            self.world.boxes[where].fault(kind, method=method, path=path, times=times, after=after, seconds=1)

    async def expire(self) -> None:
        """Every session and every access token ends now."""
        self.world.boxes["eboekhouden"].sessions.clear()
        self.world.boxes["loket"].tokens.clear()

    async def lag(self, seconds: int) -> None:
        for name in ("finmaster", "eboekhouden"):
            self.world.boxes[name].switches["lag_s"] = seconds

    async def take_out(self, at: int) -> None:
        if (entry := await self._within_reach(at)) is not None:
            self.hands.take_out(entry)
            self.touched[entry.month] = {}

    async def edit(self, at: int, cents: int) -> None:
        if (entry := await self._within_reach(at)) is not None:
            self.hands.edit(entry, f"{D(cents) / 100:.2f}")
            self.touched[entry.month] = self.net(entry.month)

    async def _within_reach(self, at: int) -> Entry | None:
        """A booking that makes up what stands of its month, while nothing is under way: what people and the hub do to
        the same entry at the same moment nobody can tell apart afterwards."""
        if await self.world.rows("SELECT 1 FROM delivery WHERE state IN ('intended', 'sent')"):
            return None
        alone = {one.month: one for one in self.hands.entries() if one.sums == self.net(one.month)}
        return picked(sorted(alone.values(), key=lambda one: one.month), at)

    async def reinstall(self) -> None:
        """Only while nothing vanished: a new combi does not know of what it never read."""
        missed = any(item.vanished_at or item.missed_at for item in await self.world.items("journals"))
        if not missed and all(map(self.said, self.runs)):
            await super().reinstall()

    async def answer(self, at: int, corrects: bool) -> None:
        """A human answers one of the things that are asked, if any are."""
        asked = [one for one in await self.world.items("journals", self.combi) if one.status in ASKED]
        if (item := picked(asked, at)) is not None:
            await self.answered(item, corrects)

    async def answered(self, item: Item, corrects: bool = False) -> None:
        """With the care that is asked for: the books are put right first, by hand, where that is what is asked."""
        at, keys = month_of(item), {one["key"] for one in item.findings}
        if not keys & BY_HAND:
            await self.world.human(items.retry, item)
            return
        entries = [one for one in self.hands.entries() if one.month == at]
        standing = next((one for one in entries if one.sums == self.net(at)), None)
        if corrects and standing is not None and item.vanished_at is None and item.amount is not None:
            self.hands.edit(standing, f"{item.amount - D('80.01'):.2f}")
            self.touched[at] = self.net(at)
            await self.world.human(items.resolve, item, "exists")
            return
        for entry in entries:
            self.hands.take_out(entry)
        self.touched.pop(at, None)
        await self.world.human(items.resolve, item, "absent")

    # How it ends

    def net(self, at: int) -> Sums:
        """What stands in the books of a month, all entries together; zeros left out."""
        found: Sums = {}
        for entry in self.hands.entries():
            if entry.month == at:
                for account, amount in entry.sums.items():
                    found[account] = found.get(account, D(0)) + amount
        return {account: amount for account, amount in found.items() if amount}

    def said(self, at: int) -> Sums:
        """What the source says of a month now."""
        run = self.runs.get(at)
        found: list[Sums] = self.world.payroll.journals(run) if run is not None else []
        return found[0] if found else {}

    async def calm(self) -> None:
        """Trouble is over. What is asked then is right; once a human has answered all, so are the books."""
        self.deadly.clear()
        for box in self.world.boxes.values():
            box.faults.clear()
        await self.lag(0)
        for run in self.runs.values():
            self.world.payroll.ready(run)
        await self._nights(5)
        await self.check_told()
        for _ in range(6):
            for item in await self.world.items("journals", self.combi):
                if item.status in ASKED:
                    await self.answered(item)
            await self._nights(2)

    async def _nights(self, count: int) -> None:
        for _ in range(count):
            self.world.clock.advance(timedelta(hours=11))
            await self.world.rested()
            await self.run()

    async def check_told(self) -> None:
        """Nothing stands twice, nothing is lost, and what is not as the source says has a named finding."""
        found = {month_of(item): item for item in await self.world.items("journals", self.combi)}
        for at in range(1, MONTHS + 1):
            item, net, hands = found.get(at), self.net(at), self.touched.get(at)
            about = (at, item and (item.status, item.findings), net, self.said(at), hands)
            if item is None or item.status in (ItemStatus.ignored, ItemStatus.reversed):
                assert (net, self.said(at)) == ({}, {}) or net == hands, about
            elif item.status is ItemStatus.booked:
                assert net in (self.said(at), hands), about
            else:
                assert item.status in ASKED, about
                assert item.findings, about
                assert net in (*self.shown[at], hands), about

    async def check(self) -> None:
        """Each run that exists stands there once, to the cent; what does not exist comes to nothing."""
        for item in await self.world.items("journals", self.combi):
            there = bool(self.said(month_of(item)))
            assert item.status in ([ItemStatus.booked] if there else [ItemStatus.reversed, ItemStatus.ignored])
        for at in range(1, MONTHS + 1):
            assert self.net(at) in (self.said(at), self.touched.get(at)), at
        assert await self.world.rows("SELECT 1 FROM delivery WHERE state = 'sent'") == []


def picked(choices: Sequence[T], at: int) -> T | None:
    """One of these; None when there are none."""
    return choices[at % len(choices)] if choices else None


def month_of(item: Item) -> int:
    """The number of a journal begins with its period."""
    return int(item.number[5:7])


async def play(
    config: Config, services: Services, database: Database, pair: str, operations: list[tuple[Any, ...]]
) -> None:
    """One example from empty books to the laws."""
    await emptied(database)
    async with an_office(config, services, pair) as world:
        mix = PayrollMix(world, await world.combi(), pair)
        await enact(mix, operations)


@pytest.mark.parametrize("pair", PAIRS)
@in_order(10)
@given(operations=st.lists(OPERATIONS, min_size=8, max_size=30))
async def test_any_mix_of_payroll_ends_in_right_books(
    clean: None,
    config: Config,
    services: Services,
    database: Database,
    pair: str,
    operations: list[tuple[Any, ...]],
) -> None:
    print(operations)  # noqa: T201 - pytest shows it when it fails
    await play(config, services, database, pair, operations)


def scenario(seed: int) -> list[tuple[Any, ...]]:
    """A long mix with a run after every few operations, by its number."""
    dice = random.Random(seed)
    found: list[tuple[Any, ...]] = []
    for _ in range(12):
        found.append(("pay_run", dice.randint(1, MONTHS), dice.randint(1, 99999)))
        at = dice.randint(1, MONTHS)
        facts: dict[str, tuple[Any, ...]] = {
            "trouble": (dice.choice([0, 1, *range(6)]), dice.choice(KINDS), dice.randint(1, 4), dice.randint(0, 1)),
            "crash": (dice.choice(points.ALL), dice.randint(1, 2)),
            "edit": (at, dice.randint(1, 99999)),
            "take_out": (at,),
            "vanish": (at,),
            "hold": (at,),
            "lag": (dice.randint(0, 20),),
            "clock": (dice.choice([-3600, 700, 4000, 90000]),),
            "expire": (),
            "reinstall": (),
        }
        name = dice.choice([*facts, "trouble", "trouble", "crash", "crash", "edit"])
        found += [(name, *facts[name]), (dice.choice(["run", "slice", "run"]),)]
        if dice.random() < 0.5:
            found += [("answer", at, dice.random() < 0.5), ("run",)]
    return found


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("seed", range(8))
async def test_a_busy_year_of_trouble_ends_in_right_books(
    clean: None, config: Config, services: Services, database: Database, pair: str, seed: int
) -> None:
    await play(config, services, database, pair, scenario(seed))
