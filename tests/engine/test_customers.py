"""Debtors: matched by key, then by e-mail, made when neither, completed when changed, and never guessed at."""

from decimal import Decimal
from typing import Any

import pytest

from hub.engine import items
from hub.engine.models import ItemStatus
from hub.engine.outcome import PARTLY, WRITTEN
from tests.engine.world import ADMINISTRATION, World

EMAIL = "info@goudenaar.example"


def debtor(name: str, email: str = EMAIL) -> dict[str, Any]:
    """A debtor that a bookkeeper typed in."""
    emails = [{"email_address_type": "invoice", "email_address": email}]
    return {
        "addresses": [{"address_type": "postal", "name": name, "email_addresses": emails}],
        "vat": {"active": False, "vat_registration_number": ""},
    }


def emails_of(customer: dict[str, Any]) -> list[str]:
    """The addresses of a debtor in Minox."""
    return [one["email_address"] for address in customer["addresses"] for one in address.get("email_addresses", ())]


async def test_an_existing_debtor_is_found_by_e_mail(world: World) -> None:
    stands = world.minox.add_customer(ADMINISTRATION, debtor("De Gouden Aar"))
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL.upper())
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()

    await world.run(combi)

    (found,) = world.minox.customers_of()
    assert found["id"] == stands["id"]
    assert found["externalid"].startswith("hub-")
    assert found["addresses"][0]["name"] == "De Gouden Aar"
    assert "item.customers.adopt" in await world.log()


