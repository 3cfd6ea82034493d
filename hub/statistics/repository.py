"""The SQL of the log and the figures."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from hub.kit.database import HubSession

_LOG = text(
    """SELECT l.id, l.at, l.level, l.key, l.values, l.run_id, l.item_id, l.evidence, coalesce(i.number, '') AS number
    FROM logentry l LEFT JOIN item i ON i.id = l.item_id
    WHERE l.combi_id = :combi AND l.id < :before
      AND (cast(:level AS text) IS NULL OR l.level = :level)
      AND (cast(:run AS uuid) IS NULL OR l.run_id = :run)
      AND (cast(:q AS text) IS NULL OR strpos(lower(concat_ws(' ', l.key, l.values, i.number)), :q) > 0)
    ORDER BY l.id DESC LIMIT :limit"""
)


_DAY = "coalesce(date, (created_at AT TIME ZONE 'Europe/Amsterdam')::date)"
"""The day a document counts for."""


async def log(
    session: HubSession,
    combi_id: UUID,
    before: int,
    limit: int,
    *,
    level: str | None,
    run_id: UUID | None,
    q: str | None,
) -> Sequence[RowMapping]:
    """Lines of a combi, the newest first."""
    values = {"combi": combi_id, "before": before, "limit": limit, "level": level, "run": run_id}
    found = await session.execute(_LOG, {**values, "q": q.lower() if q else None})
    return found.mappings().all()


async def documents(
    session: HubSession, combi_id: UUID, first: date, last: date, interval: str
) -> Sequence[RowMapping]:
    """Documents and amounts by period, flow, status and currency, by the document's own date."""
    found = await session.execute(
        text(
            f"""SELECT date_trunc(:interval, {_DAY}::timestamp)::date AS start, flow, status, currency,
              count(*) AS documents, coalesce(sum(amount), 0) AS amount
            FROM item WHERE combi_id = :combi AND {_DAY} BETWEEN :first AND :last
            GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        ),
        {"combi": combi_id, "first": first, "last": last, "interval": interval},
    )
    return found.mappings().all()


async def runs(session: HubSession, combi_id: UUID, start: datetime, end: datetime) -> RowMapping:
    """Number and durations of the runs that wrote and finished in [start, end)."""
    found = await session.execute(
        text(
            """SELECT count(*) AS count,
              percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS p50,
              percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS p95
            FROM run WHERE combi_id = :combi AND mode = 'write' AND finished_at >= :start AND finished_at < :end"""
        ),
        {"combi": combi_id, "start": start, "end": end},
    )
    return found.mappings().one()


async def outcomes(session: HubSession, combi_id: UUID, start: datetime, end: datetime) -> dict[str, int]:
    """How many of those runs ended how."""
    found = await session.execute(
        text(
            """SELECT coalesce(outcome, 0)::text, count(*) FROM run
            WHERE combi_id = :combi AND mode = 'write' AND finished_at >= :start AND finished_at < :end
            GROUP BY 1 ORDER BY 1"""
        ),
        {"combi": combi_id, "start": start, "end": end},
    )
    return {str(code): int(count) for code, count in found}


async def without_human(session: HubSession, combi_id: UUID, first: date, last: date) -> tuple[int, int]:
    """(documents at rest or parked, those of them that nobody ever had to look at)."""
    found = await session.execute(
        text(
            f"""WITH looked_at AS (SELECT DISTINCT item_id FROM logentry
              WHERE combi_id = :combi AND item_id IS NOT NULL
                AND (level IN ('warning', 'error')
                  OR key IN ('item.retried', 'item.skipped', 'item.resolved_exists', 'item.resolved_absent')))
            SELECT count(*), count(*) FILTER (WHERE status NOT IN ('finding', 'rejected', 'changed', 'skipped')
              AND looked_at.item_id IS NULL)
            FROM item LEFT JOIN looked_at ON looked_at.item_id = item.id
            WHERE combi_id = :combi AND status NOT IN ('waiting', 'unknown')
              AND {_DAY} BETWEEN :first AND :last"""
        ),
        {"combi": combi_id, "first": first, "last": last},
    )
    row = found.one()
    return int(row[0]), int(row[1])


_FLOWS = "flow NOT IN ('customers', 'payments', 'salaries')"


async def reconciled(session: HubSession, combi_id: UUID, first: date, last: date) -> Sequence[RowMapping]:
    """Per administration, flow and currency: what the source has, what we delivered, what was read back."""
    found = await session.execute(
        text(
            f"""SELECT coalesce(d.target, i.route) AS administration, i.flow, i.currency,
              count(*) FILTER (WHERE {_AT_SOURCE}) AS source_count,
              coalesce(sum(i.amount) FILTER (WHERE {_AT_SOURCE}), 0) AS source_total,
              count(*) FILTER (WHERE {_DELIVERED}) AS delivered_count,
              coalesce(sum(coalesce(d.total, i.amount)) FILTER (WHERE {_DELIVERED}), 0) AS delivered_total,
              count(*) FILTER (WHERE {_PRESENT}) AS present_count,
              coalesce(sum(coalesce(d.total, i.amount)) FILTER (WHERE {_PRESENT}), 0) AS present_total
            FROM item i LEFT JOIN delivery d ON d.id = i.delivery_id
            WHERE i.combi_id = :combi AND i.{_FLOWS} AND i.date BETWEEN :first AND :last
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        ),
        {"combi": combi_id, "first": first, "last": last},
    )
    return found.mappings().all()


