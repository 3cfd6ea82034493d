"""Minuba in the matrix: an installer with hours, materials, reverse charge and a partial credit note."""

from typing import Any

from connectors.minuba.sandbox import fixed, hours, material, words
from tests.matrix.package import Package, Totals, digits, once


def _furnish(box: Any) -> None:
    owner = box.add_client()
    builder = box.add_client("Bouwbedrijf Lekstroom B.V.", cvr="NL853746333B01")
    works = box.add_invoice(
        words("Werkbon 5512: onderhoud cv-ketel"),
        hours("2.5", "62"),
        material("EXP-18", "1", "48.75", discount="10"),
        hours("3", "54.50", 9, "Isolatiewerk"),
        client=owner,
    )
    box.add_invoice(fixed("4250"), client=owner, day="2026-11-04")
    box.add_invoice(hours("40", "58", 0), client=builder, day="2026-11-09", reverseCharge=True)
    box.credit(works["id"], material("EXP-18", "1", "48.75", discount="10"), day="2026-11-20")
    box.add_invoice(hours("8", "62"), client=owner, state="draft", day="2026-11-20")


def _invoices(box: Any) -> Totals:
    found = box.books["invoices"].values()
    return once([(digits(one["invoiceNumber"]), one["totalInclVat"]) for one in found if one["state"] != "draft"])


PACKAGE = Package(furnish=_furnish, invoices=_invoices, words={"hours / 9%": "low", "hours / 0% verlegd": "reverse"})
