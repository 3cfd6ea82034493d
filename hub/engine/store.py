"""The engine's SQL: bulk reads and guarded bulk writes, one round trip each."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding
from hub.engine.context import Context, LogLine
from hub.kit import json
from hub.kit.database import text
from hub.kit.ids import new_id
from hub.kit.log import redact_text
from hub.sdk.connector import Existing, Key

Rows = Sequence[Mapping[str, Any]]
EVIDENCE_LENGTH = 4000
SHOWN_S = 1.5
"""How old the counts of a run may be that is going on and commits something."""


def packed(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as one JSON parameter."""
    return json.dumps([dict(row) for row in rows])


def _ids(rows: Rows) -> list[UUID]:
    """The rows' ids as an array: with it PostgreSQL goes by the primary key, however badly it knows a growing table."""
    return [row["id"] for row in rows]


async def items_at_hand(
    session: AsyncSession, ctx: Context, flow: str, limit: int, besides: Sequence[UUID] = ()
) -> list[dict[str, Any]]:
    """The next items of a flow to be worked on, oldest first, `besides` those that are in hand already.

    `raw` is None for those whose document the context still has.
    """
    period = ctx.run.period or {}
    found = await session.execute(
        text(
            """SELECT id, flow, source_id, administration, status, attempts, forced, number, delivery_id, chosen,
              vanished_at, findings FROM item
            WHERE combi_id = :combi AND flow = :flow AND status IN ('waiting', 'unknown')
              AND (retry_at IS NULL OR retry_at <= :now) AND id <> ALL(cast(:besides AS uuid[]))
              AND (cast(:first AS date) IS NULL OR date IS NULL OR date >= :first)
              AND (cast(:last AS date) IS NULL OR date IS NULL OR date <= :last)
              AND (cast(:documents AS text[]) IS NULL OR source_id = ANY(:documents))
            ORDER BY id LIMIT :limit"""
        ),
        {
            "combi": ctx.combi.id,
            "flow": flow,
            "now": ctx.clock.now(),
            "limit": limit,
            "besides": list(besides),
            "first": period.get("from"),
            "last": period.get("to"),
            "documents": ctx.run.documents,
        },
    )
    rows = [dict(row) for row in found.mappings()]
    asked = [row["id"] for row in rows if (flow, row["source_id"]) not in ctx.fresh]
    raws = await session.execute(text("SELECT id, raw FROM item WHERE id = ANY(:ids)"), {"ids": asked}) if asked else ()
    known = {row.id: row.raw for row in raws}
    return [{**row, "raw": known.get(row["id"])} for row in rows]


async def at_hand(session: AsyncSession, ctx: Context) -> frozenset[str]:
    """The flows with items to be worked on, and `follow_up` when something is to follow a booking: all in one look."""
    if ctx.at_hand is None:
        found = await session.execute(
            text(
                """SELECT DISTINCT flow FROM item WHERE combi_id = :combi AND status IN ('waiting', 'unknown')
                  AND (retry_at IS NULL OR retry_at <= :now)
                UNION ALL SELECT 'follow_up' WHERE EXISTS (SELECT 1 FROM item WHERE combi_id = :combi
                  AND (note <> '' OR attach))"""
            ),
            {"combi": ctx.combi.id, "now": ctx.clock.now()},
        )
        ctx.at_hand = frozenset(found.scalars())
    return ctx.at_hand


async def items_of(session: AsyncSession, ctx: Context, flow: str, keys: Iterable[tuple[str, str]]) -> list[RowMapping]:
    """Items of a flow by (source id, administration)."""
    found = await session.execute(
        text(
            """SELECT id, flow, source_id, i.administration, status, raw, attempts, forced, number, findings, retry_at,
              delivery_id, chosen, vanished_at
            FROM item i JOIN jsonb_to_recordset(cast(:keys AS jsonb)) AS k(source text, administration text)
              ON i.source_id = k.source AND i.administration = k.administration
            WHERE i.combi_id = :combi AND i.flow = :flow"""
        ),
        {
            "combi": ctx.combi.id,
            "flow": flow,
            "keys": packed({"source": source, "administration": administration} for source, administration in keys),
        },
    )
    return list(found.mappings())


