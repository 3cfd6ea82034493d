"""A whole combi into e-Boekhouden.nl, by the API alone: connected with a token, booked once, paid back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest

from connectors.eboekhouden.sandbox import DEMO_TOKEN, EboekhoudenSandbox
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine.hub import Hub
from hub.engine.models import Run
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.organisations.service import create_api_key
from hub.sdk.http import new_client
from tests.engine.world import START, BrokenPipes, QuietBell


@dataclass
class Stage:
    """The hub, both packages, and a client of the API with a combi that is active."""

    hub: Hub
    clock: FakeClock
    api: httpx.AsyncClient
    simplicate: Any
    books: EboekhoudenSandbox
    target: str
    combi: str

    async def run(self) -> dict[str, Any]:
        """A manual run to its end; the clock jumps over the waits."""
        started = await self.api.post(f"/v1/combis/{self.combi}/runs", json={})
        assert started.status_code == 202, started.text
        run_id = UUID(started.json()["id"])
        for _ in range(200):
            await self.hub.engine.drain()
            async with self.hub.database.system() as session:
                run = await session.get_one(Run, run_id)
            if run.finished_at is not None:
                return dict((await self.api.get(f"/v1/runs/{run_id}")).json())
            self.clock.advance(timedelta(seconds=10))
        raise AssertionError(f"the run does not end: {run.progress} {run.reason}")

    async def items(self, flow: str = "invoices") -> dict[str, dict[str, Any]]:
        """The documents of a flow by number."""
        found = (await self.api.get(f"/v1/combis/{self.combi}/items?flow={flow}&limit=100")).json()["data"]
        return {one["number"]: one for one in found}

    async def item(self, item_id: str) -> dict[str, Any]:
        """A document with all that is wrong with it."""
        return dict((await self.api.get(f"/v1/items/{item_id}")).json())

    def booked(self) -> dict[str, Decimal]:
        """Number -> total of the sales in the books; fails when a number stands there twice."""
        sales = [one for one in self.books.mutations() if one["type"] == 2]
        assert len({one["invoiceNumber"] for one in sales}) == len(sales)
        return {one["invoiceNumber"]: one["_total"] for one in sales}


async def connected(api: httpx.AsyncClient, connector: str, **fields: str) -> str:
    answer = await api.post("/v1/connections", json={"connector": connector, "fields": fields})
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "active"
    return str(answer.json()["id"])


@pytest.fixture
async def stage(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Stage]:
    """Books with a chart and no bookings; a company that invoices."""
    clock = FakeClock(START)
    simplicate, books = SIMPLICATE(), EboekhoudenSandbox()
    simplicate.now = books.now = lambda: clock.now().timestamp()
    books.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
    key, secret = simplicate.add_key("anna@waterlinie.example")
    client = new_client(BrokenPipes(app=runner.create_app({"simplicate": simplicate, "eboekhouden": books})))
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        token = await create_api_key(hub.database, clock, "owner@waterlinie.nl")
        transport, headers = (
            httpx.ASGITransport(create_app(hub)),
            {"Authorization": f"Bearer {token}", "Accept-Language": "nl"},
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=headers) as api:
            keys = {"authentication_key": key, "authentication_secret": secret}
            source = await connected(api, "simplicate", domain="waterlinie", **keys)
            target = await connected(api, "eboekhouden", api_token=DEMO_TOKEN)
            sides = {"source_connection_id": source, "target_connection_id": target}
            asked = {"recipe": "simplicate-eboekhouden", **sides, "schedule": "manual"}
            made = await api.post("/v1/combis", json=asked)
            assert made.status_code == 201, made.text
            yield Stage(hub, clock, api, simplicate, books, target, made.json()["id"])


async def activated(stage: Stage, **settings: Any) -> None:
    place = f"/v1/combis/{stage.combi}"
    choices = (await stage.api.get(f"{place}/options/administrations")).json()
    (administration,) = choices["options"]
    chosen = {key["value"]: administration["value"] for key in choices["keys"]}
    for field in ("debtor_account", "sales_vat_codes", "default_revenue_account"):
        listed = await stage.api.get(f"{place}/options/{field}")
        assert listed.status_code == 200, (field, listed.text)
        assert listed.json()["options"], field
    changed = {"settings": {"administrations": chosen, "note_failure": False, **settings}}
    patched = await stage.api.patch(place, json=changed)
    assert patched.status_code == 200, patched.text
    active = await stage.api.post(f"{place}/activate")
    assert active.status_code == 200, active.text


async def test_invoices_are_booked_once_and_their_payment_is_written_back(stage: Stage) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    for number in range(3):
        stage.simplicate.add_invoice(f"F2026-041{number}", organization=owner)
    await activated(stage, default_revenue_account="8000")

    first = await stage.run()
    assert first["outcome"]["code"] == 2000, (first, await stage.items())
    again = await stage.run()
    assert again["outcome"]["code"] == 2040, again
    booked = stage.booked()
    assert set(booked) == {"F2026-0410", "F2026-0411", "F2026-0412"}
    items = await stage.items()
    assert {Decimal(items[number]["amount"]) - total for number, total in booked.items()} == {Decimal(0)}
    assert len(stage.books.administration()["relations"]) == 1

    stage.books.pay(1)
    stage.clock.advance(timedelta(hours=2))
    await stage.run()
    assert {one["status"] for one in (await stage.items("payments")).values()} == {"booked"}


@pytest.mark.parametrize("fault", ["lost", "error", "refused", "expired", "busy"])
async def test_a_bad_day_books_nothing_twice_and_loses_nothing(stage: Stage, fault: Any) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    for number in range(4):
        stage.simplicate.add_invoice(f"F2026-041{number}", organization=owner)
    await activated(stage, default_revenue_account="8000")
    stage.books.fault(fault, method="POST", path="/mutation", times=2)

    for _ in range(4):
        await stage.run()
        stage.clock.advance(timedelta(minutes=10))

    assert len(stage.booked()) == 4
    assert {one["status"] for one in (await stage.items()).values()} == {"booked"}


async def test_a_session_that_ends_in_the_middle_of_a_run_is_renewed(stage: Stage) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    for number in range(5):
        stage.simplicate.add_invoice(f"F2026-041{number}", organization=owner)
    await activated(stage, default_revenue_account="8000")
    stage.books.fault("expired", path="/mutation", after=3, times=1)
    await stage.run()
    stage.books.sessions.clear()
    stage.clock.advance(timedelta(hours=2))
    await stage.run()

    assert len(stage.booked()) == 5


async def test_a_withdrawn_token_waits_for_a_human(stage: Stage) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    stage.simplicate.add_invoice("F2026-0410", organization=owner)
    await activated(stage, default_revenue_account="8000")
    tokens = stage.books.administration()["tokens"]
    tokens["ebh_demo_nieuw"] = tokens.pop(DEMO_TOKEN)
    stage.books.sessions.clear()
    stage.clock.advance(timedelta(hours=2))
    assert (await stage.run())["outcome"]["code"] == 4010

    shown = (await stage.api.get(f"/v1/connections/{stage.target}")).json()
    assert shown["status"] == "needs_reauth"
    body = {"fields": {"api_token": "ebh_demo_nieuw"}}
    assert (await stage.api.post(f"/v1/connections/{stage.target}/reauthorize", json=body)).status_code == 200
    await stage.run()
    assert len(stage.booked()) == 1


async def test_what_changed_or_vanished_after_booking_is_shown_and_never_overwritten(stage: Stage) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    for number in range(2):
        stage.simplicate.add_invoice(f"F2026-041{number}", organization=owner)
    await activated(stage, default_revenue_account="8000")
    await stage.run()
    stage.books.delete(1)
    stage.clock.advance(timedelta(hours=2))
    await stage.run()

    found = [await stage.item(one["id"]) for one in (await stage.items()).values()]
    statuses = sorted((one["status"], *(finding["key"] for finding in one["findings"])) for one in found)
    assert statuses == [("booked",), ("finding", "booking_gone")]


async def test_a_closed_period_is_said_so(stage: Stage) -> None:
    owner = stage.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    stage.simplicate.add_invoice("F2026-0410", organization=owner)
    await activated(stage, default_revenue_account="8000")
    stage.books.administration()["closed_until"] = "2026-12-31"
    await stage.run()

    (row,) = (await stage.items()).values()
    item = await stage.item(row["id"])
    assert (item["status"], item["findings"][0]["key"]) == ("rejected", "eboekhouden.perhaps_closed")
    assert "Afgesloten periodes" in item["findings"][0]["sentence"]
