"""Payments written back to Acme's invoices, each under our own key."""

from collections.abc import Mapping
from typing import Any

from hub.accounting.booking import Booking, PaymentBooking
from hub.accounting.chart import Master
from hub.accounting.money import decimal
from hub.sdk.connector import Key, Payload, Receipt, TargetWriter
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings


def encode(booking: Booking, _master: Master, _settings: Settings) -> Payload:
    """The payment as Acme takes it. Raises RecordRejected for another currency."""
    if not isinstance(booking, PaymentBooking):
        raise TypeError(f"expected a PaymentBooking, got {type(booking).__name__}")
    payment = booking.payment
    if payment.currency != "EUR":
        raise RecordRejected("acme.not_in_euro", currency=payment.currency)
    return {"invoice": payment.invoice, "date": payment.date.isoformat(), "amount": payment.amount}


async def find(http: Http, key: Key, _payload: Payload) -> Receipt | None:
    """The payment under our key; Acme answers 404 when there is none."""
    found = await http.get(f"/payments/{key.uuid}", absent=(404,))
    return None if found is None else _receipt(found, existed=True)


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Puts the payment under our key: new, or the same once more."""
    return _receipt(await http.write("PUT", f"/payments/{key.uuid}", payload))


def _receipt(answer: Any, *, existed: bool = False) -> Receipt:
    if not isinstance(answer, Mapping) or not answer.get("id"):
        raise OutcomeUnknown("acme.unclear_answer")
    return Receipt(ref=str(answer["id"]), label=str(answer["id"]), total=decimal(answer.get("amount")), existed=existed)


WRITER = TargetWriter(encode=encode, find=find, write=write)
