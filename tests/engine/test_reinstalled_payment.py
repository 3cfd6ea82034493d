"""A payment that was seen but not yet written back when its combi was removed."""

from decimal import Decimal

from sqlalchemy import text

from tests.engine.world import World


async def test_a_payment_seen_by_a_removed_combi_is_written_back_once_by_the_next(world: World) -> None:
    invoice = world.simplicate.add_invoice("F2026-0412", organization=world.simplicate.add_organization())
    first = await world.combi()
    await world.run(first)
    (item,) = world.minox.receivables("41207/3")
    world.minox.pay(item["account_id"], item["invoice_number"])
    async with world.hub.database.system() as session:
        # As if the worker died between the proof and the payment, and the customer then removed the combi.
        await session.execute(text("UPDATE delivery SET settled_at = now() WHERE stream = 'invoices'"))
        await session.execute(text("UPDATE combi SET deleted_at = now(), status = 'paused'"))

    world.clock.advance(60)
    second = await world.combi()
    await world.run(second)
    await world.run(second)

    assert [Decimal(one["amount"]) for one in world.simplicate.payments_of(invoice["id"])] == [Decimal("1210.00")]
