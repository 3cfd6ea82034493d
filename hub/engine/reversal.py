"""Reversal: a booking is taken back by its opposite, a delivery of its own under a key of its own.

The opposite goes by the same protocol as any delivery. Once it stands, the booking is `reversed` for good, in the same
commit; the document is then booked anew under the next version of its key, or, when it vanished, not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlalchemy import RowMapping, text

from hub.accounting.documents import Finding
from hub.engine import points, protocol, store, verdicts
from hub.engine.context import Context
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.resolve import Work
from hub.engine.verdicts import Action, Job, Stood, Verdicts
from hub.sdk.connector import Key, Receipt
from hub.sdk.errors import RecordRejected

SUFFIX = ".reversal"


def opposite_key(key: Key) -> Key:
    """The key of a booking's opposite: of the same version, so that each booking has one."""
    return replace(key, stream=key.stream + SUFFIX)


async def reverse(ctx: Context, flow: str, works: Sequence[tuple[Work, UUID]], said: Verdicts) -> list[Job]:
    """Takes back the bookings with these delivery ids. Gives the opposites to be sent, their intents committed."""
    if not works:
        return []
    stood = await standing(ctx, [delivery_id for _, delivery_id in works])
    opposites = await _opposites(ctx, [one.key for one in stood.values()])
    doubtful: list[tuple[Job, RowMapping]] = []
    ready: list[tuple[Work, Stood]] = []
    for work, delivery_id in works:
        one = stood.get(delivery_id)
        if one is None:
            # It was taken back, or taken out by hand, since this work was begun.
            if work.vanished:
                said.item(work, ItemStatus.reversed)
            else:
                verdicts.hold_back(ctx, work, said)
            continue
        row = opposites.get((opposite_key(one.key).text, one.key.version))
        if row is not None and row["state"] == DeliveryState.sent:
            doubtful.append((_job(work, one, row["id"], row["payload"]), row))
        elif not _held_up(ctx, flow, work, one, said):
            ready.append((work, one))
    for job in await protocol.look_up(ctx, flow, doubtful, said):
        said.item(job.work, ItemStatus.waiting)  # the next round sends it, if it is still wanted
    return await _intend(ctx, flow, ready, said)


async def under_way(ctx: Context, rows: Mapping[str, RowMapping], keys: Mapping[str, Key]) -> set[str]:
    """Of these recorded bookings (by key text) those whose opposite was sent without an answer.

    Whatever the document says by now, that comes first: the booking may not stand any more.
    """
    recorded = {text: keys[text] for text, row in rows.items() if row["state"] == DeliveryState.recorded}
    found = await _opposites(ctx, list(recorded.values()))
    sent = {place for place, row in found.items() if row["state"] == DeliveryState.sent}
    return {own for own, key in recorded.items() if (opposite_key(key).text, key.version) in sent}


def _held_up(ctx: Context, flow: str, work: Work, stood: Stood, said: Verdicts) -> bool:
    """True, with a verdict, when this booking cannot be taken back (now)."""
    label = verdicts.called(stood)
    known = [verdicts.vanished(ctx, flow, work.number, label)] if work.vanished else []
    closed = ctx.settings.closed_until
    if ctx.writer(flow).reversal is None or stood.adopted:
        work.findings = [*known, Finding(key="cannot_reverse", values={"booked_as": label})]
    elif closed is not None and _day(stood) <= closed:
        values = {"date": _day(stood).isoformat(), "closed_until": closed.isoformat(), "booked_as": label}
        work.findings = [*known, Finding(key="reversal_in_closed_period", values=values, field="closed_until")]
    elif verdicts.too_young(ctx, work, stood.recorded_at):
        verdicts.park(ctx, work, ItemStatus.waiting, said, delivery_id=stood.id)
        return True
    else:
        return False
    verdicts.park(ctx, work, ItemStatus.changed, said, delivery_id=stood.id)
    return True


def _day(stood: Stood) -> date:
    """The day of a booking, and so of its opposite."""
    return stood.booked_on or stood.recorded_at.date()


def _job(work: Work, stood: Stood, delivery_id: UUID, payload: Mapping[str, object]) -> Job:
    before = "" if work.overrides else stood.receipt.fingerprint
    return Job(
        work,
        Action.reverse,
        delivery_id,
        opposite_key(stood.key),
        payload,
        ref=stood.receipt.ref,
        before=before,
        undoes=stood,
    )


async def _intend(ctx: Context, flow: str, works: Sequence[tuple[Work, Stood]], said: Verdicts) -> list[Job]:
    """Commits the intents of opposites."""
    reversal = ctx.writer(flow).reversal
    rows = {}
    going: list[tuple[Work, Stood]] = []
    for work, stood in works if reversal is not None else ():
        try:
            payload = reversal(stood.payload, stood.receipt, _day(stood)) if reversal is not None else {}
        except RecordRejected as error:
            work.findings = list(error.findings)
            verdicts.park(ctx, work, ItemStatus.changed, said, delivery_id=stood.id, evidence=error)
            continue
        key = opposite_key(stood.key)
        rows[key.text] = store.intent_row(
            ctx, key, 1, claim=None, payload=payload, fingerprint="", total=stood.total, ref="", adopted=False
        )
        going.append((work, stood))
    if not rows:
        return []
    points.reach(points.BEFORE_INTENT)
    async with ctx.database.tenant(ctx.organisation_id) as session:
        written = await store.intend(session, ctx, [rows[key] for key in sorted(rows)])
    points.reach(points.AFTER_INTENT)
    jobs: list[Job] = []
    for work, stood in going:
        key_text = opposite_key(stood.key).text
        if key_text in written:
            jobs.append(_job(work, stood, written[key_text], rows[key_text]["payload"]))
        else:
            verdicts.hold_back(ctx, work, said)
    return jobs


async def standing(ctx: Context, ids: Sequence[UUID]) -> dict[UUID, Stood]:
    """The bookings with these delivery ids, as far as they stand."""
    if not ids:
        return {}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text("SELECT * FROM delivery WHERE id = ANY(:ids) AND state = 'recorded'"), {"ids": list(ids)}
        )
        return {row["id"]: _read(row) for row in found.mappings()}


def _read(row: RowMapping) -> Stood:
    said = row["receipt"] or {}
    booked_on = said.get("booked_on")
    return Stood(
        id=row["id"],
        key=Key(row["source"], row["stream"], row["source_id"], row["target"], row["version"]),
        payload=row["payload"],
        receipt=Receipt(
            ref=row["ref"],
            label=row["label"],
            total=row["total"],
            open_item=row["open_item"],
            fingerprint=said.get("fingerprint", ""),
        ),
        total=row["total"],
        adopted=row["adopted"],
        booked_on=date.fromisoformat(booked_on) if booked_on else None,
        recorded_at=row["recorded_at"],
    )


async def _opposites(ctx: Context, keys: Sequence[Key]) -> dict[tuple[str, int], RowMapping]:
    """The opposites of these bookings, as far as there are any, by (key text, version)."""
    if not keys:
        return {}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT id, key, version, state, run_id, intended_at, check_at, payload, fingerprint FROM delivery
                WHERE key = ANY(:keys) ORDER BY version"""
            ),
            {"keys": [opposite_key(key).text for key in keys]},
        )
        return {(row["key"], row["version"]): row for row in found.mappings()}
