"""Payments back: only positive proof of full payment, once, whatever happens on the way."""

from decimal import Decimal
from typing import Any

import pytest

from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, WRITTEN
from tests.engine.world import World

D = Decimal


async def booked(world: World, **settings: Any) -> tuple[Any, dict[str, Any], str]:
    """A combi with one invoice, booked an hour ago: combi, invoice, debtor."""
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(**settings)
    await world.run(combi)
    world.clock.advance(3600)
    (customer,) = world.minox.customers_of()
    return combi, record, str(customer["id"])


def written(world: World, record: dict[str, Any]) -> list[Decimal]:
    """The amounts of the payments on an invoice."""
    return [D(one["amount"]) for one in world.simplicate.payments_of(record["id"])]


@pytest.mark.parametrize(
    "switches",
    [
        {"paid_item": "zero"},
        {"paid_item": "gone"},
        {"paid_in_list": True},
        {"paid_in_list": True, "status_filter": False, "numbers": "text"},
        {"paid_item": "gone", "put_answer": "empty"},
        {"links": "object", "page_size": 1},
    ],
)
async def test_a_full_payment_is_written_back_once(world: World, switches: dict[str, object]) -> None:
    world.minox.switches.update(switches)
    combi, record, debtor = await booked(world)
    world.minox.pay(debtor, 20260001)

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert written(world, record) == [D("1210.00")]
    for _ in range(3):
        world.clock.advance(3600)
        assert (await world.run(combi)).outcome == NOTHING.code
    assert written(world, record) == [D("1210.00")]


async def test_a_partial_payment_is_not_written_back(world: World) -> None:
    combi, record, debtor = await booked(world)
    world.minox.pay(debtor, 20260001, D("1209.99"))
    await world.run(combi)
    assert written(world, record) == []
    world.clock.advance(3600)
    world.minox.pay(debtor, 20260001)
    await world.run(combi)
    assert written(world, record) == [D("1210.00")]


async def test_a_vanished_item_without_its_booking_proves_nothing(world: World) -> None:
    world.minox.switches["paid_item"] = "gone"
    combi, record, _ = await booked(world)
    (uuid,) = world.minox.batches()
    world.minox.delete_batch("41207/3", uuid)

    await world.run(combi)

    assert written(world, record) == []
    assert await world.keys_of("F2026-0001") == ["booking_gone"]


async def test_a_listing_that_is_empty_for_once_proves_nothing(world: World) -> None:
    combi, record, _ = await booked(world)
    books = world.minox.administration("41207/3")
    hidden, books["open"] = books["open"], {}
    await world.run(combi)
    assert written(world, record) == []
    books["open"] = hidden
    await world.run(combi)
    assert (await world.item("F2026-0001")).status is ItemStatus.booked


@pytest.mark.parametrize("kind", ["lost", "error", "html", "malformed", "refused"])
@pytest.mark.parametrize("answer", ["id", "empty"])
async def test_an_unknown_outcome_is_read_before_it_is_written_again(world: World, kind: Any, answer: str) -> None:
    world.simplicate.switches["write_answer"] = answer
    combi, record, debtor = await booked(world)
    world.minox.pay(debtor, 20260001)
    world.simplicate.fault(kind, method="POST", path="payment")

    await world.run(combi)

    assert written(world, record) == [D("1210.00")]
    assert (await world.items("payments"))[0].status is ItemStatus.booked


async def test_a_search_that_lags_does_not_double_a_payment(world: World) -> None:
    combi, record, debtor = await booked(world)
    world.minox.pay(debtor, 20260001)
    world.simplicate.switches["payment_lag"] = 1
    world.simplicate.fault("lost", method="POST", path="payment")
    await world.run(combi)
    assert written(world, record) == [D("1210.00")]


async def test_a_payment_typed_in_by_hand_is_not_doubled(world: World) -> None:
    combi, record, debtor = await booked(world)
    world.simplicate._add_payment({"invoice_id": record["id"], "amount": D("1210.00"), "date": "2026-03-12"}, "")
    world.minox.pay(debtor, 20260001)
    run = await world.run(combi)
    assert written(world, record) == [D("1210.00")]
    assert run.outcome == WRITTEN.code
    assert (await world.items("payments"))[0].status is ItemStatus.booked


async def test_only_what_is_left_is_written_after_a_payment_in_part_by_hand(world: World) -> None:
    combi, record, debtor = await booked(world)
    world.simplicate._add_payment({"invoice_id": record["id"], "amount": D("210.00"), "date": "2026-03-12"}, "")
    world.minox.pay(debtor, 20260001)
    await world.run(combi)
    assert written(world, record) == [D("210.00"), D("1000.00")]
    assert "delivery.warning" in await world.log()


async def test_a_credit_note_that_was_settled_is_written_back_only_when_asked(world: World) -> None:
    record = world.simplicate.add_invoice("C2026-0001", lines=(("Correctie", "-1", "100", "hoog", "8000"),))
    combi = await world.combi()
    await world.run(combi)
    world.clock.advance(3600)
    (customer,) = world.minox.customers_of()
    world.minox.pay(customer["id"], 20260001)
    await world.run(combi)
    assert written(world, record) == []
    assert [one.status for one in await world.items("payments")] == [ItemStatus.ignored]

    await world.settings(combi, note_success=True)
    await world.run(combi)
    assert written(world, record) == []

    await world.settings(combi, credit_payments=True)
    await world.run(combi)
    assert written(world, record) == [D("-121.00")]


@pytest.mark.parametrize("sign", ["negative", "positive"])
@pytest.mark.parametrize("answer", ["lines", "empty"])
async def test_a_credit_note_s_open_item_may_have_either_sign(world: World, sign: str, answer: str) -> None:
    world.minox.switches.update(credit_sign=sign, put_answer=answer)
    record = world.simplicate.add_invoice("C2026-0001", lines=(("Correctie", "-1", "100", "hoog", "8000"),))
    combi = await world.combi(credit_payments=True)
    await world.run(combi)
    world.clock.advance(3600)
    await world.run(combi)
    assert (await world.item("C2026-0001")).status is ItemStatus.booked
    (customer,) = world.minox.customers_of()
    world.minox.pay(customer["id"], 20260001)
    await world.run(combi)
    assert written(world, record) == [D("-121.00")]


async def test_without_the_payments_flow_nothing_is_written_until_it_is_switched_on(world: World) -> None:
    combi, record, debtor = await booked(world, flows=["customers", "invoices"])
    world.minox.pay(debtor, 20260001)
    await world.run(combi)
    assert written(world, record) == []

    await world.settings(combi, flows=["customers", "invoices", "payments"])
    await world.run(combi)
    assert written(world, record) == [D("1210.00")]


async def test_a_payment_that_a_deleted_combi_left_undone_is_done_by_the_next(world: World) -> None:
    combi, record, debtor = await booked(world)
    world.minox.pay(debtor, 20260001)
    world.simplicate.fault("refused", method="GET", path="invoices/invoice/", times=99)
    await world.run(combi)
    assert written(world, record) == []
    await world.delete(combi)
    world.simplicate.faults.clear()

    again = await world.combi()
    await world.run(again)
    await world.run(again)

    assert written(world, record) == [D("1210.00")]


async def test_an_idle_run_with_open_items_asks_once_per_flow(world: World) -> None:
    combi, *_ = await booked(world)
    world.clock.advance(60)
    await world.run(combi)
    world.clock.advance(900)
    world.minox.calls.clear()
    world.simplicate.calls.clear()
    await world.run(combi)
    assert world.minox.calls.total() == 1
    assert world.simplicate.calls.total() == 2
