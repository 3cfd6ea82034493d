"""Visma eAccounting in the matrix: drafts and the invoices that users make of them."""

from decimal import Decimal
from typing import Any

from tests.matrix.package import Package, Totals, digits, once


def _furnish(box: Any) -> None:
    box.add_article("EXP-18", Name="Expansievat 18 l")


def _number(document: Any) -> str:
    return digits(document["OurReference"].partition(" ")[0])


def _invoices(box: Any) -> Totals:
    return once(
        [
            (_number(one), -one["TotalAmount"] if one["IsCreditInvoice"] else one["TotalAmount"])
            for one in box.documents()
        ]
    )


def _pay(box: Any, number: str) -> Decimal:
    (draft,) = [one for one in box.documents() if _number(one) == number]
    invoice = box.convert(draft["Id"])
    box.pay(invoice["Id"])
    total: Decimal = draft["TotalAmount"]
    return total


PACKAGE = Package(furnish=_furnish, invoices=_invoices, pay=_pay)