async def upsert_items(session: AsyncSession, ctx: Context, flow: str, rows: Rows) -> dict[str, int]:
    """Stores what was read. New and changed content goes (back) to work; what a human skipped stays skipped.

    Gives the number of `new` and `changed` items, and of those the `ignored` ones and those with a `finding`. Those
    findings are told in the log once, and not each time an overlapping window shows the record again. A booked item
    whose content changed is worked on again: delivery sees the difference and does what the target allows. One that
    the source since sets aside, such as a run that was marked as processed, keeps what was booked and says no more.
    """
    if not rows:
        return {}
    await _leave_booked(session, ctx, flow, [row for row in rows if row["status"] == "ignored"])
    found = await session.execute(
        text(
            """INSERT INTO item AS i (id, organisation_id, combi_id, flow, source_id, administration, status, number,
                 date, party, amount, currency, raw, fingerprint, findings, target_ref, target_label, tried_version,
                 attempts, forced, note, attach, run_id, created_at, updated_at, period, route)
            SELECT r.id, :organisation, :combi, :flow, r.source_id, coalesce(r.administration, ''), r.status, r.number,
                 r.date, r.party, r.amount, r.currency, r.raw, r.fingerprint, r.findings, '', '', 0, 0, false,
                 coalesce(r.note, ''), false, :run, :now, :now, coalesce(r.period, ''), coalesce(r.route, '')
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, source_id text, administration text,
                 status text, number text, date date, party text, amount numeric, currency text, raw jsonb,
                 fingerprint text, findings jsonb, note text, period text, route text)
            ON CONFLICT (combi_id, flow, source_id, administration) DO UPDATE SET
                 raw = excluded.raw, fingerprint = excluded.fingerprint, number = excluded.number,
                 date = excluded.date, party = excluded.party, amount = excluded.amount, currency = excluded.currency,
                 period = excluded.period, route = excluded.route,
                 findings = CASE WHEN i.status IN ('skipped', 'unknown') THEN i.findings ELSE excluded.findings END,
                 status = CASE WHEN i.status IN ('skipped', 'unknown', 'reversed') THEN i.status
                               WHEN i.delivery_id IS NOT NULL AND excluded.status = 'ignored' THEN i.status
                               ELSE excluded.status END,
                 retry_at = NULL, forced = false, run_id = excluded.run_id, updated_at = :now
            WHERE i.fingerprint <> excluded.fingerprint
            RETURNING (xmax = 0) AS new, status, id, findings"""
        ),
        {
            "organisation": ctx.organisation_id,
            "combi": ctx.combi.id,
            "flow": flow,
            "run": ctx.run.id,
            "now": ctx.clock.now(),
            "rows": packed(rows),
        },
    )
    counts = {"new": 0, "changed": 0, "ignored": 0, "finding": 0}
    for new, status, item, findings in found:
        counts["new" if new else "changed"] += 1
        if status in ("ignored", "finding"):
            counts[status] += 1
        if status == "finding":
            for finding in findings:
                ctx.log_finding(Finding.model_validate(finding, strict=False), item)
    if counts["new"] or counts["changed"]:
        ctx.at_hand = None
    return counts


async def _leave_booked(session: AsyncSession, ctx: Context, flow: str, ignored: Rows) -> None:
    """Booked items that the source since sets aside: only that is kept: they go on showing what was booked."""
    if not ignored:
        return
    seen = [
        {"source_id": row["source_id"], "administration": row.get("administration"), "fingerprint": row["fingerprint"]}
        for row in ignored
    ]
    await session.execute(
        text(
            """UPDATE item i SET fingerprint = r.fingerprint
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(source_id text, administration text, fingerprint text)
            WHERE i.combi_id = :combi AND i.flow = :flow AND i.source_id = r.source_id
              AND i.administration = coalesce(r.administration, '') AND i.status = 'booked'
              AND i.fingerprint <> r.fingerprint"""
        ),
        {"combi": ctx.combi.id, "flow": flow, "rows": packed(seen)},
    )


