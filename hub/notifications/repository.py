"""The SQL of webhooks and mail digests."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlmodel import col, select

from hub.connections.models import InstallLink
from hub.engine.models import Item
from hub.kit import json
from hub.kit.database import HubSession
from hub.notifications.models import NotificationMark, WebhookDelivery, WebhookEndpoint

RESTING = timedelta(days=3)
"""How old a run may be when it finishes and still be noticed."""


async def endpoint(session: HubSession, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint | None:
    """An endpoint."""
    asked = select(WebhookEndpoint).where(col(WebhookEndpoint.id) == endpoint_id)
    return (await session.exec(asked.with_for_update() if lock else asked)).one_or_none()


async def endpoints(session: HubSession, before: UUID, limit: int) -> Sequence[WebhookEndpoint]:
    """Endpoints, the newest first."""
    asked = select(WebhookEndpoint).where(col(WebhookEndpoint.id) < before)
    return (await session.exec(asked.order_by(col(WebhookEndpoint.id).desc()).limit(limit))).all()


async def deliveries(session: HubSession, endpoint_id: UUID, before: UUID, limit: int) -> Sequence[WebhookDelivery]:
    """What an endpoint was told, the newest first."""
    asked = select(WebhookDelivery).where(
        col(WebhookDelivery.endpoint_id) == endpoint_id, col(WebhookDelivery.id) < before
    )
    return (await session.exec(asked.order_by(col(WebhookDelivery.id).desc()).limit(limit))).all()


async def delivery(session: HubSession, delivery_id: UUID) -> WebhookDelivery | None:
    """One event for one endpoint."""
    return await session.get(WebhookDelivery, delivery_id)


async def links(session: HubSession, before: UUID, limit: int) -> Sequence[InstallLink]:
    """Install links, the newest first."""
    asked = select(InstallLink).where(col(InstallLink.id) < before)
    return (await session.exec(asked.order_by(col(InstallLink.id).desc()).limit(limit))).all()


async def link(session: HubSession, link_id: UUID) -> InstallLink | None:
    """An install link."""
    return await session.get(InstallLink, link_id)


async def listeners(session: HubSession, organisation_id: UUID, kind: str) -> Sequence[WebhookEndpoint]:
    """The endpoints that want to know of this kind of event."""
    asked = select(WebhookEndpoint).where(
        col(WebhookEndpoint.organisation_id) == organisation_id, col(WebhookEndpoint.enabled).is_(True)
    )
    return [one for one in (await session.exec(asked)).all() if not one.events or kind in one.events]


async def put(
    session: HubSession,
    delivery_id: UUID,
    listener: WebhookEndpoint,
    kind: str,
    subject: str,
    payload: Any,
    now: datetime,
) -> None:
    """Queues an event for an endpoint; does nothing when it has this subject already."""
    await session.execute(
        text(
            """INSERT INTO webhookdelivery (id, organisation_id, endpoint_id, type, subject, payload, attempts, next_at,
              last_error, created_at)
            VALUES (:id, :organisation, :endpoint, :type, :subject, cast(:payload AS jsonb), 0, :now, '', :now)
            ON CONFLICT (endpoint_id, subject) DO NOTHING"""
        ),
        {
            "id": delivery_id,
            "organisation": listener.organisation_id,
            "endpoint": listener.id,
            "type": kind,
            "subject": subject,
            "payload": json.dumps(payload),
            "now": now,
        },
    )


async def claim_due(session: HubSession, now: datetime, until: datetime, limit: int) -> Sequence[RowMapping]:
    """Takes due deliveries in hand until `until`: who dies with one in hand leaves it to be tried again then."""
    found = await session.execute(
        text(
            """UPDATE webhookdelivery d SET next_at = :until, attempts = d.attempts + 1
            FROM webhookendpoint e WHERE e.id = d.endpoint_id AND d.id IN (
              SELECT id FROM webhookdelivery WHERE next_at <= :now ORDER BY next_at LIMIT :limit
              FOR UPDATE SKIP LOCKED)
            RETURNING d.id, d.organisation_id, d.endpoint_id, d.type, d.payload, d.attempts, d.created_at,
              e.url, e.enabled, e.secret, e.previous_secret, e.previous_until"""
        ),
        {"now": now, "until": until, "limit": limit},
    )
    return found.mappings().all()


async def settle(
    session: HubSession,
    delivery_id: UUID,
    *,
    status: int | None,
    error: str,
    next_at: datetime | None,
    delivered_at: datetime | None,
) -> None:
    """Writes how a try went."""
    await session.execute(
        text(
            """UPDATE webhookdelivery SET last_status = :status, last_error = :error, next_at = :next,
              delivered_at = :delivered WHERE id = :id"""
        ),
        {"id": delivery_id, "status": status, "error": error, "next": next_at, "delivered": delivered_at},
    )


async def disable(session: HubSession, endpoint_id: UUID, reason: str, now: datetime) -> None:
    """Stops telling an endpoint; what waits for it stays undelivered."""
    await session.execute(
        text(
            """UPDATE webhookendpoint SET enabled = false, disabled_reason = :reason, version = version + 1,
              updated_at = :now WHERE id = :id AND enabled"""
        ),
        {"id": endpoint_id, "reason": reason, "now": now},
    )


async def mark(session: HubSession, name: str, now: datetime) -> tuple[datetime, NotificationMark]:
    """How far was looked, locked; the first time: as far as now."""
    await session.execute(
        text("INSERT INTO notificationmark (name, at) VALUES (:name, :now) ON CONFLICT DO NOTHING"),
        {"name": name, "now": now},
    )
    asked = select(NotificationMark).where(col(NotificationMark.name) == name).with_for_update()
    found = (await session.exec(asked)).one()
    return found.at, found


async def finished_runs(session: HubSession, since: datetime, floor: UUID, *, heard: bool) -> Sequence[RowMapping]:
    """Runs that finished since then; with `heard` only those of organisations that have an endpoint."""
    only = "AND organisation_id IN (SELECT organisation_id FROM webhookendpoint WHERE enabled)" if heard else ""
    found = await session.execute(
        text(
            f"""SELECT id, organisation_id, combi_id, outcome, counts, trigger, mode, started_at, finished_at
            FROM run WHERE id > :floor AND finished_at >= :since {only} ORDER BY finished_at, id"""
        ),
        {"floor": floor, "since": since},
    )
    return found.mappings().all()


async def touched_items(session: HubSession, combi_id: UUID, since: datetime, limit: int) -> Sequence[Item]:
    """Parked items and items of unknown fate of a combi that changed since then."""
    asked = select(Item).where(
        col(Item.combi_id) == combi_id,
        col(Item.status).in_(["finding", "rejected", "changed", "unknown"]),
        col(Item.updated_at) >= since,
    )
    return (await session.exec(asked.order_by(col(Item.id)).limit(limit))).all()


async def in_trouble(session: HubSession, since: datetime) -> Sequence[RowMapping]:
    """Combis that need attention and connections that need consent, changed since then, where somebody listens."""
    found = await session.execute(
        text(
            """SELECT 'combi' AS kind, c.id, c.organisation_id, c.reason, c.updated_at, c.recipe AS name FROM combi c
            WHERE c.status = 'attention' AND c.deleted_at IS NULL AND c.updated_at >= :since
              AND c.organisation_id IN (SELECT organisation_id FROM webhookendpoint WHERE enabled)
            UNION ALL
            SELECT 'connection', n.id, n.organisation_id, n.reason, n.updated_at, n.connector FROM connection n
            WHERE n.status = 'needs_reauth' AND n.updated_at >= :since
              AND n.organisation_id IN (SELECT organisation_id FROM webhookendpoint WHERE enabled)"""
        ),
        {"since": since},
    )
    return found.mappings().all()


_NEEDS = """SELECT c.id, c.organisation_id, c.name, c.recipe, c.status, c.reason, c.deleted_at,
    (SELECT count(*) FROM (SELECT 1 FROM item i WHERE i.combi_id = c.id
      AND (i.status IN ('finding', 'rejected', 'changed') OR i.status = 'unknown' AND i.findings <> '[]')
      LIMIT 1000) AS few) AS parked, t.reason AS told
  FROM combi c LEFT JOIN told t ON t.combi_id = c.id"""


async def needy(session: HubSession, combi_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """What these combis, and all that stand at attention or were told of, need now."""
    found = await session.execute(
        text(
            f"""{_NEEDS} WHERE c.id = ANY(cast(:ids AS uuid[])) OR (c.status = 'attention' AND t.combi_id IS NULL)
            OR t.combi_id IS NOT NULL"""
        ),
        {"ids": list(combi_ids)},
    )
    return found.mappings().all()


async def tell(session: HubSession, combi_id: UUID, organisation_id: UUID, reason: str, now: datetime) -> None:
    """Notes that people were mailed."""
    await session.execute(
        text(
            """INSERT INTO told (combi_id, organisation_id, reason, told_at)
            VALUES (:combi, :organisation, :reason, :now)
            ON CONFLICT (combi_id) DO UPDATE SET reason = excluded.reason, told_at = excluded.told_at"""
        ),
        {"combi": combi_id, "organisation": organisation_id, "reason": reason, "now": now},
    )


async def forget(session: HubSession, combi_ids: Sequence[UUID]) -> None:
    """These combis need nobody any more: the next time is news again."""
    await session.execute(text("DELETE FROM told WHERE combi_id = ANY(cast(:ids AS uuid[]))"), {"ids": list(combi_ids)})


async def readers(session: HubSession, organisation_id: UUID) -> Sequence[tuple[str, str]]:
    """(e-mail address, language) of the members that can do something."""
    found = await session.execute(
        text(
            """SELECT u.email, u.language FROM membership m JOIN "user" u ON u.id = m.user_id
            WHERE m.organisation_id = :organisation AND m.role <> 'reader' ORDER BY u.email"""
        ),
        {"organisation": organisation_id},
    )
    return [(str(email), str(language)) for email, language in found]
