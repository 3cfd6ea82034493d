"""One slice of one run: its steps in order, and what each kind of trouble means for the run and its combi."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding
from hub.engine import deliver, follow_up, points, preview, read, recipe, salaries, settings, settle
from hub.engine.clients import Link
from hub.engine.context import Cancelled, Context, Lease, LeaseLost
from hub.engine.models import Combi, Run
from hub.engine.outcome import (
    AT_LIMIT,
    CONSENT,
    DOWN,
    INTERRUPTED,
    NOTHING,
    OURS,
    PARTLY,
    PREVIEWED,
    SETTING,
    WRITTEN,
    Outcome,
)
from hub.kit import json
from hub.kit.database import HubSession, text
from hub.kit.metrics import RUNS
from hub.sdk.errors import ConfigError, OutcomeUnknown, ReauthRequired, RecordRejected, TransientError

if TYPE_CHECKING:
    from hub.engine.engine import Engine

_log = structlog.get_logger(__name__)

SLICE_S = 20.0
"""How long a run keeps a worker before others get their turn."""
LEASE_S = 40
HEARTBEAT_S = 8.0
RETRIES = (5, 20, 60)
"""Waits in seconds before a run gives up on a package that does not answer."""
LONGEST_WAIT = timedelta(minutes=10)
"""A run waits so long for a limit or a look-up; after that it ends and the combi's next run goes on."""
LONGEST_BACKOFF = timedelta(hours=1)
RESTLESS = ("waiting", "unknown", "finding", "rejected", "changed")
"""Statuses of documents that are not at rest."""


async def work(engine: "Engine", run: Run, lease: Lease) -> None:
    """Works on a claimed run for one slice: ends it, or leaves it ready to go on."""
    structlog.contextvars.bind_contextvars(run=str(run.id), combi=str(run.combi_id))
    try:
        async with _kept_alive(engine, run, lease):
            await _slice(engine, run, lease)
    except LeaseLost:
        _log.warning("lease_lost")
    except SQLAlchemyError:
        # The database went away. The lease is not given back but expires, as after a crash: what was sent without being
        # recorded is not looked up before the target has had time to show it.
        _log.exception("database_lost")
    finally:
        structlog.contextvars.unbind_contextvars("run", "combi")


@asynccontextmanager
async def _kept_alive(engine: "Engine", run: Run, lease: Lease) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            began = time.monotonic()
            with suppress(SQLAlchemyError, OSError):
                async with engine.database.system() as session:
                    found = await session.execute(
                        text(
                            f"""UPDATE run SET lease_until = clock_timestamp() + interval '{LEASE_S} seconds'
                            WHERE id = :id AND lease_owner = :owner AND finished_at IS NULL RETURNING cancelled"""
                        ),
                        {"id": run.id, "owner": lease.owner},
                    )
                    row = found.first()
                lease.lost = row is None
                lease.cancelled = row is not None and row.cancelled
                lease.valid_until = began + LEASE_S

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _slice(engine: "Engine", run: Run, lease: Lease) -> None:
    ctx: Context | None = None
    trouble: Exception | None = None
    done = True
    try:
        ctx = await open_context(engine, run, lease, reopening=run.mode != "preview")
        done = await (_preview(ctx) if run.mode == "preview" else _steps(ctx))
    except (LeaseLost, SQLAlchemyError):
        raise
    except Exception as error:
        trouble = error
    if ctx is not None:
        run.counts = ctx.tally()
    await _conclude(engine, run, trouble, done)


async def open_context(engine: "Engine", run: Run, lease: Lease, *, reopening: bool = False) -> Context:
    """The combi as it is now, its choices, and both links, in one transaction. Raises ReauthRequired or ConfigError.

    `reopening`: parked items whose cause may be gone go back to work, once a run.
    """
    async with engine.database.tenant(run.organisation_id) as session:
        combi = await session.get_one(Combi, run.combi_id)
        found = await session.execute(
            text(
                """SELECT (SELECT jsonb_agg(jsonb_build_array(table_name, source, target)) FROM mapping
                    WHERE combi_id = :id) AS tables,
                  (SELECT jsonb_object_agg(stream, cursor) FROM position WHERE combi_id = :id) AS positions"""
            ),
            {"id": combi.id},
        )
        row = found.one()
        the_recipe = recipe.get(combi.recipe)
        try:
            chosen = settings.parse(the_recipe, run.settings)
        except ValueError as error:
            raise ConfigError("settings_invalid", words=str(error)[:300]) from error
        source = await engine.clients.open_in(session, combi.source_connection_id)
        target = await engine.clients.open_in(session, combi.target_connection_id)
        side, closed = await _open_side(engine, session, combi)
        if reopening and not run.progress.get("reopened"):
            await _reopen(session, run, combi, engine.clock.now())
    tables: dict[str, dict[str, str]] = {}
    for table, left, right in row.tables or ():
        tables.setdefault(table, {})[left] = right
    ctx = Context(
        database=engine.database,
        clock=engine.clock,
        combi=combi,
        run=run,
        recipe=the_recipe,
        settings=chosen,
        mappings=tables,
        source=source,
        target=target,
        lease=lease,
        positions=row.positions or {},
        ends_at=time.monotonic() + SLICE_S,
        side=side,
    )
    for link in ctx.links:
        link.http.guard = lease.hold
    if closed is not None and reopening:
        ctx.log_finding(closed, None)
    return ctx