async def park(session: AsyncSession, ctx: Context, rows: Rows) -> None:
    """Writes what became of items in hand: only rows that are still in the engine's hands change.

    A row: id, status, findings (list), retry_at, target_ref, target_label, delivery_id, note, attach, number, route.
    """
    if not rows:
        return
    await session.execute(
        text(
            """UPDATE item i SET status = r.status, findings = r.findings, retry_at = r.retry_at,
                 target_ref = coalesce(r.target_ref, i.target_ref),
                 target_label = coalesce(r.target_label, i.target_label),
                 delivery_id = coalesce(r.delivery_id, i.delivery_id), note = coalesce(r.note, i.note),
                 attach = coalesce(r.attach, i.attach), tried_version = :version, attempts = i.attempts + 1,
                 number = CASE WHEN coalesce(r.number, '') = '' THEN i.number ELSE r.number END,
                 route = coalesce(nullif(r.route, ''), i.route),
                 run_id = :run, updated_at = :now
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, status text, findings jsonb,
                 retry_at timestamptz, target_ref text, target_label text, delivery_id uuid, note text, attach boolean,
                 number text, route text)
            WHERE i.id = r.id AND i.id = ANY(:ids) AND i.status IN ('waiting', 'unknown')"""
        ),
        {
            "ids": _ids(rows),
            "rows": packed(rows),
            "version": ctx.run.settings_version,
            "run": ctx.run.id,
            "now": ctx.clock.now(),
        },
    )


def found_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as an item stores them."""
    return [finding.model_dump(mode="json") for finding in findings]


async def deliveries(session: AsyncSession, keys: Iterable[str]) -> dict[str, RowMapping]:
    """The newest delivery of each key; its payload only while its fate is unknown."""
    if not (wanted := list(keys)):
        return {}
    found = await session.execute(
        text(
            """SELECT DISTINCT ON (key) id, key, version, revision, state, fingerprint, run_id, intended_at, sent_at,
                 check_at, settled_at, ref, label, receipt, CASE WHEN state = 'sent' THEN payload END AS payload
            FROM delivery WHERE key = ANY(:keys) ORDER BY key, version DESC, revision DESC"""
        ),
        {"keys": wanted},
    )
    return {row["key"]: row for row in found.mappings()}


async def last_receipts(session: AsyncSession, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What the target last said of each key's booking, and `recorded_at`, whatever became of later changes."""
    found = await session.execute(
        text(
            """SELECT DISTINCT ON (key) key, receipt, recorded_at FROM delivery
            WHERE key = ANY(:keys) AND state = 'recorded'
            ORDER BY key, version DESC, revision DESC"""
        ),
        {"keys": list(keys)},
    )
    return {row.key: {**(row.receipt or {}), "recorded_at": row.recorded_at} for row in found}


async def references(session: AsyncSession, keys: Iterable[str]) -> dict[str, str]:
    """What the target calls each of these, as far as it stands there."""
    found = await session.execute(
        text(
            """SELECT DISTINCT ON (key) key, ref, state, revision FROM delivery WHERE key = ANY(:keys)
            ORDER BY key, version DESC, revision DESC"""
        ),
        {"keys": list(keys)},
    )
    return {row.key: row.ref for row in found if row.ref and (row.state == "recorded" or row.revision > 1)}


async def elsewhere(session: AsyncSession, keys: Sequence[Key]) -> dict[str, str]:
    """Documents that stand in another target of the same package already: source id -> that target."""
    if not keys:
        return {}
    found = await session.execute(
        text(
            """SELECT key, source, stream, source_id, target FROM delivery
            WHERE source_id = ANY(:ids) AND state IN ('sent', 'recorded')"""
        ),
        {"ids": [key.source_id for key in keys]},
    )
    own = {(key.source, key.stream, key.source_id): (key.text, _package(key.target)) for key in keys}
    standing: dict[str, str] = {}
    for row in found:
        key_text, package = own.get((row.source, row.stream, row.source_id), (row.key, ""))
        if row.key != key_text and _package(row.target) == package:
            standing[row.source_id] = row.target
    return standing


def _package(target: str) -> str:
    return target.partition(":")[0]


