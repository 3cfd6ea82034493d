"""What the migrations make is what the program expects, and every tenant's row stands behind the wall."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import hub.migrations.tables  # noqa: F401
from hub.kit.database import Database


async def test_a_migrated_database_has_the_tables_the_program_expects(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
            return not (kind == "table" and (name or "").startswith(("log_", "alembic_")))

        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        return list(compare_metadata(context, SQLModel.metadata))

    async with database.system() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_every_table_of_a_tenant_has_its_policy(database: Database) -> None:
    owned = {table.name for table in SQLModel.metadata.sorted_tables if "organisation_id" in table.columns}
    async with database.system() as session:
        found = await session.execute(
            text(
                """SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
                WHERE c.relrowsecurity AND p.polname = 'tenant'"""
            )
        )
        assert owned <= {row.relname for row in found}
    assert {"item", "delivery", "run", "combi", "logentry", "connection"} <= owned
