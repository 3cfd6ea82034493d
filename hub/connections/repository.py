"""All SQL of the connections."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.connections.models import Connection, ConnectionStatus, Installation, InstallLink, OAuthAttempt
from hub.kit import json

REAUTH_KEY = "connection_needs_reauth"

# A combi may name a connection by the id it had before it turned out to be the same company as another.
_HUNG_ON = """EXISTS (SELECT 1 FROM connection used WHERE (used.id = :id OR used.same_as = :id)
    AND used.id IN (source_connection_id, target_connection_id))"""
_USED = f"({_HUNG_ON} OR side_connection_id = :id)"
"""Without its third connection a combi goes on: the books come first."""

# What a combi's reason says when consent is all that it waits for; the engine's own reasons name no connection.
_CONSENT = """(combi.reason->>'key' IN ('connection_needs_reauth', 'connection_revoked', 'connection_pending',
    'grant_refused') OR combi.reason->>'key' ~ '(^|[.])access_refused$')"""


async def get(session: AsyncSession, connection_id: UUID) -> Connection | None:
    """A connection as it is now, past what this session remembers."""
    return await session.get(Connection, connection_id, populate_existing=True)


async def holder(session: AsyncSession, connection_id: UUID) -> Connection | None:
    """The connection that holds the grant of this one: itself, or the one that it turned out to be the same as."""
    connection = await get(session, connection_id)
    if connection is None or connection.same_as is None or connection.status == ConnectionStatus.revoked:
        return connection
    return await get(session, connection.same_as)


async def locked(session: AsyncSession, connection_id: UUID) -> Connection | None:
    """A connection as it is now, kept from every other writer until the transaction ends.

    The weaker row lock: combis may go on referring to it while a package takes its time to answer.
    """
    found = await session.exec(
        select(Connection)
        .where(Connection.id == connection_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return found.first()


async def page(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[Connection]:
    """Connections of the session's organisation that were not removed, oldest first."""
    query = select(Connection).where(Connection.status != ConnectionStatus.revoked, col(Connection.same_as).is_(None))
    if after is not None:
        query = query.where(Connection.id > after)
    return (await session.exec(query.order_by(col(Connection.id)).limit(limit))).all()


async def of_connect_token(session: AsyncSession, token_hash: str) -> Connection | None:
    """The connection of a `/connect/…` address, locked."""
    found = await session.exec(select(Connection).where(Connection.connect_hash == token_hash).with_for_update())
    return found.first()


async def attempt(session: AsyncSession, state_hash: str) -> OAuthAttempt | None:
    """The attempt of a state, locked, so that it is used once."""
    found = await session.exec(select(OAuthAttempt).where(OAuthAttempt.id == state_hash).with_for_update())
    return found.first()


async def combis_of(session: AsyncSession, connection_id: UUID) -> list[UUID]:
    """The combis that use a connection."""
    found = await session.execute(
        text(f"SELECT id FROM combi WHERE deleted_at IS NULL AND {_USED} ORDER BY id"),
        {"id": connection_id},
    )
    return [row.id for row in found]


async def halt_combis(session: AsyncSession, connection_id: UUID, reason: dict[str, Any], now: datetime) -> int:
    """Active combis of a connection wait for consent; what a human paused stays paused."""
    found = await session.execute(
        text(
            f"""UPDATE combi SET status = 'attention', reason = cast(:reason AS jsonb), version = version + 1,
                 updated_at = :now
            WHERE status = 'active' AND deleted_at IS NULL AND {_HUNG_ON} RETURNING id"""
        ),
        {"id": connection_id, "reason": json.dumps(reason), "now": now},
    )
    return len(found.all())


async def resume_combis(session: AsyncSession, connection_id: UUID, now: datetime) -> int:
    """Combis that waited for this consent go on, once their other side is active too."""
    values = {"id": connection_id, "text": str(connection_id), "now": now}
    waiting = f"combi.status = 'attention' AND deleted_at IS NULL AND {_HUNG_ON} AND {_CONSENT}"
    # Both sides died: from now on it waits for the other one.
    await session.execute(
        text(
            f"""UPDATE combi SET reason = jsonb_set(combi.reason, '{{values,connection_id}}', to_jsonb(o.id::text))
            FROM connection o WHERE {waiting}
              AND combi.reason->'values'->>'connection_id' = :text
              AND o.id IN (source_connection_id, target_connection_id) AND o.id <> :id AND o.status <> 'active'
              AND coalesce(o.same_as, o.id) <> :id"""
        ),
        values,
    )
    found = await session.execute(
        text(
            f"""UPDATE combi SET status = 'active', reason = NULL, failures = 0, not_before = NULL,
                 version = version + 1, updated_at = :now
            WHERE {waiting} AND coalesce(reason->'values'->>'connection_id', :text) = :text RETURNING id"""
        ),
        values,
    )
    return len(found.all())


async def follow(session: AsyncSession, connection: Connection) -> None:
    """Give the connections that are the same as this one its state, identity and fields."""
    await session.flush()
    await session.execute(
        text(
            """UPDATE connection a SET status = c.status, identity = c.identity, tenant = c.tenant, reason = c.reason,
                 version = a.version + 1, updated_at = c.updated_at
            FROM connection c WHERE c.id = :id AND a.same_as = c.id AND a.status <> 'revoked'"""
        ),
        {"id": connection.id},
    )


async def erase_master_data(session: AsyncSession, connection_id: UUID) -> None:
    """Forget what was cached of a connection."""
    await session.execute(text("DELETE FROM masterdata WHERE connection_id = :id"), {"id": connection_id})


async def owners(session: AsyncSession, organisation_id: UUID) -> list[tuple[str, str]]:
    """E-mail address and language of an organisation's owners."""
    found = await session.execute(
        text(
            """SELECT u.email, u.language FROM membership m JOIN "user" u ON u.id = m.user_id
            WHERE m.organisation_id = :id AND m.role = 'owner' ORDER BY u.email"""
        ),
        {"id": organisation_id},
    )
    return [(row.email, row.language) for row in found]


async def sealed(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[Connection]:
    """Connections with secrets, of all organisations, for the rotation of keys."""
    query = select(Connection).where(col(Connection.secrets).is_not(None))
    if after is not None:
        query = query.where(Connection.id > after)
    query = query.order_by(col(Connection.id)).limit(limit).with_for_update(key_share=True)
    return (await session.exec(query)).all()


async def install_links(session: AsyncSession) -> Sequence[InstallLink]:
    """The deep links of the session's organisation, oldest first."""
    return (await session.exec(select(InstallLink).order_by(col(InstallLink.id)))).all()


async def installation(session: AsyncSession, browser: str, source: str, target: str) -> Installation | None:
    """The newest installation of a pair in a browser."""
    found = await session.exec(
        select(Installation)
        .where(Installation.browser == browser, Installation.source == source, Installation.target == target)
        .order_by(col(Installation.id).desc())
        .limit(1)
    )
    return found.first()
