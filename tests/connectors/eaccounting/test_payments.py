"""Only positive proof of payment is a payment, also of a draft that a user made an invoice."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.eaccounting import drafts, payments
from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.sdk.connector import Gone, OpenItem, Payload, Receipt, Settled, StillOpen
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import HOME, Connect, key

Encode = Callable[..., Payload]
MARK = key().mark
SEARCHES = pytest.mark.parametrize("search", ["supported", "refused", "ignored"])


async def listed(http: Http) -> dict[str, OpenItem]:
    pages = payments.read(http, HOME, EaccountingSettings())
    return {one.open_item: one async for page in pages for one in page}


@pytest.fixture
async def sent(http: Http, encode: Encode) -> Receipt:
    """A draft of ours."""
    return await drafts.write(http, encode(), key())


async def test_a_draft_is_an_open_item(http: Http, sent: Receipt) -> None:
    assert (await listed(http))[sent.open_item].balance == Decimal("240.64")


@SEARCHES
async def test_an_invoice_that_a_user_made_is_open_under_our_key(
    http: Http, box: EaccountingSandbox, sent: Receipt, search: str
) -> None:
    box.switches["status_filter"] = search
    box.convert(sent.ref)

    assert (await listed(http))[MARK] == OpenItem(MARK, Decimal("240.64"), Decimal("240.64"), None, "1001")


@SEARCHES
async def test_a_paid_invoice_is_settled_on_its_day(
    http: Http, box: EaccountingSandbox, sent: Receipt, search: str
) -> None:
    box.switches["status_filter"] = search
    box.pay(box.convert(sent.ref)["Id"], "2026-11-18")

    in_list = (await listed(http)).get(MARK)
    asked = await payments.confirm(http, HOME, sent)

    assert in_list is None or (in_list.balance, in_list.paid_on) == (Decimal(0), date(2026, 11, 18))
    assert asked == Settled(date(2026, 11, 18), "1001")


@pytest.mark.parametrize("fields", [
    {"CreditedBy": ["x"]}, {"RemainingAmount": Decimal(5), "RemainingAmountInvoiceCurrency": Decimal(5)},
    {"PaymentStatus": 1}, {"PaymentStatus": None},
    {"TotalAmountInvoiceCurrency": Decimal(1), "TotalAmount": Decimal(1)},
])  # fmt: skip
async def test_what_is_not_plainly_paid_is_still_open(
    http: Http, box: EaccountingSandbox, sent: Receipt, fields: dict[str, Any]
) -> None:
    paid = box.pay(box.convert(sent.ref)["Id"])
    box.put("invoices", {**paid, **fields})

    assert await payments.confirm(http, HOME, sent) == StillOpen()
    if (item := (await listed(http)).get(MARK)) is not None and "TotalAmount" not in fields:
        assert item.balance != 0


async def test_a_payment_in_part_shows_what_is_left(http: Http, box: EaccountingSandbox, sent: Receipt) -> None:
    box.pay(box.convert(sent.ref)["Id"], left="40.64")

    assert (await listed(http))[MARK].balance == Decimal("40.64")


async def test_a_draft_that_stands_is_still_open(http: Http, sent: Receipt) -> None:
    assert await payments.confirm(http, HOME, sent) == StillOpen()


async def test_a_deleted_draft_is_gone_and_one_converted_since_the_last_look_is_not(
    connect: Connect, box: EaccountingSandbox, encode: Encode
) -> None:
    async with connect() as http:
        first, second = [await drafts.write(http, encode(), key(name)) for name in ("1", "2")]
        box.delete_draft(first.ref)
        assert await payments.confirm(http, HOME, first) == Gone()
        box.pay(box.convert(second.ref)["Id"])
        assert isinstance(await payments.confirm(http, HOME, second), Settled)


@pytest.mark.parametrize("lost", ["from_draft", "reference"])
async def test_either_the_draft_s_id_or_our_key_on_the_invoice_is_enough(
    http: Http, box: EaccountingSandbox, sent: Receipt, lost: str
) -> None:
    box.switches["from_draft"] = lost != "from_draft"
    made = box.convert(sent.ref)
    if lost == "reference":
        made = box.put("invoices", {**made, "OurReference": "door gebruiker gewijzigd"})
    box.pay(made["Id"])

    assert isinstance(await payments.confirm(http, HOME, sent), Settled)


async def test_many_paid_invoices_cost_one_listing_and_not_one_each(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    sent = [await drafts.write(http, encode(), key(str(number))) for number in range(5)]
    for one in sent:
        box.pay(box.convert(one.ref)["Id"])
    box.calls.clear()

    assert {type(await payments.confirm(http, HOME, one)) for one in sent} == {Settled}
    assert box.calls["GET /v2/customerinvoices"] == 1
