"""Payroll on a stage: the offered pairs, each of a package with payroll runs and the books that they go into."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Protocol
from uuid import UUID

from lxml import etree

from connectors.eboekhouden.sandbox import DEMO_TOKEN
from connectors.finmaster.files import NAMESPACE
from connectors.finmaster.sandbox import DEMO_TOKEN as FINMASTER_TOKEN
from connectors.loket import sandbox as loket
from connectors.minox.sandbox import ledger_account
from connectors.nmbrs import sandbox as nmbrs
from hub.batches import service as batches
from hub.engine import registry
from hub.engine.hub import Hub
from hub.sdk.manifest import OnChange
from tests.engine.world import ADMINISTRATION, connect
from tests.kill.stage import Stage

ACCOUNTS: Mapping[str, str] = {"4000": "Brutolonen", "4010": "Vakantiegeld", "2100": "Te betalen nettolonen"}
HOME = "GK2026"
Run = dict[str, Any]
Sums = dict[str, Decimal]


class Place(Protocol):
    """A hub of one organisation beside sandboxes."""

    hub: Hub
    organisation: UUID
    boxes: dict[str, Any]
    target: UUID


class Side:
    """A package on one side of a pair."""

    name = ""
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, stage: Place) -> None:
        self.stage = stage
        self.box = stage.boxes[self.name]


class Payroll(Side, ABC):
    """A package with the payroll runs of one company."""

    @abstractmethod
    async def connected(self) -> tuple[UUID, str]:
        """A connection, and the company as a combi names it."""

    @abstractmethod
    def pay(self, month: int, gross: str, number: int, parts: int) -> Run:
        """A run of 2026 that stands ready; of so many journals."""

    @abstractmethod
    def correct(self, run: Run, gross: str) -> Run:
        """The run was undone and made again, with other amounts; gives it as it is now."""

    @abstractmethod
    def undo(self, run: Run) -> None:
        """The run is taken back."""

    @abstractmethod
    def hold(self, run: Run) -> Run:
        """A run that is not ready (any more), with what it held; gives it as it is now."""

    @abstractmethod
    def ready(self, run: Run) -> None:
        """A run that was held is ready."""

    @abstractmethod
    def journals(self, run: Run | None = None) -> list[Sums]:
        """The journals that are to be booked: of a run, or all."""


class Nmbrs(Payroll):
    """Over SOAP. Several journals of a run are its transactions."""

    name = "nmbrs"
    settings: ClassVar[Mapping[str, Any]] = {"start_year": 2026}

    async def connected(self) -> tuple[UUID, str]:
        self.company, self.made = self.box.add_company("Bakkerij Van der Meulen B.V.", 1), 0
        return await self.connection(), "1"

    async def connection(self) -> UUID:
        """By e-mail address and token."""
        return await connect(
            self.stage.hub, self.stage.organisation, self.name, "key", "vandermeulen", {"api_token": nmbrs.TOKEN},
            email=nmbrs.OWNER, domain="vandermeulen",
        )  # fmt: skip

    def pay(self, month: int, gross: str, number: int, parts: int) -> Run:
        made = [self._journal(month, gross) for _ in range(parts)]
        run: Run = self.box.add_run(self.company, 2026, month, 0, *made, number=number)
        return run

    def correct(self, run: Run, gross: str) -> Run:
        if run["id"] not in self.box.books["runs"]:  # What was removed returns under another id.
            return self.pay(run["first"], gross, run["number"], len(run["transactions"]))
        run["transactions"] = [self._journal(run["first"], gross) for _ in run["transactions"]]
        self.made += 1
        run["made_at"] = f"{run['made_at'][:14]}{self.made // 60 % 60:02}:{self.made % 60:02}"
        return run

    def undo(self, run: Run) -> None:
        self.box.books["runs"].pop(run["id"], None)

    def hold(self, run: Run) -> Run:
        run["locked"] = False
        return run

    def ready(self, run: Run) -> None:
        run["locked"] = True

    def journals(self, run: Run | None = None) -> list[Sums]:
        there = self.box.books["runs"]
        runs = there.values() if run is None else [run] if run["id"] in there else []
        return [_sums(map(_signed, part["lines"])) for one in runs for part in one["transactions"]]

    @staticmethod
    def _journal(month: int, gross: str) -> dict[str, Any]:
        sides = (("debit", "Bruto lonen"), ("debit", "Vakantiegeld"), ("credit", "Nettoloon"))
        lines = zip(amounts(gross).items(), sides, strict=True)
        return nmbrs.transaction(
            f"2026-{month:02}-25",
            *(nmbrs.line(account, f"{amount}", side, words) for (account, amount), (side, words) in lines),
        )


class NmbrsOverRest(Nmbrs):
    """Over REST, with the payment file of each run."""

    async def connection(self) -> UUID:
        """By consent."""
        tokens = dict(zip(("access_token", "refresh_token"), self.box.grant(), strict=True))
        return await connect(self.stage.hub, self.stage.organisation, self.name, "oauth", "vandermeulen", tokens)

    def pay(self, month: int, gross: str, number: int, parts: int) -> Run:
        run = super().pay(month, gross, number, parts)
        self.box.books["payment_files"][run["id"]] = nmbrs.payment_file(run)
        return run


class Loket(Payroll):
    """Several journals are those of as many payroll runs of a month; what is made again is a new journal run of one."""

    name = "loket"

    async def connected(self) -> tuple[UUID, str]:
        self.home = self.box.add_administration()
        tokens = dict(zip(("access_token", "refresh_token"), self.box.grant(), strict=True))
        employer = self.home["employer"]
        made = await connect(self.stage.hub, self.stage.organisation, self.name, "oauth", employer, tokens)
        return made, self.home["id"]

    def pay(self, month: int, gross: str, number: int, parts: int) -> Run:
        runs: list[Run] = [self.box.month(self.home, 2026, month, *self._lines(gross)) for _ in range(parts)]
        return runs[0]

    def correct(self, run: Run, gross: str) -> Run:
        again: Run = self.box.again(run, *self._lines(gross))
        return again

    def undo(self, run: Run) -> None:
        self.box.undo(run)

    def hold(self, run: Run) -> Run:
        again: Run = self.box.again(run, status=loket.QUEUED)
        return again

    def ready(self, run: Run) -> None:
        if run["status"] == loket.QUEUED:
            self.box.set_status(run, loket.READY)

    def journals(self, run: Run | None = None) -> list[Sums]:
        runs = [one for one in ([run] if run else self.box.books["runs"].values()) if one["status"] == loket.READY]
        return [
            _sums(
                (row["generalLedgerAccount"]["code"], row["debetAmount"] - row["creditAmount"]) for row in one["lines"]
            )
            for one in runs
        ]

    @staticmethod
    def _lines(gross: str) -> list[dict[str, Any]]:
        (wages, holiday, net), names = amounts(gross).values(), [(int(one), one, ACCOUNTS[one]) for one in ACCOUNTS]
        return [
            loket.line(names[0], debit=f"{wages}"),
            loket.line(names[1], debit=f"{holiday}"),
            loket.line(names[2], credit=f"{net}"),
        ]


class Books(Side, ABC):
    """A package that takes journals, with one administration."""

    @abstractmethod
    async def connected(self) -> tuple[UUID, str]:
        """A connection, and the administration, whose chart is complete."""

    @abstractmethod
    async def entries(self, combi: UUID) -> list[Sums]:
        """What stands there, debit less credit per account of each entry: what stands twice is there twice."""


class Minox(Books):
    """A change is an update."""

    name = "minox"
    settings: ClassVar[Mapping[str, Any]] = {"journal": "MEMO"}

    async def connected(self) -> tuple[UUID, str]:
        for account, words in ACCOUNTS.items():
            self.box.administration(ADMINISTRATION)["ledger_accounts"][account] = ledger_account(
                int(account), words, None
            )
        return self.stage.target, ADMINISTRATION

    async def entries(self, combi: UUID) -> list[Sums]:
        return [
            _sums((str(one["account"]["id"]), Decimal(one["debit"] - one["credit"])) for one in lines)
            for lines in self.box.batches(ADMINISTRATION).values()
            if lines
        ]


class Eboekhouden(Books):
    """A change is a reversal and a new entry."""

    name = "eboekhouden"
    settings: ClassVar[Mapping[str, Any]] = {"suspense_account": "1999"}

    async def connected(self) -> tuple[UUID, str]:
        home = self.box.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
        for account in ACCOUNTS.keys() - home["by_code"].keys():
            self.box.add_ledger(home, account, ACCOUNTS[account], "BAL")
        own, tokens = str(self.box.ledger(home, "1300")), {"api_token": DEMO_TOKEN}
        return await connect(self.stage.hub, self.stage.organisation, self.name, "session", own, tokens), own

    async def entries(self, combi: UUID) -> list[Sums]:
        home = self.box.administration()
        code = {own: one["code"] for own, one in home["ledgers"].items()}
        memorials = [one for one in home["mutations"].values() if one["type"] == 7]
        assert len({one["entryNumber"] for one in memorials}) == len(memorials), "a key stands there twice"
        return [_sums((code[row["ledgerId"]], -row["amount"]) for row in one["rows"]) for one in memorials]


class Finmaster(Books):
    """Over the stand-in interface. A change is asked about."""

    name = "finmaster"

    async def connected(self) -> tuple[UUID, str]:
        home = self.box.add_administration(HOME)
        for account, words in ACCOUNTS.items():
            self.box.account(home, account, words)
        tokens = {"token": FINMASTER_TOKEN}
        return await connect(self.stage.hub, self.stage.organisation, self.name, "key", HOME, tokens), HOME

    async def entries(self, combi: UUID) -> list[Sums]:
        standing = self.box.entries(HOME)
        # It refuses a reference that is booked already: how often it was asked shows whether that was needed.
        asked = self.box.calls[f"POST /administraties/{HOME}/memoriaalboekingen"]
        assert asked == len(standing), "an entry was sent more than once"
        return [
            _sums((row["rekening"], Decimal(row["debet"]) - Decimal(row["credit"])) for row in one["regels"])
            for one in standing
        ]


class FinmasterFiles(Books):
    """By file: the entries are those of all files together, and whatever waits is put into one."""

    name = "finmaster"
    settings: ClassVar[Mapping[str, Any]] = {"finmaster_journal": "90"}

    async def connected(self) -> tuple[UUID, str]:
        typed = {"administration": HOME, "company": "Bakkerij De Gouden Korst B.V.", "tax_number": "712345099"}
        return await connect(self.stage.hub, self.stage.organisation, self.name, "file", HOME, {}, **typed), HOME

    async def entries(self, combi: UUID) -> list[Sums]:
        found: dict[str, Sums] = {}
        async with self.stage.hub.database.tenant(self.stage.organisation) as session:
            await batches.make(session, self.stage.hub, combi)
            for batch in (await batches.listed(session, combi)).data:
                content = (await batches.file(session, combi, batch.id, "xaf")).content
                for one in etree.fromstring(content).iterfind(f".//{{{NAMESPACE}}}transaction"):
                    number = _told(one, "nr")
                    assert number not in found, f"{number} is in two files"
                    found[number] = _sums(map(_filed, one.iterfind(f"{{{NAMESPACE}}}trLine")))
        assert not self.box.calls, "by file nothing is called"
        return list(found.values())


PAIRS: Mapping[str, tuple[type[Payroll], type[Books]]] = {
    "nmbrs-minox": (Nmbrs, Minox),
    "nmbrs-eboekhouden": (Nmbrs, Eboekhouden),
    "loket-finmaster": (Loket, Finmaster),
    "loket-finmaster-file": (Loket, FinmasterFiles),
}


@dataclass
class Wages:
    """A company's runs, the books that they go into, and a combi between both."""

    stage: Stage
    payroll: Payroll
    books: Books
    combi: UUID
    corrected: list[tuple[list[Sums], list[Sums]]] = field(default_factory=list)
    """Of each run that was made again after it was booked its journals before and after."""

    def pay(self, number: int, gross: str = "1000.10", *, parts: int = 1) -> Run:
        """The run with this number stands ready."""
        return self.payroll.pay((number - 1) % 12 + 1, gross, number, parts)

    def correct(self, run: Run, gross: str) -> None:
        """A booked run is made again with other amounts."""
        before = self.payroll.journals(run)
        self.corrected.append((before, self.payroll.journals(self.payroll.correct(run, gross))))

    async def entries(self) -> list[Sums]:
        """What stands in the books."""
        return await self.books.entries(self.combi)

    async def assert_books(self) -> None:
        """Each journal once and to the cent, and what was corrected as this package does it.

        Updated; or as a pair that comes to nothing and anew; or as it was, with a finding.
        """
        on_change = registry.get(self.books.name).manifest.targets["journals"].on_change
        asked = self.corrected if on_change is OnChange.manual else []
        pairs = len(self.corrected) if on_change is OnChange.reverse else 0
        wanted = self.payroll.journals()
        for before, after in asked:
            wanted = [*(one for one in wanted if one not in after), *before]
        found = await self.entries()
        assert len(found) == len(wanted) + 2 * pairs
        assert _total(found) == _total(wanted)
        standing = Counter(map(_frozen, found))
        assert not Counter(map(_frozen, wanted)) - standing, "a journal is not there as it should be"
        left = await self.stage.rows("SELECT number, status, findings FROM item WHERE status <> 'booked'")
        keys = [(row.status, *(one["key"] for one in row.findings)) for row in left]
        assert keys == [("changed", "change_by_hand")] * len(asked), [dict(row) for row in left]
        states = Counter(
            row.state for row in await self.stage.rows(
                "SELECT state FROM delivery WHERE revision = 1 AND stream <> 'salaries'"
            )
        )  # fmt: skip
        assert states == Counter({"recorded": len(wanted) + pairs, "reversed": pairs}) + Counter()
        assert [row for row in await self.stage.runs() if row.finished_at is None] == []


