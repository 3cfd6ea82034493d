"""Minuba to eAccounting through the whole engine: an invoice that vanishes, comes back, or is credited."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import stamina
from sqlalchemy import select

from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.minuba.sandbox import MinubaSandbox, hours, material
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus, Item, ItemStatus
from hub.engine.schedule import Schedule
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client
from tests.connectors.eaccounting.conftest import HOME
from tests.engine.world import BrokenPipes, QuietBell, connect

A_YEAR = 365 * 24 * 3600


@dataclass
class Pair:
    """A hub with one combi between the two packages."""

    hub: Hub
    minuba: MinubaSandbox
    books: EaccountingSandbox
    clock: FakeClock
    organisation: UUID
    combi: UUID

    async def run(self) -> None:
        """A run to its end."""
        async with self.hub.database.tenant(self.organisation) as session:
            run = await self.hub.engine.start_run(session, await session.get_one(Combi, self.combi))
        for _ in range(20):
            await self.hub.engine.drain()
            self.clock.advance(timedelta(seconds=15))
        async with self.hub.database.tenant(self.organisation) as session:
            await session.refresh(run := await session.get_one(type(run), run.id))
        assert run.finished_at is not None

    async def stand(self, number: str) -> tuple[ItemStatus, list[str]]:
        """The status of an invoice and the keys of its findings."""
        async with self.hub.database.tenant(self.organisation) as session:
            item = (
                await session.execute(select(Item).where(Item.number == number, Item.flow == "invoices"))
            ).scalar_one()  # type: ignore[arg-type]
        return ItemStatus(item.status), [one["key"] for one in item.findings]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Our own rates far above what a test calls; repeated reads follow at once."""
    for name in ("minuba", "eaccounting"):
        shipped = registry.get(name)
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    with stamina.set_testing(True, attempts=3, cap=True):
        yield
    registry._extra.clear()


@pytest.fixture
async def pair(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Pair]:
    """Both sandboxes empty, an active combi between them."""
    clock, minuba, books = FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC)), MinubaSandbox(), EaccountingSandbox()
    minuba.now = books.now = lambda: clock.now().timestamp()
    minuba.switches["expires_in"] = books.switches["expires_in"] = A_YEAR
    tokens = [dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)) for box in (minuba, books)]
    client = new_client(BrokenPipes(app=runner.create_app({"minuba": minuba, "eaccounting": books})))
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        organisation = new_id(clock)
        async with hub.database.system() as session:
            session.add(Organisation(id=organisation, name="Molenaar", created_at=clock.now()))
        source = await connect(hub, organisation, "minuba", "oauth", minuba.books["account"]["id"], tokens[0])
        target = await connect(hub, organisation, "eaccounting", "oauth", HOME, tokens[1])
        combi = Combi(
            id=new_id(clock),
            organisation_id=organisation,
            recipe="minuba-eaccounting",
            source_connection_id=source,
            target_connection_id=target,
            settings={"administrations": {"account": HOME}},
            schedule=Schedule.manual,
            status=CombiStatus.active,
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        async with hub.database.tenant(organisation) as session:
            session.add(combi)
        yield Pair(hub, minuba, books, clock, organisation, combi.id)


async def test_an_invoice_that_vanished_is_told_after_two_misses_half_an_hour_apart(pair: Pair) -> None:
    pair.minuba.add_invoice(number=20261187)
    gone = pair.minuba.add_invoice(number=20261188)
    await pair.run()
    pair.minuba.vanish(gone["id"])

    await pair.run()
    assert await pair.stand("20261188") == (ItemStatus.booked, [])
    pair.clock.advance(timedelta(minutes=10))
    await pair.run()
    assert await pair.stand("20261188") == (ItemStatus.booked, [])
    pair.clock.advance(timedelta(minutes=30))
    await pair.run()

    assert await pair.stand("20261188") == (ItemStatus.changed, ["vanished_to_correct_by_hand"])
    assert await pair.stand("20261187") == (ItemStatus.booked, [])
    assert len(pair.books.documents()) == 2

    pair.minuba.put("invoices", gone)
    await pair.run()
    assert await pair.stand("20261188") == (ItemStatus.booked, [])
    assert len(pair.books.documents()) == 2


async def test_one_miss_between_two_sightings_counts_for_nothing(pair: Pair) -> None:
    pair.minuba.add_invoice(number=20261187)
    gone = pair.minuba.add_invoice(number=20261188)
    await pair.run()
    for _ in range(3):
        pair.minuba.vanish(gone["id"])
        await pair.run()
        pair.minuba.put("invoices", gone)
        pair.clock.advance(timedelta(minutes=40))
        await pair.run()

    assert await pair.stand("20261188") == (ItemStatus.booked, [])
    assert len(pair.books.documents()) == 2


async def test_a_partial_credit_follows_and_materials_use_their_articles(pair: Pair) -> None:
    pair.books.add_article("EXP-18")
    vessel = material("EXP-18", "2", "48.75", discount="10")
    made = pair.minuba.add_invoice(hours("2.5", "62"), vessel, number=20261187)
    await pair.run()
    pair.minuba.credit(made["id"], material("EXP-18", "1", "48.75", discount="10"))
    await pair.run()

    invoice, credit = sorted(pair.books.documents(), key=lambda one: str(one["OurReference"]))
    assert (invoice["IsCreditInvoice"], credit["IsCreditInvoice"]) == (False, True)
    assert credit["TotalAmount"] == Decimal("53.09")
    assert [row["ArticleNumber"] for row in invoice["Rows"]] == ["HUB-21", "EXP-18"]
    assert [row["ArticleNumber"] for row in credit["Rows"]] == ["EXP-18"]


async def test_the_first_export_makes_the_default_article_with_the_chosen_coding(pair: Pair) -> None:
    chosen = next(one for one in pair.books.company()["codings"].values() if one["Name"] == "Goederen Hoog")
    async with pair.hub.database.tenant(pair.organisation) as session:
        combi = await session.get_one(Combi, pair.combi)
        combi.settings = {**combi.settings, "article_coding_high": chosen["Id"]}
    pair.minuba.add_invoice(number=20261187)
    pair.minuba.add_invoice(number=20261188)

    await pair.run()

    (article,) = pair.books.company()["articles"].values()
    assert (article["Number"], article["CodingId"]) == ("HUB-21", chosen["Id"])
    assert pair.books.calls["POST /eaccounting/v2/articles"] + pair.books.calls["POST /v2/articles"] == 1