_AT_SOURCE = "i.vanished_at IS NULL"
_DELIVERED = "d.state = 'recorded'"
_PRESENT = "d.state = 'recorded' AND (d.verified OR d.adopted OR d.seen_run IS NOT NULL OR d.settled_at IS NOT NULL)"


async def differing(session: HubSession, combi_id: UUID, first: date, last: date, limit: int) -> Sequence[RowMapping]:
    """The documents that make the sides differ."""
    found = await session.execute(
        text(
            f"""SELECT coalesce(d.target, i.route) AS administration, i.flow, i.currency, i.id, i.number, i.date,
              i.party, i.amount, i.status, i.target_ref, d.state, d.total, NOT {_AT_SOURCE} AS vanished,
              coalesce({_PRESENT}, false) AS present
            FROM item i LEFT JOIN delivery d ON d.id = i.delivery_id
            WHERE i.combi_id = :combi AND i.{_FLOWS} AND i.date BETWEEN :first AND :last
              AND CASE WHEN {_AT_SOURCE}
                THEN d.id IS NULL OR NOT ({_PRESENT}) OR abs(coalesce(d.total, i.amount) - i.amount) >= 0.005
                ELSE coalesce({_DELIVERED}, false) END
            ORDER BY i.date, i.number, i.id LIMIT :limit"""
        ),
        {"combi": combi_id, "first": first, "last": last, "limit": limit},
    )
    return found.mappings().all()


async def only_in_target(
    session: HubSession, combi_id: UUID, connector: str, first: date, last: date, limit: int
) -> Sequence[RowMapping]:
    """What stood in the target when the combi began and is none of ours."""
    found = await session.execute(
        text(
            f"""SELECT cast(:connector AS text) || ':' || s.administration AS administration, s.stream AS flow,
              s.ref, s.label, s.number, s.date, s.total
            FROM standing s WHERE s.combi_id = :combi AND s.{_FLOWS.replace("flow", "stream")}
              AND s.date BETWEEN :first AND :last
              AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.organisation_id = s.organisation_id
                AND d.target = cast(:connector AS text) || ':' || s.administration AND d.stream = s.stream
                AND d.ref = s.ref)
            ORDER BY s.date, s.number, s.id LIMIT :limit"""
        ),
        {"combi": combi_id, "connector": connector, "first": first, "last": last, "limit": limit},
    )
    return found.mappings().all()


async def months(session: HubSession, combi_id: UUID) -> list[date]:
    """The first days of the months that have documents to reconcile, the latest first."""
    found = await session.execute(
        text(
            f"""SELECT DISTINCT date_trunc('month', date)::date AS month FROM item
            WHERE combi_id = :combi AND {_FLOWS} AND date IS NOT NULL ORDER BY 1 DESC LIMIT 120"""
        ),
        {"combi": combi_id},
    )
    return [month for (month,) in found]


async def health(session: HubSession) -> Any:
    """The revision of the database."""
    return (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
