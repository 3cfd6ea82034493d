"""Salaries: what a booked payroll journal owes is offered, once, to the third connection, and never paid by us.

A batch holds names, accounts and pay. It is kept until the other side has it, or for `KEPT` when it never gets there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding, JournalEntry, SalaryBatch
from hub.accounting.money import ZERO
from hub.engine import deliver, store
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.recipe import SALARIES
from hub.engine.resolve import document_of
from hub.kit.ids import new_id
from hub.sdk.errors import ConfigError, Malformed, OutcomeUnknown, ReauthRequired, RecordRejected, TransientError

BATCH = 50
KEPT = timedelta(days=30)


async def offer(ctx: Context) -> bool:
    """Offers what is new and follows what was offered. False when the slice ended first.

    A third connection that is refused is told in the log and holds nothing else up: the books come first.
    Raises TransientError, after the rest was offered, when a payment file could not be fetched yet.
    """
    try:
        await _hold_stale(ctx)
        trouble = await _call_up(ctx)
        await _tell_corrections(ctx)
        if not await deliver.deliver(ctx, SALARIES):
            return False
        await _forget(ctx)
        if trouble is not None:
            raise trouble
        return await _follow(ctx)
    except (ReauthRequired, ConfigError) as error:
        ctx.log_finding(error.finding(), None)
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await store.write_lines(session, ctx)
        return True


async def _hold_stale(ctx: Context) -> None:
    """Salaries that are not offered yet are not those of a journal that changed, or went, since they were fetched.

    They, and what was forgotten before a human asked for it again, are fetched anew: their fingerprint is emptied.
    """
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text(
                """UPDATE item SET fingerprint = '' WHERE combi_id = :combi AND flow = 'salaries'
                  AND status IN ('waiting', 'unknown') AND (raw IS NULL OR raw->'orders' = '[]')"""
            ),
            {"combi": ctx.combi.id},
        )
        found = await session.execute(
            text(
                """SELECT s.id, s.number FROM item s JOIN item j ON j.combi_id = s.combi_id AND j.flow = 'journals'
                  AND j.source_id = s.source_id
                WHERE s.combi_id = :combi AND s.flow = 'salaries' AND s.status IN ('waiting', 'finding', 'rejected')
                  AND (s.status <> 'finding' OR s.fingerprint <> '') AND s.raw IS NOT NULL
                  AND (j.vanished_at IS NOT NULL OR j.fingerprint <> s.raw->>'journal')
                  AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.stream = 'salaries' AND d.source_id = s.source_id
                    AND d.state IN ('sent', 'recorded'))"""
            ),
            {"combi": ctx.combi.id},
        )
        for row in found.all():
            finding = Finding(key="journal_changed_before_offer", values={"number": row.number})
            await session.execute(
                text(
                    """UPDATE item SET status = 'finding', findings = cast(:findings AS jsonb), retry_at = NULL,
                      fingerprint = '', run_id = :run, updated_at = :now WHERE id = :id"""
                ),
                {
                    "id": row.id,
                    "findings": store.packed(store.found_json([finding])),
                    "run": ctx.run.id,
                    "now": ctx.clock.now(),
                },
            )
            ctx.log_finding(finding, row.id)
        await store.write_lines(session, ctx)


async def _call_up(ctx: Context) -> TransientError | None:
    """Makes an item of the payment file of every journal that was first booked since the third connection is there.

    One file that is not to be had now holds the others up as little as it can: the trouble is given back.
    """
    fetch = ctx.source.connector.salaries
    if fetch is None:
        return None
    last: UUID | None = None
    trouble: TransientError | None = None
    while rows := await _fresh(ctx, last):
        for row in rows:
            last = row["id"]
            ctx.lease.check()
            try:
                found = await fetch(ctx.source.http, row["raw"], ctx.settings)
            except (Malformed, RecordRejected) as error:
                await _keep(ctx, row, list(error.findings), ItemStatus.finding)
                continue
            except TransientError as error:
                if trouble is not None or error.retry_after is not None:
                    return trouble or error
                trouble = error
                continue
            if found is None:
                reason = Finding(key="no_payment_file", values={"number": row["number"]})
                await _keep(ctx, row, [reason], ItemStatus.ignored)
            else:
                journal = document_of(ctx, "journals", row["raw"])
                batch = _batch_of(found, row, journal if isinstance(journal, JournalEntry) else None)
                await _keep(ctx, row, [], ItemStatus.waiting, batch)
    return trouble


async def _fresh(ctx: Context, after: UUID | None) -> Sequence[RowMapping]:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT j.id, j.source_id, j.raw, j.number, j.date, j.period, j.fingerprint FROM item j
                JOIN delivery d ON d.id = j.delivery_id
                WHERE j.combi_id = :combi AND j.flow = 'journals' AND j.status = 'booked' AND j.raw IS NOT NULL
                  AND d.state = 'recorded' AND NOT d.adopted AND j.vanished_at IS NULL
                  AND (cast(:after AS uuid) IS NULL OR j.id > :after)
                  AND (SELECT min(o.recorded_at) FROM delivery o WHERE o.key = d.key) >= :since
                  AND (cast(:documents AS text[]) IS NULL OR j.source_id = ANY(:documents))
                  AND NOT EXISTS (SELECT 1 FROM item s WHERE s.combi_id = :combi AND s.flow = 'salaries'
                    AND s.source_id = j.source_id AND s.administration = :place AND s.fingerprint <> '')
                ORDER BY j.id LIMIT :limit"""
            ),
            {
                "combi": ctx.combi.id,
                "since": ctx.combi.side_since,
                "after": after,
                "documents": ctx.run.documents,
                "place": ctx.destination(SALARIES).tenant,
                "limit": BATCH,
            },
        )
        return found.mappings().all()


