"""A hub of real processes: sandboxes on a real port, rows in a database of their own, workers that can be killed."""

import asyncio
import base64
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvicorn
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.bizcuit.sandbox import SANDBOX as BIZCUIT
from connectors.eboekhouden.sandbox import SANDBOX as EBOEKHOUDEN
from connectors.finmaster.sandbox import SANDBOX as FINMASTER
from connectors.loket.sandbox import SANDBOX as LOKET
from connectors.minox.sandbox import SANDBOX as MINOX
from connectors.nmbrs.sandbox import SANDBOX as NMBRS
from connectors.nmbrs.sandbox import SUBSCRIPTION
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus
from hub.engine.schedule import Schedule
from hub.kit.clock import SystemClock
from hub.kit.embedded import Services, postgres_url
from hub.kit.ids import new_id
from hub.migrations import migrate
from hub.organisations.models import Organisation
from tests.engine.world import ADMINISTRATION, PROFILE, TENANT, QuietBell, connect
from tests.kill.nursery import Nursery, Worker

TEMPLATE = "kill_template"
SANDBOXES = (SIMPLICATE, MINOX, NMBRS, LOKET, EBOEKHOUDEN, FINMASTER, BIZCUIT)
_numbers = itertools.count(1)
_making = asyncio.Lock()


