"""The stage of all measurements: embedded services in a folder of their own, child processes, combis."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from hub.assembly import hub as assembled
from hub.config import Config, SecretKey
from hub.connections import vault
from hub.connections.models import Connection, ConnectionStatus
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus
from hub.engine.schedule import Schedule
from hub.kit import embedded, log
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.migrations import migrate
from hub.organisations.models import Organisation
from hub.sdk.http import new_client

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
PROFILE = "myorganizationprofile:91c0de77aa10b2c4"
SIMPLICATE_SECRETS = {"authentication_key": "k" * 32, "authentication_secret": "s" * 32}


def cpu_s(pid: int) -> float:
    """Processor time of a process and of its children that have ended (Linux)."""
    status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in status[11:15]) / os.sysconf("SC_CLK_TCK")


@dataclass
class Child:
    """A process of ours that tells what it found as lines of JSON."""

    process: asyncio.subprocess.Process

    async def told(self) -> dict[str, Any]:
        """The next line. Raises RuntimeError when the process ended without one."""
        assert self.process.stdout is not None  # noqa: S101 - it was started with a pipe
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a measured process ended with {await self.process.wait()}; see the lines above")
        found: dict[str, Any] = json.loads(line)
        return found

    def cpu_s(self) -> float:
        """Processor time it has used (Linux)."""
        return cpu_s(self.process.pid)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, whatever it does."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass
class Packages:
    """The sandboxes' process."""

    child: Child
    port: int
    tokens: Mapping[str, Sequence[str]]

    async def ask(self, path: str) -> Any:
        """A control call; parsed JSON, or None without an answer."""
        async with new_client(timeout_s=120) as client:
            method = "GET" if path == "/bench/calls" else "POST"
            answer = await client.request(method, f"http://127.0.0.1:{self.port}{path}")
            answer.raise_for_status()
            return answer.json() if answer.content else None


@dataclass
class Stage:
    """What the measurements share."""

    folder: Path
    services: Services
    hub: Hub
    quick: bool
    _stack: AsyncExitStack = field(repr=False)

    def database_cpu_s(self) -> float:
        """Processor time of PostgreSQL and of its connections that have ended (Linux)."""
        return cpu_s(self.services.postgres_pid())

    async def child(self, module: str, *words: object, packages: Packages | None = None) -> Child:
        """Starts a process of ours; it ends with the stage."""
        environment = {
            **os.environ,
            "HUB_DATABASE_URL": self.services.database_url,
            "HUB_REDIS_URL": self.services.redis_url,
            "HUB_DATA_DIR": str(self.folder),
            "HUB_SECRET_KEYS": f"bench:{KEY}",
            "HUB_SANDBOX": "true",
            "HUB_BASE_URL": f"http://127.0.0.1:{packages.port if packages else 9}",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"deploy.benchmarks.{module}",
            *map(str, words),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        child = Child(process)
        self._stack.push_async_callback(child.end)
        return child

    async def packages(self, invoices: int, customers: int = 100, combis: int = 1) -> Packages:
        """The sandboxes of both packages, in a process of their own."""
        child = await self.child("packages", invoices, customers, combis)
        told = await child.told()
        return Packages(child, told["port"], told["tokens"])

    async def combis(
        self, packages: Packages, schedule: Schedule = Schedule.manual, slot: datetime | None = None
    ) -> list[UUID]:
        """One new customer of ours per Minox tenant, with a Simplicate → Minox combi."""
        made = []
        for tenant, (access, refresh) in packages.tokens.items():
            settings = {"administrations": {PROFILE: f"{tenant}/1"}, "journal": "VERK", "note_failure": False}
            source = ("simplicate", "key", f"d{tenant}", SIMPLICATE_SECRETS)
            target = ("minox", "oauth", tenant, {"access_token": access, "refresh_token": refresh})
            made.append(await self.combi("simplicate-minox", source, target, settings, schedule, slot))
        return made

    async def combi(
        self,
        recipe: str,
        source: tuple[str, str, str, Mapping[str, str]],
        target: tuple[str, str, str, Mapping[str, str]],
        settings: Mapping[str, Any],
        schedule: Schedule = Schedule.manual,
        slot: datetime | None = None,
    ) -> UUID:
        """An active combi of a new organisation; a side is (connector, way in, tenant, secrets)."""
        clock = self.hub.clock
        now = clock.now()
        organisation = Organisation(id=new_id(clock), name="Bench", created_at=now)
        sides = [self._connection(organisation.id, *side) for side in (source, target)]
        combi = Combi(
            id=new_id(clock),
            organisation_id=organisation.id,
            recipe=recipe,
            source_connection_id=sides[0].id,
            target_connection_id=sides[1].id,
            settings=dict(settings),
            schedule=schedule,
            slot=slot,
            status=CombiStatus.active,
            created_at=now,
            updated_at=now,
        )
        async with self.hub.database.system() as session:
            session.add(organisation)
            await session.flush()
            session.add_all(sides)
            await session.flush()
            session.add(combi)
        return combi.id

    def _connection(
        self, organisation: UUID, connector: str, auth: str, tenant: str, secrets: Mapping[str, str]
    ) -> Connection:
        now = self.hub.clock.now()
        row = Connection(
            id=new_id(self.hub.clock),
            organisation_id=organisation,
            connector=connector,
            auth=auth,
            tenant=tenant,
            status=ConnectionStatus.active,
            fields={"domain": tenant} if connector == "simplicate" else {},
            identity={"tenant": tenant, "name": tenant},
            created_at=now,
            updated_at=now,
        )
        vault.lock_up(self.hub.keys, row, secrets)
        return row


@asynccontextmanager
async def set_up(quick: bool) -> AsyncIterator[Stage]:
    """Services that keep every commit (fsync on), empty tables, and a hub in this process to look with."""
    log.set_up("console")
    with TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        config = Config.model_construct(data_dir=folder, secret_keys=[SecretKey.parse(f"bench:{KEY}")], sandbox=True)
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(embedded.services(config))
            await migrate(services.database_url)
            hub = await stack.enter_async_context(assembled(config, services))
            yield Stage(folder, services, hub, quick, stack)
