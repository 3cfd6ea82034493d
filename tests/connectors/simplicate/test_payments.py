"""A payment is written once, never for more than is outstanding, and found again by our mark."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.simplicate import CONNECTOR
from connectors.simplicate.sandbox import SimplicateSandbox
from connectors.simplicate.settings import SimplicateSettings
from hub.accounting.booking import PaymentBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Payment
from hub.kit import json
from hub.sdk.connector import Key, Payload
from hub.sdk.errors import OutcomeUnknown, ReauthRequired, RecordRejected, TransientError
from hub.sdk.http import Http

WRITER = CONNECTOR.targets["payments"]
KEY = Key("minox:3", "payments", "verk-1", "simplicate:waterlinie")
OTHER = Key("minox:3", "payments", "verk-2", "simplicate:waterlinie")


def payload(invoice_id: str, amount: str = "1210", currency: str = "EUR", reference: str = "bank 26-0088") -> Payload:
    payment = Payment(
        source_id="verk-1", invoice=invoice_id, number="F2026-0001", date=date(2026, 3, 21), amount=Decimal(amount),
        currency=currency, reference=reference,
    )  # fmt: skip
    booking = PaymentBooking(payment=payment, administration="3")
    return json.loads(json.dumps(dict(WRITER.encode(booking, Master(administration="3"), SimplicateSettings()))))  # type: ignore[no-any-return]


@pytest.fixture
def invoice(box: SimplicateSandbox) -> dict[str, Any]:
    return box.add_invoice()


def books(box: SimplicateSandbox, invoice: dict[str, Any]) -> list[Decimal]:
    return [Decimal(one["amount"]) for one in box.payments_of(invoice["id"])]


def test_a_payment_is_encoded_as_the_dossier_says() -> None:
    assert payload("invoice:7c1e5a90b2d34f68", "1900.00") == {
        "invoice_id": "invoice:7c1e5a90b2d34f68",
        "date": "2026-03-21",
        "amount": Decimal("1900.00"),
        "description": "Boekhouding: bank 26-0088",
    }


@pytest.mark.parametrize(("amount", "currency"), [("10", "USD"), ("0", "EUR"), ("1.005", "EUR")])
def test_what_simplicate_cannot_hold_is_refused_before_it_is_sent(amount: str, currency: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        payload("invoice:1", amount, currency)
    assert len(caught.value.findings) == 1


async def test_a_payment_pays_the_invoice_and_is_found_again(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any]
) -> None:
    sent = payload(invoice["id"])
    assert await WRITER.find(http, KEY, sent) is None
    receipt = await WRITER.write(http, sent, KEY)
    (stored,) = box.payments_of(invoice["id"])
    assert stored["description"] == f"Boekhouding: bank 26-0088 [sync {KEY.mark}]"
    assert box.books["invoices"][invoice["id"]]["total_outstanding"] == 0
    found = await WRITER.find(http, KEY, sent)
    assert found is not None
    assert found.ref == receipt.ref == stored["id"]
    assert found.total == Decimal(1210)
    assert await WRITER.find(http, OTHER, sent) is None


async def test_a_paid_invoice_is_left_alone(box: SimplicateSandbox, http: Http) -> None:
    paid = box.add_invoice(paid=True)
    receipt = await WRITER.write(http, payload(paid["id"]), KEY)
    assert receipt.existed
    assert books(box, paid) == []


async def test_writing_twice_books_once(box: SimplicateSandbox, http: Http, invoice: dict[str, Any]) -> None:
    first = await WRITER.write(http, payload(invoice["id"]), KEY)
    again = await WRITER.write(http, payload(invoice["id"]), KEY)
    assert again.ref == first.ref
    assert books(box, invoice) == [Decimal(1210)]


async def test_no_more_than_is_outstanding_is_written(box: SimplicateSandbox, http: Http) -> None:
    partly = box.add_invoice(total_outstanding=Decimal("200.50"))
    receipt = await WRITER.write(http, payload(partly["id"]), KEY)
    assert books(box, partly) == [Decimal("200.50")]
    assert receipt.total is None
    assert "200.50" in receipt.warnings[0]
    assert await WRITER.find(http, KEY, payload(partly["id"])) == receipt


@pytest.mark.parametrize("outstanding", [None, "", "veel"])
async def test_an_invoice_that_does_not_say_what_is_outstanding_is_not_paid(
    box: SimplicateSandbox, http: Http, outstanding: str | None
) -> None:
    vague = box.add_invoice(total_outstanding=outstanding)
    with pytest.raises(RecordRejected) as caught:
        await WRITER.write(http, payload(vague["id"]), KEY)
    assert caught.value.key == "simplicate.outstanding_unknown"
    assert books(box, vague) == []


async def test_a_vanished_invoice_is_a_finding(http: Http) -> None:
    with pytest.raises(RecordRejected) as caught:
        await WRITER.write(http, payload("invoice:weg"), KEY)
    assert caught.value.key == "simplicate.invoice_gone"


async def test_a_settled_credit_note_is_paid_with_its_own_sign(box: SimplicateSandbox, http: Http) -> None:
    credit = box.add_invoice(lines=[("Credit", "-10", "100", "hoog", "8000")])
    await WRITER.write(http, payload(credit["id"], "-1210"), KEY)
    assert books(box, credit) == [Decimal(-1210)]
    assert (await WRITER.write(http, payload(credit["id"], "-1210"), OTHER)).existed


@pytest.mark.parametrize("answer", ["id", "empty", "object", "list"])
async def test_the_reference_is_known_whatever_the_answer_looks_like(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any], answer: str
) -> None:
    box.switches["write_answer"] = answer
    receipt = await WRITER.write(http, payload(invoice["id"]), KEY)
    assert receipt.ref == box.payments_of(invoice["id"])[0]["id"]


async def test_a_success_with_errors_beside_it_is_a_success_with_a_warning(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any]
) -> None:
    box.switches["warn_on_write"] = True
    receipt = await WRITER.write(http, payload(invoice["id"]), KEY)
    assert receipt.warnings == ("E-mail niet verstuurd",)


@pytest.mark.parametrize("kind", ["lost", "error", "html", "malformed"])
async def test_an_answer_that_was_lost_is_an_unknown_outcome_that_can_be_looked_up(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any], kind: str
) -> None:
    box.fault(kind, method="POST", path="payment")  # type: ignore[arg-type]
    sent = payload(invoice["id"])
    with pytest.raises(OutcomeUnknown):
        await WRITER.write(http, sent, KEY)
    found = await WRITER.find(http, KEY, sent)
    landed = kind in ("lost", "error")
    assert (found is not None) == landed == bool(books(box, invoice))
    again = await WRITER.write(http, sent, KEY)
    assert books(box, invoice) == [Decimal(1210)]
    assert again.ref == box.payments_of(invoice["id"])[0]["id"]


async def test_a_busy_package_has_done_nothing(box: SimplicateSandbox, http: Http, invoice: dict[str, Any]) -> None:
    box.fault("busy", method="POST", path="payment", seconds=7)
    with pytest.raises(TransientError) as caught:
        await WRITER.write(http, payload(invoice["id"]), KEY)
    assert caught.value.retry_after == 7
    assert books(box, invoice) == []


async def test_a_dead_key_asks_for_consent_again(box: SimplicateSandbox, http: Http, invoice: dict[str, Any]) -> None:
    box.books["keys"].clear()
    with pytest.raises(ReauthRequired):
        await WRITER.write(http, payload(invoice["id"]), KEY)


@pytest.mark.parametrize(
    "switches",
    [
        {"ignored_filters": ["invoice_id"]},
        {"refused_filters": ["invoice_id"]},
        {"limit_cap": 3},
        {"limit_cap": 3, "metadata": False},
        {"numbers": "strings"},
        {"empty_list_as_null": True},
    ],
    ids=str,
)
async def test_a_payment_is_found_among_many(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any], switches: dict[str, Any]
) -> None:
    box.switches.update(switches)
    for _ in range(20):
        other = box.add_invoice()
        await http.write("POST", "/invoices/payment", {"invoice_id": other["id"], "date": "2026-03-01", "amount": 1})
    sent = payload(invoice["id"])
    assert await WRITER.find(http, KEY, sent) is None
    receipt = await WRITER.write(http, sent, KEY)
    found = await WRITER.find(http, KEY, sent)
    assert found is not None
    assert found.ref == receipt.ref


async def test_our_mark_on_another_invoice_is_not_ours(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any]
) -> None:
    box.switches["ignored_filters"] = ["invoice_id"]
    await WRITER.write(http, payload(box.add_invoice()["id"]), KEY)
    assert await WRITER.find(http, KEY, payload(invoice["id"])) is None


@pytest.mark.parametrize("kind", ["refused", "html", "malformed", "busy"])
async def test_a_search_that_fails_proves_nothing(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any], kind: str
) -> None:
    box.fault(kind, path="payment", times=3)  # type: ignore[arg-type]
    with pytest.raises(TransientError):
        await WRITER.find(http, KEY, payload(invoice["id"]))


@pytest.mark.parametrize("form", ["object", "text", "message"])
async def test_a_refusal_says_the_package_s_own_words(
    box: SimplicateSandbox, http: Http, invoice: dict[str, Any], form: str
) -> None:
    box.switches["errors_form"] = form
    sent = {**payload(invoice["id"]), "date": "2026-02-30"}
    with pytest.raises(RecordRejected) as caught:
        await WRITER.write(http, sent, KEY)
    assert caught.value.words == "date is invalid"
    assert caught.value.findings[0].key == "simplicate.refused"
