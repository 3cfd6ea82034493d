"""A hub with its API on real servers, two organisations, and rows put straight into the tables."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest
from redis.asyncio import Redis
from sqlmodel import SQLModel

from hub.accounting.documents import Finding
from hub.app import create_app
from hub.config import Config
from hub.connections.clients import ConnectionClients
from hub.connections.models import Connection, ConnectionStatus
from hub.engine.engine import Choices, Engine
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus, Delivery, DeliveryState, Item, ItemStatus, LogEntry, Run
from hub.engine.preview import Preview
from hub.kit.clock import FakeClock
from hub.kit.database import Database
from hub.kit.ids import new_id
from hub.kit.limiter import Turns
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.organisations.access import key_hash
from hub.organisations.models import ApiKey, Organisation

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class Bell:
    """Counts how often it rang."""

    def __init__(self) -> None:
        self.rang = 0

    async def ring(self, times: int = 1) -> bool:
        self.rang += times
        return True


class ToldEngine(Engine):
    """The engine, with answers of packages that a test gives."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.findings: list[Finding] = []
        self.choices: Choices | Exception = KeyError("none")
        self.shown = Preview(documents=())

    async def options(self, organisation_id: UUID, combi_id: UUID, field: str) -> Choices:
        if isinstance(self.choices, Exception):
            raise self.choices
        return self.choices

    async def complete(self, organisation_id: UUID, combi_id: UUID) -> dict[str, Any]:
        async with self.database.tenant(organisation_id) as session:
            return dict((await session.get_one(Combi, combi_id)).settings)

    async def check_settings(self, organisation_id: UUID, combi_id: UUID) -> list[Finding]:
        return self.findings

    async def check(self, organisation_id: UUID, combi_id: UUID) -> list[Finding]:
        return self.findings

    async def preview(self, organisation_id: UUID, combi_id: UUID, limit: int = 50) -> Preview:
        return self.shown

    async def suggest(self, organisation_id: UUID, combi_id: UUID, table: str) -> list[Any]:
        return []


@dataclass
class Tenant:
    """An organisation with two connections and a client that bears its key."""

    id: UUID
    source: UUID
    target: UUID
    api: httpx.AsyncClient
    key_id: UUID