async def _open_side(engine: "Engine", session: HubSession, combi: Combi) -> tuple[Link | None, Finding | None]:
    """The third connection. One that is dead is told and holds nothing else up: the books come first."""
    if combi.side_connection_id is None:
        return None, None
    try:
        return await engine.clients.open_in(session, combi.side_connection_id), None
    except (ReauthRequired, ConfigError) as error:
        return None, error.finding()


async def _steps(ctx: Context) -> bool:
    """Every step that is not done yet. False when the slice ended first."""
    forth = [flow for flow in ctx.flows() if ctx.recipe.direction(flow) == "forth"]
    back = [flow for flow in ctx.flows() if ctx.recipe.direction(flow) == "back"]
    steps: list[tuple[str, Callable[[], Awaitable[bool]]]] = [
        *((f"read:{flow}", partial(read.read, ctx, flow)) for flow in forth),
        *((f"deliver:{flow}", partial(deliver.deliver, ctx, flow)) for flow in forth),
        ("settle", partial(settle.settle, ctx)),
        *((f"deliver:{flow}", partial(deliver.deliver, ctx, flow)) for flow in back),
        ("follow_up", partial(follow_up.follow_up, ctx)),
        # Last: a third connection that does not answer holds nothing else up.
        *((f"offer:{flow}", partial(salaries.offer, ctx)) for flow in ctx.flows() if flow == recipe.SALARIES),
    ]
    for name, step in steps:
        if ctx.run.progress.get(name):
            continue
        try:
            if not await step():
                return False
        except ConfigError:
            # A company that may not be read, say: what the others brought is booked all the same.
            if name.startswith("read:") and not await deliver.deliver(ctx, name.removeprefix("read:")):
                return False
            raise
        ctx.run.progress = {**ctx.run.progress, name: True}
    return True


async def _reopen(session: AsyncSession, run: Run, combi: Combi, now: datetime) -> None:
    """Parked items whose cause may be gone go back to work: other settings, a look after a while, a human's wish."""
    await session.execute(
        text(
            """UPDATE item SET status = 'waiting', retry_at = NULL, updated_at = :now,
              attempts = CASE WHEN status = 'ignored' THEN greatest(attempts, 1) ELSE attempts END
            WHERE combi_id = :combi AND (
              (status = 'finding' AND (tried_version <> :version OR retry_at <= :now OR :failed
                 OR findings @> '[{"key": "customer_not_ready"}]'))
              OR (status = 'rejected' AND (tried_version <> :version OR :failed))
              OR (status = 'ignored' AND delivery_id IS NULL AND raw IS NOT NULL AND vanished_at IS NULL
                 AND (tried_version <> :version OR findings @> '[{"key": "before_start_date"}]'
                    AND (cast(:start AS date) IS NULL OR date >= :start))))
            AND (cast(:documents AS text[]) IS NULL OR source_id = ANY(:documents))"""
        ),
        {
            "combi": combi.id,
            "version": run.settings_version,
            "now": now,
            "failed": run.trigger == "manual" and run.mode == "write",
            "start": combi.start_date,
            "documents": run.documents,
        },
    )
    run.progress = {**run.progress, "reopened": True}


async def _preview(ctx: Context) -> bool:
    ctx.run.result = (await preview.preview(ctx)).model_dump(mode="json")
    return True


async def _conclude(engine: "Engine", run: Run, trouble: Exception | None, done: bool) -> None:
    now = engine.clock.now()
    match trouble:
        case None if not done:
            run.progress = {name: value for name, value in run.progress.items() if name != "tries"}
            await _go_on(engine, run, now)
        case None:
            await _finish_well(engine, run, now)
        case ReauthRequired():
            await _finish(engine, run, CONSENT, trouble.finding(), attention=True)
        case ConfigError():
            await _finish(engine, run, SETTING, trouble.finding(), attention=True)
        case TransientError():
            await _wait_or_give_up(engine, run, trouble, now)
        case OutcomeUnknown() | RecordRejected():
            # Of a call that belongs to no document (a listing that is refused): the package cannot be used now.
            await _wait_or_give_up(engine, run, TransientError(trouble.key, words=trouble.words), now)
        case Cancelled():
            await _finish(engine, run, INTERRUPTED, Finding(key="cancelled"))
        case _:
            _log.error("run_failed", exc_info=trouble)
            finding = Finding(key="internal_error", values={"error": type(trouble).__name__})
            await _finish(engine, run, OURS, finding, failed=True)


