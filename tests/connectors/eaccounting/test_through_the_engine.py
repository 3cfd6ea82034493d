"""Simplicate to eAccounting through the whole engine: once each, whatever a user does in eAccounting meanwhile."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import stamina

from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import items, registry
from hub.engine.models import Combi, CombiStatus
from hub.engine.schedule import Schedule, next_slot
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client
from tests.connectors.eaccounting.conftest import HOME
from tests.engine.world import PROFILE, START, BrokenPipes, QuietBell, World, connect

A_YEAR = 365 * 24 * 3600


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Our own rates far above what a test calls; repeated reads follow at once."""
    for name in ("simplicate", "eaccounting"):
        shipped = registry.get(name)
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    with stamina.set_testing(True, attempts=3, cap=True):
        yield
    registry._extra.clear()


@pytest.fixture
async def world(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[World]:
    """A world whose target is eAccounting: `world.minox` is its sandbox."""
    clock, simplicate, box = FakeClock(START), SIMPLICATE(), EaccountingSandbox()
    simplicate.now = box.now = lambda: clock.now().timestamp()
    simplicate.reset()
    box.reset()
    box.switches["expires_in"] = A_YEAR
    key, secret = simplicate.add_key("anna@waterlinie.example")
    access, refresh = box.grant()
    client = new_client(BrokenPipes(app=runner.create_app({"simplicate": simplicate, "eaccounting": box})))
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        organisation = new_id(clock)
        async with hub.database.system() as session:
            session.add(Organisation(id=organisation, name="Waterlinie", created_at=clock.now()))
        keys = {"authentication_key": key, "authentication_secret": secret}
        source = await connect(hub, organisation, "simplicate", "key", "waterlinie", keys, domain="waterlinie")
        tokens = {"access_token": access, "refresh_token": refresh}
        target = await connect(hub, organisation, "eaccounting", "oauth", HOME, tokens)
        yield World(hub, simplicate, box, organisation, source, target, clock)


async def combi(world: World, **settings: Any) -> UUID:
    """An active combi of the first company profile into the company."""
    now = world.clock.now()
    row = Combi(
        id=new_id(world.clock),
        organisation_id=world.organisation,
        recipe="simplicate-eaccounting",
        source_connection_id=world.source,
        target_connection_id=world.target,
        settings={"administrations": {PROFILE: HOME}, "note_failure": False, **settings},
        schedule=Schedule.manual,
        status=CombiStatus.active,
        created_at=now,
        updated_at=now,
    )
    row.slot = next_slot(Schedule.manual, row.id, now)
    async with world.hub.database.tenant(world.organisation) as session:
        session.add(row)
    return row.id


def numbers(box: EaccountingSandbox) -> list[str]:
    """The source's numbers on all documents."""
    return sorted(one["OurReference"].partition(" ")[0] for one in box.documents())


async def test_a_draft_whose_answer_was_lost_and_that_a_user_converted_stands_once(world: World) -> None:
    for _ in range(3):
        world.simplicate.add_invoice()
    own = await combi(world)
    world.minox.fault("lost", method="POST", path="/customerinvoicedrafts", times=2)
    async with world.hub.database.tenant(world.organisation) as session:
        started = await world.engine.start_run(session, await session.get_one(Combi, own))
    await world.engine.drain()
    for draft in list(world.minox.company()["drafts"]):
        world.minox.convert(draft)

    await world.finish(started.id)

    assert numbers(world.minox) == ["F2026-0001", "F2026-0002", "F2026-0003"]
    assert {item.status for item in await world.items()} == {"booked"}


async def lose_one(world: World) -> tuple[UUID, str, dict[str, Any]]:
    """Three equal invoices of one customer, one answer lost: the run under way, that invoice's number and its draft."""
    for _ in range(3):
        world.simplicate.add_invoice()
    own = await combi(world)
    world.minox.fault("lost", method="POST", path="/customerinvoicedrafts", after=1)
    async with world.hub.database.tenant(world.organisation) as session:
        started = await world.engine.start_run(session, await session.get_one(Combi, own))
    await world.engine.drain()
    [number] = [item.number for item in await world.items() if item.status != "booked"]
    [draft] = world.minox.bearing(number)
    return started.id, number, draft


async def rest(world: World, run: UUID) -> dict[str, str]:
    """By number what became of each document after this run and some more."""
    own = (await world.finish(run)).combi_id
    for _ in range(2):
        world.clock.advance(timedelta(minutes=30))
        await world.run(own)
    return {item.number: item.status for item in await world.items()}


@pytest.mark.parametrize("from_draft", [True, False])
@pytest.mark.parametrize("answer", ["exists", "absent"])
async def test_a_user_converts_a_lost_draft_and_its_reference_is_dropped(
    world: World, from_draft: bool, answer: str
) -> None:
    """No trace of our key is left anywhere: a human is asked about the one invoice that may be it, nothing is sent."""
    world.minox.switches |= {"reference_kept": False, "from_draft": from_draft}
    run, lost, draft = await lose_one(world)
    became = world.minox.convert(draft["Id"])
    for other in list(world.minox.company()["drafts"]) if from_draft else []:
        world.minox.convert(other)

    assert (await rest(world, run))[lost] == "unknown"
    assert len(world.minox.documents()) == 3
    [finding] = (await world.item(lost)).findings
    assert (finding["key"], finding["values"]["ref"]) == ("near_miss", became["Id"])

    await world.human(items.resolve, await world.item(lost), answer)
    for _ in range(2):
        world.clock.advance(timedelta(hours=2))
        await world.run((await world.item(lost)).combi_id)
        world.minox.pay(became["Id"], "2026-03-16")
    assert {item.status for item in await world.items()} == {"booked"}
    assert len(world.minox.documents()) == (3 if answer == "exists" else 4)
    assert len(world.simplicate.books["payments"]) == (answer == "exists")


async def test_a_question_to_a_human_keeps_no_run_waiting(world: World) -> None:
    """The run ends soon after the first look-up; whoever asks for the document again has it looked up at once."""
    world.minox.switches |= {"reference_kept": False}
    run, lost, draft = await lose_one(world)
    world.minox.convert(draft["Id"])

    ended = await world.finish(run, patience_s=180)
    assert await world.keys_of(lost) == ["near_miss"]

    world.minox.company()["invoices"].clear()
    await world.human(items.retry, await world.item(lost))
    await world.run(ended.combi_id)
    assert {item.status for item in await world.items()} == {"booked"}


async def leave_out_the_others(world: World, own: UUID) -> None:
    companies = (await world.engine.options(world.organisation, own, "ignored_companies")).options
    await world.settings(own, ignored_companies=[one.value for one in companies if one.value != PROFILE])


async def test_the_only_company_and_the_only_administration_need_no_question(world: World) -> None:
    world.simplicate.add_invoice()
    own = await combi(world, administrations={})
    await leave_out_the_others(world, own)

    assert await world.engine.check(world.organisation, own) == []
    shown = await world.engine.preview(world.organisation, own)

    assert [(one.action, one.administration, bool(one.posting)) for one in shown.documents] == [("create", HOME, True)]
    assert (await world.engine.context(world.organisation, own)).combi.settings["administrations"] == {}


@pytest.mark.parametrize("edited", ["reference", "words", "price"])
async def test_a_lost_draft_that_a_user_rewrote_is_asked_about(world: World, edited: str) -> None:
    run, lost, draft = await lose_one(world)
    changed = {"words": {"Text": "anders"}, "price": {"UnitPrice": Decimal("1.00"), "Amount": Decimal("1.00")}}
    rows = [{**row, **changed.get(edited, {})} for row in draft["Rows"]]
    totals = {"TotalAmount": Decimal("1.21"), "TotalVatAmount": Decimal("0.21")} if edited == "price" else {}
    world.minox.put("drafts", {**draft, "OurReference": "van Jan", "Rows": rows, **totals})

    assert (await rest(world, run))[lost] == "unknown"
    assert await world.keys_of(lost) == ["near_miss"]
    assert len(world.minox.documents()) == 3


async def test_a_lost_draft_that_kept_our_number_alone_is_taken_over(world: World) -> None:
    run, lost, draft = await lose_one(world)
    world.minox.put("drafts", {**draft, "OurReference": lost})
    world.minox.convert(draft["Id"], keepOriginalDraftDate="true")

    assert set((await rest(world, run)).values()) == {"booked"}
    assert numbers(world.minox) == ["F2026-0001", "F2026-0002", "F2026-0003"]


async def test_a_lost_draft_that_a_user_deleted_is_made_once_more(world: World) -> None:
    """What people made before, for others, or of other things keeps nothing from being booked."""
    world.minox.add_draft(world.minox.add_customer("777", "Iemand anders B.V."), OurReference="met de hand")
    run, _, draft = await lose_one(world)
    world.minox.delete_draft(draft["Id"])
    ours = world.minox.company()["customers"][draft["CustomerId"]]
    words = {"IsTextRow": True, "Text": "iets heel anders", "ReversedConstructionServicesVatFree": False}
    world.minox.add_draft(ours, words, OurReference="met de hand")

    assert set((await rest(world, run)).values()) == {"booked"}
    assert numbers(world.minox) == ["F2026-0001", "F2026-0002", "F2026-0003", "met", "met"]


async def test_a_changed_invoice_changes_its_draft_and_leaves_a_final_invoice_to_a_human(world: World) -> None:
    made = [world.simplicate.add_invoice() for _ in range(2)]
    own = await combi(world)
    await world.run(own)
    [second] = world.minox.bearing("F2026-0002")
    world.minox.convert(second["Id"])
    world.clock.advance(timedelta(minutes=30))
    for one in made:
        lines = [dict(one["invoice_lines"][0], amount="5.000000", total_vat="105.00")]
        totals = {"total_excluding_vat": Decimal(500), "total_vat": Decimal(105), "total_including_vat": Decimal(605)}
        world.simplicate.change("invoices", one["id"], invoice_lines=lines, **totals)

    await world.run(own)

    assert {one["OurReference"][:10]: one["TotalAmount"] for one in world.minox.documents()} == {
        "F2026-0001": Decimal(605),
        "F2026-0002": Decimal(1210),
    }
    assert await world.keys_of("F2026-0002") == ["eaccounting.already_invoiced"]


async def test_a_bad_day_books_every_invoice_once_and_a_payment_goes_back(world: World) -> None:
    for _ in range(6):
        world.simplicate.add_invoice()
    own = await combi(world, export_as="invoice")
    world.minox.fault("refused", method="POST", path="/customers")
    world.minox.fault("lost", method="POST", path="/convert", after=1)
    world.minox.fault("error", method="POST", path="/customerinvoicedrafts", after=3)
    world.minox.fault("busy", method="POST", path="/customerinvoicedrafts", after=5)
    await world.run(own)

    [paid] = world.minox.bearing("F2026-0003")
    world.minox.pay(paid["Id"], "2026-03-16")
    world.clock.advance(timedelta(hours=2))
    await world.run(own)

    assert numbers(world.minox) == [f"F2026-000{at}" for at in range(1, 7)]
    assert world.minox.company()["drafts"] == {}
    [payment] = world.simplicate.books["payments"].values()
    assert (payment["date"], payment["amount"]) == ("2026-03-16", Decimal(1210))


async def test_a_customer_who_stands_there_is_used_whatever_the_source_does_not_know(world: World) -> None:
    """Postal code and city are asked of a new customer only (dossier 6.3: customers that exist are not updated)."""
    nowhere = {"postal_code": "", "locality": ""}
    owner = world.simplicate.add_organization("Zonder Plaats B.V.", relation_number="10777")
    owner["visiting_address"] |= nowhere
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    own = await combi(world)
    await leave_out_the_others(world, own)

    shown = await world.engine.preview(world.organisation, own)
    assert [finding.field for one in shown.documents for finding in one.findings] == ["missing_address"]
    assert [one.field for one in await world.engine.check(world.organisation, own)] == ["missing_address"]

    world.minox.add_customer("10777", "Zonder Plaats B.V.")
    assert await world.engine.check(world.organisation, own) == []
    await world.run(own)
    assert {item.status for item in await world.items()} == {"booked"}
    assert numbers(world.minox) == ["F2026-0001"]


async def test_an_article_that_was_made_since_is_used(world: World) -> None:
    """The articles are known for an hour; a number that is not among them is looked for anew (product 5)."""
    own = await combi(world)
    world.simplicate.add_invoice("F2026-0001")
    await world.run(own)
    made = world.minox.add_article("EXP-77")
    world.clock.advance(timedelta(seconds=5))
    [line] = world.simplicate.add_invoice("F2026-0002")["invoice_lines"]
    line["default_service_id"] = "EXP-77"
    await world.run(own)
    [draft] = world.minox.bearing("F2026-0002")
    assert [row["ArticleId"] for row in draft["Rows"] if not row["IsTextRow"]] == [made["Id"]]