async def intend(session: AsyncSession, ctx: Context, rows: Rows) -> dict[str, UUID]:
    """Writes intents; an intent that already stands unsent is replaced. Gives the written ones' ids by key.

    A key that is missing from the answer lost to another document with the same claim, or to another run.
    """
    # Two combis on one pair may claim one number at the same moment: one after the other, the later one sees it taken.
    for target in sorted({str(row["target"]) for row in rows}):
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:target, 0))"), {"target": target})
    found = await session.execute(
        text(
            """INSERT INTO delivery AS d (id, organisation_id, key, version, revision, source, stream, source_id,
                 target, state, claim, payload, fingerprint, total, settings_version, run_id, intended_at, ref, label,
                 open_item, adopted, verified)
            SELECT r.id, :organisation, r.key, r.version, r.revision, r.source, r.stream, r.source_id, r.target,
                 'intended', r.claim, r.payload, r.fingerprint, r.total, :settings, :run, :now, coalesce(r.ref, ''), '',
                 '', r.adopted, false
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, key text, version int, revision int,
                 source text, stream text, source_id text, target text, claim text, payload jsonb, fingerprint text,
                 total numeric, ref text, adopted boolean)
            WHERE NOT EXISTS (SELECT 1 FROM delivery o WHERE o.organisation_id = :organisation AND o.target = r.target
                 AND o.stream = r.stream AND o.claim = r.claim AND o.key <> r.key AND o.revision = 1
                 AND o.state NOT IN ('gone', 'reversed'))
            ON CONFLICT (organisation_id, key, version, revision) DO UPDATE SET payload = excluded.payload,
                 fingerprint = excluded.fingerprint, total = excluded.total, claim = excluded.claim,
                 state = 'intended', settings_version = excluded.settings_version, run_id = excluded.run_id,
                 adopted = excluded.adopted, ref = excluded.ref, intended_at = excluded.intended_at
            WHERE d.state IN ('intended', 'refused')
            RETURNING d.key, d.id"""
        ),
        {
            "organisation": ctx.organisation_id,
            "rows": packed(rows),
            "settings": ctx.run.settings_version,
            "run": ctx.run.id,
            "now": ctx.clock.now(),
        },
    )
    return {row.key: row.id for row in found}


async def runs_in_hand(session: AsyncSession, ctx: Context, runs: Iterable[UUID | None]) -> set[UUID]:
    """Which of these runs a living worker has in hand now, this one excepted."""
    others = [run for run in runs if run is not None and run != ctx.run.id]
    if not others:
        return set()
    found = await session.execute(
        text("SELECT id FROM run WHERE id = ANY(:ids) AND finished_at IS NULL AND lease_until > clock_timestamp()"),
        {"ids": others},
    )
    return {row.id for row in found}


async def mark_sent(session: AsyncSession, ctx: Context, ids: Sequence[UUID], check_at: datetime) -> set[UUID]:
    """From now on the fate of these is unknown until an answer is recorded. Gives those that are ours to send."""
    found = await session.execute(
        text(
            """UPDATE delivery SET state = 'sent', sent_at = :now, check_at = :check, run_id = :run
            WHERE id = ANY(:ids) AND state = 'intended' RETURNING id"""
        ),
        {"ids": list(ids), "now": ctx.clock.now(), "check": check_at, "run": ctx.run.id},
    )
    return {row.id for row in found}