async def _go_on(engine: "Engine", run: Run, wake_at: datetime) -> None:
    """Leaves the run to the next slice, behind those who wait already."""
    async with engine.database.tenant(run.organisation_id) as session:
        await session.execute(
            text(
                """UPDATE run SET lease_owner = NULL, lease_until = NULL, wake_at = :wake,
                  progress = cast(:progress AS jsonb), counts = cast(:counts AS jsonb), reason = cast(:reason AS jsonb)
                WHERE id = :id AND finished_at IS NULL AND lease_owner = :owner"""
            ),
            {
                "id": run.id,
                "owner": run.lease_owner,
                "wake": wake_at,
                "progress": json.dumps(run.progress),
                "counts": json.dumps(run.counts),
                "reason": json.dumps(run.reason),
            },
        )
    if wake_at <= engine.clock.now():
        await engine.doorbell.ring()


async def _finish_well(engine: "Engine", run: Run, now: datetime) -> None:
    """Every step is done: wait for look-ups that are due soon, or end."""
    if run.mode == "preview":
        await _finish(engine, run, PREVIEWED, None)
        return
    waits = int(run.progress.get("waits", 0))
    async with engine.database.tenant(run.organisation_id) as session:
        row = (
            await session.execute(
                _UNFINISHED,
                {
                    "run": run.id,
                    "combi": run.combi_id,
                    "documents": run.documents,
                    "first": (run.period or {}).get("from"),
                    "last": (run.period or {}).get("to"),
                },
            )
        ).one()
        waiting = row.next is not None and row.next - now <= LONGEST_WAIT and waits < 8
        if not waiting:
            tallies = [tally for flow, tally in run.counts.items() if flow != "calls"]
            wrote = sum(tally.get(kind, 0) for tally in tallies for kind in ("booked", "update", "adopt"))
            outcome = PARTLY if row.trouble else WRITTEN if wrote else NOTHING
            points.reach(points.BEFORE_FINISH)
            ended = await _end(session, run, now, _Ending(outcome, None))
    if waiting:
        kept = {name: value for name, value in run.progress.items() if name.startswith(("read:", "begun:", "reopened"))}
        run.progress = {**kept, "waits": waits + 1}
        await _go_on(engine, run, max(row.next, now))
    elif ended:
        await _tell(engine, run, outcome)


_UNFINISHED = text(
    """SELECT min(retry_at) FILTER (WHERE status IN ('waiting', 'unknown')) AS next,
      count(*) FILTER (WHERE run_id = :run AND status IN ('finding', 'rejected', 'changed')
         OR status IN ('unknown', 'waiting')) AS trouble
    FROM item WHERE combi_id = :combi AND status IN ('waiting', 'unknown', 'finding', 'rejected', 'changed')
      AND (cast(:first AS date) IS NULL OR date IS NULL OR date >= :first)
      AND (cast(:last AS date) IS NULL OR date IS NULL OR date <= :last)
      AND (cast(:documents AS text[]) IS NULL OR source_id = ANY(:documents))"""
)


async def _wait_or_give_up(engine: "Engine", run: Run, trouble: TransientError, now: datetime) -> None:
    tries = int(run.progress.get("tries", 0))
    run.reason = trouble.finding().model_dump(mode="json")
    if trouble.retry_after is not None and timedelta(seconds=trouble.retry_after) <= LONGEST_WAIT:
        await _go_on(engine, run, now + timedelta(seconds=trouble.retry_after))
    elif trouble.retry_after is not None:
        resume = now + timedelta(seconds=trouble.retry_after)
        await _finish(engine, run, AT_LIMIT, trouble.finding(), not_before=resume)
    elif tries < len(RETRIES):
        run.progress = {**run.progress, "tries": tries + 1}
        await _go_on(engine, run, now + timedelta(seconds=RETRIES[tries]))
    else:
        await _finish(engine, run, DOWN, trouble.finding(), failed=True)


