"""e-Boekhouden.nl in the matrix: one administration, its sales mutations with their open items."""

from decimal import Decimal
from typing import Any

from connectors.eboekhouden.sandbox import DEMO_TOKEN
from tests.matrix.package import Package, Totals, digits, once


def _furnish(box: Any) -> None:
    box.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)


def _sales(box: Any) -> list[tuple[str, Any]]:
    found = box.administration()["mutations"].items()
    return [(digits(one["invoiceNumber"]), own) for own, one in found if one["type"] == 2]


def _invoices(box: Any) -> Totals:
    items = box.administration()["items"]
    return once([(number, items[own]["total"]) for number, own in _sales(box)])


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
    pay=_pay,
)
