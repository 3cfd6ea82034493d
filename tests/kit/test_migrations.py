"""Migrating: from empty, by several at once, never a newer database, and with rights that lack."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.migrations import MigrationError, current, head, migrate, pending


@pytest.fixture
async def empty_database(services: Services) -> AsyncIterator[str]:
    """An address of a database without tables."""
    name = f"empty_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(services.database_url, autocommit=True) as admin:
        await admin.execute(f"create database {name}")
        yield services.database_url.replace("/hub?", f"/{name}?")
        await admin.execute(f"drop database {name} with (force)")


async def test_an_empty_database_reaches_the_newest_revision(empty_database: str) -> None:
    assert await current(empty_database) is None
    assert await pending(empty_database)
    await migrate(empty_database)
    assert await current(empty_database) == head()
    assert not await pending(empty_database)


async def test_several_processes_may_migrate_at_once_and_again(empty_database: str) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    await migrate(empty_database)
    assert await current(empty_database) == head()


async def test_a_newer_database_is_refused_with_one_line(empty_database: str) -> None:
    await migrate(empty_database)
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as connection:
        await connection.execute("update alembic_version set version_num = '9999'")
    for refused in (migrate, pending):
        with pytest.raises(MigrationError, match="9999") as raised:
            await refused(empty_database)
        assert "\n" not in str(raised.value)
    assert await current(empty_database) == "9999"


async def test_the_way_back_leads_to_the_beginning_and_up_again(empty_database: str) -> None:
    await migrate(empty_database)
    await migrate(empty_database, "base")
    assert await current(empty_database) is None
    await migrate(empty_database)
    assert await current(empty_database) == head()


async def test_a_user_without_the_right_is_told_what_to_do(empty_database: str, services: Services) -> None:
    user = f"weak_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as admin:
        await admin.execute(f"create role {user} login")
        await admin.execute(f"grant create on schema public to {user}")
        try:
            with pytest.raises(MigrationError, match=r"^HUB_DATABASE_URL") as raised:
                await migrate(empty_database.replace("postgres@", f"{user}@"))
        finally:
            await admin.execute(f"drop owned by {user}")
            await admin.execute(f"drop role {user}")
    assert "hub_app" in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_an_owner_without_further_rights_suffices_once_the_role_is_there(
    empty_database: str, database: Database
) -> None:
    user = f"owner_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as admin:
        await admin.execute(f"create role {user} login")
        await admin.execute(f"grant hub_app to {user}")
        await admin.execute(f"alter schema public owner to {user}")
        try:
            await migrate(empty_database.replace("postgres@", f"{user}@"))
            assert await current(empty_database) == head()
        finally:
            await admin.execute("alter schema public owner to postgres")
            await admin.execute(f"drop owned by {user} cascade")
            await admin.execute(f"drop role {user}")
