"""Sorting: what each document in hand needs. Nothing, a look-up, a human, a correction, or to be sent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from hub.accounting.documents import Finding
from hub.engine import adopt, points, protocol, reversal, store, verdicts
from hub.engine.context import Context
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.resolve import Work
from hub.engine.verdicts import Action, Job, Verdicts
from hub.sdk.manifest import OnChange

OVER = (DeliveryState.gone, DeliveryState.reversed)
"""A booking in these states is past: what is booked after it is a new version."""


class Fate(StrEnum):
    """What an earlier delivery, or its absence, means for a work in hand."""

    fresh = "fresh"
    done = "done"
    changed = "changed"
    doubtful = "doubtful"
    elsewhere = "elsewhere"
    gone = "gone"
    undoing = "undoing"
    """Its opposite was sent and nobody knows what became of it."""


async def sort_out(ctx: Context, flow: str, works: Sequence[Work], said: Verdicts) -> list[Job]:
    """Gives the jobs to send, their intents committed; for the others the verdicts say what becomes of them."""
    if not works:
        return []
    keys = [work.sure_key for work in works]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        known = await store.deliveries(session, [key.text for key in keys])
        moved = {} if flow == "customers" else await store.elsewhere(session, keys)
    for work in works:
        row = known.get(work.sure_key.text)
        if row is not None:
            work.key = replace(work.sure_key, version=row["version"] + (row["state"] in OVER))
    undoing: set[str] = set()
    if ctx.writer(flow).reversal is not None:
        undoing = await reversal.under_way(ctx, known, {work.sure_key.text: work.sure_key for work in works})
    sorted_out: dict[Fate, list[tuple[Work, RowMapping | None]]] = {fate: [] for fate in Fate}
    for work in works:
        row = known.get(work.sure_key.text)
        fate = Fate.undoing if work.sure_key.text in undoing else _fate(work, row, moved)
        sorted_out[fate].append((work, row))
    for work, row in _with_rows(sorted_out[Fate.done]):
        verdicts.done(ctx, work, row, said)
    for work, row in _with_rows(sorted_out[Fate.gone]):
        # Whoever took it out of the books had a reason: only a human has it booked again.
        work.findings = [Finding(key="booking_gone", values={"booked_as": row["label"] or row["ref"]})]
        verdicts.park(ctx, work, ItemStatus.finding, said, delivery_id=row["id"], asked_again=False)
    for work, _ in sorted_out[Fate.elsewhere]:
        values = {"administration": moved[work.source_id].partition(":")[2]}
        work.findings = [Finding(key="booked_elsewhere", values=values, field="administrations")]
        verdicts.park(ctx, work, ItemStatus.finding, said)
    fresh = [work for work, _ in sorted_out[Fate.fresh]]
    fresh.extend(await _looked_up(ctx, flow, _with_rows(sorted_out[Fate.doubtful]), said))
    jobs = await _intend(ctx, await _recognised(ctx, flow, fresh, said), {}, said)
    jobs.extend(await _changed(ctx, flow, _with_rows(sorted_out[Fate.changed]), said))
    undone = [(work, row["id"]) for work, row in _with_rows(sorted_out[Fate.undoing])]
    jobs.extend(await reversal.reverse(ctx, flow, undone, said))
    return jobs


async def standing(ctx: Context, works: Sequence[Work]) -> set[UUID]:
    """Of works with findings those that are booked as they are now: what would keep them from it is no longer asked.

    A period may have been closed since, or an account blocked, before another installation reads them again.
    """
    asked = {work.sure_key.text: work for work in works if work.key is not None}
    if not asked:
        return set()
    async with ctx.database.tenant(ctx.organisation_id) as session:
        known = await store.deliveries(session, asked)
    return {
        asked[key].id
        for key, row in known.items()
        if row["state"] == DeliveryState.recorded and row["fingerprint"] == asked[key].fingerprint
    }


def _fate(work: Work, row: RowMapping | None, moved: Mapping[str, str]) -> Fate:
    if row is not None and row["state"] == DeliveryState.gone and not work.forced:
        return Fate.gone
    if row is None or row["state"] in OVER:
        return Fate.elsewhere if work.source_id in moved else Fate.fresh
    if row["state"] == DeliveryState.recorded:
        return Fate.done if row["fingerprint"] == work.fingerprint else Fate.changed
    if row["revision"] > 1:
        # A change is idempotent: whatever became of it, it is simply made again.
        return Fate.changed
    return Fate.doubtful if row["state"] == DeliveryState.sent else Fate.fresh


def _with_rows(works: Sequence[tuple[Work, RowMapping | None]]) -> list[tuple[Work, RowMapping]]:
    return [(work, row) for work, row in works if row is not None]


async def _looked_up(ctx: Context, flow: str, works: Sequence[tuple[Work, RowMapping]], said: Verdicts) -> list[Work]:
    """Of works that were sent without an answer those that are provably absent."""
    doubtful = [(Job(work, Action.write, row["id"], work.sure_key, row["payload"]), row) for work, row in works]
    return [job.work for job in await protocol.look_up(ctx, flow, doubtful, said)] if doubtful else []


async def _recognised(ctx: Context, flow: str, works: Sequence[Work], said: Verdicts) -> list[Work]:
    """The works that may be sent: what already stands there is marked, what only looks like it is parked."""
    going: list[Work] = []
    claimed: dict[tuple[str, str], Work] = {}
    for work in await adopt.recognise(ctx, flow, works) if works else []:
        place = (work.sure_key.target, work.claim or "")
        if not work.findings and work.claim and place in claimed:
            work.findings = [adopt.taken(work)]
        if work.findings:
            verdicts.park(ctx, work, ItemStatus.finding, said)
            continue
        claimed[place] = work
        going.append(work)
    return going


async def _intend(
    ctx: Context, works: Sequence[Work], revisions: Mapping[UUID, tuple[int, str, str]], said: Verdicts
) -> list[Job]:
    """Commits the intents. `revisions`: for works that change a booking, their revision, its ref and fingerprint."""
    if not works:
        return []
    points.reach(points.BEFORE_INTENT)
    rows = {}
    for work in works:
        revision, ref, _ = revisions.get(work.id, (1, work.existing.ref if work.existing else "", ""))
        rows[work.sure_key.text] = store.intent_row(
            ctx,
            work.sure_key,
            revision,
            claim=work.claim,
            payload=work.payload,
            fingerprint=work.fingerprint,
            total=work.total,
            ref=ref,
            adopted=work.existing is not None,
        )
    async with ctx.database.tenant(ctx.organisation_id) as session:
        written = await store.intend(session, ctx, [rows[key] for key in sorted(rows)])
        held = await store.deliveries(session, rows.keys() - written.keys())
    points.reach(points.AFTER_INTENT)
    jobs: list[Job] = []
    for work in works:
        delivery_id = written.get(work.sure_key.text)
        if delivery_id is None:
            # Either the number is another document's, or another run has this document in hand.
            if work.sure_key.text in held:
                verdicts.hold_back(ctx, work, said)
            else:
                work.findings = [adopt.taken(work)]
                verdicts.park(ctx, work, ItemStatus.finding, said)
            continue
        revision, ref, before = revisions.get(work.id, (1, "", ""))
        action = Action.update if revision > 1 else Action.adopt if work.existing else Action.write
        jobs.append(Job(work, action, delivery_id, work.sure_key, work.payload, ref, before))
    return jobs


async def _changed(ctx: Context, flow: str, works: Sequence[tuple[Work, RowMapping]], said: Verdicts) -> list[Job]:
    """Documents that changed after they were booked: corrected as the target allows, else shown to a human."""
    if not works:
        return []
    going: list[Work] = []
    reversing: list[tuple[Work, UUID]] = []
    revisions: dict[UUID, tuple[int, str, str]] = {}
    unsure = [row["id"] for _, row in works if row["state"] == DeliveryState.sent]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await store.unsend(session, unsure)
        stood = await store.last_receipts(session, [row["key"] for _, row in works])
    for work, row in works:
        receipt = stood.get(row["key"], {})
        how = _correction(ctx, flow, work)
        if how is not OnChange.reverse and not work.forced and _period_closed(ctx, work, receipt):
            verdicts.park(ctx, work, ItemStatus.finding, said, delivery_id=row["id"])
        elif how is OnChange.reverse:
            reversing.append((work, row["id"]))
        elif how is OnChange.update:
            again = row["state"] != DeliveryState.recorded
            # A change that went out without an answer may stand there: then it is no hand that changed it.
            landed = again and row["state"] != DeliveryState.refused and row["sent_at"] is not None
            before = "" if work.overrides or landed else receipt.get("fingerprint", "")
            if before and verdicts.too_young(ctx, work, receipt["recorded_at"]):
                verdicts.park(ctx, work, ItemStatus.waiting, said, delivery_id=row["id"])
                continue
            revisions[work.id] = (row["revision"] + (0 if again else 1), row["ref"], before)
            going.append(work)
        else:
            writer = ctx.writer(flow)
            never = work.forced or (writer.update is None and writer.reversal is None)
            asked = "change_by_hand" if never else "changed_after_booking"
            work.findings = [Finding(key=asked, values={"booked_as": row["label"] or row["ref"]})]
            verdicts.park(ctx, work, ItemStatus.changed, said, delivery_id=row["id"])
    jobs = await _intend(ctx, going, revisions, said)
    jobs.extend(await reversal.reverse(ctx, flow, reversing, said))
    return jobs


def _correction(ctx: Context, flow: str, work: Work) -> OnChange:
    """How this change is made good now; `manual`: a human is asked.

    A human's word also lets go what a package allows and we would not do by ourselves.
    """
    writer, facts = ctx.writer(flow), ctx.facts(flow)
    may = ctx.settings.on_change == "automatic" or flow == "customers"
    if not (may or work.forced):
        return OnChange.manual
    if facts.on_change is OnChange.update and writer.update is not None:
        return OnChange.update
    if facts.on_change is OnChange.reverse and writer.reversal is not None:
        return OnChange.reverse
    if work.forced and writer.update is not None:
        return OnChange.update
    return OnChange.reverse if work.forced and writer.reversal is not None else OnChange.manual


def _period_closed(ctx: Context, work: Work, receipt: Mapping[str, Any]) -> bool:
    """True, with a finding, when what stands in the books lies in a period that was closed since."""
    closed = ctx.settings.closed_until
    booked_on = date.fromisoformat(receipt["booked_on"]) if receipt.get("booked_on") else None
    if closed is None or booked_on is None or booked_on > closed:
        return False
    values = {"date": booked_on.isoformat(), "closed_until": closed.isoformat()}
    work.findings = [Finding(key="period_closed", values=values, field="closed_until")]
    return True
