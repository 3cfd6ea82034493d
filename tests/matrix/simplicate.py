"""Simplicate in the matrix: a company with one profile and invoices of every kind."""

from typing import Any

from connectors.simplicate.sandbox import SECOND_PROFILE
from tests.matrix.package import Package, Totals, digits, once


def _furnish(box: Any) -> None:
    box.remove("profiles", SECOND_PROFILE)
    bakery = box.add_organization("Bakkerij De Gouden Aar B.V.")
    builder = box.add_organization("Bouwbedrijf Lekstroom B.V.", vat_number="NL853746333B01")
    person = box.add_person("Fien Bakker")
    advice, book = ("Advies", "12.5", "110", "hoog", "8000"), ("Handboek", "20", "15", "laag", "8010")
    box.add_invoice("F2026-0412", organization=bakery, lines=[advice, book, ("Korting", "1", "-75", "hoog", "8000")])
    box.add_invoice("F2026-0413", organization=builder, lines=[("Montage", "40", "34", "verlegd", "8200")])
    box.add_invoice("F2026-0414", person=person, lines=[book])
    box.add_invoice("F2026-0415", organization=bakery, lines=[("Advies", "-2", "110", "hoog", "8000")])
    box.add_invoice(status="concept", organization=bakery)


def _invoices(box: Any) -> Totals:
    sent = [one for one in box.books["invoices"].values() if "invoice_number" in one]
    return once([(digits(one["invoice_number"]), one["total_including_vat"]) for one in sent])


def _paid(box: Any) -> Totals:
    numbers = {own: digits(one.get("invoice_number")) for own, one in box.books["invoices"].items()}
    return once([(numbers[one["invoice_id"]], one["amount"]) for one in box.books["payments"].values()])


PACKAGE = Package(furnish=_furnish, fields={"domain": "waterlinie"}, invoices=_invoices, paid=_paid)
