"""Two small packages of our own, a source of payroll journals and a target with books, and a hub that links them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.accounting.booking import Booking, EntryBooking
from hub.accounting.chart import Journal, LedgerAccount, Master
from hub.accounting.documents import Document, EntryLine, Ignored, JournalEntry, Label
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.engine.models import Combi, ItemStatus, Mapping, Run
from hub.engine.schedule import Schedule
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.connector import (
    Connector,
    Existing,
    Identity,
    Key,
    Page,
    Payload,
    Raw,
    Receipt,
    Since,
    SourceStream,
    TargetWriter,
    Whole,
)
from hub.sdk.errors import OutcomeUnknown, RecordRejected, TransientError
from hub.sdk.http import Http
from hub.sdk.manifest import Auth, Dedupe, Manifest, OnChange, RateLimit, WriterFacts
from hub.sdk.settings import Option, Settings
from tests.engine.world import QuietBell, World, connect

D = Decimal
START = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
COMPANY, ADMINISTRATION = "512", "1"
SETTLE_S = 20
WAGES = (("4000", "Bruto lonen", "1000.00", "0"), ("0170", "Netto lonen", "0", "1000.00"))


def manifest(name: str, **facts: Any) -> Manifest:
    """The least that a manifest says."""
    return Manifest(
        name=name,
        title=name,
        docs="https://example.nl",
        auth=(Auth(kind="key"),),
        endpoints={"API": "https://example.nl"},
        rate_limit=RateLimit(per_minute=6_000_000, burst=1000),
        **facts,
    )


@dataclass
class Source:
    """A package with payroll runs: `runs` by source id, as records of its own."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Since] = field(default_factory=list)
    again_after_s: float = 0
    whole: bool = True
    """Whether the listing says that it is complete."""
    companies: tuple[str, ...] = (COMPANY,)

    def add(self, run: str, *lines: tuple[Any, ...], day: str = "2026-03-25", period: int = 3, **facts: Any) -> None:
        """A run with lines of (account, name, debit, credit[, cost centre])."""
        self.runs[f"{COMPANY}:{run}"] = {
            "id": f"{COMPANY}:{run}",
            "company": COMPANY,
            "number": f"2026-{period:02d} run {run}",
            "date": day,
            "period": period,
            "lines": [list(line) for line in lines or WAGES],
            **facts,
        }

    def connector(self) -> Connector:
        """The package as the hub sees it."""
        stream = SourceStream(JournalEntry, self._read, lambda raw: str(raw["id"]), _entry)

        async def companies(_: Http, __: Any) -> Sequence[Option]:
            return [Option(one, f"Bedrijf {one}") for one in self.companies]

        return Connector(
            manifest("payroll", sources=("journals",)),
            Settings,
            _identify,
            options={"companies": companies},
            sources={"journals": stream},
        )

    async def _read(self, _: Http, since: Since, __: Settings) -> AsyncIterator[Page]:
        self.asked.append(since)
        records = [dict(record) for record in self.runs.values()]
        whole = Whole(f"{COMPANY}:", frozenset(self.runs), self.again_after_s)
        yield Page(records, {"done": True}, (whole,) if self.whole else ())


def _entry(raw: Raw, _: Settings) -> Document | Ignored:
    return JournalEntry(
        source_id=raw["id"],
        company=raw["company"],
        number=raw["number"],
        date=date.fromisoformat(raw["date"]),
        year=int(raw["date"][:4]),
        period=int(raw["period"]),
        currency="EUR",
        lines=tuple(
            EntryLine(
                account=line[0],
                account_name=line[1],
                debit=D(line[2]),
                credit=D(line[3]),
                cost_centre=Label(id=line[4], label=line[5] if len(line) > 5 else "") if len(line) > 4 else None,
            )
            for line in raw["lines"]
        ),
    )


async def _identify(_: Http) -> Identity:
    return Identity("t1", "Loon B.V.")