@dataclass
class Gate:
    """Holds the first matching call of a package until it is opened."""

    method: str
    path: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class _Gated:
    """Middleware that plays the gates."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.gates: list[Gate] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate = next(
            (
                one
                for one in self.gates
                if scope["type"] == "http" and scope["method"] == one.method and one.path in scope["path"]
            ),
            None,
        )
        if gate is not None and not gate.reached.is_set():
            gate.reached.set()
            await gate.opened.wait()
        await self.app(scope, receive, send)


@dataclass
class Stage:
    """One organisation on a database of its own, connected to sandboxes of its own."""

    hub: Hub
    boxes: dict[str, Any]
    """The sandboxes by name."""
    organisation: UUID
    source: UUID
    target: UUID
    port: int
    environment: dict[str, str]
    folder: Path
    gated: _Gated
    nursery: Nursery
    workers: list[Worker] = field(default_factory=list)

    @property
    def simplicate(self) -> Any:
        """The sandbox of the invoices."""
        return self.boxes["simplicate"]

    @property
    def minox(self) -> Any:
        """The sandbox of the books."""
        return self.boxes["minox"]

    # Processes

    async def worker(self, **environment: str) -> Worker:
        """Starts a worker; it is not waited for."""
        output = self.folder / f"worker{len(self.workers)}.log"
        made = await self.nursery.worker({**self.environment, **environment}, output)
        self.workers.append(made)
        return made

    def gate(self, method: str, path: str) -> Gate:
        """Holds the next call with this method whose path contains `path`."""
        gate = Gate(method, path)
        self.gated.gates.append(gate)
        return gate

    # Rows

    async def combi(
        self,
        *,
        profile: str = PROFILE,
        administration: str = ADMINISTRATION,
        schedule: Schedule = Schedule.manual,
        slot: datetime | None = None,
        due: bool = True,
        **settings: Any,
    ) -> UUID:
        """An active combi of invoices; its slot is due now unless said otherwise."""
        chosen = {"administrations": {profile: administration}, "journal": "VERK", "note_failure": False, **settings}
        places = (self.source, self.target)
        return await self.active("simplicate-minox", *places, chosen, schedule=schedule, slot=slot, due=due)

    async def active(
        self,
        recipe: str,
        source: UUID,
        target: UUID,
        settings: dict[str, Any],
        *,
        schedule: Schedule = Schedule.manual,
        slot: datetime | None = None,
        due: bool = True,
        side: UUID | None = None,
    ) -> UUID:
        """An active combi of any pair; `side`: its third connection."""
        now = self.hub.clock.now()
        combi = Combi(
            id=new_id(self.hub.clock),
            organisation_id=self.organisation,
            recipe=recipe,
            source_connection_id=source,
            target_connection_id=target,
            side_connection_id=side,
            side_since=now if side else None,
            settings=settings,
            schedule=schedule,
            status=CombiStatus.active,
            slot=(slot or now) if due else None,
            created_at=now,
            updated_at=now,
        )
        async with self.hub.database.tenant(self.organisation) as session:
            session.add(combi)
        return combi.id

    async def due(self, *combis: UUID) -> None:
        """Makes these combis due at this moment."""
        await self.change("UPDATE combi SET slot = :now WHERE id = ANY(:ids)", now=self.hub.clock.now(), ids=combis)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of any table."""
        async with self.hub.database.system() as session:
            return list((await session.execute(text(query), values)).mappings())

    async def change(self, statement: str, **values: Any) -> None:
        """Changes rows behind the hub's back."""
        async with self.hub.database.system() as session:
            values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
            await session.execute(text(statement), values)

    async def runs(self) -> list[Any]:
        """All runs, oldest first."""
        return await self.rows("SELECT * FROM run ORDER BY id")

    async def rest(self, *, runs: int = 1, patience_s: float = 60) -> None:
        """Waits until so many runs have ended and nothing is under way."""
        ended = "SELECT count(*) AS n FROM run WHERE finished_at IS NOT NULL"
        busy = "SELECT count(*) AS n FROM run WHERE finished_at IS NULL"

        async def over() -> bool:
            try:
                return bool((await self.rows(ended))[0].n >= runs and (await self.rows(busy))[0].n == 0)
            except OperationalError:
                return False  # The database is away: that is what some of these tests are about.

        await self.until(over, patience_s)

    async def until(self, holds: Callable[[], Any], patience_s: float = 30) -> None:
        """Waits for a condition, plain or awaitable. Raises TimeoutError with what the workers said."""
        deadline = time.monotonic() + patience_s
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            if time.monotonic() > deadline:
                rows = await self.rows("SELECT flow, status, count(*) AS n FROM item GROUP BY 1, 2")
                last = [(row.outcome, row.reason, row.progress) for row in (await self.runs())[-2:]]
                said = "\n".join(worker.said()[-1500:] for worker in self.workers[-2:])
                raise TimeoutError(f"items {[dict(row) for row in rows]}, runs {last}\n{said}")
            await asyncio.sleep(0.03)

    # Books

    def fill(self, invoices: int, customers: int, *, first: int = 1, **fields: Any) -> None:
        """Sent invoices of 1210.00, numbered from `first`, shared out over so many new customers.

        Every second customer has no e-mail address, by which it would be recognised when its key is not looked up.
        """
        owners = [
            self.simplicate.add_organization(
                f"Klant {first}-{at} B.V.", email=f"k{first}-{at}@klanten.example" if at % 2 else ""
            )
            for at in range(customers)
        ]
        for at in range(invoices):
            self.simplicate.add_invoice(f"F2026-{first + at:04d}", organization=owners[at % customers], **fields)

    async def age(self) -> None:
        """Everything was booked a minute ago, so that look-ups trust the target's lists."""
        await self.change("UPDATE delivery SET recorded_at = recorded_at - interval '1 minute'")

    def pay(self, *numbers: int, share: Decimal | None = None, administration: str = ADMINISTRATION) -> None:
        """The customers of these invoices pay, in full or an amount."""
        for item in self.minox.receivables(administration):
            if item["invoice_number"] in numbers:
                self.minox.pay(item["account_id"], item["invoice_number"], share, administration=administration)

    def writes(self) -> int:
        """Calls that may have changed a book, so far."""
        calls = self.minox.calls + self.simplicate.calls
        return sum(n for call, n in calls.items() if call.split()[0] in ("PUT", "PATCH", "POST", "DELETE"))

    def calls(self) -> int:
        """All calls so far, to whatever package."""
        return sum(box.calls.total() for box in self.boxes.values())

    def last_calls(self) -> list[tuple[str, str, int]]:
        """The last calls to both packages: method, path, status."""
        return [*list(self.simplicate.log)[-4:], *list(self.minox.log)[-4:]]

    def paid(self) -> dict[str, list[Decimal]]:
        """Invoice number -> amounts of its payments in Simplicate."""
        found: dict[str, list[Decimal]] = {}
        for payment in self.simplicate.books["payments"].values():
            number = self.simplicate.books["invoices"][payment["invoice_id"]]["invoice_number"]
            found.setdefault(number, []).append(Decimal(payment["amount"]))
        return found

    def booked(self, administration: str = ADMINISTRATION) -> list[tuple[int, Decimal]]:
        """(invoice number, signed total) of every booking in Minox, by number: one that stands twice is there twice."""
        return sorted(
            (line["invoice_number"], Decimal(line["debit"]) - Decimal(line["credit"]))
            for lines in self.minox.batches(administration).values()
            for line in lines
            if line["account"]["type"] == "customer"
        )

    def debtors(self, administration: str = ADMINISTRATION) -> Counter[str]:
        """How often each customer stands in Minox, by name."""
        return Counter(one["addresses"][0]["name"] for one in self.minox.customers_of(administration))

    async def assert_books(
        self, invoices: int, customers: int, *, paid: Counter[str] | None = None, administration: str = ADMINISTRATION
    ) -> None:
        """Every invoice once and to the cent, every customer once, every payment once, and nothing left undone."""
        wanted = [
            (int(one["invoice_number"][1:].replace("-", "")), Decimal(one["total_including_vat"]))
            for one in self.simplicate.books["invoices"].values()
        ]
        assert len(wanted) == invoices
        assert self.booked(administration) == sorted(wanted)
        assert len(self.debtors(administration)) == customers
        assert set(self.debtors(administration).values()) == {1}, self.debtors(administration)
        assert Counter({number: len(amounts) for number, amounts in self.paid().items()}) == (paid or Counter())
        assert {amount for amounts in self.paid().values() for amount in amounts} <= {Decimal("1210.00")}
        await self.assert_nothing_left()

    async def assert_nothing_left(self) -> None:
        """No item waits or is in doubt, no delivery hangs, no run goes on."""
        left = await self.rows("SELECT flow, number, status, findings FROM item WHERE status <> 'booked'")
        assert [dict(row) for row in left] == []
        hanging = await self.rows("SELECT key, state FROM delivery WHERE state <> 'recorded'")
        assert [dict(row) for row in hanging] == []
        assert [row for row in await self.runs() if row.finished_at is None] == []


