"""Real PostgreSQL and Valkey for the whole test run, emptied on request."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.config import Config, SecretKey
from hub.kit import embedded
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.migrations import migrate

DEADLOCK = "40P01"
"""PostgreSQL's code for two that wait for each other."""


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Settings of a hub of its own; nothing comes from the environment."""
    return Config.model_construct(
        data_dir=tmp_path_factory.mktemp("data"), secret_keys=[SecretKey("test", bytes(range(32)))], sandbox=True
    )


@pytest.fixture(scope="session")
async def services(config: Config) -> AsyncIterator[Services]:
    """Servers of this test run alone."""
    async with embedded.services(config, durable=False) as running:
        yield running


@pytest.fixture(scope="session")
async def database(services: Services) -> AsyncIterator[Database]:
    """A database with the newest tables."""
    await migrate(services.database_url)
    database = Database(services.database_url)
    yield database
    await database.dispose()


@pytest.fixture(scope="session")
async def redis(services: Services) -> AsyncIterator[Redis]:
    """A client of the queue's server."""
    client = Redis.from_url(services.redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def clean(database: Database, redis: Redis) -> None:
    """Empty tables and an empty queue for this test; only what holds rows is emptied, so it is quick."""
    for left in reversed(range(5)):
        try:
            await _empty(database)
            break
        except DBAPIError as error:
            # A statement of the test before may still be on its way at the server, and waits for us as we for it.
            if not left or getattr(error.orig, "sqlstate", "") != DEADLOCK:
                raise
    await redis.flushdb()


async def _empty(database: Database) -> None:
    async with database.system() as session:
        listed = await session.execute(
            text("select quote_ident(tablename) from pg_tables where schemaname = 'public' and tablename != :kept"),
            {"kept": "alembic_version"},
        )
        tables = [row[0] for row in listed]
        if tables:
            asked = " union all ".join(f"(select '{table}' from {table} limit 1)" for table in tables)
            filled = [row[0] for row in await session.execute(text(asked))]
            if filled:
                await session.execute(text(f"truncate {', '.join(filled)} restart identity cascade"))
