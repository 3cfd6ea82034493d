"""Changed after booking: corrected under the same UUID, or shown to a human; hands in Minox are never overwritten."""

from decimal import Decimal
from typing import Any

from hub.engine import items
from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, WRITTEN
from tests.engine.world import World

D = Decimal


async def booked(world: World, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """A combi with one booked invoice, an hour ago."""
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(**settings)
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}
    world.clock.advance(3600)
    return combi, record


def amount(world: World, record: dict[str, Any], price: str) -> None:
    """The invoice is sent anew with another price."""
    line = world.simplicate._line("Advies", "10", price, "hoog", "8000", "2026-03-09")
    net = D("10") * D(price)
    vat = (net * D("0.21")).quantize(D("0.01"))
    world.simplicate.change(
        "invoices",
        record["id"],
        invoice_lines=[line],
        total_excluding_vat=net,
        total_vat=vat,
        total_including_vat=net + vat,
        total_outstanding=net + vat,
    )


async def test_a_changed_invoice_is_updated_under_the_same_uuid(world: World) -> None:
    combi, record = await booked(world)
    before = list(world.minox.batches())
    amount(world, record, "200")

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert run.counts["invoices"]["update"] == 1
    assert list(world.minox.batches()) == before
    assert world.totals() == {20260001: D("2420.00")}
    assert (await world.run(combi)).outcome == NOTHING.code


async def test_words_that_change_touch_nothing(world: World) -> None:
    combi, record = await booked(world)
    before = world.writes()
    world.simplicate.change("invoices", record["id"], subject="Ander onderwerp", reference="PO 7")
    await world.run(combi)
    assert world.writes() == before


async def test_a_change_waits_for_a_human_when_asked_to(world: World) -> None:
    combi, record = await booked(world, on_change="ask")
    amount(world, record, "200")
    await world.run(combi)
    item = await world.item("F2026-0001")
    assert item.status is ItemStatus.changed
    assert world.totals() == {20260001: D("1210.00")}

    await world.human(items.retry, item)
    await world.run(combi)
    assert world.totals() == {20260001: D("2420.00")}


def by_hand(world: World) -> None:
    """Somebody books the revenue on another account."""
    (batch,) = world.minox.batches().values()
    next(line for line in batch if line["account"]["id"] == "8000")["account"]["id"] = "8900"


async def test_a_booking_changed_by_hand_is_not_overwritten(world: World) -> None:
    combi, record = await booked(world)
    by_hand(world)
    amount(world, record, "200")

    await world.run(combi)

    item = await world.item("F2026-0001")
    assert item.status is ItemStatus.changed
    assert [one["key"] for one in item.findings] == ["edited_in_target"]
    assert world.totals() == {20260001: D("1210.00")}

    await world.human(items.retry, item)
    await world.run(combi)
    assert world.totals() == {20260001: D("2420.00")}


async def test_who_lets_a_change_go_hears_first_that_hands_changed_the_booking(world: World) -> None:
    combi, record = await booked(world)
    await world.settings(combi, on_change="ask")
    by_hand(world)
    amount(world, record, "200")
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["changed_after_booking"]

    await world.human(items.retry, await world.item("F2026-0001"))
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["edited_in_target"]
    assert world.totals() == {20260001: D("1210.00")}

    await world.human(items.retry, await world.item("F2026-0001"))
    await world.run(combi)
    assert world.totals() == {20260001: D("2420.00")}