@dataclass
class Books:
    """A package with books: `entries` by reference. `faults` are taken one per write, in order."""

    clock: FakeClock
    on_change: OnChange = OnChange.reverse
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    lag_s: float = 0
    """How long a search misses what was written."""
    can_reverse: bool = True
    accounts: tuple[LedgerAccount, ...] | None = (
        LedgerAccount(number="4000", name="Bruto lonen"),
        LedgerAccount(number="4010", name="Vakantiegeld"),
        LedgerAccount(number="0170", name="Netto lonen"),
        LedgerAccount(number="1999", name="Tussenrekening lonen"),
    )
    cost_centres: tuple[Journal, ...] | None = (Journal(id="100", name="Bediening"), Journal(id="200", name="Keuken"))
    written: int = 0

    def connector(self) -> Connector:
        """The package as the hub sees it."""
        update = self.on_change is OnChange.update
        reverse = self.can_reverse and not update
        writer = TargetWriter(
            _encode,
            self._find,
            self._write,
            update=self._update if update else None,
            reversal=_reversal if reverse else None,
            index=self._index,
        )

        async def administrations(_: Http, __: Any) -> Sequence[Option]:
            return [Option(ADMINISTRATION, "Administratie 1")]

        facts = WriterFacts(dedupe=Dedupe.reference, settle_s=SETTLE_S, on_change=self.on_change)
        return Connector(
            manifest("books", targets={"journals": facts}),
            Settings,
            _identify,
            options={"administrations": administrations},
            targets={"journals": writer},
            master=self._master,
        )

    def stand(self, ref: str, payload: Payload, mark: str = "") -> None:
        """An entry in the books, with our mark or by hand."""
        self.entries[ref] = {**payload, "mark": mark, "at": self.clock.now()}

    def balance(self) -> dict[str, Decimal]:
        """Account (and cost centre) -> debit minus credit over all entries; zeros left out."""
        found: dict[str, Decimal] = {}
        for entry in self.entries.values():
            assert sum(D(line["debit"]) - D(line["credit"]) for line in entry["lines"]) == 0
            for line in entry["lines"]:
                place = f"{line['account']}/{line['cost_centre']}".rstrip("/")
                found[place] = found.get(place, D(0)) + D(line["debit"]) - D(line["credit"])
        return {place: amount for place, amount in found.items() if amount}

    async def _master(self, _: Http, administration: str) -> Master:
        return Master(
            administration=administration, name="Loon B.V.", accounts=self.accounts, cost_centres=self.cost_centres
        )

    async def _find(self, _: Http, key: Key, __: Payload) -> Receipt | None:
        seen = self.clock.now() - timedelta(seconds=self.lag_s)
        found = [ref for ref, one in self.entries.items() if one["mark"] == key.mark and one["at"] <= seen]
        assert len(found) < 2, f"{key.text} stands there twice"
        return self._receipt(found[0]) if found else None

    async def _write(self, _: Http, payload: Payload, key: Key) -> Receipt:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            raise TransientError("too_many_calls", retry_after=1, package="books")
        if fault == "refused":
            raise RecordRejected("refused", package="books")
        if fault != "error":
            self.written += 1
            self.stand(f"M{self.written}", payload, key.mark)
        if fault in ("lost", "error"):
            raise OutcomeUnknown("answer_lost", package="books")
        return self._receipt(f"M{self.written}")

    async def _update(self, _: Http, payload: Payload, __: Key, ref: str) -> Receipt:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            raise TransientError("too_many_calls", retry_after=1, package="books")
        if fault != "error":
            self.entries[ref] = {**self.entries[ref], **payload}
        if fault in ("lost", "error"):
            raise OutcomeUnknown("answer_lost", package="books")
        return self._receipt(ref)

    async def _index(self, _: Http, __: str, since: date | None, ___: Settings) -> AsyncIterator[Sequence[Existing]]:
        yield [
            Existing(
                ref,
                label=f"Memoriaal {ref}",
                mark=one["mark"],
                number=one["number"],
                date=date.fromisoformat(one["date"]),
                total=_total(one),
            )
            for ref, one in self.entries.items()
            if since is None or date.fromisoformat(one["date"]) >= since
        ]

    def _receipt(self, ref: str) -> Receipt:
        one = self.entries[ref]
        return Receipt(ref, label=f"Memoriaal {ref}", total=_total(one), fingerprint=repr(one["lines"]))


def _total(entry: Payload) -> Decimal:
    return sum((D(line["debit"]) for line in entry["lines"]), D(0))


def _encode(booking: Booking, _: Master, __: Settings) -> Payload:
    assert isinstance(booking, EntryBooking)
    lines = [one.model_dump(mode="json") for one in booking.lines]
    return {"number": booking.entry.number, "date": booking.date.isoformat(), "lines": lines}


def _reversal(payload: Payload, receipt: Receipt, day: date) -> Payload:
    lines = [{**line, "debit": line["credit"], "credit": line["debit"]} for line in payload["lines"]]
    return {"number": f"Tegenboeking {receipt.label}", "date": day.isoformat(), "lines": lines}


@dataclass
class Payroll(World):
    """A hub with both packages linked."""

    runs: Source = field(default_factory=Source)
    books: Any = None

    async def combi(
        self, *, start_date: date | None = None, schedule: Schedule = Schedule.manual, **settings: Any
    ) -> UUID:
        """An active combi of the one company into the one administration."""
        chosen = {"administrations": {COMPANY: ADMINISTRATION}, **settings}
        return await self.active("payroll-books", chosen, start_date=start_date, schedule=schedule)

    async def table(self, combi: UUID, name: str, **entries: str) -> None:
        """The customer fills a mapping table."""
        async with self.hub.database.tenant(self.organisation) as session:
            for source, target in entries.items():
                session.add(
                    Mapping(
                        id=new_id(self.clock),
                        organisation_id=self.organisation,
                        combi_id=combi,
                        table_name=name,
                        source=source,
                        target=target,
                    )
                )
            row = await session.get_one(Combi, combi)
            row.settings_version += 1
            session.add(row)

    async def statuses(self) -> dict[str, ItemStatus]:
        """Number -> status of every journal entry."""
        return {one.number: one.status for one in await self.items("journals")}

    async def slice_of(self, combi: UUID) -> Any:
        """One slice of a manual run, and the run as it stands then."""
        async with self.hub.database.tenant(self.organisation) as session:
            run = await self.engine.start_run(session, await session.get_one(Combi, combi))
        await self.slice()
        async with self.hub.database.tenant(self.organisation) as session:
            return await session.get_one(Run, run.id)

    async def only(self) -> Any:
        """The one item there is."""
        (item,) = await self.items("journals")
        return item


@asynccontextmanager
async def a_payroll(config: Config, services: Services, **books: Any) -> AsyncIterator[Payroll]:
    """A hub whose organisation is connected to both packages, both empty."""
    clock = FakeClock(START)
    source, target = Source(), Books(clock, **books)
    registry.add(source.connector())
    registry.add(target.connector())
    async with assembled(config, services, clock=clock, bell=QuietBell()) as hub:
        organisation = new_id(clock)
        async with hub.database.system() as session:
            session.add(Organisation(id=organisation, name="Loon", created_at=clock.now()))
        left = await connect(hub, organisation, "payroll", "key", "t1", {})
        right = await connect(hub, organisation, "books", "key", "t2", {})
        yield Payroll(hub, None, None, organisation, left, right, clock, runs=source, books=target)
