"""All SQL of organisations, users, sessions and keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.kit import json
from hub.organisations.models import (
    ApiKey,
    AuditEntry,
    BrowserSession,
    IdempotentCall,
    LoginLink,
    Membership,
    Organisation,
    Role,
    User,
)

COUNTED = 100
"""Up to how many documents that need a human are counted for the menu."""


async def api_key(session: AsyncSession, prefix: str) -> ApiKey | None:
    """The key with this prefix, whoever owns it: for the system's session."""
    return (await session.exec(select(ApiKey).where(ApiKey.prefix == prefix))).first()


async def api_keys(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[ApiKey]:
    """The organisation's keys that were not revoked, oldest first."""
    query = select(ApiKey).where(col(ApiKey.revoked_at).is_(None))
    if after is not None:
        query = query.where(ApiKey.id > after)
    return (await session.exec(query.order_by(col(ApiKey.id)).limit(limit))).all()


async def key_used(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    """Note that a key was used."""
    await session.execute(text("UPDATE apikey SET last_used_at = :now WHERE id = :id"), {"id": key_id, "now": now})


async def browser_session(session: AsyncSession, session_id: str, now: datetime) -> RowMapping | None:
    """A valid session with its user, their role in its organisation and how much waits for a human there.

    For the system's session.
    """
    found = await session.execute(
        text(
            """SELECT s.id, s.user_id, s.current_organisation_id, s.csrf, u.email, u.language, m.role,
              (SELECT count(*) FROM (SELECT 1 FROM combi c JOIN item i ON i.combi_id = c.id
                WHERE c.organisation_id = s.current_organisation_id AND c.deleted_at IS NULL
                  AND i.status IN ('finding', 'rejected', 'changed', 'unknown') LIMIT :most) AS few) AS wanting
            FROM browsersession s JOIN "user" u ON u.id = s.user_id
            JOIN membership m ON m.user_id = s.user_id AND m.organisation_id = s.current_organisation_id
            WHERE s.id = :id AND s.revoked_at IS NULL AND s.expires_at > :now"""
        ),
        {"id": session_id, "now": now, "most": COUNTED},
    )
    return found.mappings().first()


async def revoke_session(session: AsyncSession, session_id: str, now: datetime) -> None:
    """End a session."""
    await session.execute(
        text("UPDATE browsersession SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL"),
        {"id": session_id, "now": now},
    )


async def revoke_other_sessions(session: AsyncSession, user_id: UUID, kept: str, now: datetime) -> None:
    """End all sessions of a user but one."""
    await session.execute(
        text(
            "UPDATE browsersession SET revoked_at = :now WHERE user_id = :user AND id <> :kept AND revoked_at IS NULL"
        ),
        {"user": user_id, "kept": kept, "now": now},
    )


async def sessions_of(session: AsyncSession, user_id: UUID, now: datetime) -> Sequence[BrowserSession]:
    """A user's sessions that are valid now, the newest first: for the system's session."""
    query = select(BrowserSession).where(
        BrowserSession.user_id == user_id, col(BrowserSession.revoked_at).is_(None), BrowserSession.expires_at > now
    )
    return (await session.exec(query.order_by(col(BrowserSession.created_at).desc()))).all()


async def organisations_of(session: AsyncSession, user_id: UUID) -> Sequence[tuple[UUID, str, Role]]:
    """Id and name of every organisation a user has a place in, with their role there: for the system's session."""
    found = await session.execute(
        text(
            """SELECT o.id, o.name, m.role FROM membership m JOIN organisation o ON o.id = m.organisation_id
            WHERE m.user_id = :user AND NOT o.provisional ORDER BY o.name, o.id"""
        ),
        {"user": user_id},
    )
    return [(row.id, row.name, Role(row.role)) for row in found]


async def enter(session: AsyncSession, session_id: str, organisation_id: UUID) -> None:
    """Let a browser's session work in another organisation of its user; nothing happens without a place there."""
    await session.execute(
        text(
            """UPDATE browsersession s SET current_organisation_id = :organisation WHERE s.id = :id AND EXISTS
            (SELECT 1 FROM membership m WHERE m.user_id = s.user_id AND m.organisation_id = :organisation)"""
        ),
        {"id": session_id, "organisation": organisation_id},
    )


async def doers(session: AsyncSession, organisation_id: UUID, entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """User id -> e-mail address and key id -> name of who did what these entries say: for the system's session."""
    found = await session.execute(
        text(
            """SELECT id, email AS name FROM "user" WHERE id = ANY(cast(:users AS uuid[]))
            UNION ALL SELECT id, coalesce(nullif(name, ''), prefix) FROM apikey
              WHERE id = ANY(cast(:keys AS uuid[])) AND organisation_id = :organisation"""
        ),
        {
            "users": [one.user_id for one in entries if one.user_id],
            "keys": [one.api_key_id for one in entries if one.api_key_id],
            "organisation": organisation_id,
        },
    )
    return {row.id: row.name for row in found}


async def claim_call(
    session: AsyncSession,
    organisation_id: UUID,
    key: str,
    operation: str,
    request_hash: str,
    now: datetime,
    kept: timedelta,
) -> tuple[bool, IdempotentCall | None]:
    """Claim a key for a request; True when it is ours, else the call that holds it (None: it was just let go)."""
    values = {
        "organisation": organisation_id,
        "key": key,
        "operation": operation,
        "hash": request_hash,
        "now": now,
        "oldest": now - kept,
    }
    await session.execute(
        text(
            "DELETE FROM idempotentcall WHERE organisation_id = :organisation AND key = :key AND created_at < :oldest"
        ),
        values,
    )
    claimed = await session.execute(
        text(
            """INSERT INTO idempotentcall (organisation_id, key, operation, request_hash, headers, created_at)
            VALUES (:organisation, :key, :operation, :hash, '{}', :now) ON CONFLICT DO NOTHING RETURNING key"""
        ),
        values,
    )
    if claimed.first() is not None:
        return True, None
    return False, await session.get(IdempotentCall, (organisation_id, key), populate_existing=True)


async def finish_call(
    session: AsyncSession, organisation_id: UUID, key: str, status: int, body: bytes, headers: dict[str, Any]
) -> None:
    """Keep a call's answer."""
    await session.execute(
        text(
            """UPDATE idempotentcall SET status = :status, body = :body, headers = cast(:headers AS jsonb)
            WHERE organisation_id = :organisation AND key = :key"""
        ),
        {
            "organisation": organisation_id,
            "key": key,
            "status": status,
            "body": body,
            "headers": json.dumps(headers),
        },
    )


async def release_call(session: AsyncSession, organisation_id: UUID, key: str) -> None:
    """Forget a call that came to nothing."""
    await session.execute(
        text("DELETE FROM idempotentcall WHERE organisation_id = :organisation AND key = :key AND status IS NULL"),
        {"organisation": organisation_id, "key": key},
    )


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this address (lower case): for the system's session."""
    return (await session.exec(select(User).where(User.email == email))).first()


async def memberships_of(session: AsyncSession, user_id: UUID) -> Sequence[Membership]:
    """A user's places, oldest first: for the system's session."""
    query = select(Membership).where(Membership.user_id == user_id).order_by(col(Membership.id))
    return (await session.exec(query)).all()


async def organisation_named(session: AsyncSession, user_id: UUID, name: str) -> Organisation | None:
    """The organisation of this name that a user is a member of: for the system's session."""
    found = await session.exec(
        select(Organisation)
        .join(Membership, col(Membership.organisation_id) == Organisation.id)
        .where(Membership.user_id == user_id, Organisation.name == name)
        .order_by(col(Organisation.id))
    )
    return found.first()


async def members(session: AsyncSession, organisation_id: UUID, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """The members of an organisation with their addresses, oldest first: for the system's session."""
    found = await session.execute(
        text(
            """SELECT m.id, m.user_id, m.role, m.created_at, u.email, u.language FROM membership m
            JOIN "user" u ON u.id = m.user_id
            WHERE m.organisation_id = :organisation AND (cast(:after AS uuid) IS NULL OR m.id > :after)
            ORDER BY m.id LIMIT :limit"""
        ),
        {"organisation": organisation_id, "after": after, "limit": limit},
    )
    return found.mappings().all()


async def lock_owners(session: AsyncSession, organisation_id: UUID) -> list[UUID]:
    """The memberships of an organisation's owners, locked, so that the last one cannot leave."""
    found = await session.execute(
        text(
            "SELECT id FROM membership WHERE organisation_id = :organisation AND role = 'owner' ORDER BY id FOR UPDATE"
        ),
        {"organisation": organisation_id},
    )
    return [row.id for row in found]


async def audit_log(session: AsyncSession, before: UUID | None, limit: int) -> Sequence[AuditEntry]:
    """What was done in the organisation, newest first."""
    query = select(AuditEntry)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit))).all()


async def links_asked(session: AsyncSession, email: str, asked_from: str, since: datetime) -> tuple[int, int]:
    """How many login links were asked since, for this address and from that place: for the system's session."""
    found = await session.execute(
        text(
            """SELECT count(*) FILTER (WHERE email = :email) AS of_email,
              count(*) FILTER (WHERE asked_from = :place AND :place <> '') AS of_place
            FROM loginlink WHERE created_at > :since AND (email = :email OR asked_from = :place)"""
        ),
        {"email": email, "place": asked_from, "since": since},
    )
    row = found.one()
    return row.of_email, row.of_place


async def login_link(session: AsyncSession, link_id: str) -> LoginLink | None:
    """A login link, locked, so that it is used once: for the system's session."""
    return (await session.exec(select(LoginLink).where(LoginLink.id == link_id).with_for_update())).first()


async def sweep(session: AsyncSession, now: datetime) -> None:
    """Remove what has had its time: for the system's session."""
    day = timedelta(days=1)
    for statement in (
        "DELETE FROM idempotentcall WHERE created_at < :day",
        "DELETE FROM loginlink WHERE expires_at < :day",
        "DELETE FROM browsersession WHERE expires_at < :day",
    ):
        await session.execute(text(statement), {"day": now - day})


async def email_of_user(session: AsyncSession, user_id: UUID) -> str:
    """A user's address: for the system's session."""
    return (await session.get_one(User, user_id)).email


async def is_provisional(session: AsyncSession, organisation_id: UUID | None) -> bool:
    """Whether nobody is known yet in an organisation: for the system's session."""
    organisation = await session.get(Organisation, organisation_id) if organisation_id else None
    return organisation is not None and organisation.provisional