@asynccontextmanager
async def a_stage(services: Services, nursery: Nursery, folder: Path) -> AsyncIterator[Stage]:
    """A stage; its workers are dead when it is taken down."""
    number = next(_numbers)
    await _new_database(services, f"kill_{number}")
    boxes: dict[str, Any] = {made.name: made() for made in SANDBOXES}
    gated = _Gated(runner.create_app(boxes))
    async with _served(gated) as port:
        endpoints = {
            "simplicate": {"API": f"http://127.0.0.1:{port}/simplicate/{{domain}}/api/v2"},
            "minox": {"API": f"http://127.0.0.1:{port}/minox/api/1"},
            "nmbrs": {
                "SOAP": f"http://127.0.0.1:{port}/nmbrs/soap/v3",
                "API": f"http://127.0.0.1:{port}/nmbrs",
            },
            "loket": {"API": f"http://127.0.0.1:{port}/loket/v2"},
            "eboekhouden": {"API": f"http://127.0.0.1:{port}/eboekhouden/v1"},
            "finmaster": {"API": f"http://127.0.0.1:{port}/finmaster"},
            "bizcuit": {"API": f"http://127.0.0.1:{port}/bizcuit"},
        }
        key = bytes(range(32))
        own = Services(
            postgres_url(services.data_dir, f"kill_{number}"),
            f"{services.redis_url}?db={number % 16}",
            services.data_dir,
        )
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
            "HUB_DATABASE_URL": own.database_url,
            "HUB_REDIS_URL": own.redis_url,
            "HUB_SECRET_KEYS": "test:" + base64.b64encode(key).decode(),
            "HUB_DATA_DIR": str(folder),
            "HUB_OAUTH__NMBRS__SUBSCRIPTION_KEY": SUBSCRIPTION,
            **{
                f"HUB_ENDPOINTS__{name.upper()}__{kind}": url
                for name, places in endpoints.items()
                for kind, url in places.items()
            },
        }
        with _environment(environment):
            config = Config()
        async with assembled(config, own, clock=SystemClock(), bell=QuietBell()) as hub:
            stage = await _set(hub, boxes, port, environment, folder, gated, nursery)
            try:
                yield stage
            finally:
                for worker in stage.workers:
                    worker.signal(signal.SIGCONT)
                    await worker.kill()


async def _set(
    hub: Hub,
    boxes: dict[str, Any],
    port: int,
    environment: dict[str, str],
    folder: Path,
    gated: _Gated,
    nursery: Nursery,
) -> Stage:
    simplicate, minox = boxes["simplicate"], boxes["minox"]
    key, secret = simplicate.add_key("anna@waterlinie.example")
    minox.add_administration(3, "Waterlelie Advies B.V.")
    minox.add_administration(4, "Waterlelie Uitgeverij B.V.")
    access, refresh = minox.grant(TENANT)
    organisation = new_id(hub.clock)
    async with hub.database.system() as session:
        session.add(Organisation(id=organisation, name="Waterlinie", created_at=hub.clock.now()))
    keys = {"authentication_key": key, "authentication_secret": secret}
    source = await connect(hub, organisation, "simplicate", "key", "waterlinie", keys, domain="waterlinie")
    tokens = {"access_token": access, "refresh_token": refresh}
    target = await connect(hub, organisation, "minox", "oauth", TENANT, tokens)
    return Stage(hub, boxes, organisation, source, target, port, environment, folder, gated, nursery)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False, lifespan="off")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


async def _new_database(services: Services, name: str) -> None:
    """A database with the newest tables, copied from one that was migrated once."""
    address = postgres_url(services.data_dir, "postgres")
    async with _making, await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        found = await connection.execute("select from pg_database where datname = %s", [TEMPLATE])
        if await found.fetchone() is None:
            await connection.execute(f"create database {TEMPLATE}".encode())
            await migrate(postgres_url(services.data_dir, TEMPLATE))
        await connection.execute(f"create database {name} template {TEMPLATE}".encode())