async def _finish(
    engine: "Engine",
    run: Run,
    outcome: Outcome,
    reason: Finding | None,
    *,
    failed: bool = False,
    attention: bool = False,
    not_before: datetime | None = None,
) -> None:
    """Ends the run. The combi keeps its schedule, backs off, or asks for a human."""
    points.reach(points.BEFORE_FINISH)
    ending = _Ending(outcome, reason, failed, attention, not_before)
    async with engine.database.tenant(run.organisation_id) as session:
        ended = await _end(session, run, engine.clock.now(), ending)
    if ended:
        await _tell(engine, run, outcome)


async def _tell(engine: "Engine", run: Run, outcome: Outcome) -> None:
    RUNS.labels(outcome.name).inc()
    _log.info("run_finished", outcome=outcome.name, counts=run.counts)
    for listener in engine.on_finish:
        await listener(run.organisation_id, run.combi_id, run.id, outcome)


@dataclass(frozen=True)
class _Ending:
    """How a run ends, and what that means for its combi."""

    outcome: Outcome
    reason: Finding | None
    failed: bool = False
    attention: bool = False
    not_before: datetime | None = None


async def _end(session: AsyncSession, run: Run, now: datetime, ending: _Ending) -> bool:
    """Ends the run, once and only by who holds it: an ended run never changes. False when it was not ours to end.

    Back-off grows with failures in a row; a combi that a human paused stays paused.
    """
    await _count_restless(session, run)
    reason = ending.reason
    ended = await session.execute(
        _END,
        {
            "id": run.id,
            "combi": run.combi_id,
            "organisation": run.organisation_id,
            "owner": run.lease_owner,
            "now": now,
            "outcome": ending.outcome.code,
            "reason": json.dumps(reason.model_dump(mode="json") if reason else None),
            "counts": json.dumps(run.counts),
            "result": json.dumps(run.result),
            "progress": json.dumps(run.progress),
            "level": "info" if ending.outcome.good else "warning",
            "key": ending.outcome.key if reason else "run.finished",
            "values": json.dumps({**(reason.values if reason else {}), **_tally(run)}),
            "failed": ending.failed,
            "attention": ending.attention,
            "not_before": ending.not_before,
            "longest": LONGEST_BACKOFF,
        },
    )
    return ended.first() is not None


_END = text(
    """WITH ended AS (
      UPDATE run SET finished_at = :now, lease_owner = NULL, lease_until = NULL, outcome = :outcome,
        reason = cast(:reason AS jsonb), counts = cast(:counts AS jsonb), result = cast(:result AS jsonb),
        progress = cast(:progress AS jsonb)
      WHERE id = :id AND finished_at IS NULL AND lease_owner = :owner RETURNING combi_id),
    told AS (
      INSERT INTO logentry (organisation_id, at, combi_id, run_id, level, key, "values")
      SELECT :organisation, :now, :combi, :id, :level, :key, cast(:values AS jsonb) FROM ended)
    UPDATE combi SET failures = CASE WHEN :failed THEN failures + 1 ELSE 0 END,
      status = CASE WHEN :attention AND status = 'active' THEN 'attention' ELSE status END,
      reason = CASE WHEN :attention AND status = 'active' THEN cast(:reason AS jsonb)
                    WHEN status = 'active' THEN NULL ELSE reason END,
      not_before = CASE WHEN :failed
        THEN :now + least(interval '1 minute' * 2 ^ least(failures + 1, 10), cast(:longest AS interval))
        ELSE cast(:not_before AS timestamptz) END,
      updated_at = :now
    FROM ended WHERE combi.id = ended.combi_id RETURNING combi.id"""
)


async def _count_restless(session: AsyncSession, run: Run) -> None:
    """Counts what this run leaves unfinished as it stands now: on its way a document may have been parked and more."""
    found = await session.execute(
        text(
            """SELECT flow, status, count(*) AS documents FROM item
            WHERE combi_id = :combi AND run_id = :run AND status = ANY(cast(:restless AS text[])) GROUP BY 1, 2"""
        ),
        {"combi": run.combi_id, "run": run.id, "restless": list(RESTLESS)},
    )
    counts = {
        flow: tally if flow == "calls" else {kind: count for kind, count in tally.items() if kind not in RESTLESS}
        for flow, tally in run.counts.items()
    }
    for row in found:
        counts.setdefault(row.flow, {})[row.status] = row.documents
    run.counts = counts


def _tally(run: Run) -> dict[str, int]:
    """How many documents were booked, and how many need a human, over all flows."""
    tallies = [tally for flow, tally in run.counts.items() if flow != "calls"]
    return {
        "booked": sum(tally.get(kind, 0) for tally in tallies for kind in ("booked", "update", "adopt")),
        "attention": sum(tally.get(kind, 0) for tally in tallies for kind in ("finding", "rejected", "changed")),
    }
