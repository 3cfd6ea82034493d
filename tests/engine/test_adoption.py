"""What stands in the books already is recognised, whoever put it there; what only looks like it is asked about."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from hub.engine import items
from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, PARTLY, WRITTEN
from tests.engine.world import ADMINISTRATION, PROFILE, SECOND_ADMINISTRATION, World

D = Decimal
BY_HAND = "11111111-2222-4333-8444-555555555555"


def typed_in(world: World, number: int, net: str, vat: str, day: str = "2026-03-09", uuid: str = BY_HAND) -> str:
    """An entry that a bookkeeper made; gives the debtor's number."""
    customer = next(iter(world.minox.customers_of()), None) or world.minox.add_customer(
        ADMINISTRATION, {"addresses": [{"address_type": "postal", "name": "De Gouden Aar"}]}
    )
    total = D(net) + D(vat)
    side = ("debit", "credit") if total >= 0 else ("credit", "debit")

    def line(kind: str, own: str, size: Decimal, at: int) -> dict[str, Any]:
        return {
            "account": {"scheme": "MINOX", "type": kind, "id": own},
            "debit": 0,
            "credit": 0,
            side[at]: abs(size),
            "journal": {"id": "VERK"},
            "document_date": day,
            "invoice_number": number,
            "description": "met de hand",
        }

    lines = [line("customer", str(customer["id"]), total, 0), line("ledger_account", "8000", D(net), 1)]
    world.minox.add_batch(ADMINISTRATION, uuid, lines)
    return str(customer["id"])


async def test_a_booking_by_hand_is_taken_over(world: World) -> None:
    typed_in(world, 20260001, "1000.00", "210.00")
    world.simplicate.add_invoice("F2026-0001")
    world.simplicate.add_invoice("F2026-0002")
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert run.counts["invoices"]["adopt"] == 1
    assert world.totals() == {20260001: D("1210.00"), 20260002: D("1210.00")}
    assert (await world.item("F2026-0001")).target_ref == BY_HAND


async def test_a_credit_note_by_hand_is_taken_over(world: World) -> None:
    typed_in(world, 20260001, "-1000.00", "-210.00")
    world.simplicate.add_invoice("C2026-0001", lines=(("Correctie", "-10", "100", "hoog", "8000"),))
    combi = await world.combi()
    run = await world.run(combi)
    assert run.counts["invoices"]["adopt"] == 1
    assert world.totals() == {20260001: D("-1210.00")}


@pytest.mark.parametrize(("net", "day"), [("1000.01", "2026-03-09"), ("1000.00", "2026-03-10")])
async def test_a_near_miss_is_asked_about(world: World, net: str, day: str) -> None:
    typed_in(world, 20260001, net, "210.00", day)
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == PARTLY.code
    assert await world.keys_of("F2026-0001") == ["near_miss"]
    assert len(world.totals()) == 1
    await world.run(combi)
    assert len(world.totals()) == 1


async def test_a_human_says_that_it_is_the_same(world: World) -> None:
    customer = typed_in(world, 20260001, "1000.00", "210.00", "2026-03-10")
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)

    await world.human(items.resolve, await world.item("F2026-0001"), "exists", BY_HAND)
    assert (await world.run(combi)).outcome == NOTHING.code
    assert len(world.totals()) == 1

    world.clock.advance(3600)
    world.minox.pay(customer, 20260001)
    await world.run(combi)
    assert len(world.simplicate.payments_of(record["id"])) == 1


async def test_a_human_says_that_it_is_another(world: World) -> None:
    typed_in(world, 20260001, "50.00", "10.50")
    world.minox.switches["duplicate_numbers"] = "allow"
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    assert len(world.minox.batches()) == 1

    await world.human(items.resolve, await world.item("F2026-0001"), "absent")
    await world.run(combi)
    assert len(world.minox.batches()) == 2


