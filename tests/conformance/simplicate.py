"""Simplicate for the conformance kit."""

from datetime import date
from decimal import Decimal

from connectors.simplicate import CONNECTOR
from connectors.simplicate.sandbox import SimplicateSandbox
from hub.accounting.booking import Booking, PaymentBooking
from hub.accounting.documents import Payment
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Reading, Writing


def _sandbox() -> SimplicateSandbox:
    box = SimplicateSandbox()
    box.seed()
    box.switches["limit_cap"] = 3
    return box


def _payment(box: SimplicateSandbox) -> Booking:
    invoice = box.add_invoice(lines=[("Advies", "10", "100", "hoog", "8000")])
    payment = Payment(
        source_id="10001/20260001",
        invoice=invoice["id"],
        number=invoice["invoice_number"],
        date=date(2026, 3, 21),
        amount=Decimal("1210.00"),
        currency="EUR",
        reference="VERK 20260001",
    )
    return PaymentBooking(payment=payment, administration="41207/3")


def _key(booking: Booking) -> Key:
    assert isinstance(booking, PaymentBooking)
    return Key("minox:41207", "payments", booking.payment.source_id, "simplicate:waterlinie")


def _stands(box: SimplicateSandbox, booking: Booking, _: Key) -> int:
    assert isinstance(booking, PaymentBooking)
    return sum(one["invoice_id"] == booking.payment.invoice for one in box.books["payments"].values())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/{domain}/api/v2",
    secrets=lambda box: dict(
        zip(("authentication_key", "authentication_secret"), box.add_key("anna@waterlinie.example"), strict=True)
    ),
    way=1,
    types=lambda _: {"domain": "waterlinie"},
    consents=lambda _: {"email": "anna@waterlinie.example"},
    fields={"domain": "waterlinie"},
    reads={
        "invoices": Reading("/invoices/invoice", lambda box: set(box.books["invoices"])),
        "customers": Reading(
            "/crm/organization",
            lambda box: {
                one["id"]
                for one in box.books["organizations"].values()
                if one["is_active"] and one["relation_type"]["label"] != "Relationtype_own_company"
            },
        ),
    },
    writes={"payments": Writing("POST", "/invoices/payment", _payment, _key, _stands)},
)
