"""Brings a database, empty or of an earlier release, to the tables this program expects."""

from __future__ import annotations

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hub.kit.database import driver_url

# Any number that no other program on the same database uses.
_ADVISORY_LOCK = 0x636F6D6269


_log = structlog.get_logger(__name__)


class MigrationError(Exception):
    """The database cannot be brought to this release; `str()` is one line that says why and what to do."""


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the database to the newest revision; does nothing when it is there already.

    Several processes may call this at once: one migrates, the others wait and find the work done.
    Raises `MigrationError` when the database belongs to a newer release or its user lacks a right.
    """
    engine = create_async_engine(driver_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate_locked, revision)
    finally:
        await engine.dispose()


async def current(url: str) -> str | None:
    """Give the revision a database is at, None when it is empty."""
    engine = create_async_engine(driver_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()


def head() -> str:
    """Give the newest revision this program knows."""
    newest = _scripts().get_current_head()
    assert newest is not None  # noqa: S101 - revision 0001 is always there
    return newest


async def pending(url: str) -> bool:
    """Say whether the database still has to be migrated; raise `MigrationError` when it is newer than the program."""
    revision = await current(url)
    _refuse_newer(revision)
    return revision != head()


def _migrate_locked(connection: Connection, revision: str) -> None:
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.commit()
    try:
        present = _current(connection)
        _refuse_newer(present)
        if present == (head() if revision == "head" else revision):
            return
        config = _config()
        config.attributes["connection"] = connection
        if revision != "head" and present is not None and _is_older(revision, present):
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)
        connection.commit()
        _log.info("database_migrated", before=present, now=_current(connection))
    except DBAPIError as error:
        connection.rollback()
        if getattr(error.orig, "sqlstate", None) != "42501":  # insufficient_privilege
            raise
        raise MigrationError(
            f"HUB_DATABASE_URL: the database user lacks a right: {str(error.orig).splitlines()[0]}; "
            "let it own the database, and as administrator run: create role hub_app nologin; "
            "grant hub_app to <that user>"
        ) from error
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
        connection.commit()


def _current(connection: Connection) -> str | None:
    with connection.begin():
        return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise MigrationError(
            f"The database is at revision {revision}, which this release does not know (it knows up to {head()}): "
            "a newer release has used it; install that release, or restore a backup of before"
        )


def _is_older(revision: str, present: str) -> bool:
    older = {script.revision for script in _scripts().iterate_revisions(present, "base")}
    return revision == "base" or revision in older


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