def _batch_of(found: SalaryBatch, row: RowMapping, journal: JournalEntry | None) -> SalaryBatch:
    """The batch as it is kept: under its journal's id, with what the journal says is owed."""
    facts = {"source_id": row["source_id"], "journal": row["fingerprint"], "owed": owed(journal) if journal else ()}
    return found.model_copy(update=facts)


def owed(journal: JournalEntry) -> tuple[tuple[str, Decimal], ...]:
    """Per account of the journal what its credit side comes to, and, where that is another sum, its balance: what is
    paid back by some may or may not be taken off what the others get. Sums above zero alone."""
    sides: dict[str, Decimal] = {}
    balances: dict[str, Decimal] = {}
    for line in journal.lines:
        for debit, credit in line.sides:
            sides[line.account] = sides.get(line.account, ZERO) + credit
            balances[line.account] = balances.get(line.account, ZERO) + credit - debit
    return tuple(sorted({(account, owes) for account, owes in (*sides.items(), *balances.items()) if owes > 0}))


async def _keep(
    ctx: Context, row: RowMapping, findings: list[Finding], status: ItemStatus, batch: SalaryBatch | None = None
) -> None:
    item: dict[str, Any] = {
        "id": new_id(ctx.clock),
        "source_id": row["source_id"],
        "administration": ctx.destination(SALARIES).tenant,
        "status": status,
        "number": row["number"],
        "date": batch.date if batch else row["date"],
        "period": row["period"],
        "party": "",
        "amount": batch.total if batch else None,
        "currency": batch.currency if batch else "",
        "raw": batch.model_dump(mode="json") if batch else None,
        "fingerprint": batch.fingerprint() if batch else row["fingerprint"],
        "findings": store.found_json(findings),
    }
    async with ctx.database.tenant(ctx.organisation_id) as session:
        counts = await store.upsert_items(session, ctx, SALARIES, [item])
        for name, count in counts.items():
            ctx.counts[SALARIES][name] += count
        await store.write_lines(session, ctx)


