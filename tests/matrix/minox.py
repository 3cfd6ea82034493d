"""Minox in the matrix: one administration, its sales entries read from the debtors' lines."""

from decimal import Decimal
from typing import Any

from connectors.minox.sandbox import ledger_account
from tests.matrix.package import WAGES, Balances, Package, Totals, balances, once

BOOKS = "41207/3"


def _furnish(box: Any) -> None:
    box.books["tenants"]["41207"] = {"name": "Waterlelie", "password": "waterlelie", "administrations": {}}
    home = box.add_administration(3, "Waterlelie Advies B.V.")
    for number, words in WAGES.items():
        home["ledger_accounts"][number] = ledger_account(int(number), words, None)


def _invoices(box: Any) -> Totals:
    debtors = [line for lines in box.batches(BOOKS).values() for line in lines if line["account"]["type"] == "customer"]
    return once([(str(one["invoice_number"]), one["debit"] - one["credit"]) for one in debtors])


def _journals(box: Any) -> list[Balances]:
    entries = box.batches(BOOKS).values()
    return [balances((str(one["account"]["id"]), one["debit"] - one["credit"]) for one in lines) for lines in entries]


def _pay(box: Any, number: str) -> Decimal:
    (item,) = [one for one in box.receivables(BOOKS) if str(one["invoice_number"]) == number]
    owed = Decimal(item["balance"])
    box.pay(item["account_id"], item["invoice_number"], administration=BOOKS)
    return owed


PACKAGE = Package(
    furnish=_furnish,
    login={"customer_number": "41207", "username": "MINOX", "password": "waterlelie"},
    answers={"default_revenue_account": "8000"},
    journal={"invoices": "VERK", "journals": "MEMO"},
    accounts={"low": "8010", "reverse": "8200"},
    invoices=_invoices,
    journals=_journals,
    pay=_pay,
)
