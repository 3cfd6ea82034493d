"""The SQL of combis."""

from collections.abc import Mapping as Map
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnClause, CursorResult, RowMapping, column, text
from sqlmodel import col, select

from hub.engine.models import Mapping
from hub.kit.database import HubSession

SIDES = ("source", "target", "side")
COUNTED = ("waiting", "unknown", "finding", "rejected", "changed")
MOST = 100

_ROW = f"""SELECT c.id, c.recipe, c.name, c.status, nullif(c.reason, 'null') AS reason, c.schedule, c.start_date,
    c.version, c.created_at, c.updated_at,
    CASE WHEN c.status = 'active' THEN greatest(c.slot, c.not_before) END AS next_run_at,
    c.source_connection_id, s.connector AS source_connector, s.status AS source_status,
    coalesce(nullif(s.identity->>'name', ''), s.identity->>'email', '') AS source_name,
    c.target_connection_id, t.connector AS target_connector, t.status AS target_status,
    coalesce(nullif(t.identity->>'name', ''), t.identity->>'email', '') AS target_name,
    c.side_connection_id, x.connector AS side_connector, x.status AS side_status,
    coalesce(nullif(x.identity->>'name', ''), x.identity->>'email', '') AS side_name,
    r.id AS run_id, r.outcome AS run_outcome, nullif(r.reason, 'null') AS run_reason,
    r.finished_at AS run_finished_at,
    (SELECT id FROM run WHERE combi_id = c.id AND finished_at IS NULL) AS going_on, few.*
  FROM (SELECT * FROM combi WHERE deleted_at IS NULL AND %s ORDER BY id DESC LIMIT :limit) AS c
  JOIN connection s ON s.id = c.source_connection_id JOIN connection t ON t.id = c.target_connection_id
  LEFT JOIN connection x ON x.id = c.side_connection_id
  LEFT JOIN LATERAL (SELECT id, outcome, reason, finished_at FROM run WHERE combi_id = c.id
    AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1) AS r ON true
  CROSS JOIN LATERAL (SELECT {", ".join(f"max(n) FILTER (WHERE one = '{status}') AS {status}" for status in COUNTED)}
    FROM unnest(ARRAY[{", ".join(f"'{status}'" for status in COUNTED)}]) AS one
    CROSS JOIN LATERAL (SELECT count(*) AS n
      FROM (SELECT 1 FROM item WHERE combi_id = c.id AND status = one LIMIT {MOST}) AS seen) AS found) AS few
  ORDER BY c.id DESC"""
_COLUMNS: list[ColumnClause[Any]] = [
    column(name)
    for name in (
        *("id", "recipe", "name", "status", "reason", "schedule", "start_date", "version", "created_at", "updated_at"),
        "next_run_at",
        *(f"{side}_{fact}" for side in SIDES for fact in ("connection_id", "connector", "status", "name")),
        *("run_id", "run_outcome", "run_reason", "run_finished_at", "going_on"),
        *COUNTED,
    )
]
# With the columns named, what their names mean is found out once, and not for each page.
_ONE = text(_ROW % "id = :id").columns(*_COLUMNS)
_PAGE = text(_ROW % "id < :before AND (cast(:status AS text) IS NULL OR status = :status)").columns(*_COLUMNS)


async def row(session: HubSession, combi_id: UUID) -> RowMapping | None:
    """A combi with its sides, its last run, the run that is going on and its counts."""
    return (await session.execute(_ONE, {"id": combi_id, "limit": 1})).mappings().one_or_none()


async def page(session: HubSession, before: UUID, limit: int, status: str | None) -> Sequence[RowMapping]:
    """The same for many, the newest first."""
    found = await session.execute(_PAGE, {"before": before, "limit": limit, "status": status})
    return found.mappings().all()


async def connections(session: HubSession, ids: Sequence[UUID]) -> Map[UUID, RowMapping]:
    """The connections of these ids that this organisation has."""
    found = await session.execute(
        text("SELECT id, connector, status, tenant FROM connection WHERE id = ANY(cast(:ids AS uuid[]))"),
        {"ids": list(ids)},
    )
    return {one["id"]: one for one in found.mappings()}


