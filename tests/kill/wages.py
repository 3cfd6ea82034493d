"""Payroll on a stage: Nmbrs over SOAP, and the books of Minox (changes are updates) or e-Boekhouden.nl (reversals)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from connectors.eboekhouden.sandbox import DEMO_TOKEN
from connectors.minox.sandbox import ledger_account
from connectors.nmbrs.sandbox import OWNER, TOKEN, line, transaction
from tests.engine.world import ADMINISTRATION, connect
from tests.kill.stage import Stage

TARGETS = ("minox", "eboekhouden")
ACCOUNTS: Mapping[str, str] = {"4000": "Brutolonen", "4010": "Vakantiegeld", "1700": "Te betalen nettolonen"}
Sums = dict[str, Decimal]


@dataclass
class Wages:
    """A company at Nmbrs and a combi that books its journals."""

    stage: Stage
    target: str
    company: dict[str, Any]
    combi: UUID

    def pay(self, number: int, gross: str = "1000.10", *, parts: int = 1) -> dict[str, Any]:
        """A locked run of 2026 with this number; of so many transactions."""
        month = (number - 1) % 12 + 1
        made: dict[str, Any] = self.stage.boxes["nmbrs"].add_run(
            self.company, 2026, month, 0, *(_journal(month, gross) for _ in range(parts)), number=number
        )
        return made

    def correct(self, run: dict[str, Any], gross: str) -> None:
        """The run was undone and made again, with other amounts."""
        number = len(run["transactions"])
        run["transactions"] = [_journal(run["first"], gross) for _ in range(number)]
        run["made_at"] = run["made_at"].replace(":44", ":45")

    def entries(self) -> list[Sums]:
        """What stands in the books, debit less credit per account of each entry: what stands twice is there twice."""
        if self.target == "minox":
            batches = self.stage.minox.batches(ADMINISTRATION).values()
            return [
                _sums((str(one["account"]["id"]), Decimal(one["debit"] - one["credit"])) for one in lines)
                for lines in batches
                if lines
            ]
        home = self.stage.boxes["eboekhouden"].administration()
        code = {own: one["code"] for own, one in home["ledgers"].items()}
        memorials = [one for one in home["mutations"].values() if one["type"] == 7]
        assert len({one["entryNumber"] for one in memorials}) == len(memorials), "a key stands there twice"
        return [_sums((code[row["ledgerId"]], -row["amount"]) for row in one["rows"]) for one in memorials]

    async def assert_books(self, *, corrected: int = 0) -> None:
        """Each transaction once and to the cent; what was corrected besides as a pair that comes to nothing."""
        runs = self.stage.boxes["nmbrs"].books["runs"].values()
        wanted = [_sums(map(_signed, part["lines"])) for run in runs for part in run["transactions"]]
        found = self.entries()
        pairs = corrected if self.target == "eboekhouden" else 0
        assert len(found) == len(wanted) + 2 * pairs
        assert _total(found) == _total(wanted)
        standing = Counter(map(_frozen, found))
        assert not Counter(map(_frozen, wanted)) - standing, "a journal is not there as it is now"
        left = await self.stage.rows("SELECT number, status, findings FROM item WHERE status <> 'booked'")
        assert [dict(row) for row in left] == []
        states = Counter(row.state for row in await self.stage.rows("SELECT state FROM delivery WHERE revision = 1"))
        assert states == Counter({"recorded": len(wanted) + pairs, "reversed": pairs}) + Counter()
        assert [row for row in await self.stage.runs() if row.finished_at is None] == []


async def wages(stage: Stage, target: str) -> Wages:
    """A combi between both, due, with a company without runs."""
    company = stage.boxes["nmbrs"].add_company("Bakkerij Van der Meulen B.V.", 1)
    source = await connect(
        stage.hub, stage.organisation, "nmbrs", "key", "vandermeulen", {"api_token": TOKEN},
        email=OWNER, domain="vandermeulen",
    )  # fmt: skip
    books, administration, chosen = stage.target, ADMINISTRATION, {"journal": "MEMO"}
    if target == "minox":
        for account, words in ACCOUNTS.items():
            stage.minox.administration(administration)["ledger_accounts"][account] = ledger_account(
                int(account), words, None
            )
    else:
        box = stage.boxes["eboekhouden"]
        home = box.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
        administration, chosen = str(box.ledger(home, "1300")), {"suspense_account": "1999"}
        tokens = {"api_token": DEMO_TOKEN}
        books = await connect(stage.hub, stage.organisation, target, "session", administration, tokens)
    settings = {"administrations": {"1": administration}, "start_year": 2026, "note_failure": False, **chosen}
    return Wages(stage, target, company, await stage.active(f"nmbrs-{target}", source, books, settings))


def _journal(month: int, gross: str) -> dict[str, Any]:
    whole, extra = Decimal(gross), Decimal("80.01")
    return transaction(
        f"2026-{month:02}-25",
        line("4000", str(whole), "debit", "Bruto lonen"),
        line("4010", str(extra), "debit", "Vakantiegeld"),
        line("1700", str(whole + extra), "credit", "Nettoloon"),
    )


def _signed(one: dict[str, Any]) -> tuple[str, Decimal]:
    return one["account"], Decimal(one["value"]) * (1 if one["side"] == "debit" else -1)


def _sums(rows: Iterable[tuple[str, Decimal]]) -> Sums:
    found: Sums = {}
    for account, amount in rows:
        found[account] = found.get(account, Decimal(0)) + amount
    return found


def _total(entries: Iterable[Sums]) -> Sums:
    return {account: total for account, total in _sums(row for one in entries for row in one.items()).items() if total}


def _frozen(one: Sums) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((account, f"{amount:.2f}") for account, amount in one.items()))
