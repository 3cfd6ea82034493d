"""The town in which every pair is tried."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from hub import sandbox as playground
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.sdk.http import new_client
from hub.worker import work
from tests.engine.world import BrokenPipes
from tests.matrix.town import BASE, Town


@pytest.fixture(scope="module")
async def town(config: Config, services: Services, database: Database) -> AsyncIterator[Town]:
    """A hub, a worker that answers the real bell, and a sandbox of every package, empty. Our own rates do not brake."""
    for name, shipped in registry.all_connectors().items():
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
        assert registry.get(name).manifest.rate_limit.burst == 10_000
    boxes = playground.load(seeded=False)
    outer = Starlette()
    client = new_client(BrokenPipes(app=outer))
    own = config.model_copy(update={"base_url": BASE})
    async with assembled(own, services, client=client) as hub:
        outer.router.routes[:] = [*playground.mounts(boxes, "/sandbox"), Mount("/", create_app(hub))]
        worker = asyncio.create_task(work(hub, services.redis_url))
        yield Town(hub, outer, boxes)
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    registry._extra.clear()
    await client.aclose()
