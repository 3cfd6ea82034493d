"""Payments written back to Simplicate's invoices (dossier 3.2): no key, no undo, so outstanding is asked first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from connectors.simplicate import invoices
from connectors.simplicate.listing import Query, walk
from connectors.simplicate.reading import number, part, rows, text, words
from hub.accounting.booking import Booking, PaymentBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding, Payment
from hub.accounting.money import CENT
from hub.sdk.connector import Key, Payload, Raw, Receipt, TargetWriter
from hub.sdk.errors import RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

PATH = "/invoices/payment"
LONGEST_TEXT = 180


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The payment as Simplicate takes it. Raises RecordRejected for an amount that it cannot hold."""
    if findings := validate(booking, master, settings):
        raise RecordRejected(findings[0].key, findings=findings)
    payment = _payment(booking)
    said = f"Boekhouding: {payment.reference}" if payment.reference else "Betaald volgens de boekhouding"
    return {
        "invoice_id": payment.invoice,
        "date": payment.date.isoformat(),
        "amount": payment.amount,
        "description": " ".join(said.split())[:LONGEST_TEXT],
    }


def validate(booking: Booking, _master: Master, _settings: Settings) -> list[Finding]:
    """All that Simplicate could not say: it knows euros and cents only."""
    payment = _payment(booking)
    values = {"number": payment.number, "amount": str(payment.amount), "currency": payment.currency}
    found = []
    if payment.currency != "EUR":
        found.append(Finding(key="simplicate.payment_not_in_euro", values=values))
    if payment.amount == 0 or payment.amount != payment.amount.quantize(CENT):
        found.append(Finding(key="simplicate.payment_amount", values=values))
    return found


def _payment(booking: Booking) -> Payment:
    if not isinstance(booking, PaymentBooking):
        raise TypeError(f"expected a PaymentBooking, got {type(booking).__name__}")
    return booking.payment


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The payment of this invoice that bears our mark; None after all payments were read without it.

    The filter on invoices is only inferred (dossier 2.3): an answer of nothing may be its own, and proves no absence.
    """
    invoice_id = str(payload["invoice_id"])
    filtered = await _payments(http, invoice_id)
    receipt = _ours(filtered, key, payload)
    if receipt is None and not any(_of(row) == invoice_id for row in filtered):
        receipt = _ours(await _listed(http, [], invoice_id), key, payload)
    return receipt


def _ours(found: Sequence[Raw], key: Key, payload: Payload) -> Receipt | None:
    for row in found:
        if _mark(key) in text(row.get("description")):
            return _receipt(text(row.get("id")), payload, _amount(row.get("amount")))
    return None


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Writes what is still outstanding, at most the payload's amount; an invoice that is paid already is left alone.

    Raises RecordRejected when the invoice is gone or does not say what is outstanding.
    """
    invoice_id, wanted = str(payload["invoice_id"]), Decimal(str(payload["amount"]))
    invoice = await invoices.fetch(http, invoice_id)
    if invoice is None:
        raise RecordRejected("simplicate.invoice_gone", id=invoice_id)
    outstanding = _amount(invoice.get("total_outstanding"))
    if outstanding is None:
        raise RecordRejected("simplicate.outstanding_unknown", number=text(invoice.get("invoice_number")))
    sign = 1 if wanted > 0 else -1
    if wanted < 0 < outstanding:  # A credit note that shows no sign: whether it is settled cannot be told.
        raise RecordRejected("simplicate.outstanding_unknown", number=text(invoice.get("invoice_number")))
    if outstanding * sign <= 0:
        stands = _ours(await _payments(http, invoice_id), key, payload)
        return replace(stands, existed=True) if stands else Receipt(ref="", existed=True)
    amount = min(wanted * sign, outstanding * sign) * sign
    body = {**payload, "amount": amount, "description": f"{payload['description']} {_mark(key)}"}
    answer = await http.write("POST", PATH, body)
    return _receipt(await _ref(http, answer, key, payload), payload, amount, words(answer))


def _mark(key: Key) -> str:
    return f"[sync {key.mark}]"


def _amount(value: object) -> Decimal | None:
    try:
        return number(value)
    except ValueError:
        return None


def _receipt(ref: str, payload: Payload, written: Decimal | None, said: Sequence[str] = ()) -> Receipt:
    """What was written. Less than was asked, because the rest was paid by hand, is a warning and no difference."""
    wanted, label = Decimal(str(payload["amount"])), str(payload["date"])
    if written is None or abs(written) >= abs(wanted):
        return Receipt(ref=ref, label=label, total=written, warnings=tuple(said))
    less = f"Betaald: {wanted:.2f} EUR; in Simplicate stond nog {written:.2f} EUR open, dat bedrag is geschreven."
    return Receipt(ref=ref, label=label, warnings=(*said, less))


async def _payments(http: Http, invoice_id: str) -> list[Raw]:
    """All payments of one invoice. The filter is only inferred: an unknown one is left off, an ignored one checked."""
    try:
        return await _listed(http, [("q[invoice_id]", invoice_id)], invoice_id)
    except RecordRejected:
        return await _listed(http, [], invoice_id)


async def _listed(http: Http, query: Query, invoice_id: str) -> list[Raw]:
    found: list[Raw] = []
    async for step in walk(http, PATH, query):
        found += [row for row in step.rows if _of(row) in ("", invoice_id)]
    return found


def _of(row: Raw) -> str:
    return text(row.get("invoice_id")) or text(part(row.get("invoice")).get("id"))


async def _ref(http: Http, answer: Any, key: Key, payload: Payload) -> str:
    """The new payment's id; an answer without one is looked up, and left empty when that fails: it has landed."""
    given = answer.get("data", answer) if isinstance(answer, Mapping) else answer
    said = [text(row.get("id")) for row in rows({"data": given})] or [text(given)]
    if said[0]:
        return said[0]
    try:
        found = _ours(await _payments(http, str(payload["invoice_id"])), key, payload)
    except VendorError:
        return ""
    return found.ref if found else ""


WRITER = TargetWriter(encode=encode, find=find, write=write, validate=validate)
