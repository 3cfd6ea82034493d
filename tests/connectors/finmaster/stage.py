"""A hub between Loket.nl and FinMaster, worked by the API alone, with both packages' books to look into."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2 as httpx
import stamina
from sqlalchemy import text

from connectors.finmaster.sandbox import DEMO_TOKEN, LOKET_CHART, FinmasterSandbox
from connectors.loket.sandbox import LoketSandbox
from hub import sandbox as runner
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.engine.hub import Hub
from hub.engine.models import Run
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.organisations.service import create_api_key
from hub.sdk.http import new_client
from tests.connectors.finmaster.conftest import HOME, TYPED
from tests.engine.world import BrokenPipes, QuietBell, connect

_ORGANISATION = text("SELECT id FROM organisation")
NOW = datetime(2026, 10, 5, 3, 0, tzinfo=UTC)
A_YEAR = 365 * 24 * 3600


@dataclass
class Pair:
    """The hub, both packages and a client of the API with a combi."""

    hub: Hub
    clock: FakeClock
    api: httpx.AsyncClient
    loket: LoketSandbox
    finmaster: FinmasterSandbox
    home: dict[str, Any]
    """The payroll administration."""
    combi: str = ""

    @property
    def place(self) -> str:
        """Of the combi."""
        return f"/v1/combis/{self.combi}"

    async def make(self, target: str, start: str = "2026-01-01", **settings: Any) -> None:
        """A combi of the one administration of both sides, activated after a check without findings."""
        source = (await self.api.get("/v1/connections")).json()["data"]
        sides = {one["connector"]: one["id"] for one in source}
        asked = {
            "recipe": "loket-finmaster",
            "source_connection_id": sides["loket"],
            "target_connection_id": target,
            "schedule": "manual",
            "start_date": start,
        }
        made = await self.api.post("/v1/combis", json=asked)
        assert made.status_code == 201, made.text
        self.combi = made.json()["id"]
        chosen = {"administrations": {self.home["id"]: HOME}, **settings}
        patched = await self.api.patch(self.place, json={"settings": chosen})
        assert patched.status_code == 200, patched.text
        active = await self.api.post(f"{self.place}/activate")
        assert active.status_code == 200, active.text

    async def run(self, **asked: Any) -> dict[str, Any]:
        """A manual run to its end; the clock jumps over the waits."""
        started = await self.api.post(f"{self.place}/runs", json=asked)
        assert started.status_code == 202, started.text
        run_id = UUID(started.json()["id"])
        begun = time.monotonic()
        while time.monotonic() - begun < 120:
            await self.hub.engine.drain()
            async with self.hub.database.system() as session:
                run = await session.get_one(Run, run_id)
            if run.finished_at is not None:
                return dict((await self.api.get(f"/v1/runs/{run_id}")).json())
            self.clock.advance(timedelta(seconds=10))
            async for key in self.hub.redis.scan_iter("pause:*"):
                await self.hub.redis.delete(key)
            self.hub.limiter._local.clear()  # type: ignore[attr-defined]
        raise AssertionError(f"the run does not end: {run.progress} {run.reason}")

    async def items(self) -> dict[str, dict[str, Any]]:
        """The journal entries by number."""
        found = (await self.api.get(f"{self.place}/items?flow=journals&limit=100")).json()["data"]
        return {one["number"]: one for one in found}

    async def findings(self, number: str) -> list[str]:
        """What is wrong with one of them."""
        one = (await self.items())[number]
        return [found["key"] for found in (await self.api.get(f"/v1/items/{one['id']}")).json()["findings"]]


async def by_key(pair: Pair) -> str:
    """A connection to the stand-in interface."""
    return await _connected(pair, {"token": DEMO_TOKEN})


async def by_file(pair: Pair) -> str:
    """A connection that delivers by file."""
    return await _connected(pair, TYPED)


async def _connected(pair: Pair, fields: dict[str, str]) -> str:
    answer = await pair.api.post("/v1/connections", json={"connector": "finmaster", "fields": fields})
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "active"
    return str(answer.json()["id"])


@contextmanager
def unhurried() -> Iterator[None]:
    """Our own rates far above what a test calls; repeated reads follow at once."""
    for name in ("loket", "finmaster"):
        shipped = registry.get(name)
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    try:
        with stamina.set_testing(True, attempts=3, cap=True):
            yield
    finally:
        registry._extra.clear()


@asynccontextmanager
async def a_pair(config: Config, services: Services) -> AsyncIterator[Pair]:
    """A bakery with a payroll administration, and an administration that takes over its accounts."""
    clock, loket, finmaster = FakeClock(NOW), LoketSandbox(), FinmasterSandbox()
    loket.now = finmaster.now = lambda: clock.now().timestamp()
    loket.switches["expires_in"] = A_YEAR
    finmaster.add_administration(chart=LOKET_CHART)
    home = loket.add_administration()
    client = new_client(BrokenPipes(app=runner.create_app({"loket": loket, "finmaster": finmaster})))
    async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
        token = await create_api_key(hub.database, clock, "owner@goudenkorst.example")
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "nl"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(hub)), base_url="http://hub.test", headers=headers
        ) as api:
            pair = Pair(hub, clock, api, loket, finmaster, home)
            access, refresh = loket.grant()
            async with hub.database.system() as session:
                organisation = (await session.execute(_ORGANISATION)).scalar_one()
            tokens = {"access_token": access, "refresh_token": refresh}
            await connect(hub, organisation, "loket", "oauth", home["employer"], tokens)
            yield pair