async def wages(stage: Stage, pair: str) -> Wages:
    """A combi of one of `PAIRS`, due, with a company without runs."""
    made, kept = PAIRS[pair]
    return await between(stage, made(stage), kept(stage))


async def between(stage: Stage, payroll: Payroll, books: Books, side: UUID | None = None) -> Wages:
    """The same of any two; `side`: the third connection."""
    source, company = await payroll.connected()
    target, administration = await books.connected()
    settings = {"administrations": {company: administration}, **payroll.settings, **books.settings}
    combi = await stage.active(f"{payroll.name}-{books.name}", source, target, settings, side=side)
    return Wages(stage, payroll, books, combi)


def amounts(gross: str) -> Sums:
    """A journal's amounts by account, without sign: gross wages, holiday pay, and what is owed."""
    whole, extra = Decimal(gross), Decimal("80.01")
    return dict(zip(ACCOUNTS, (whole, extra, whole + extra), strict=True))


def _signed(one: dict[str, Any]) -> tuple[str, Decimal]:
    return one["account"], Decimal(one["value"]) * (1 if one["side"] == "debit" else -1)


def _told(one: etree._Element, name: str) -> str:
    return one.findtext(f"{{{NAMESPACE}}}{name}") or ""


def _filed(line: etree._Element) -> tuple[str, Decimal]:
    return _told(line, "accID"), Decimal(_told(line, "amnt")) * (1 if _told(line, "amntTp") == "D" else -1)


def _sums(rows: Iterable[tuple[str, Decimal]]) -> Sums:
    found: Sums = {}
    for account, amount in rows:
        found[account] = found.get(account, Decimal(0)) + amount
    return found


def _total(entries: Iterable[Sums]) -> Sums:
    return {account: total for account, total in _sums(row for one in entries for row in one.items()).items() if total}


def _frozen(one: Sums) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((account, f"{amount:.2f}") for account, amount in one.items()))
