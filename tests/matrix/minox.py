"""Minox in the matrix: one administration, its sales entries read from the debtors' lines."""

from decimal import Decimal
from typing import Any

from tests.matrix.package import Package, Totals, once

BOOKS = "41207/3"


def _furnish(box: Any) -> None:
    box.books["tenants"]["41207"] = {"name": "Waterlelie", "password": "waterlelie", "administrations": {}}
    box.add_administration(3, "Waterlelie Advies B.V.")


def _invoices(box: Any) -> Totals:
    debtors = [line for lines in box.batches(BOOKS).values() for line in lines if line["account"]["type"] == "customer"]
    return once([(str(one["invoice_number"]), one["debit"] - one["credit"]) for one in debtors])


def _pay(box: Any, number: str) -> Decimal:
    (item,) = [one for one in box.receivables(BOOKS) if str(one["invoice_number"]) == number]
    owed = Decimal(item["balance"])
    box.pay(item["account_id"], item["invoice_number"], administration=BOOKS)
    return owed


PACKAGE = Package(
    furnish=_furnish,
    login={"customer_number": "41207", "username": "MINOX", "password": "waterlelie"},
    answers={"journal": "VERK", "default_revenue_account": "8000"},
    accounts={"low": "8010", "reverse": "8200"},
    invoices=_invoices,
    pay=_pay,
)
