"""Puts the parts of a hub together, and takes them apart again."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from hub.config import Config
from hub.connections.clients import ConnectionClients
from hub.engine.engine import Engine
from hub.engine.hub import Hub
from hub.engine.queue import ArqBell, Doorbell
from hub.kit import embedded, log
from hub.kit.clock import Clock, SystemClock
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.kit.limiter import Turns
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.migrations import migrate


@asynccontextmanager
async def hub(
    config: Config, services: Services, *, clock: Clock | None = None, client: Any = None, bell: Doorbell | None = None
) -> AsyncIterator[Hub]:
    """A hub on running services whose tables are up to date. `client` replaces the pool of sockets, `bell` the bell."""
    for key in config.secret_keys:
        log.register_secret(base64.b64encode(key.value).decode())
    clock = clock or SystemClock()
    database = Database(services.database_url)
    redis = Redis.from_url(services.redis_url, socket_timeout=3, socket_connect_timeout=3)
    keys = KeyRing(config.secret_keys)
    mailer = Mailer(config)
    limiter = Turns(redis)
    clients = ConnectionClients(config, database, clock, keys, limiter, mailer, client)
    arq_bell = ArqBell(services.redis_url)
    doorbell = bell or arq_bell
    engine = Engine(database, clock, clients, doorbell)
    try:
        yield Hub(config, database, redis, clock, keys, mailer, limiter, doorbell, clients, engine)
    finally:
        await clients.aclose()
        await arq_bell.close()
        await redis.aclose()
        await database.dispose()


@asynccontextmanager
async def running(config: Config, **parts: Any) -> AsyncIterator[tuple[Hub, Services]]:
    """The same, with the services started (or taken from the settings) and the tables brought up to date."""
    log.set_up(config.log_format)
    async with embedded.services(config) as services:
        await migrate(services.database_url)
        async with hub(config, services, **parts) as parts_of_it:
            yield parts_of_it, services
