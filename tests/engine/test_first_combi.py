"""Simplicate → Minox, looked at in the sandboxes' own books."""

from decimal import Decimal

from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, WRITTEN
from tests.engine.world import World


async def test_an_invoice_is_booked_once_with_its_customer(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    world.simplicate.add_invoice("F2026-0412", organization=owner)
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code, (run.reason, await world.items())
    assert world.totals() == {20260412: Decimal("1210.00")}
    assert [one["externalid"][:4] for one in world.minox.customers_of()] == ["hub-"]
    assert (await world.item("F2026-0412")).status is ItemStatus.booked

    again = await world.run(combi)

    assert again.outcome == NOTHING.code
    assert world.totals() == {20260412: Decimal("1210.00")}


async def test_a_character_that_the_database_refuses_does_not_hold_up_a_combi(world: World) -> None:
    world.simplicate.add_invoice("F2026-0412", organization=world.simplicate.add_organization(), subject="a\u0000b")
    run = await world.run(await world.combi())
    assert run.outcome == WRITTEN.code, run.reason
    assert world.totals() == {20260412: Decimal("1210.00")}
