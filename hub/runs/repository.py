"""The SQL of runs and documents as they are shown."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, text
from sqlmodel import col, select

from hub.engine.models import Combi, Delivery, Item, LogEntry, Run
from hub.kit import json
from hub.kit.database import HubSession

SCAN = 20_000
"""How many documents one request looks through at most for a filter that no index serves."""
NEWEST = UUID(int=2**128 - 1)


async def combi(session: HubSession, combi_id: UUID, *, lock: bool = False) -> Combi | None:
    """A combi that was not deleted."""
    asked = select(Combi).where(col(Combi.id) == combi_id, col(Combi.deleted_at).is_(None))
    return (await session.exec(asked.with_for_update() if lock else asked)).one_or_none()


async def combi_exists(session: HubSession, combi_id: UUID) -> bool:
    """Whether there is such a combi."""
    found = await session.execute(text("SELECT 1 FROM combi WHERE id = :id AND deleted_at IS NULL"), {"id": combi_id})
    return found.first() is not None


async def run(session: HubSession, run_id: UUID) -> Run | None:
    """A run."""
    return await session.get(Run, run_id)


async def runs(session: HubSession, combi_id: UUID, before: UUID, limit: int) -> Sequence[Run]:
    """Runs of a combi, the newest first."""
    asked = select(Run).where(col(Run.combi_id) == combi_id, col(Run.id) < before)
    return (await session.exec(asked.order_by(col(Run.id).desc()).limit(limit))).all()


async def cancel(session: HubSession, run_id: UUID) -> None:
    """Asks a run to stop at its next safe point."""
    await session.execute(
        text("UPDATE run SET cancelled = true WHERE id = :id AND finished_at IS NULL"), {"id": run_id}
    )


async def item(session: HubSession, item_id: UUID, *, lock: bool = False) -> Item | None:
    """A document of a combi that was not deleted."""
    asked = (
        select(Item)
        .join(Combi, col(Combi.id) == col(Item.combi_id))
        .where(col(Item.id) == item_id, col(Combi.deleted_at).is_(None))
    )
    return (await session.exec(asked.with_for_update(of=Item) if lock else asked)).one_or_none()


async def delivery(session: HubSession, delivery_id: UUID | None) -> Delivery | None:
    """The booking of a document."""
    return await session.get(Delivery, delivery_id) if delivery_id else None


async def history(session: HubSession, item_id: UUID, limit: int = 200) -> Sequence[LogEntry]:
    """The newest lines about a document, in the order in which they happened."""
    asked = select(LogEntry).where(col(LogEntry.item_id) == item_id).order_by(col(LogEntry.id).desc()).limit(limit)
    return list(reversed((await session.exec(asked)).all()))


_SHOWN = """json_build_object('id', id, 'flow', flow, 'source_id', source_id, 'number', number, 'date', date,
 'period', period, 'party', party,
 'amount', CASE WHEN amount = round(amount, 2) THEN round(amount, 2) ELSE trim_scale(amount) END::text,
 'currency', currency, 'administration', coalesce(nullif(administration, ''),
   (SELECT split_part(target, ':', 2) FROM delivery WHERE delivery.id = delivery_id), split_part(route, ':', 2)),
 'status', status, 'findings', jsonb_array_length(findings), 'target_ref', target_ref, 'target_label', target_label,
 'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text"""
_THERE = "(SELECT true FROM combi WHERE id = :combi AND deleted_at IS NULL)"
_NARROW = """id, flow, source_id, number, date, party, amount, currency, administration, status, findings, target_ref,
 target_label, updated_at, delivery_id, period, route"""
_PLAIN = text(
    f"""SELECT id, {_SHOWN} AS row FROM item
    WHERE combi_id = :combi AND id < :before AND {_THERE} ORDER BY id DESC LIMIT :limit"""
)
_BY_STATUS = text(
    f"""SELECT id, {_SHOWN} AS row FROM unnest(cast(:statuses AS text[])) AS wanted(one) CROSS JOIN LATERAL (
      SELECT {_NARROW} FROM item
      WHERE combi_id = :combi AND status = wanted.one AND id < :before AND {_THERE}
      ORDER BY id DESC LIMIT :limit) AS found
    ORDER BY id DESC LIMIT :limit"""
)
_OF_STATUS = "AND status = ANY(cast(:statuses AS text[]))"
_FILTERED = f"""WITH seen AS (
      SELECT {_NARROW} FROM item WHERE combi_id = :combi AND id < :before AND {_THERE} %s ORDER BY id DESC LIMIT :scan),
    hits AS (SELECT * FROM seen WHERE (cast(:flow AS text) IS NULL OR flow = :flow)
      AND (cast(:first AS date) IS NULL OR date >= :first) AND (cast(:last AS date) IS NULL OR date <= :last)
      AND (cast(:q AS text) IS NULL OR strpos(lower(number), :q) > 0 OR strpos(lower(party), :q) > 0
        OR strpos(lower(source_id), :q) > 0 OR strpos(lower(target_label), :q) > 0 OR target_ref = :q)
      ORDER BY id DESC LIMIT :limit)
    SELECT id, {_SHOWN} AS row FROM hits
    UNION ALL SELECT * FROM (SELECT id, NULL FROM seen WHERE (SELECT count(*) FROM seen) = :scan
      ORDER BY id LIMIT 1) AS horizon"""
_FILTERED_ALL, _FILTERED_STATUS = text(_FILTERED % ""), text(_FILTERED % _OF_STATUS)


async def item_rows(
    session: HubSession,
    combi_id: UUID,
    before: UUID | None,
    limit: int,
    *,
    statuses: Sequence[str] = (),
    flow: str | None = None,
    first: date | None = None,
    last: date | None = None,
    q: str | None = None,
) -> tuple[list[str], UUID | None]:
    """JSON objects of documents, the newest first, and the id to go on before.

    Filters that no index serves look through `SCAN` documents per call, so an answer may hold fewer than `limit`
    while there is more: the time one request takes does not grow with the number of documents.
    """
    values: dict[str, Any] = {"combi": combi_id, "before": before or NEWEST, "limit": limit + 1}
    if statuses:
        values["statuses"] = list(statuses)
    if flow is None and first is None and last is None and not q:
        return _page(await _rows(session, _BY_STATUS if statuses else _PLAIN, values), limit)
    values |= {"flow": flow, "first": first, "last": last, "q": q.lower() if q else None, "scan": SCAN}
    return _page(await _rows(session, _FILTERED_STATUS if statuses else _FILTERED_ALL, values), limit)


async def _rows(session: HubSession, statement: TextClause, values: dict[str, Any]) -> Sequence[Any]:
    return (await session.execute(statement, values)).all()


def _page(rows: Sequence[Any], limit: int) -> tuple[list[str], UUID | None]:
    hits = [row for row in rows if row[1] is not None]
    if len(hits) > limit:
        return [row[1] for row in hits[:limit]], hits[limit - 1][0]
    horizon = next((row[0] for row in rows if row[1] is None), None)
    return [row[1] for row in hits], horizon


async def retryable(
    session: HubSession,
    combi_id: UUID,
    limit: int,
    *,
    status: str | None = None,
    finding: str | None = None,
    ids: Sequence[UUID] | None = None,
) -> Sequence[Item]:
    """Documents that a human wants to be tried again, locked; the oldest first."""
    asked = select(Item).where(col(Item.combi_id) == combi_id)
    if ids is not None:
        asked = asked.where(col(Item.id).in_(ids))
    elif status is not None:
        asked = asked.where(col(Item.status) == status)
    else:
        asked = asked.where(
            col(Item.status).in_(["finding", "rejected", "changed", "unknown"]),
            col(Item.findings).contains([{"key": finding}]),
        )
    return (await session.exec(asked.order_by(col(Item.id)).limit(limit).with_for_update())).all()


async def of_ids(session: HubSession, combi_id: UUID, ids: Sequence[UUID]) -> Sequence[Item]:
    """These documents of a combi, the newest first."""
    asked = select(Item).where(col(Item.combi_id) == combi_id, col(Item.id).in_(ids))
    return (await session.exec(asked.order_by(col(Item.id).desc()))).all()


WANTING = ("finding", "rejected", "changed", "unknown")
"""Where a document stands when it needs a human."""
CAUSES = (
    "account", "revenue_group", "vat_class", "cost_centre", "journal", "administration", "company", "currency",
    "customer", "package", "field", "wage_component", "percentage", "code", "country",
)  # fmt: skip
"""Values of a finding that say why, and not which document: documents that share them share the remedy."""
_CAUSED = """
  SELECT i.id, i.combi_id, i.flow, i.status, coalesce(nullif(i.number, ''), nullif(i.party, ''), i.source_id) AS name,
    f.one AS finding, coalesce(f.one->>'key', '') AS key, coalesce(f.one->>'field', '') AS field,
    coalesce((SELECT jsonb_object_agg(v.key, v.value) FROM jsonb_each(f.one->'values') v
      WHERE v.key = ANY(cast(:causes AS text[]))), '{}') AS causes
  FROM (SELECT i.* FROM item i JOIN combi c ON c.id = i.combi_id AND c.deleted_at IS NULL
    WHERE i.status = ANY(cast(:wanting AS text[])) AND (cast(:combi AS uuid) IS NULL OR i.combi_id = :combi)
    ORDER BY i.id DESC LIMIT :scan) i
  LEFT JOIN LATERAL jsonb_array_elements(i.findings) AS f(one) ON true"""


async def causes(session: HubSession, combi_id: UUID | None) -> Sequence[RowMapping]:
    """What keeps documents from being booked, the most frequent first; one combi's or everybody's we may see.

    `examples` are the newest documents of a cause, `finding` is one of its findings.
    """
    found = await session.execute(
        text(
            f"""SELECT combi_id, flow, status, key, field, causes, count(DISTINCT id) AS documents,
              (array_agg(finding ORDER BY id DESC))[1] AS finding,
              (array_agg(jsonb_build_object('id', id, 'name', name) ORDER BY id DESC))[1:6] AS examples
            FROM ({_CAUSED}) AS caused GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY documents DESC, key LIMIT 200"""
        ),
        {"causes": list(CAUSES), "wanting": list(WANTING), "combi": combi_id, "scan": SCAN},
    )
    return found.mappings().all()


async def of_cause(
    session: HubSession, combi_id: UUID, status: str, key: str, why: Mapping[str, Any], limit: int
) -> list[UUID]:
    """The documents of a cause, the oldest first."""
    found = await session.execute(
        text(
            f"""SELECT DISTINCT id FROM ({_CAUSED}) AS caused
            WHERE status = :status AND key = :key AND causes = cast(:why AS jsonb) ORDER BY id LIMIT :limit"""
        ),
        {
            "causes": list(CAUSES),
            "wanting": list(WANTING),
            "combi": combi_id,
            "scan": SCAN,
            "status": status,
            "key": key,
            "why": json.dumps(dict(why)),
            "limit": limit,
        },
    )
    return [one for (one,) in found]


_JOURNAL_YEAR = "coalesce(nullif(substr(period, 1, 4), '')::int, extract(year FROM date)::int)"


async def journal_years(session: HubSession, combi_id: UUID) -> list[int]:
    """The years of a combi's journals, the newest first."""
    found = await session.execute(
        text(
            f"""SELECT DISTINCT {_JOURNAL_YEAR} AS year FROM item
            WHERE combi_id = :combi AND flow = 'journals' ORDER BY 1 DESC NULLS LAST"""
        ),
        {"combi": combi_id},
    )
    return [year for (year,) in found if year is not None]


async def journals(
    session: HubSession, combi_id: UUID, year: int, limit: int, *, undated: bool
) -> Sequence[RowMapping]:
    """The journals of a year, the newest period first; with `undated` also those that name no year."""
    found = await session.execute(
        text(
            f"""SELECT id, number, source_id, period, date, party, amount, currency, status, findings, target_label,
              target_ref, coalesce(nullif(administration, ''), split_part(route, ':', 2)) AS administration,
              vanished_at, updated_at
            FROM item WHERE combi_id = :combi AND flow = 'journals' AND coalesce({_JOURNAL_YEAR} = :year, :undated)
            ORDER BY period DESC, date DESC NULLS LAST, number DESC, id DESC LIMIT :limit"""
        ),
        {"combi": combi_id, "year": year, "limit": limit, "undated": undated},
    )
    return found.mappings().all()


async def tally(session: HubSession, combi_id: UUID) -> Sequence[RowMapping]:
    """How many documents of each flow stand where."""
    found = await session.execute(
        text(
            """SELECT flow, status, count(*) AS documents FROM item WHERE combi_id = :combi
            GROUP BY flow, status ORDER BY flow, status"""
        ),
        {"combi": combi_id},
    )
    return found.mappings().all()


async def progress(session: HubSession, run_id: UUID) -> RowMapping | None:
    """The little that changes while a run goes on."""
    found = await session.execute(
        text("SELECT counts, started_at, finished_at FROM run WHERE id = :id"), {"id": run_id}
    )
    return found.mappings().one_or_none()
