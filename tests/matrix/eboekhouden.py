"""e-Boekhouden.nl in the matrix: one administration, its sales mutations with their open items."""

from decimal import Decimal
from typing import Any

from connectors.eboekhouden.sandbox import DEMO_TOKEN
from tests.matrix.package import WAGES, Balances, Package, Totals, balances, digits, once


def _furnish(box: Any) -> None:
    home = box.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
    for number, words in WAGES.items():
        if number not in home["by_code"]:
            box.add_ledger(home, number, words, "VW" if number.startswith("4") else "BAL")


def _sales(box: Any) -> list[tuple[str, Any]]:
    found = box.administration()["mutations"].items()
    return [(digits(one["invoiceNumber"]), own) for own, one in found if one["type"] == 2]


def _invoices(box: Any) -> Totals:
    items = box.administration()["items"]
    return once([(number, items[own]["total"]) for number, own in _sales(box)])


def _journals(box: Any) -> list[Balances]:
    """Memorials: a row's amount is credit on its own ledger (dossier 5.3); the main account comes out at nothing."""
    home = box.administration()
    code = {own: one["code"] for own, one in home["ledgers"].items()}
    memorials = [one for one in home["mutations"].values() if one["type"] == 7]
    return [balances((code[row["ledgerId"]], -row["amount"]) for row in one["rows"]) for one in memorials]


def _pay(box: Any, number: str) -> Decimal:
    own = dict(_sales(box))[number]
    owed: Decimal = box.administration()["items"][own]["total"]
    box.pay(own)
    return owed


PACKAGE = Package(
    furnish=_furnish,
    fields={"api_token": DEMO_TOKEN},
    answers={"default_revenue_account": "8000"},
    accounts={"low": "8010", "reverse": "8200"},
    invoices=_invoices,
    journals=_journals,
    pay=_pay,
)
