"""A whole hub in this process: real PostgreSQL and Valkey, both sandboxes behind an in-process transport."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from connectors.minox.sandbox import SANDBOX as MINOX
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.connections import vault
from hub.connections.models import Connection, ConnectionStatus
from hub.engine.engine import Engine
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus, Item, Run
from hub.engine.schedule import Schedule, next_slot
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client

START = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
TENANT = "41207"
ADMINISTRATION = "41207/3"


class BrokenPipes(httpx.ASGITransport):
    """An in-process transport on which a cut answer is what it is on a wire."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AssertionError:
            raise httpx.ReadError("cut", request=request) from None


class QuietBell:
    """A doorbell nobody hears: tests drain by themselves."""

    async def ring(self, times: int = 1) -> bool:
        return True


@dataclass
class World:
    """A hub with one organisation, two connections, and the sandboxes to look into."""

    hub: Hub
    simplicate: Any
    minox: Any
    organisation: UUID
    source: UUID
    target: UUID
    clock: FakeClock
    combis: list[UUID] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        return self.hub.engine

    async def combi(
        self, *, start_date: date | None = None, schedule: Schedule = Schedule.manual, **settings: Any
    ) -> UUID:
        """An active combi of the first company profile into administration 3."""
        profile = "myorganizationprofile:91c0de77aa10b2c4"
        chosen = {"administrations": {profile: ADMINISTRATION}, "journal": "VERK", "note_failure": False, **settings}
        combi = Combi(
            id=new_id(self.clock),
            organisation_id=self.organisation,
            recipe="simplicate-minox",
            source_connection_id=self.source,
            target_connection_id=self.target,
            settings=chosen,
            schedule=schedule,
            start_date=start_date,
            status=CombiStatus.active,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        combi.slot = next_slot(schedule, combi.id, self.clock.now())
        async with self.hub.database.tenant(self.organisation) as session:
            session.add(combi)
        self.combis.append(combi.id)
        return combi.id

    async def run(self, combi: UUID, *, patience_s: int = 3600, **facts: Any) -> Run:
        """A manual run to its end; the clock jumps over the waits."""
        async with self.hub.database.tenant(self.organisation) as session:
            row = await session.get_one(Combi, combi)
            run = await self.engine.start_run(session, row, **facts)
        return await self.finish(run.id, patience_s=patience_s)

    async def finish(self, run_id: UUID, *, patience_s: int = 3600) -> Run:
        """Works until this run has ended."""
        waited = 0
        while True:
            await self.engine.drain()
            async with self.hub.database.tenant(self.organisation) as session:
                run = await session.get_one(Run, run_id)
            if run.finished_at is not None:
                return run
            assert waited < patience_s, f"run does not end: {run.progress} {run.reason}"
            self.clock.advance(timedelta(seconds=5))
            waited += 5

    async def items(self, flow: str = "invoices") -> list[Item]:
        """All items of a flow, in the order of reading."""
        async with self.hub.database.tenant(self.organisation) as session:
            found = await session.execute(
                text("SELECT * FROM item WHERE flow = :flow ORDER BY number, id"), {"flow": flow}
            )
            return [Item.model_validate(dict(row)) for row in found.mappings()]

    async def item(self, number: str, flow: str = "invoices") -> Item:
        """The item of this number."""
        (found,) = [one for one in await self.items(flow) if one.number == number]
        return found

    def totals(self, administration: str = ADMINISTRATION) -> dict[int, Decimal]:
        """Invoice number -> signed total in Minox's own books; fails when a number stands there twice."""
        found: dict[int, Decimal] = {}
        for lines in self.minox.batches(administration).values():
            for line in lines:
                if line["account"]["type"] != "customer":
                    continue
                number = line["invoice_number"]
                assert number not in found, f"{number} is booked twice"
                found[number] = Decimal(line["debit"]) - Decimal(line["credit"])
        return found


async def connect(
    hub: Hub, organisation: UUID, connector: str, auth: str, tenant: str, secrets: dict[str, str], **fields: str
) -> UUID:
    """An active connection with these secrets."""
    now = hub.clock.now()
    row = Connection(
        id=new_id(hub.clock),
        organisation_id=organisation,
        connector=connector,
        auth=auth,
        tenant=tenant,
        status=ConnectionStatus.active,
        fields=fields,
        identity={"tenant": tenant, "name": tenant},
        created_at=now,
        updated_at=now,
    )
    vault.lock_up(hub.keys, row, secrets)
    async with hub.database.tenant(organisation) as session:
        session.add(row)
    return row.id


@asynccontextmanager
async def a_world(config: Config, services: Services, *, now: datetime = START) -> AsyncIterator[World]:
    """A hub with an organisation that is connected to both sandboxes, whose books are empty."""
    clock = FakeClock(now)
    simplicate, minox = SIMPLICATE(), MINOX()
    simplicate.now = minox.now = lambda: clock.now().timestamp()
    key, secret = simplicate.add_key("anna@waterlinie.example")
    minox.add_administration(3, "Waterlelie Advies B.V.")
    access, refresh = minox.grant(TENANT)
    app = runner.create_app({"simplicate": simplicate, "minox": minox})
    client = new_client(BrokenPipes(app=app))
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        organisation = new_id(clock)
        async with hub.database.system() as session:
            session.add(Organisation(id=organisation, name="Waterlinie", created_at=clock.now()))
        keys = {"authentication_key": key, "authentication_secret": secret}
        source = await connect(hub, organisation, "simplicate", "key", "waterlinie", keys, domain="waterlinie")
        tokens = {"access_token": access, "refresh_token": refresh}
        target = await connect(hub, organisation, "minox", "oauth", TENANT, tokens)
        yield World(hub, simplicate, minox, organisation, source, target, clock)