async def test_a_booking_changed_by_hand_is_not_overwritten_by_the_next_change_either(world: World) -> None:
    combi, record = await booked(world)
    by_hand(world)
    amount(world, record, "200")
    await world.run(combi)
    world.clock.advance(3600)
    amount(world, record, "300")

    await world.run(combi)

    assert [one["key"] for one in (await world.item("F2026-0001")).findings] == ["edited_in_target"]
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_change_of_settings_does_not_overwrite_hands(world: World) -> None:
    combi, record = await booked(world)
    by_hand(world)
    amount(world, record, "200")
    await world.run(combi)
    await world.settings(combi, note_success=True)
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_change_in_a_period_that_was_closed_since_is_a_finding(world: World) -> None:
    combi, record = await booked(world, booking_date="next_open_period")
    await world.settings(combi, closed_until="2026-03-31")
    amount(world, record, "200")

    await world.run(combi)

    assert await world.keys_of("F2026-0001") == ["period_closed"]
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_booking_that_somebody_deleted_is_not_made_again_by_itself(world: World) -> None:
    combi, _ = await booked(world)
    (uuid,) = world.minox.batches()
    world.minox.delete_batch("41207/3", uuid)

    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["booking_gone"]
    await world.run(combi)
    await world.settings(combi, note_success=True)
    await world.run(combi)
    assert world.totals() == {}
    assert await world.keys_of("F2026-0001") == ["booking_gone"]

    await world.human(items.resolve, await world.item("F2026-0001"), "absent")
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}
    assert list(world.minox.batches()) != [uuid]


async def test_a_deleted_booking_can_be_left_out(world: World) -> None:
    combi, _ = await booked(world)
    (uuid,) = world.minox.batches()
    world.minox.delete_batch("41207/3", uuid)
    await world.run(combi)

    await world.human(items.skip, await world.item("F2026-0001"), "dubbel")
    await world.run(combi)

    assert world.totals() == {}
    assert (await world.item("F2026-0001")).status is ItemStatus.skipped


async def test_a_change_of_a_deleted_booking_is_a_finding(world: World) -> None:
    combi, record = await booked(world, flows=["customers", "invoices"])
    (uuid,) = world.minox.batches()
    world.minox.delete_batch("41207/3", uuid)
    amount(world, record, "200")
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["booking_gone"]
    assert world.totals() == {}


async def test_a_total_that_differs_is_a_finding_until_a_human_accepts_it(world: World) -> None:
    world.minox.switches["put_answer"] = "empty"
    combi, _ = await booked(world)
    (customer,) = world.minox.customers_of()
    item = world.minox.receivable(customer["id"], 20260001)
    assert item is not None
    item["total"] = item["balance"] = D("1210.01")
    await world.rows_changed("UPDATE delivery SET verified = false, balance = NULL WHERE stream = 'invoices'")

    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["total_differs"]

    await world.human(items.retry, await world.item("F2026-0001"))
    await world.run(combi)
    assert (await world.item("F2026-0001")).status is ItemStatus.booked
    assert world.writes() == 2


async def test_what_minox_stored_is_compared_to_the_cent(world: World) -> None:
    stored = world.minox._stored

    def a_cent_more(books: Any, uuid: str, line: Any, at: int) -> Any:
        extra = D("0.01") if line["account"]["type"] == "customer" else D("0")
        return stored(books, uuid, {**line, "debit": line["debit"] + extra}, at)

    world.minox._stored = a_cent_more
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    (finding,) = (await world.item("F2026-0001")).findings
    assert finding["key"] == "total_differs"
    assert finding["values"]["difference"] == "0.01"


async def test_an_invoice_that_becomes_a_concept_again_stays_booked(world: World) -> None:
    combi, record = await booked(world)
    world.simplicate.change("invoices", record["id"], invoice_number="", status={"name": "label_Concept"})
    await world.run(combi)
    (item,) = await world.items()
    assert item.status is ItemStatus.booked
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_skipped_document_stays_out_whatever_changes(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi()
    await world.run(combi)
    await world.human(items.skip, await world.item("F2026-0001"), "privé")
    world.clock.advance(3600)
    amount(world, record, "200")
    await world.settings(combi, default_revenue_account="8000")
    await world.run(combi)
    assert world.totals() == {}

    await world.human(items.retry, await world.item("F2026-0001"))
    await world.run(combi)
    assert world.totals() == {20260001: D("2420.00")}
