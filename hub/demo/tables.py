"""What was booked where, as tables that a bookkeeper reads."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from hub.demo.customer import LANGUAGE, Customer
from hub.engine import words
from hub.engine.hub import Hub
from hub.kit.text import amount

_STATUS = {
    "booked": "geboekt",
    "finding": "met aandachtspunt",
    "ignored": "genegeerd",
    "rejected": "geweigerd",
    "waiting": "wachtend",
    "skipped": "overgeslagen",
    "unknown": "onzeker",
    "changed": "gewijzigd",
    "reversed": "teruggeboekt",
}
_RIGHT = ("Bedrag", "Debet", "Credit", "Totaal debet")
Row = Mapping[str, Any]


async def items_of(hub: Hub, combi: str) -> Sequence[Row]:
    """All documents of a combi as they stand."""
    async with hub.database.system() as session:
        found = await session.execute(
            text("SELECT * FROM item WHERE combi_id = :id ORDER BY flow, period, number, party, id"),
            {"id": UUID(combi)},
        )
        return [dict(row) for row in found.mappings()]


async def show(console: Console, client: Customer, combi: Row, items: Sequence[Row]) -> None:
    """A combi's documents per flow, one entry line by line, and a line that sums it up."""
    title = f"{combi['source']['title']} → {combi['target']['title']}"
    by_flow = {flow: [item for item in items if item["flow"] == flow] for flow in {item["flow"] for item in items}}
    for flow, name, documents in (
        ("customers", "debiteuren", _documents),
        ("invoices", "verkoopfacturen", _documents),
        ("payments", "betalingen terug", _documents),
        ("journals", "loonjournaalposten", _journals),
        ("salaries", f"salarissen aangeboden aan {combi['side']['title'] if combi['side'] else ''}", _salaries),
    ):
        if flow in by_flow:
            console.print(documents(f"{title} · {name}", by_flow[flow]))
        entry = next(filter(_booked, by_flow.get(flow, ())), None)
        if flow == "journals" and entry and (whole := await client.call("GET", f"/items/{entry['id']}"))["posting"]:
            console.print(_posting(title, whole))
    console.print(f"[bold]{title}[/]: {tally(items)}\n")


def tally(items: Iterable[Row]) -> str:
    """How many documents stand how: `8 geboekt, 1 met aandachtspunt`."""
    counts = Counter(_STATUS.get(item["status"], item["status"]) for item in items)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "niets"


def _booked(item: Row) -> bool:
    return bool(item["status"] == "booked")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in _RIGHT else "left", overflow="fold")
    return table


def _documents(title: str, items: Sequence[Row]) -> Table:
    table = _table(title, "Nummer", "Datum", "Naam", "Bedrag", "Stand", "Geboekt als", "Aandachtspunt")
    for item in items:
        table.add_row(
            item["number"], _day(item), item["party"], _money(item), _status(item), _label(item), _findings(item)
        )
    return table


def _journals(title: str, items: Sequence[Row]) -> Table:
    table = _table(title, "Periode", "Run", "Datum", "Totaal debet", "Stand", "Geboekt als", "Aandachtspunt")
    for item in items:
        run = item["number"].removeprefix(item["period"]).strip()
        table.add_row(item["period"], run, _day(item), _money(item), _status(item), _label(item), _findings(item))
    return table


def _salaries(title: str, items: Sequence[Row]) -> Table:
    table = _table(title, "Loonrun", "Uit te voeren op", "Bedrag", "Stand", "Aangeboden als", "Aandachtspunt")
    for item in items:
        status = "aangeboden" if _booked(item) else _status(item)
        table.add_row(item["number"], _day(item), _money(item), status, _label(item), _findings(item))
    return table


def _posting(title: str, entry: Row) -> Table:
    """One entry, its lines added up per account and side."""
    sums: dict[tuple[str, str, str], Decimal] = {}
    for line in entry["posting"]:
        for side in ("debit", "credit"):
            key = (line["account"], line["name"], side)
            sums[key] = sums.get(key, Decimal(0)) + Decimal(line[side])
    booked = entry["target_label"] or entry["target_ref"]
    table = _table(f"{title} · {entry['number']} als {booked}", "Rekening", "Naam", "Debet", "Credit")
    for (account, name, side), total in sums.items():
        if total:
            money = amount(total, LANGUAGE)
            table.add_row(account, name, *((money, "") if side == "debit" else ("", money)))
    return table


def _day(item: Row) -> str:
    return item["date"].strftime("%d-%m-%Y") if item["date"] else ""


def _money(item: Row) -> str:
    return f"{item['currency']} {amount(item['amount'], LANGUAGE)}" if item["amount"] is not None else ""


def _status(item: Row) -> str:
    return _STATUS.get(item["status"], str(item["status"]))


def _label(item: Row) -> str:
    return str(item["target_label"] or item["target_ref"])


def _findings(item: Row) -> str:
    return "\n".join(words.sentence_of(one["key"], one["values"], LANGUAGE) for one in item["findings"])
