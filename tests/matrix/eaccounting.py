"""Visma eAccounting in the matrix: drafts and the invoices that users make of them."""

from decimal import Decimal
from typing import Any

from tests.matrix.package import WAGES, Balances, Package, Totals, balances, digits, once


def _furnish(box: Any) -> None:
    box.add_article("EXP-18", Name="Expansievat 18 l")
    for chart in box.company()["accounts"].values():
        usual = next(iter(chart.values()))
        chart |= {number: {**usual, "Number": number, "Name": words} for number, words in WAGES.items()}


def _number(document: Any) -> str:
    return digits(document["OurReference"].partition(" ")[0])


def _invoices(box: Any) -> Totals:
    return once(
        [
            (_number(one), -one["TotalAmount"] if one["IsCreditInvoice"] else one["TotalAmount"])
            for one in box.documents()
        ]
    )


def _journals(box: Any) -> list[Balances]:
    return [
        balances((str(row["AccountNumber"]), row["DebitAmount"] - row["CreditAmount"]) for row in one["Rows"])
        for one in box.vouchers()
    ]


def _pay(box: Any, number: str) -> Decimal:
    (draft,) = [one for one in box.documents() if _number(one) == number]
    invoice = box.convert(draft["Id"])
    box.pay(invoice["Id"])
    total: Decimal = draft["TotalAmount"]
    return total


PACKAGE = Package(furnish=_furnish, invoices=_invoices, journals=_journals, pay=_pay)