async def mapping(session: HubSession, combi_id: UUID, table: str) -> Sequence[Mapping]:
    """The entries of a table, by source."""
    asked = select(Mapping).where(col(Mapping.combi_id) == combi_id, col(Mapping.table_name) == table)
    return (await session.exec(asked.order_by(col(Mapping.source)))).all()


async def accounts(session: HubSession, connection_id: UUID) -> Sequence[RowMapping]:
    """The ledger accounts (`number`, `name`) that the target was last seen to have and that can be booked on."""
    found = await session.execute(
        text(
            """SELECT DISTINCT a.one->>'number' AS number, a.one->>'name' AS name
            FROM connection c JOIN masterdata m ON m.connection_id IN (c.id, c.same_as)
            CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(m.value->'accounts') WHEN 'array'
              THEN m.value->'accounts' ELSE '[]' END) AS a(one)
            WHERE c.id = :id AND NOT coalesce(cast(a.one->>'blocked' AS boolean), false) ORDER BY 1, 2"""
        ),
        {"id": connection_id},
    )
    return found.mappings().all()


async def cost_centres(session: HubSession, connection_id: UUID) -> Sequence[RowMapping]:
    """The cost centres (`number`, `name`) that the target was last seen to have."""
    found = await session.execute(
        text(
            """SELECT DISTINCT a.one->>'id' AS number, coalesce(a.one->>'name', '') AS name
            FROM connection c JOIN masterdata m ON m.connection_id IN (c.id, c.same_as)
            CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(m.value->'cost_centres') WHEN 'array'
              THEN m.value->'cost_centres' ELSE '[]' END) AS a(one)
            WHERE c.id = :id ORDER BY 1, 2"""
        ),
        {"id": connection_id},
    )
    return found.mappings().all()


async def master_read_at(session: HubSession, connection_id: UUID) -> datetime | None:
    """When the target's lists were last read: of several administrations the one that is oldest."""
    found = await session.execute(
        text(
            """SELECT min(m.fetched_at) FROM connection c
            JOIN masterdata m ON m.connection_id IN (c.id, c.same_as) WHERE c.id = :id"""
        ),
        {"id": connection_id},
    )
    at: datetime | None = found.scalar_one()
    return at


async def map_one(session: HubSession, entry: Mapping) -> None:
    """Puts one entry into a table; what stood there for the same word gives way."""
    await session.execute(
        text(
            """INSERT INTO mapping (id, organisation_id, combi_id, table_name, source, target)
            VALUES (:id, :organisation_id, :combi_id, :table_name, :source, :target)
            ON CONFLICT (combi_id, table_name, source) DO UPDATE SET target = excluded.target"""
        ),
        entry.model_dump(),
    )


async def clear_mapping(session: HubSession, combi_id: UUID, table: str) -> None:
    """Empties a table."""
    await session.execute(
        text("DELETE FROM mapping WHERE combi_id = :combi AND table_name = :table"),
        {"combi": combi_id, "table": table},
    )


async def stop_runs(session: HubSession, combi_id: UUID) -> None:
    """Asks the run that is going on to stop at its next safe point."""
    await session.execute(
        text("UPDATE run SET cancelled = true WHERE combi_id = :combi AND finished_at IS NULL"), {"combi": combi_id}
    )


_REST = ("item", "standing", "position", "mapping")


async def deleted_with_rest(session: HubSession, before: datetime) -> Sequence[UUID]:
    """Deleted combis that still have rows of their own and no run that could make more."""
    exists = " OR ".join(f"EXISTS (SELECT 1 FROM {table} x WHERE x.combi_id = c.id)" for table in _REST)
    found = await session.execute(
        text(
            f"""SELECT c.id FROM combi c WHERE c.deleted_at <= :before AND ({exists})
            AND NOT EXISTS (SELECT 1 FROM run r WHERE r.combi_id = c.id AND r.finished_at IS NULL) LIMIT 20"""
        ),
        {"before": before},
    )
    return [one for (one,) in found]


async def remove_rest(session: HubSession, combi_id: UUID, most: int) -> int:
    """Removes up to `most` rows of each kind; gives how many went."""
    gone = 0
    for table in _REST:
        result: CursorResult[Any] = await session.execute(  # type: ignore[assignment]
            text(
                f"""DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}
                WHERE combi_id = :combi LIMIT :most))"""
            ),
            {"combi": combi_id, "most": most},
        )
        gone += result.rowcount
    return gone
