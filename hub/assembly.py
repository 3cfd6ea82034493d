"""Puts the parts of a hub together, and takes them apart again."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlmodel import col, select

from hub.config import Config, ConfigurationError
from hub.connections import vault
from hub.connections.clients import ConnectionClients
from hub.connections.models import Connection
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
from hub.sdk.errors import ConfigError

WAITS_S = (0.2, 0.5, 1.0, 2.0)
"""A server that starts together with us is a few seconds late."""
CONNECT_S = 5
"""How long a database may take to answer."""
SAMPLE = 5
"""How many stored secrets are tried at the start."""


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
    limiter = Turns(Redis.from_url(services.redis_url, socket_connect_timeout=3))
    clients = ConnectionClients(config, database, clock, keys, limiter, mailer, client)
    arq_bell = ArqBell(services.redis_url)
    doorbell = bell or arq_bell
    engine = Engine(database, clock, clients, doorbell)
    try:
        yield Hub(config, database, redis, clock, keys, mailer, limiter, doorbell, clients, engine)
    finally:
        await clients.aclose()
        await arq_bell.close()
        await limiter.aclose()
        await redis.aclose()
        await database.dispose()


@asynccontextmanager
async def running(config: Config, **parts: Any) -> AsyncIterator[tuple[Hub, Services]]:
    """The same, with the services started (or taken from the settings) and the tables brought up to date.

    Raises ConfigurationError when a setting cannot be right: nobody answers there, or no key opens what is stored.
    """
    log.set_up(config.log_format)
    async with embedded.services(config) as services:
        await _when_there("HUB_DATABASE_URL", "PostgreSQL", lambda: _connect(services.database_url))
        await migrate(services.database_url)
        async with hub(config, services, **parts) as parts_of_it:
            await _when_there("HUB_REDIS_URL", "Redis or Valkey", lambda: _ping(parts_of_it.redis))
            await _keys_fit(parts_of_it)
            yield parts_of_it, services


async def _when_there(setting: str, kind: str, call: Callable[[], Awaitable[None]]) -> None:
    """Calls a server that may be a moment late. Raises ConfigurationError when it stays away."""
    for wait in (*WAITS_S, None):
        try:
            await call()
        except (psycopg.OperationalError, RedisError, OSError) as error:
            if wait is None:
                raise ConfigurationError(f"{setting}: no {kind} can be used there: {_first_line(error)}") from error
            await asyncio.sleep(wait)
        else:
            return


async def _connect(url: str) -> None:
    plain = url.replace("+psycopg", "", 1)
    connection = await psycopg.AsyncConnection.connect(plain, connect_timeout=CONNECT_S)
    await connection.close()


async def _ping(redis: Redis) -> None:
    await redis.ping()


async def _keys_fit(parts: Hub) -> None:
    """Looks whether the keys open any of the newest secrets: wrong keys would fail every run."""
    async with parts.database.system() as session:
        sealed = select(Connection).where(col(Connection.secrets).is_not(None))
        newest = (await session.exec(sealed.order_by(col(Connection.updated_at).desc()).limit(SAMPLE))).all()
    told = ""
    for connection in newest:
        try:
            vault.opened(parts.keys, connection)
        except ConfigError as error:
            told = error.words
        else:
            return
    if newest:
        raise ConfigurationError(f"HUB_SECRET_KEYS opens none of the stored secrets: {told}; add the key they need")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