async def unsend(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """These are provably absent in the target: back to the intent."""
    await session.execute(
        text("UPDATE delivery SET state = 'intended', check_at = NULL WHERE id = ANY(:ids) AND state = 'sent'"),
        {"ids": list(ids)},
    )


async def unsettle(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """The payment of these is to be proven again."""
    if ids:
        await session.execute(text("UPDATE delivery SET settled_at = NULL WHERE id = ANY(:ids)"), {"ids": list(ids)})


async def undo(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """The opposite of these bookings stands in the target: they are reversed for good."""
    if ids:
        await session.execute(
            text(
                """UPDATE delivery SET state = 'reversed' WHERE state = 'recorded' AND (key, version) IN
                  (SELECT key, version FROM delivery WHERE id = ANY(:ids))"""
            ),
            {"ids": list(ids)},
        )


async def record(session: AsyncSession, ctx: Context, rows: Rows) -> None:
    """Writes answers; `recorded` never changes. Back to `intended` goes only what this worker still has in hand.

    A row: id, state, ref, label, open_item, receipt, verified, check_at.
    """
    if not rows:
        return
    await session.execute(
        text(
            """UPDATE delivery d SET state = r.state, ref = coalesce(r.ref, d.ref), label = coalesce(r.label, d.label),
                 open_item = coalesce(r.open_item, d.open_item), receipt = coalesce(r.receipt, d.receipt),
                 verified = coalesce(r.verified, d.verified), check_at = r.check_at, balance = NULL,
                 recorded_at = CASE WHEN r.state = 'recorded' THEN :now ELSE d.recorded_at END
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, state text, ref text, label text,
                 open_item text, receipt jsonb, verified boolean, check_at timestamptz)
            WHERE d.id = r.id AND d.id = ANY(:ids) AND d.state IN ('intended', 'sent')
              AND (r.state <> 'intended' OR d.state = 'intended' OR EXISTS (SELECT 1 FROM run
                WHERE run.id = :run AND run.lease_owner = :owner AND run.lease_until > clock_timestamp()))"""
        ),
        {
            "rows": packed(rows),
            "ids": _ids(rows),
            "now": ctx.clock.now(),
            "run": ctx.run.id,
            "owner": ctx.lease.owner,
        },
    )


async def show_progress(session: AsyncSession, ctx: Context) -> None:
    """Writes down the run's counts with what they count, every other second at most."""
    if time.monotonic() - ctx.shown_at < SHOWN_S:
        return
    ctx.shown_at = time.monotonic()
    await session.execute(
        text("UPDATE run SET counts = cast(:counts AS jsonb) WHERE id = :id AND lease_owner = :owner"),
        {"counts": json.dumps(ctx.tally()), "id": ctx.run.id, "owner": ctx.lease.owner},
    )


async def write_lines(session: AsyncSession, ctx: Context, taken: Sequence[LogLine] | None = None) -> None:
    """Writes lines for the log: those that were `taken`, or all gathered so far."""
    lines = ctx.take_lines() if taken is None else taken
    if not lines:
        return
    await session.execute(
        text(
            """INSERT INTO logentry (organisation_id, at, combi_id, run_id, item_id, level, key, "values", evidence)
            SELECT :organisation, :now, :combi, :run, r.item, r.level, r.key, r."values", r.evidence
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(item uuid, level text, key text, "values" jsonb,
                 evidence jsonb)"""
        ),
        {
            "organisation": ctx.organisation_id,
            "now": ctx.clock.now(),
            "combi": ctx.combi.id,
            "run": ctx.run.id,
            "rows": packed(
                {
                    "item": line.item_id,
                    "level": line.level,
                    "key": line.key,
                    "values": {name: _shown(value) for name, value in line.values.items()},
                    "evidence": _evidence(line.evidence),
                }
                for line in lines
            ),
        },
    )


async def standing(session: AsyncSession, ctx: Context, stream: str, rows: Rows) -> dict[UUID, list[Existing]]:
    """What stood in the target that may be these documents. A row: id, administration, marks, number, emails."""
    found = await session.execute(
        text(
            """SELECT r.id AS work, s.* FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid,
                 administration text, marks jsonb, number text, emails jsonb)
            JOIN standing s ON s.combi_id = :combi AND s.stream = :stream AND s.administration = r.administration
             AND ((s.mark <> '' AND r.marks ? s.mark) OR (s.number <> '' AND s.number = r.number)
               OR (s.email <> '' AND r.emails ? s.email))"""
        ),
        {"rows": packed(rows), "combi": ctx.combi.id, "stream": stream},
    )
    result: dict[UUID, list[Existing]] = {}
    for row in found.mappings():
        result.setdefault(row["work"], []).append(
            Existing(
                ref=row["ref"],
                label=row["label"],
                mark=row["mark"],
                number=row["number"],
                date=row["date"],
                total=row["total"],
                emails=(row["email"],) if row["email"] else (),
                open_item=row["open_item"],
            )
        )
    return result


def intent_row(ctx: Context, key: Key, revision: int, **facts: Any) -> dict[str, Any]:
    """A row for `intend`."""
    return {
        "id": new_id(ctx.clock),
        "key": key.text,
        "version": key.version,
        "revision": revision,
        "source": key.source,
        "stream": key.stream,
        "source_id": key.source_id,
        "target": key.target,
        **facts,
    }


def _shown(value: object) -> object:
    return value if isinstance(value, str | int | Decimal | list) or value is None else str(value)


def _evidence(exchange: Any) -> dict[str, Any] | None:
    if exchange is None:
        return None
    return {
        "method": exchange.method,
        "path": redact_text(exchange.path),
        "status": exchange.status,
        "request": _clipped(exchange.request),
        "response": _clipped(exchange.response),
    }


def _clipped(body: object) -> str | None:
    if body is None:
        return None
    written = body if isinstance(body, str) else json.dumps(body)
    return redact_text(written)[:EVIDENCE_LENGTH]
