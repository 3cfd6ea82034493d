"""The SQL of file batches."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlmodel import col, select

from hub.batches.models import FileBatch
from hub.kit.database import HubSession

_WAITING = """FROM delivery d WHERE d.target = ANY(:targets) AND d.stream = ANY(:streams) AND d.state = 'recorded'
  AND (d.receipt ->> 'filed') = 'true' AND d.payload <> '{}'
  AND NOT EXISTS (SELECT 1 FROM fileentry e WHERE e.delivery_id = d.id)"""


async def waiting(session: HubSession, targets: Sequence[str], streams: Sequence[str]) -> Sequence[RowMapping]:
    """Bookings that are in no batch yet, in the order of booking; locked, so that two callers never take one twice."""
    found = await session.execute(
        text(f"SELECT d.id, d.target, d.stream, d.payload {_WAITING} ORDER BY d.recorded_at, d.id FOR UPDATE"),
        {"targets": list(targets), "streams": list(streams)},
    )
    return found.mappings().all()


async def count_waiting(session: HubSession, targets: Sequence[str], streams: Sequence[str]) -> int:
    """How many those are."""
    asked = {"targets": list(targets), "streams": list(streams)}
    found = await session.execute(text(f"SELECT count(*) {_WAITING}"), asked)
    return int(found.scalar_one())


async def last_number(session: HubSession, target: str) -> int:
    """The number of an administration's newest batch; 0 when there is none."""
    found = await session.execute(
        text("SELECT coalesce(max(number), 0) FROM filebatch WHERE target = :target"), {"target": target}
    )
    return int(found.scalar_one())


async def batches(session: HubSession, combi_id: UUID, targets: Iterable[str]) -> Sequence[FileBatch]:
    """The batches of these administrations and those that this combi made, the newest first."""
    asked = select(FileBatch).where((col(FileBatch.target).in_(list(targets))) | (col(FileBatch.combi_id) == combi_id))
    return (await session.exec(asked.order_by(col(FileBatch.id).desc()))).all()


async def sizes(session: HubSession, batch_ids: Sequence[UUID]) -> dict[UUID, RowMapping]:
    """Per batch the number of its documents and what they come to."""
    found = await session.execute(
        text(
            """SELECT e.batch_id, count(*) AS documents, coalesce(sum(d.total), 0) AS total
            FROM fileentry e JOIN delivery d ON d.id = e.delivery_id WHERE e.batch_id = ANY(:ids) GROUP BY 1"""
        ),
        {"ids": list(batch_ids)},
    )
    return {row["batch_id"]: row for row in found.mappings()}


async def documents(session: HubSession, batch_id: UUID) -> Sequence[RowMapping]:
    """What is in a batch, in its order."""
    found = await session.execute(
        text(
            """SELECT d.ref, d.payload FROM fileentry e JOIN delivery d ON d.id = e.delivery_id
            WHERE e.batch_id = :id ORDER BY e.position"""
        ),
        {"id": batch_id},
    )
    return found.mappings().all()