async def _tell_corrections(ctx: Context) -> None:
    """Journals that changed, or went, after their salaries were offered: only people can put that right."""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT s.id, s.number, s.target_label, s.target_ref,
                  CASE WHEN j.vanished_at IS NULL THEN j.fingerprint ELSE 'vanished' END AS journal
                FROM item s JOIN item j ON j.combi_id = s.combi_id AND j.flow = 'journals' AND j.source_id = s.source_id
                WHERE s.combi_id = :combi AND s.flow = 'salaries' AND s.status = 'booked' AND s.raw IS NOT NULL
                  AND CASE WHEN j.vanished_at IS NULL THEN j.fingerprint ELSE 'vanished' END <> s.raw->>'journal'"""
            ),
            {"combi": ctx.combi.id},
        )
        for row in found.mappings().all():
            finding = Finding(
                key="journal_changed_after_offer",
                values={"number": row["number"], "offered_as": row["target_label"] or row["target_ref"]},
            )
            await session.execute(
                text(
                    """UPDATE item SET status = 'changed', findings = cast(:findings AS jsonb), run_id = :run,
                      raw = jsonb_set(raw, '{journal}', to_jsonb(cast(:journal AS text))), updated_at = :now
                    WHERE id = :id AND status = 'booked'"""
                ),
                {
                    "id": row["id"],
                    "findings": store.packed(store.found_json([finding])),
                    "journal": row["journal"],
                    "run": ctx.run.id,
                    "now": ctx.clock.now(),
                },
            )
            ctx.counts[SALARIES]["changed"] += 1
            ctx.log_finding(finding, row["id"])
        await store.write_lines(session, ctx)


async def _forget(ctx: Context) -> None:
    """What the other side has, or nobody is to have, is ours to forget. A file still to be made needs the payload."""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text(
                """UPDATE item i SET raw = jsonb_set(raw, '{orders}', '[]')
                WHERE i.combi_id = :combi AND i.flow = 'salaries' AND i.raw->'orders' <> '[]' AND (i.status = 'skipped'
                  OR EXISTS (SELECT 1 FROM delivery d WHERE d.id = i.delivery_id AND d.state = 'recorded'))"""
            ),
            {"combi": ctx.combi.id},
        )
        await session.execute(
            text(
                """UPDATE delivery d SET payload = '{}' FROM item i
                WHERE i.delivery_id = d.id AND i.combi_id = :combi AND i.flow = 'salaries' AND d.state = 'recorded'
                  AND d.payload <> '{}' AND (d.receipt->>'filed') IS DISTINCT FROM 'true'"""
            ),
            {"combi": ctx.combi.id},
        )


async def expire(session: AsyncSession, now: datetime) -> None:
    """Forgets, of every organisation, the salaries that were offered to nobody for too long, and those in old files.

    Counted from when they came: what is tried again every night does not stay for that. Of what was offered, or may
    have been, the fate stays as it is.
    """
    over = Finding(key="salaries_expired", values={"days": str(KEPT.days)})
    told = {"now": now, "before": now - KEPT, "over": store.packed(store.found_json([over]))}
    await session.execute(
        text(
            """UPDATE item i SET raw = NULL, status = 'ignored', findings = cast(:over AS jsonb), updated_at = :now
            FROM delivery d WHERE i.flow = 'salaries' AND i.status = 'booked' AND d.id = i.delivery_id
              AND d.receipt->>'filed' = 'true' AND d.payload <> '{}' AND d.recorded_at < :before
              AND NOT EXISTS (SELECT 1 FROM fileentry e WHERE e.delivery_id = d.id)"""
        ),
        told,
    )
    await session.execute(
        text(
            """UPDATE item SET raw = jsonb_set(raw, '{orders}', '[]'), updated_at = :now
            WHERE flow = 'salaries' AND status IN ('booked', 'skipped', 'changed', 'unknown')
              AND created_at < :before AND raw->'orders' <> '[]'"""
        ),
        told,
    )
    await session.execute(
        text(
            """UPDATE item SET raw = NULL, status = 'ignored', findings = cast(:over AS jsonb), updated_at = :now
            WHERE flow = 'salaries' AND status NOT IN ('booked', 'skipped', 'changed', 'unknown')
              AND created_at < :before AND raw IS NOT NULL"""
        ),
        told,
    )
    await session.execute(
        text(
            """UPDATE delivery SET payload = '{}' WHERE stream = 'salaries' AND payload <> '{}'
              AND coalesce(recorded_at, intended_at) < :before"""
        ),
        told,
    )


async def _follow(ctx: Context) -> bool:
    """Tells in the log how far the people at the other side have come. False when the slice ended first."""
    progress = ctx.writer(SALARIES).progress
    if progress is None:
        return True
    package = ctx.destination(SALARIES).connector.manifest.name
    for row in await _offered(ctx):
        ctx.lease.check()
        try:
            stands = await progress(ctx.destination(SALARIES).http, row["ref"])
        except (RecordRejected, OutcomeUnknown):
            continue
        if stands is not None and (stands.state != row["state"] or stands.over):
            values: Mapping[str, Any] = {"number": row["number"], "offered_as": row["label"] or row["ref"]}
            ctx.log(f"progress.{package}.{stands.state}", item=row["item_id"], **values)
            if stands.removed:
                removed = ", ".join(stands.removed)
                ctx.log("salaries.removed", level="warning", item=row["item_id"], references=removed, **values)
            await _note_progress(ctx, row, stands.state, over=stands.over)
        if ctx.out_of_time:
            return False
    return True


async def _offered(ctx: Context) -> Sequence[RowMapping]:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT d.id, d.ref, d.label, coalesce(d.receipt->>'state', '') AS state, i.id AS item_id, i.number
                FROM item i JOIN delivery d ON d.id = i.delivery_id
                WHERE i.combi_id = :combi AND i.flow = 'salaries' AND d.state = 'recorded' AND d.settled_at IS NULL
                  AND (d.receipt->>'filed') IS DISTINCT FROM 'true' AND i.status IN ('booked', 'changed')
                ORDER BY i.id"""
            ),
            {"combi": ctx.combi.id},
        )
        return found.mappings().all()


async def _note_progress(ctx: Context, row: RowMapping, state: str, *, over: bool) -> None:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text(
                """UPDATE delivery SET receipt = jsonb_set(receipt, '{state}', to_jsonb(cast(:state AS text))),
                  settled_at = CASE WHEN :over THEN :now END WHERE id = :id"""
            ),
            {"id": row["id"], "state": state, "over": over, "now": ctx.clock.now()},
        )
        await store.write_lines(session, ctx)
