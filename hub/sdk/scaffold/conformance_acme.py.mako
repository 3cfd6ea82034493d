"""Acme for the conformance kit."""

from datetime import date
from decimal import Decimal

from connectors.acme import CONNECTOR
from connectors.acme.sandbox import KEY, AcmeSandbox
from hub.accounting.booking import Booking, PaymentBooking
from hub.accounting.documents import Payment
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Reading, Writing


def _sandbox() -> AcmeSandbox:
    box = AcmeSandbox()
    box.seed()
    box.switches["page_size"] = 3
    return box


def _payment(box: AcmeSandbox) -> Booking:
    payment = Payment(
        source_id="10001/1", invoice="1", date=date(2026, 3, 21), amount=Decimal("121.00"), currency="EUR"
    )
    return PaymentBooking(payment=payment, administration="1/1")


def _stands(box: AcmeSandbox, _: Booking, key: Key) -> int:
    return sum(own == str(key.uuid) for own in box.books["payments"])


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/api",
    secrets=lambda _: {"api_key": KEY},
    reads={"invoices": Reading("/api/invoices", lambda box: set(box.books["invoices"]))},
    writes={
        "payments": Writing(
            "PUT",
            "/api/payments/",
            _payment,
            lambda booking: Key("books:1", "payments", "10001/1", "acme:c1"),
            _stands,
        )
    },
)
