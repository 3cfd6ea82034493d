"""An own database without the tables of the domains, which the ground floor does not know."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.migrations import migrate


@pytest.fixture(scope="session")
async def database(services: Services) -> AsyncIterator[Database]:
    """A database that holds the application's role and nothing else."""
    async with await psycopg.AsyncConnection.connect(services.database_url, autocommit=True) as admin:
        await admin.execute("create database kit")
    url = services.database_url.replace("/hub?", "/kit?")
    await migrate(url, "0001")
    database = Database(url)
    yield database
    await database.dispose()
