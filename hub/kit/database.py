"""Sessions on PostgreSQL, each bound to one organisation or, openly, to the whole system."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy
import structlog
from sqlalchemy import Connection, TextClause, event, orm
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext import asyncio as asyncio_orm
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.kit import json

ROLE = "hub_app"

Callback = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)

# The driver begins nothing by itself (`isolation_level`), so that beginning and entering a tenant are one round trip.
_BEGIN = "begin"
_ENTER_TENANT = f"begin; select set_config('role', '{ROLE}', true), set_config('hub.organisation', '%s', true)"

# What was sent is known by a commit made just before: a server that may forget its last commits makes us send again.
# Only `off` may forget; a stronger setting of the operator's is left alone.
_KEEP_COMMITS = """select set_config('synchronous_commit', 'on', false)
    where current_setting('synchronous_commit') = 'off'"""

# A server that restarts is away for a second or two.
_WAITS_SECONDS = (0.0, 0.1, 0.3, 0.6, 1.0, 2.0)


class _SyncSession(Session):
    """A session that enters its tenant at the begin of every transaction, also after a commit halfway."""

    # SQLModel warns at each `execute`, which is how everything but a plain select is run.
    execute = orm.Session.execute


@event.listens_for(_SyncSession, "after_begin")
def _enter_tenant(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    organisation: UUID | None = session.info.get("organisation")
    if transaction.nested:
        return
    statement = _BEGIN if organisation is None else _ENTER_TENANT % organisation
    driver: psycopg.AsyncConnection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    try:
        await_only(driver.execute(statement, prepare=False))
    except psycopg.Error as error:
        if driver.closed:
            # SQLAlchemy lets go of all connections of that time once a statement of its own finds one dead.
            connection.exec_driver_sql(_BEGIN)
        connection.invalidate(error)
        raise OperationalError(statement, None, error, connection_invalidated=True) from error


class HubSession(AsyncSession):
    """An `AsyncSession` that runs what was given to `after_commit` once its transaction is safe."""

    sync_session_class = _SyncSession
    execute = asyncio_orm.AsyncSession.execute

    async def commit(self) -> None:
        """Commit, then run the callbacks; a callback that fails is logged, for the rows are already there."""
        callbacks = self.info.pop("after_commit", [])
        await super().commit()
        for callback in callbacks:
            try:
                await callback()
            except Exception:
                _log.exception("after_commit_failed")

    async def rollback(self) -> None:
        """Roll back and forget the callbacks."""
        self.info.pop("after_commit", None)
        await super().rollback()


class Database:
    """The connection pool; the only maker of sessions."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        """Take a PostgreSQL address; nothing is connected yet."""
        self.engine: AsyncEngine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_recycle=3600,
            isolation_level="AUTOCOMMIT",
            json_serializer=json.dumps,
            json_deserializer=json.loads,
        )
        event.listen(self.engine.sync_engine, "connect", _keep_commits)

    @asynccontextmanager
    async def tenant(self, organisation_id: UUID) -> AsyncIterator[HubSession]:
        """Open a transaction that sees and touches the rows of one organisation only, by row-level security.

        Commits at the end of the block, rolls back when it raises.
        """
        async with self._session({"organisation": UUID(str(organisation_id))}) as session:
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[HubSession]:
        """Open a transaction that sees every row: for scheduling, logging in and OAuth callbacks only."""
        async with self._session({}) as session:
            yield session

    async def dispose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _session(self, info: dict[str, Any]) -> AsyncIterator[HubSession]:
        session = await self._begun(info)
        try:
            yield session
            await session.commit()
        except BaseException:
            await asyncio.shield(_ended(session))
            raise
        # Nothing is left to be waited for, so nothing can break in.
        await session.close()

    async def _begun(self, info: dict[str, Any]) -> HubSession:
        """Begin a transaction; its first statement finds out whether the connection still lives.

        So a connection that PostgreSQL dropped costs a retry here and no ping anywhere else.
        """
        for wait in (*_WAITS_SECONDS, None):
            session = HubSession(self.engine, expire_on_commit=False, info=dict(info))
            try:
                await session.connection()
            except DBAPIError as error:
                await session.close()
                if wait is None or not (error.connection_invalidated or isinstance(error, OperationalError)):
                    raise
                await asyncio.sleep(wait)
            except BaseException:
                await session.close()
                raise
            else:
                return session
        raise AssertionError("the loop ends with a return or a raise")


def _keep_commits(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(_KEEP_COMMITS)
    cursor.close()


async def _ended(session: HubSession) -> None:
    try:
        await session.rollback()
    finally:
        await session.close()


@lru_cache(2048)
def text(statement: str) -> TextClause:
    """SQL with `:names`, read once: to make the same statement anew costs a quarter of what running it does."""
    return sqlalchemy.text(statement)


def after_commit(session: AsyncSession, callback: Callback) -> None:
    """Run an async callback once the session has committed, in the order given; a rollback forgets it."""
    session.info.setdefault("after_commit", []).append(callback)


def driver_url(url: str) -> str:
    """Name psycopg as the driver of a PostgreSQL address."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", url)
