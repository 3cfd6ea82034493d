"""Payments: positive proof only, whatever the outstanding list looks like."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.eboekhouden import invoices, mutations, payments
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.chart import Master
from hub.kit import json
from hub.sdk.connector import Gone, OpenItem, Receipt, Settled, StillOpen
from hub.sdk.errors import TransientError
from hub.sdk.http import Http
from tests.connectors.eboekhouden.conftest import HIGH, HOME, key, sale


@pytest.fixture
async def receipt(http: Http, relation: str, master: Master) -> Receipt:
    booking = sale(("8000", "1200.00", "252.00", HIGH), customer=relation)
    payload = json.loads(json.dumps(invoices.encode(booking, master, EboekhoudenSettings())))
    return await mutations.write(http, payload, key("invoice:1"))


async def items(http: Http) -> list[OpenItem]:
    return [one async for page in payments.read(http, HOME, EboekhoudenSettings()) for one in page]


async def fate(http: Http, receipt: Receipt) -> Settled | StillOpen | Gone:
    return await payments.confirm(http, HOME, receipt)


async def test_an_unpaid_invoice_is_open_for_its_total(http: Http, receipt: Receipt) -> None:
    (item,) = await items(http)

    assert (item.open_item, item.total, item.balance) == (receipt.open_item, Decimal("1452.00"), Decimal("1452.00"))
    assert await fate(http, receipt) == StillOpen()


async def test_a_partial_payment_proves_nothing(box: EboekhoudenSandbox, http: Http, receipt: Receipt) -> None:
    box.pay(1, Decimal("1451.99"))
    (item,) = await items(http)

    assert item.balance == Decimal("0.01")
    assert await fate(http, receipt) == StillOpen()


@pytest.mark.parametrize("switches", [{}, {"ignores_filters": True}, {"text_types": True}, {"page_cap": 1}], ids=str)
async def test_a_paid_invoice_that_left_the_list_is_settled_on_the_day_it_was_paid(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt, switches: dict[str, Any]
) -> None:
    box.switches.update(switches)
    box.pay(1, Decimal("1000.00"), "2026-04-20")
    box.pay(1, on="2026-05-01")

    assert await items(http) == []
    assert await fate(http, receipt) == Settled(date(2026, 5, 1), receipt.label)


async def test_a_paid_invoice_that_stays_in_the_list_is_proof_by_its_balance(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt
) -> None:
    box.switches["paid_items"] = "stay"
    box.pay(1)
    (item,) = await items(http)

    assert (item.open_item, item.balance) == ("1", Decimal(0))
    assert isinstance(await fate(http, receipt), Settled)


async def test_what_was_settled_without_a_payment_has_no_day(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt
) -> None:
    box.settle(1)

    assert await fate(http, receipt) == Settled(None, receipt.label)


async def test_a_mutation_that_was_deleted_by_hand_is_gone(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt
) -> None:
    box.delete(1)

    assert await fate(http, receipt) == Gone()


@pytest.mark.parametrize("status", [400, 422])
async def test_another_answer_than_not_found_is_no_proof_of_deletion(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt, status: int
) -> None:
    box.switches["gone_status"] = status
    box.delete(1)

    assert await fate(http, receipt) == StillOpen()


async def test_a_mutation_that_the_list_still_shows_is_not_gone(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        return None

    monkeypatch.setattr(mutations, "read", unreadable)

    assert await fate(http, receipt) == StillOpen()


@pytest.mark.parametrize(
    "changes",
    [
        {"date": "2026-03-13"},
        {"invoiceNumber": "F2026-0144"},
        {"rows": [{"ledgerId": 51900014, "vatCode": "HOOG_VERK_21", "amount": Decimal("1200.00")}]},
        {"rows": [{"ledgerId": 51900013, "vatCode": "HOOG_VERK_21", "amount": Decimal("1.00")}]},
        {"rows": []},
    ],
    ids=str,
)
async def test_a_mutation_that_hands_changed_proves_nothing(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt, changes: dict[str, Any]
) -> None:
    box.settle(1)
    box.edit(1, **changes)

    assert await fate(http, receipt) == StillOpen()


async def test_other_words_are_no_change(box: EboekhoudenSandbox, http: Http, receipt: Receipt) -> None:
    box.settle(1)
    box.edit(1, description="Besproken met Jorien")

    assert isinstance(await fate(http, receipt), Settled)


@pytest.mark.parametrize("sign", ["negative", "positive"])
async def test_a_credit_note_is_open_until_it_is_settled(
    box: EboekhoudenSandbox, http: Http, relation: str, master: Master, sign: str
) -> None:
    box.switches["credit_items"] = sign
    booking = sale(("8000", "-100.00", "-21.00", HIGH), number="C1", customer=relation)
    payload = json.loads(json.dumps(invoices.encode(booking, master, EboekhoudenSettings())))
    receipt = await mutations.write(http, payload, key("invoice:2"))

    assert receipt.total == Decimal("-121.00")
    assert await fate(http, receipt) == StillOpen()
    box.settle(int(receipt.ref))
    assert isinstance(await fate(http, receipt), Settled)


@pytest.mark.parametrize("fault", ["error", "html", "malformed", "busy"])
async def test_an_answer_that_is_none_settles_nothing(
    box: EboekhoudenSandbox, http: Http, receipt: Receipt, fault: Any
) -> None:
    box.settle(1)
    box.fault(fault, path="outstanding", times=99)
    with pytest.raises(TransientError):
        await fate(http, receipt)


@pytest.mark.parametrize(
    ("row", "balance"),
    [
        ({"mutationId": 4, "totalAmount": 100, "paidAmount": 100, "outstandingAmount": 0}, Decimal(0)),
        ({"mutationId": "4", "totalAmount": "100.00", "paidAmount": "40.00"}, Decimal(60)),
        ({"mutationId": 4, "totalAmount": 100, "outstandingAmount": 25}, Decimal(25)),
        ({"mutationId": 4, "totalAmount": 100, "paidAmount": 100}, Decimal(1)),
        ({"mutationId": 4, "totalAmount": 100, "paidAmount": 10, "outstandingAmount": 0}, None),
        ({"mutationId": 4, "totalAmount": 100, "outstandingAmount": 0}, None),
        ({"mutationId": 4, "outstandingAmount": 0}, None),
        ({"totalAmount": 100, "paidAmount": 100, "outstandingAmount": 0}, None),
        ({"mutationId": 4, "totalAmount": 0, "paidAmount": 0, "outstandingAmount": 0}, None),
    ],
)
def test_only_a_row_that_says_so_is_proof(row: dict[str, Any], balance: Decimal | None) -> None:
    item = payments.open_item({name: Decimal(v) if isinstance(v, int) else v for name, v in row.items()})

    assert (item.balance if item else None) == balance
