"""A booking that was never seen open proves nothing by its absence until it is old enough."""

from datetime import timedelta

from sqlalchemy import text

from tests.engine.world import World


async def test_a_lagging_listing_is_no_proof_of_payment(world: World) -> None:
    world.minox.switches["paid_item"] = "gone"
    invoice = world.simplicate.add_invoice("F2026-0412", organization=world.simplicate.add_organization())
    combi = await world.combi()
    await world.run(combi)
    (item,) = world.minox.receivables("41207/3")
    world.minox.pay(item["account_id"], item["invoice_number"])
    async with world.hub.database.system() as session:
        # As if the open items had lagged behind the booking: nobody ever saw this one open.
        await session.execute(text("UPDATE delivery SET balance = NULL, seen_run = NULL"))

    world.clock.advance(timedelta(minutes=2))
    await world.run(combi)
    assert world.simplicate.payments_of(invoice["id"]) == []

    world.clock.advance(timedelta(minutes=10))
    await world.run(combi)
    assert len(world.simplicate.payments_of(invoice["id"])) == 1
