"""Absence: what a complete listing of the source no longer holds, and what comes back.

What was not booked is ignored from then on. What was booked stays booked: a human is told, once, and says whether it is
to be taken back. Nothing is ever taken back by itself.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding, Ignored
from hub.engine import reversal, store, verdicts
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.resolve import Work
from hub.engine.verdicts import Job, Verdicts
from hub.sdk.connector import Whole

GONE = "gone_at_source"


async def look(session: AsyncSession, ctx: Context, flow: str, seen: Iterable[str], wholes: Sequence[Whole]) -> None:
    """Compares what a page shows with what was known, in the transaction that stores the page."""
    present = set(seen)
    for whole in wholes:
        present |= whole.source_ids
    await _come_back(session, ctx, flow, present)
    now = ctx.clock.now()
    for whole in wholes:
        rows = await _missed(session, ctx, flow, whole.prefix, present)
        certain = now - timedelta(seconds=whole.again_after_s)
        first = [row["id"] for row in rows if row["missed_at"] is None]
        await session.execute(text("UPDATE item SET missed_at = :now WHERE id = ANY(:ids)"), {"now": now, "ids": first})
        for row in rows:
            if (row["missed_at"] or now) <= certain and not row["unsure"]:
                await _vanish(session, ctx, flow, row)


async def handle(ctx: Context, flow: str, works: Sequence[Work], said: Verdicts) -> list[Job]:
    """What is to be done with vanished documents in hand: only a human's word has a booking taken back."""
    reversing: list[tuple[Work, UUID]] = []
    stood = await reversal.standing(ctx, [work.delivery_id for work in works if work.delivery_id is not None])
    for work in works:
        if work.delivery_id is None:
            reason = Finding(key=GONE, values={"number": work.number})
            work.ignored = Ignored(source_id=work.source_id, reason=reason, number=work.number)
            verdicts.ignore(ctx, work, said)
        elif work.forced:
            reversing.append((work, work.delivery_id))
        else:
            work.findings = [verdicts.vanished(ctx, flow, work.number, verdicts.called(stood.get(work.delivery_id)))]
            verdicts.park(ctx, work, ItemStatus.changed, said, delivery_id=work.delivery_id)
    return await reversal.reverse(ctx, flow, reversing, said)


async def _come_back(session: AsyncSession, ctx: Context, flow: str, present: set[str]) -> None:
    """What is listed again goes on as if it had never been away."""
    found = await session.execute(
        text(
            """SELECT id, number, vanished_at FROM item WHERE combi_id = :combi AND flow = :flow
              AND missed_at IS NOT NULL AND source_id = ANY(:present) FOR UPDATE"""
        ),
        {"combi": ctx.combi.id, "flow": flow, "present": sorted(present)},
    )
    rows = found.mappings().all()
    if not rows:
        return
    ctx.at_hand = None
    await session.execute(
        text(
            """UPDATE item SET missed_at = NULL, vanished_at = NULL, updated_at = :now,
              status = CASE WHEN vanished_at IS NOT NULL AND status IN ('ignored', 'changed', 'reversed')
                THEN 'waiting' ELSE status END,
              findings = CASE WHEN vanished_at IS NOT NULL AND status IN ('ignored', 'changed', 'reversed')
                THEN '[]' ELSE findings END,
              forced = false, retry_at = CASE WHEN status = 'unknown' THEN retry_at END
            WHERE id = ANY(:ids)"""
        ),
        {"now": ctx.clock.now(), "ids": [row["id"] for row in rows]},
    )
    for row in rows:
        if row["vanished_at"] is not None:
            ctx.log("item.came_back", item=row["id"], number=row["number"])


async def _missed(
    session: AsyncSession, ctx: Context, flow: str, prefix: str, present: set[str]
) -> Sequence[RowMapping]:
    """The documents that the listing should hold and does not, of which nothing was concluded yet."""
    found = await session.execute(
        text(
            """SELECT i.id, i.number, i.status, i.missed_at, d.id AS delivery_id, coalesce(d.label, '') AS label,
              coalesce(d.ref, '') AS ref, i.status = 'unknown' OR EXISTS (SELECT 1 FROM delivery s
                WHERE s.source_id = i.source_id AND s.source = :source AND s.stream = ANY(:streams)
                  AND s.state = 'sent') AS unsure
            FROM item i LEFT JOIN LATERAL (SELECT id, label, ref FROM delivery d WHERE d.source_id = i.source_id
                AND d.source = :source AND d.stream = :flow AND d.state = 'recorded'
              ORDER BY version DESC, revision DESC LIMIT 1) AS d ON true
            WHERE i.combi_id = :combi AND i.flow = :flow AND i.vanished_at IS NULL
              AND i.status NOT IN ('skipped', 'reversed') AND starts_with(i.source_id, :prefix)
              AND NOT EXISTS (SELECT 1 FROM unnest(cast(:there AS text[])) AS t(id) WHERE t.id = i.source_id)"""
        ),
        {
            "combi": ctx.combi.id,
            "flow": flow,
            "streams": [flow, flow + reversal.SUFFIX],
            "source": ctx.origin(flow).source,
            "prefix": prefix,
            "there": sorted(present),
        },
    )
    return found.mappings().all()


async def _vanish(session: AsyncSession, ctx: Context, flow: str, row: RowMapping) -> None:
    values = {"number": row["number"]}
    if row["delivery_id"] is None:
        finding = Finding(key=GONE, values=values)
        status, count = ItemStatus.ignored, "ignored"
        if row["status"] != ItemStatus.ignored:
            ctx.log_finding(finding, row["id"])
    else:
        finding = verdicts.vanished(ctx, flow, row["number"], row["label"] or row["ref"])
        status, count = ItemStatus.changed, "changed"
        ctx.log_finding(finding, row["id"])
    ctx.counts[flow][count] += 1
    facts: dict[str, Any] = {
        "id": row["id"],
        "status": status,
        "findings": store.packed([finding.model_dump(mode="json")]),
        "delivery": row["delivery_id"],
        "ref": row["ref"],
        "label": row["label"],
        "run": ctx.run.id,
        "now": ctx.clock.now(),
    }
    await session.execute(
        text(
            """UPDATE item SET status = :status, findings = cast(:findings AS jsonb), vanished_at = :now,
              missed_at = coalesce(missed_at, :now), delivery_id = coalesce(:delivery, delivery_id), forced = false,
              target_ref = coalesce(nullif(:ref, ''), target_ref),
              target_label = coalesce(nullif(:label, ''), target_label),
              retry_at = NULL, run_id = :run, updated_at = :now WHERE id = :id"""
        ),
        facts,
    )