async def test_a_debtor_that_bears_our_key_is_found_after_its_e_mail_changed(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()
    await world.run(combi)
    await world.forget_everything()
    world.minox.customers_of()[0]["addresses"][0]["email_addresses"] = []
    world.simplicate.change("organizations", owner["id"], email="nieuw@goudenaar.example")

    combi = await world.combi()
    await world.run(combi)

    assert len(world.minox.customers_of()) == 1
    assert world.totals() == {20260001: Decimal("1210.00")}


async def test_an_e_mail_of_two_debtors_in_minox_is_a_finding(world: World) -> None:
    for name in ("De Gouden Aar", "De Gouden Aar Horeca"):
        world.minox.add_customer(ADMINISTRATION, debtor(name))
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == PARTLY.code
    (customer,) = await world.items("customers")
    assert customer.findings[0]["key"] == "email_shared"
    assert "Horeca" in customer.findings[0]["values"]["debtors"]
    assert await world.keys_of("F2026-0001") == ["customer_not_ready"]
    assert len(world.minox.customers_of()) == 2
    assert world.totals() == {}


async def test_a_human_says_which_of_two_debtors_it_is(world: World) -> None:
    one, _ = [world.minox.add_customer(ADMINISTRATION, debtor(name)) for name in ("Aar", "Aar Horeca")]
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()
    await world.run(combi)

    (customer,) = await world.items("customers")
    await world.human(items.resolve, customer, "exists", str(one["id"]))
    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert world.minox.receivable(one["id"], 20260001) is not None


async def test_a_human_says_that_it_is_a_new_debtor(world: World) -> None:
    for name in ("Aar", "Aar Horeca"):
        world.minox.add_customer(ADMINISTRATION, debtor(name))
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()
    await world.run(combi)

    (customer,) = await world.items("customers")
    await world.human(items.resolve, customer, "absent")
    await world.run(combi)

    assert len(world.minox.customers_of()) == 3
    assert world.totals() == {20260001: Decimal("1210.00")}


@pytest.mark.parametrize("together", [True, False])
async def test_an_e_mail_of_two_debtors_in_simplicate_is_a_finding(world: World, together: bool) -> None:
    owners = [world.simplicate.add_organization(name, email=EMAIL) for name in ("Aar B.V.", "Aar Horeca B.V.")]
    world.simplicate.add_invoice("F2026-0001", organization=owners[0])
    combi = await world.combi()
    if not together:
        await world.run(combi)
        world.clock.advance(3600)
    world.simplicate.add_invoice("F2026-0002", organization=owners[1])

    await world.run(combi)

    assert len(world.minox.customers_of()) == 1
    parked = [one for one in await world.items("customers") if one.status is ItemStatus.finding]
    assert [one.findings[0]["key"] for one in parked] == ["email_shared"]
    assert parked[0].findings[0]["values"]["debtors"].replace("10000 ", "") in ("Aar B.V.", "Aar Horeca B.V.")
    assert len(world.totals()) == 1


async def test_an_e_mail_of_two_debtors_that_stands_in_minox_once_is_nobodys(world: World) -> None:
    world.minox.add_customer(ADMINISTRATION, debtor("De Gouden Aar"))
    owners = [world.simplicate.add_organization(name, email=EMAIL) for name in ("Aar B.V.", "Aar Horeca B.V.")]
    for at, owner in enumerate(owners):
        world.simplicate.add_invoice(f"F2026-000{at}", organization=owner)
    combi = await world.combi()

    await world.run(combi)

    customers = await world.items("customers")
    assert [one.findings[0]["key"] for one in customers] == ["email_shared", "email_shared"]
    named = {one.party: one.findings[0]["values"]["debtors"] for one in customers}
    assert "Aar Horeca B.V." in named["Aar B.V."]
    assert "De Gouden Aar" in named["Aar B.V."]
    assert world.minox.customers_of()[0].get("externalid", "") == ""
    assert world.totals() == {}


async def test_debtors_without_e_mail_are_made_one_each(world: World) -> None:
    owners = [world.simplicate.add_organization(name, email="") for name in ("Aar B.V.", "Aar Horeca B.V.")]
    for at, owner in enumerate(owners):
        world.simplicate.add_invoice(f"F2026-000{at}", organization=owner)
    combi = await world.combi()
    await world.run(combi)
    assert len(world.minox.customers_of()) == 2


async def test_only_invoiced_debtors_go_unless_all_are_wanted(world: World) -> None:
    owners = [world.simplicate.add_organization(f"Klant {at} B.V.") for at in range(30)]
    world.simplicate.add_invoice("F2026-0001", organization=owners[0])
    combi = await world.combi()
    await world.run(combi)
    assert len(world.minox.customers_of()) == 1

    await world.settings(combi, customers="all")
    await world.run(combi, scope="everything")
    assert len(world.minox.customers_of()) == 30


async def test_all_wanted_debtors_are_matched_with_a_long_list(world: World) -> None:
    for at in range(30):
        world.minox.add_customer(ADMINISTRATION, debtor(f"Klant {at}", f"info@klant{at}bv.example"))
        world.simplicate.add_organization(f"Klant {at} B.V.", email=f"info@klant{at}bv.example")
    combi = await world.combi(customers="all")
    await world.run(combi)
    assert len(world.minox.customers_of()) == 30
    assert all(one["externalid"] for one in world.minox.customers_of())


async def test_a_changed_debtor_is_updated_and_nothing_is_emptied(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()
    await world.run(combi)
    (made,) = world.minox.customers_of()
    made["memo"] = {"active": True, "text": "belt altijd"}

    world.clock.advance(3600)
    world.simplicate.change("organizations", owner["id"], name="Banketbakkerij De Gouden Aar B.V.", email="")
    run = await world.run(combi)

    (made,) = world.minox.customers_of()
    assert run.counts["customers"]["update"] == 1
    assert made["addresses"][0]["name"] == "Banketbakkerij De Gouden Aar B.V."
    assert emails_of(made) == [EMAIL]
    assert made["memo"]["text"] == "belt altijd"


async def test_a_debtor_that_an_earlier_installation_made_is_followed_by_the_next(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    combi = await world.combi()
    await world.run(combi)
    await world.delete(combi)
    again = await world.combi()
    await world.run(again)

    world.clock.advance(3600)
    world.simplicate.change("organizations", owner["id"], name="Banketbakkerij De Gouden Aar B.V.")
    await world.run(again)

    assert [one["addresses"][0]["name"] for one in world.minox.customers_of()] == ["Banketbakkerij De Gouden Aar B.V."]


async def test_a_changed_debtor_that_nobody_invoices_stays_at_home(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    combi = await world.combi()
    await world.run(combi)
    world.clock.advance(3600)
    world.simplicate.change("organizations", owner["id"], name="Anders B.V.")
    await world.run(combi)
    assert world.minox.customers_of() == []


async def test_an_invoice_of_a_removed_debtor_names_it(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.", email=EMAIL)
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    world.simplicate.remove("organizations", owner["id"])
    combi = await world.combi()
    await world.run(combi)
    (finding,) = (await world.item("F2026-0001")).findings
    assert finding["key"] == "customer_not_ready"
    assert "Gouden Aar" in finding["values"]["customer"]


async def test_a_private_person_is_a_debtor_too(world: World) -> None:
    person = world.simplicate.add_person("Fien Bakker")
    world.simplicate.add_invoice("F2026-0001", person=person)
    combi = await world.combi()
    await world.run(combi)
    assert [one["addresses"][0]["name"] for one in world.minox.customers_of()] == ["Fien Bakker"]
    assert world.totals() == {20260001: Decimal("1210.00")}