@dataclass
class Stage:
    """Everything a test of the API needs."""

    hub: Hub
    engine: ToldEngine
    clock: FakeClock
    bell: Bell
    tenants: list[Tenant] = field(default_factory=list)

    async def put(self, *rows: SQLModel) -> None:
        async with self.hub.database.system() as session:
            for row in rows:
                session.add(row)
                await session.flush()

    async def get(self, kind: type[Any], key: Any) -> Any:
        async with self.hub.database.system() as session:
            return await session.get(kind, key)

    async def combi(self, tenant: Tenant, **facts: Any) -> Combi:
        row = Combi(
            **{
                "id": new_id(self.clock),
                "organisation_id": tenant.id,
                "recipe": "simplicate-minox",
                "source_connection_id": tenant.source,
                "target_connection_id": tenant.target,
                "schedule": "every_15_minutes",
                "status": CombiStatus.active,
                "slot": self.clock.now() + timedelta(minutes=7),
                "created_at": self.clock.now(),
                "updated_at": self.clock.now(),
                **facts,
            }
        )
        await self.put(row)
        return row

    def item(self, combi: Combi, number: str, **facts: Any) -> Item:
        return Item(
            **{
                "id": new_id(self.clock),
                "organisation_id": combi.organisation_id,
                "combi_id": combi.id,
                "flow": "invoices",
                "source_id": f"invoice:{number}",
                "status": ItemStatus.booked,
                "number": number,
                "date": date(2026, 11, 3),
                "party": "'t Hoekje B.V.",
                "amount": Decimal("121.00"),
                "currency": "EUR",
                "created_at": self.clock.now(),
                "updated_at": self.clock.now(),
                **facts,
            }
        )

    def delivery(self, item: Item, **facts: Any) -> Delivery:
        return Delivery(
            **{
                "id": new_id(self.clock),
                "organisation_id": item.organisation_id,
                "key": f"simplicate:1/invoices/{item.source_id}>minox:3",
                "source": "simplicate:1",
                "stream": "invoices",
                "source_id": item.source_id,
                "target": "minox:3",
                "state": DeliveryState.recorded,
                "total": item.amount,
                "intended_at": self.clock.now(),
                "recorded_at": self.clock.now(),
                "ref": f"ref-{item.number}",
                "label": f"VERK {item.number}",
                "verified": True,
                **facts,
            }
        )

    def run(self, combi: Combi, **facts: Any) -> Run:
        now = self.clock.now()
        return Run(
            **{
                "id": new_id(self.clock),
                "organisation_id": combi.organisation_id,
                "combi_id": combi.id,
                "created_at": now,
                "started_at": now,
                "wake_at": now,
                **facts,
            }
        )

    def line(self, combi: Combi, key: str, **facts: Any) -> LogEntry:
        return LogEntry(organisation_id=combi.organisation_id, at=self.clock.now(), combi_id=combi.id, key=key, **facts)

    async def tenant(self, name: str) -> Tenant:
        organisation = Organisation(id=new_id(self.clock), name=name, created_at=NOW)
        await self.put(organisation)
        sides = [await self.connection(organisation.id, connector) for connector in ("simplicate", "minox")]
        prefix = f"{name}{organisation.id.hex}"  # a process remembers keys for some seconds, over tests
        secret = f"hub_{prefix}_secret"
        key = ApiKey(
            id=new_id(self.clock),
            organisation_id=organisation.id,
            prefix=prefix,
            hash=key_hash(secret),
            per_minute=100_000,
            created_at=NOW,
        )
        await self.put(key)
        transport = httpx.ASGITransport(app=create_app(self.hub), raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {secret}", "Accept-Language": "en"}
        client = httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=headers)
        made = Tenant(organisation.id, sides[0], sides[1], client, key.id)
        self.tenants.append(made)
        return made

    async def connection(self, organisation_id: UUID, connector: str, **facts: Any) -> UUID:
        made = new_id(self.clock)
        row = Connection(
            **{
                "id": made,
                "organisation_id": organisation_id,
                "connector": connector,
                "auth": "oauth",
                "status": ConnectionStatus.active,
                "identity": {"name": f"Waterlinie bij {connector}"},
                "tenant": f"{connector}-1",
                "created_at": NOW,
                "updated_at": NOW,
                **facts,
            }
        )
        await self.put(row)
        return made


@pytest.fixture
async def stage(config: Config, services: Any, database: Database, redis: Redis, clean: None) -> AsyncIterator[Stage]:
    """A hub with empty tables."""
    config = Config.model_construct(**{**config.model_dump(), "secret_keys": config.secret_keys, "sandbox": False})
    clock = FakeClock(NOW)
    bell = Bell()
    keys, limiter, mailer = KeyRing(config.secret_keys), Turns(redis), Mailer(config, clock)
    clients = ConnectionClients(config, database, clock, keys, limiter, mailer, None)
    engine = ToldEngine(database, clock, clients, bell)
    hub = Hub(
        config=config,
        database=database,
        redis=redis,
        clock=clock,
        keys=keys,
        mailer=mailer,
        limiter=limiter,
        doorbell=bell,
        clients=clients,
        engine=engine,
    )
    made = Stage(hub, engine, clock, bell)
    yield made
    for tenant in made.tenants:
        await tenant.api.aclose()
    await clients.aclose()


@pytest.fixture
async def ours(stage: Stage) -> Tenant:
    """The organisation that calls."""
    return await stage.tenant("ours")


@pytest.fixture
async def theirs(stage: Stage) -> Tenant:
    """Another organisation."""
    return await stage.tenant("theirs")
