"""A whole hub in this process: real PostgreSQL and Valkey, both sandboxes behind an in-process transport."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2 as httpx
from sqlalchemy import text

from connectors.minox.sandbox import SANDBOX as MINOX
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.connections import vault
from hub.connections.models import Connection, ConnectionStatus
from hub.engine import registry
from hub.engine import run as runs
from hub.engine.context import Lease
from hub.engine.engine import Engine
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus, Delivery, Item, Mapping, Run
from hub.engine.schedule import Schedule, next_slot
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client

START = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
TENANT = "41207"
ADMINISTRATION = "41207/3"
SECOND_ADMINISTRATION = "41207/4"
PROFILE = "myorganizationprofile:91c0de77aa10b2c4"
SECOND_PROFILE = "myorganizationprofile:5e20bb01cc93d7aa"


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
        chosen = {"administrations": {PROFILE: ADMINISTRATION}, "journal": "VERK", "note_failure": False, **settings}
        return await self.active("simplicate-minox", chosen, start_date=start_date, schedule=schedule)

    async def active(
        self,
        recipe: str,
        settings: dict[str, Any],
        *,
        start_date: date | None = None,
        schedule: Schedule = Schedule.manual,
    ) -> UUID:
        """An active combi between both connections."""
        combi = Combi(
            id=new_id(self.clock),
            organisation_id=self.organisation,
            recipe=recipe,
            source_connection_id=self.source,
            target_connection_id=self.target,
            settings=settings,
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

    async def slice(self, engine: Engine | None = None) -> Run | None:
        """One slice of the run that is due, if any."""
        engine = engine or self.engine
        lease = Lease(f"test:{new_id(self.clock)}", time.monotonic() + runs.LEASE_S)
        run = await engine._claim(lease.owner)
        if run is not None:
            lease.cancelled = run.cancelled
            await runs.work(engine, run, lease)
        return run

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
            await self.rested()

    async def rested(self) -> None:
        """Pauses that packages asked for are measured in real time; when the clock jumps they are over."""
        async for key in self.hub.redis.scan_iter("pause:*"):
            await self.hub.redis.delete(key)
        self.hub.limiter._local.clear()  # type: ignore[attr-defined]

    async def settings(self, combi: UUID, **changes: Any) -> None:
        """The customer changes answers."""
        async with self.hub.database.tenant(self.organisation) as session:
            row = await session.get_one(Combi, combi)
            row.settings = {**row.settings, **changes}
            row.settings_version += 1
            session.add(row)

    async def map_accounts(self, combi: UUID, **table: str) -> None:
        """The customer fills the table of ledger accounts."""
        async with self.hub.database.tenant(self.organisation) as session:
            for source, target in table.items():
                session.add(
                    Mapping(
                        id=new_id(self.clock),
                        organisation_id=self.organisation,
                        combi_id=combi,
                        table_name="ledger_accounts",
                        source=source,
                        target=target,
                    )
                )
            row = await session.get_one(Combi, combi)
            row.settings_version += 1
            session.add(row)

    async def delete(self, combi: UUID) -> None:
        """The customer removes a combi."""
        async with self.hub.database.tenant(self.organisation) as session:
            row = await session.get_one(Combi, combi)
            row.status, row.deleted_at = CombiStatus.paused, self.clock.now()
            session.add(row)
            await session.execute(
                text("UPDATE run SET finished_at = :now, outcome = 3000 WHERE combi_id = :id AND finished_at IS NULL"),
                {"now": self.clock.now(), "id": combi},
            )

    async def forget_everything(self) -> None:
        """All our own rows but the connections are lost."""
        names = "item, delivery, party, standing, position, run, logentry, mapping, masterdata, combi"
        await self.rows_changed(f"TRUNCATE {names} CASCADE")

    async def relink(self) -> None:
        """The same company is connected anew, on both sides, under other connections."""
        key, secret = self.simplicate.add_key("anna@waterlinie.example")
        keys = {"authentication_key": key, "authentication_secret": secret}
        access, refresh = self.minox.grant(TENANT)
        await self.rows_changed("UPDATE connection SET status = 'revoked'")
        self.source = await connect(
            self.hub, self.organisation, "simplicate", "key", "waterlinie", keys, domain="waterlinie"
        )
        tokens = {"access_token": access, "refresh_token": refresh}
        self.target = await connect(self.hub, self.organisation, "minox", "oauth", TENANT, tokens)

    async def combi_row(self, combi: UUID) -> Combi:
        """A combi as stored."""
        async with self.hub.database.tenant(self.organisation) as session:
            return await session.get_one(Combi, combi)

    async def human(self, act: Any, item: Item, *facts: Any) -> None:
        """A human does something with a document: `act` is retry, skip or resolve of hub.engine.items."""
        async with self.hub.database.tenant(self.organisation) as session:
            await act(session, self.clock, await session.get_one(Item, item.id), *facts)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of any table."""
        async with self.hub.database.system() as session:
            return list((await session.execute(text(query), values)).mappings())

    async def rows_changed(self, statement: str, **values: Any) -> None:
        """Changes rows behind the engine's back."""
        async with self.hub.database.system() as session:
            await session.execute(text(statement), values)

    async def items(self, flow: str = "invoices", combi: UUID | None = None) -> list[Item]:
        """All items of a flow, by number."""
        found = await self.rows(
            "SELECT * FROM item WHERE flow = :flow AND (cast(:combi AS uuid) IS NULL OR combi_id = :combi) "
            "ORDER BY number, id",
            flow=flow,
            combi=combi,
        )
        return [Item.model_validate(dict(row)) for row in found]

    async def item(self, number: str, flow: str = "invoices", combi: UUID | None = None) -> Item:
        """The item of this number."""
        (found,) = [one for one in await self.items(flow, combi) if one.number == number]
        return found

    async def keys_of(self, number: str, flow: str = "invoices", combi: UUID | None = None) -> list[str]:
        """The keys of all findings of an item."""
        return [finding["key"] for finding in (await self.item(number, flow, combi)).findings]

    async def deliveries(self, stream: str = "invoices") -> list[Delivery]:
        """All deliveries of a stream."""
        found = await self.rows("SELECT * FROM delivery WHERE stream = :s ORDER BY id", s=stream)
        return [Delivery.model_validate(dict(row)) for row in found]

    async def log(self) -> list[str]:
        """The keys of all lines of the log."""
        return [row["key"] for row in await self.rows("SELECT key FROM logentry ORDER BY id")]

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

    def entry(self, number: int, administration: str = ADMINISTRATION) -> dict[str, Decimal]:
        """Account -> signed amount (debit above zero) of the one batch with this number, VAT per line included."""
        (lines,) = [one for one in self.minox.batches(administration).values() if one[0]["invoice_number"] == number]
        found: dict[str, Decimal] = {}
        for line in lines:
            kind = "debtor" if line["account"]["type"] == "customer" else line["account"]["id"]
            found[kind] = found.get(kind, Decimal(0)) + Decimal(line["debit"]) - Decimal(line["credit"])
            vat = Decimal(line["vat"].get("amount") or 0)
            if vat:
                side = vat if line["debit"] else -vat
                account = line["vat"]["account_id"]
                found[account] = found.get(account, Decimal(0)) + side
        return found

    def writes(self) -> int:
        """Calls so far that may have changed a book."""
        calls = self.minox.calls + self.simplicate.calls
        return sum(
            count
            for call, count in calls.items()
            if call.split()[0] in ("PUT", "PATCH", "POST", "DELETE") and "/oauth/" not in call and "inspect" not in call
        )

    def faults(self) -> int:
        """Faults that are still to come."""
        return sum(one.times for one in (*self.minox.faults, *self.simplicate.faults))


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


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Our own rates far above what a test calls, since turns are taken in real time. The packages' own limits stay."""
    for shipped in list(registry.all_connectors().values()):
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    try:
        yield
    finally:
        registry._extra.clear()


@asynccontextmanager
async def a_world(config: Config, services: Services, *, now: datetime = START) -> AsyncIterator[World]:
    """A hub with an organisation that is connected to both sandboxes, whose books are empty."""
    clock = FakeClock(now)
    simplicate, minox = SIMPLICATE(), MINOX()
    simplicate.now = minox.now = lambda: clock.now().timestamp()
    simplicate.reset()
    key, secret = simplicate.add_key("anna@waterlinie.example")
    minox.add_administration(3, "Waterlelie Advies B.V.")
    minox.add_administration(4, "Waterlelie Uitgeverij B.V.")
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
