"""Only positive proof of full payment counts; what is odd concludes nothing."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.minox import batches, invoices, payments
from connectors.minox.sandbox import MinoxSandbox
from connectors.minox.settings import MinoxSettings
from hub.accounting.chart import Master
from hub.sdk.connector import Gone, OpenItem, Receipt, Settled, StillOpen
from hub.sdk.http import Http
from tests.connectors.minox.conftest import HIGH, HOME, key, sale

KEY = key("invoice:1")
CUSTOMER = {"id": "10000", "scheme": "MINOX", "type": "customer"}


async def booked(http: Http, master: Master, number: str = "F2026-0143", net: str = "1200.00") -> Receipt:
    vat = str(Decimal(net) * 21 / 100)
    payload = invoices.encode(sale(("8000", net, vat, HIGH), number=number), master, MinoxSettings())
    return await batches.write(http, payload, key(number))


async def listed(http: Http) -> dict[str, OpenItem]:
    return {item.open_item: item async for page in payments.read(http, HOME, MinoxSettings()) for item in page}


async def test_an_open_item_is_listed_with_its_balance(box: MinoxSandbox, http: Http, master: Master) -> None:
    receipt = await booked(http, master)
    box.pay(10000, 20260143, Decimal("452.00"))
    item = (await listed(http))[receipt.open_item]
    assert (item.total, item.balance) == (Decimal("1452.00"), Decimal("1000.00"))
    assert await payments.confirm(http, HOME, receipt) == StillOpen()


@pytest.mark.parametrize("paid_item", ["zero", "gone", "empty"])
@pytest.mark.parametrize("net", ["1200.00", "-100.00"])
@pytest.mark.parametrize("credit_sign", ["negative", "positive"])
@pytest.mark.parametrize("numbers", ["number", "text"])
async def test_a_paid_item_is_proven_in_every_variant(
    box: MinoxSandbox, http: Http, master: Master, paid_item: str, net: str, credit_sign: str, numbers: str
) -> None:
    box.switches |= {"paid_item": paid_item, "credit_sign": credit_sign, "numbers": numbers}
    receipt = await booked(http, master, net=net)
    box.pay(10000, 20260143)
    assert receipt.open_item not in await listed(http)
    assert isinstance(await payments.confirm(http, HOME, receipt), Settled)


@pytest.mark.parametrize(
    "switches", [{"paid_in_list": True}, {"status_filter": False}, {"status_filter": False, "item_type": "payable"}]
)
async def test_a_paid_item_that_stays_in_the_list_stands_at_zero(
    box: MinoxSandbox, http: Http, master: Master, switches: dict[str, Any]
) -> None:
    box.switches |= switches
    receipt = await booked(http, master)
    box.pay(10000, 20260143)
    assert (await listed(http))[receipt.open_item].balance == 0


@pytest.mark.parametrize("links", ["relative", "absolute", "query", "token", "object", "none"])
async def test_every_page_of_open_items_is_read(box: MinoxSandbox, http: Http, master: Master, links: str) -> None:
    box.switches |= {"links": links, "page_size": 2}
    for number in range(1, 6):
        await booked(http, master, f"2026-{number}")
    assert len(await listed(http)) == 5


async def test_a_deleted_booking_is_gone_and_not_paid(box: MinoxSandbox, http: Http, master: Master) -> None:
    receipt = await booked(http, master)
    box.delete_batch(HOME, receipt.ref)
    assert await payments.confirm(http, HOME, receipt) == Gone()
    box.switches["batch_missing"] = "empty"
    assert await payments.confirm(http, HOME, receipt) == StillOpen()


async def test_a_booking_whose_amount_was_changed_by_hand_is_not_called_paid(
    box: MinoxSandbox, http: Http, master: Master
) -> None:
    box.switches["paid_item"] = "gone"
    receipt = await booked(http, master)
    box.pay(10000, 20260143)
    box.batches()[receipt.ref][0]["debit"] = Decimal("1.00")
    assert await payments.confirm(http, HOME, receipt) == StillOpen()


@pytest.mark.parametrize(
    "answer",
    [
        {"balance": 0, "total": 1452},
        {"balance": 0, "total": 1452, "paid": 1451},
        {"balance": None, "total": 1452, "paid": 1452},
        {"balance": 0, "total": 0, "paid": 0},
        {"balance": 0, "total": 99, "paid": 99},
        {"balance": "nul", "total": 1452, "paid": 1452},
        {"balance": 0, "total": 1452, "paid": 1452, "account_id": 99999, "invoice_number": 1},
        {"message": "Even geduld"},
        "Even geduld",
        [{"balance": 0, "total": 1452, "paid": 1452}] * 2,
    ],
)
async def test_an_odd_answer_concludes_nothing(
    http: Http, master: Master, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    receipt = await booked(http, master)

    async def answered(*_: object, **__: object) -> Any:
        return answer

    monkeypatch.setattr(http, "get", answered)
    assert await payments.confirm(http, HOME, receipt) == StillOpen()


@pytest.mark.parametrize(
    ("row", "balance"),
    [
        ({"total": "1452.00", "paid": "452.00", "balance": "1000.00"}, Decimal("1000.00")),
        ({"total": 1452, "paid": 452}, Decimal(1000)),
        ({"total": 1452, "paid": 1452, "balance": 0}, Decimal(0)),
        ({"total": 1452, "paid": 0, "balance": 0}, None),
        ({"total": 1452, "balance": 0}, None),
        ({"total": None, "balance": 0}, None),
        ({"total": 1452, "paid": 1, "balance": 1451, "type": "payable"}, None),
        ({"total": 1452, "paid": 1, "balance": 1451, "type": "payable", "account": CUSTOMER}, Decimal(1451)),
        ({"total": 1452, "paid": 1, "balance": 1451, "account": CUSTOMER | {"type": "supplier"}}, None),
    ],
)
def test_a_row_of_the_list_is_read_or_left_out(row: dict[str, Any], balance: Decimal | None) -> None:
    item = payments.open_item({"account": {"id": "10000"}, "invoice_number": "20260143"} | row)
    assert (item.balance if item else None) == balance


async def test_lines_that_do_not_say_what_their_account_is_still_prove_the_booking(
    box: MinoxSandbox, http: Http, master: Master
) -> None:
    box.switches["paid_item"] = "gone"
    receipt = await booked(http, master)
    box.pay(10000, 20260143)
    del box.batches()[receipt.ref][0]["account"]["type"]
    assert isinstance(await payments.confirm(http, HOME, receipt), Settled)