async def test_everything_of_ours_lost_books_nothing_again(world: World) -> None:
    for at in range(3):
        world.simplicate.add_invoice(f"F2026-000{at}")
    combi = await world.combi()
    await world.run(combi)
    books = world.totals()
    await world.forget_everything()

    combi = await world.combi()
    run = await world.run(combi)

    assert run.counts["invoices"]["adopt"] == 3
    assert world.totals() == books
    assert len(world.minox.customers_of()) == 1


async def test_deleting_and_installing_again_books_nothing_again(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    first = await world.combi()
    await world.run(first)
    await world.delete(first)
    before = world.writes()

    second = await world.combi()
    run = await world.run(second)

    assert run.outcome == NOTHING.code
    assert world.writes() == before
    assert (await world.item("F2026-0001", combi=second)).status is ItemStatus.booked


async def test_a_second_combi_on_the_same_pair_books_nothing_again(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001")
    combis = [await world.combi(), await world.combi()]
    for combi in combis * 2:
        await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}
    assert len(world.minox.customers_of()) == 1

    world.clock.advance(3600)
    (customer,) = world.minox.customers_of()
    world.minox.pay(customer["id"], 20260001)
    for combi in combis * 2:
        await world.run(combi)
    assert len(world.simplicate.payments_of(record["id"])) == 1


async def test_another_connection_to_the_same_company_books_nothing_again(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    await world.relink()
    world.simplicate.add_invoice("F2026-0002")

    again = await world.combi()
    await world.delete(combi)
    await world.run(again)

    assert world.totals() == {20260001: D("1210.00"), 20260002: D("1210.00")}
    assert len(world.minox.customers_of()) == 1


async def test_another_administration_after_booking_is_a_finding(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)

    await world.settings(combi, administrations={PROFILE: SECOND_ADMINISTRATION})
    world.clock.advance(3600)
    world.simplicate.change("invoices", record["id"], payment_term={"days": "30"})
    world.simplicate.add_invoice("F2026-0002")
    await world.run(combi)

    assert await world.keys_of("F2026-0001") == ["booked_elsewhere"]
    assert world.totals() == {20260001: D("1210.00")}
    assert world.totals(SECOND_ADMINISTRATION) == {20260002: D("1210.00")}


async def test_a_number_typed_in_after_the_first_run_is_refused_and_told(world: World) -> None:
    combi = await world.combi()
    world.simplicate.add_invoice("F2026-0000")
    await world.run(combi)
    typed_in(world, 20260001, "1000.00", "210.00")
    world.clock.advance(600)
    world.simplicate.add_invoice("F2026-0001")
    await world.run(combi)
    item = await world.item("F2026-0001")
    assert item.status is ItemStatus.rejected
    assert sorted(world.totals()) == [20260000, 20260001]


async def test_older_invoices_that_a_new_start_date_brings_are_looked_for_too(world: World) -> None:
    typed_in(world, 20260001, "1000.00", "210.00", "2026-01-09")
    world.minox.switches["duplicate_numbers"] = "allow"
    world.simplicate.add_invoice("F2026-0001", date="2026-01-09")
    world.simplicate.add_invoice("F2026-0002")
    combi = await world.combi(start_date=date(2026, 3, 1))
    await world.run(combi)

    await world.rows_changed("UPDATE combi SET start_date = '2026-01-01' WHERE id = :id", id=combi)
    await world.run(combi)

    assert world.totals() == {20260001: D("1210.00"), 20260002: D("1210.00")}


@pytest.mark.parametrize(
    "switches", [{"period_filter": False}, {"links": "token", "page_size": 2}, {"dates": "plain", "numbers": "text"}]
)
async def test_any_form_of_the_listing_is_read(world: World, switches: dict[str, object]) -> None:
    world.minox.switches.update(switches)
    for at in range(5):
        typed_in(world, 20260000 + at, "1000.00", "210.00", uuid=f"11111111-2222-4333-8444-55555555555{at}")
        world.simplicate.add_invoice(f"F2026-000{at}")
    combi = await world.combi()
    run = await world.run(combi)
    assert run.counts["invoices"]["adopt"] == 5
    assert len(world.totals()) == 5
