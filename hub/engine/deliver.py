"""Deliver and record: `intended → sent → recorded`, each committed before the next, so that nothing is booked twice.

A document that is found in state `sent` (a crash, a time-out, a 5xx) is looked up before anything is sent again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from hub.accounting.documents import Finding, SalesInvoice
from hub.engine import adopt, parties, points, store
from hub.engine.context import Cancelled, Context, LeaseLost
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.resolve import Work, needed_customers, read, resolve, work_of
from hub.kit.metrics import ITEMS
from hub.sdk.connector import Receipt
from hub.sdk.errors import ConfigError, OutcomeUnknown, ReauthRequired, RecordRejected, TransientError, VendorError
from hub.sdk.manifest import Dedupe, OnChange

_log = structlog.get_logger(__name__)

BATCH = 100
LARGEST_WINDOW = 100
WINDOW_S = 20.0
"""After so long no more calls of a window are begun; the rest goes into the next one."""
PARALLEL = 4
"""Calls at the same time on one connection; its rate limit holds for all of them."""
DOUBTS_IN_A_ROW = 3
"""After so many unknown outcomes in one window the target is taken to be down."""
LATER = timedelta(hours=1)
"""When a parked item is looked at again without anybody asking: the target's master data may have been completed."""


IN_OTHER_HANDS = timedelta(seconds=15)
"""When a document that another run has in hand is looked at again."""


class Action(StrEnum):
    """What has to be done for a work at the target."""

    write = "write"
    update = "update"
    adopt = "adopt"


@dataclass
class Job:
    """A work with its delivery row, ready to be sent."""

    work: Work
    action: Action
    delivery_id: UUID
    ref: str = ""
    before: str = ""
    """The fingerprint of what we left in the target, to notice hands that changed it."""


@dataclass
class Result:
    """What became of a job."""

    job: Job
    receipt: Receipt | None = None
    error: VendorError | None = None
    issued: bool = True
    end: LeaseLost | Cancelled | None = None
    """Why the run may not go on at all."""


@dataclass
class Verdicts:
    """Rows to be written with the next commit."""

    items: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    unsettled: list[UUID] = field(default_factory=list)
    """Bookings of which the payment must be proven again."""


async def deliver(ctx: Context, flow: str) -> bool:
    """Works through everything of a flow that is at hand. False when the slice ended first."""
    while ctx.at_hand is None or flow in ctx.at_hand:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            if flow not in await store.at_hand(session, ctx):
                break
            rows = await store.items_at_hand(session, ctx, flow, BATCH)
        if not rows:
            break
        ctx.at_hand = None
        await handle(ctx, flow, [work_of(row) for row in rows])
        if ctx.out_of_time:
            return False
    return True


async def handle(ctx: Context, flow: str, works: Sequence[Work]) -> None:
    """Takes a batch to its end: every work leaves it booked, parked, or with a time to look again."""
    customers: Mapping[tuple[str, str], str] = {}
    if flow == "invoices" and "customers" in ctx.destination(flow).connector.targets:
        await _read_all(ctx, works)
        customers = await parties.stand(ctx, needed_customers(works), handle)
        works = await _without_waiting(ctx, works, customers)
    await resolve(ctx, works, customers)
    verdicts = Verdicts()
    ready: list[Work] = []
    for work in works:
        if work.ignored is not None:
            _ignore(ctx, work, verdicts)
        elif work.findings:
            _park(ctx, work, ItemStatus.finding, verdicts)
        else:
            ready.append(work)
    jobs = await _sort_out(ctx, flow, ready, verdicts)
    await _commit(ctx, verdicts)
    await send(ctx, flow, jobs)


async def _read_all(ctx: Context, works: Sequence[Work]) -> None:
    """Reads the documents so that it shows which customers they need; what cannot be read is found by `resolve`."""
    for work in works:
        try:
            read(ctx, work)
        except Exception:  # noqa: S112 - `resolve` reads it again and keeps the findings
            continue


async def _without_waiting(
    ctx: Context, works: Sequence[Work], customers: Mapping[tuple[str, str], str]
) -> Sequence[Work]:
    """Parks the works whose customer does not stand in the target yet; gives the others."""
    missing = needed_customers(works) - set(customers)
    if not missing:
        return works
    async with ctx.database.tenant(ctx.organisation_id) as session:
        rows = await store.items_of(session, ctx, "customers", missing)
    why = {(row["source_id"], row["administration"]): row for row in rows}
    verdicts = Verdicts()
    going: list[Work] = []
    for work in works:
        invoice = work.document
        if not isinstance(invoice, SalesInvoice) or (invoice.customer.source_id, work.administration) not in missing:
            going.append(work)
            continue
        row = why.get((invoice.customer.source_id, work.administration))
        if row is not None and row["status"] in (ItemStatus.waiting, ItemStatus.unknown) and row["retry_at"]:
            work.retry_at = row["retry_at"]
        reason = row["findings"][0]["key"] if row is not None and row["findings"] else "customer_not_found"
        name = invoice.customer.name or invoice.customer.source_id
        work.findings = [Finding(key="customer_not_ready", values={"customer": name, "reason": reason})]
        _park(ctx, work, ItemStatus.waiting if work.retry_at else ItemStatus.finding, verdicts)
    await _commit(ctx, verdicts)
    return going


class Fate(StrEnum):
    """What an earlier delivery, or its absence, means for a work in hand."""

    fresh = "fresh"
    done = "done"
    changed = "changed"
    doubtful = "doubtful"
    elsewhere = "elsewhere"
    gone = "gone"


def _fate(work: Work, row: RowMapping | None, moved: Mapping[str, str]) -> Fate:
    if row is not None and row["state"] == DeliveryState.gone and not work.forced:
        return Fate.gone
    if row is None or row["state"] == DeliveryState.gone:
        return Fate.elsewhere if work.source_id in moved else Fate.fresh
    if row["state"] == DeliveryState.recorded:
        return Fate.done if row["fingerprint"] == work.fingerprint else Fate.changed
    if row["revision"] > 1:
        # A change is idempotent: whatever became of it, it is simply made again.
        return Fate.changed
    return Fate.doubtful if row["state"] == DeliveryState.sent else Fate.fresh


async def _sort_out(ctx: Context, flow: str, works: Sequence[Work], verdicts: Verdicts) -> list[Job]:
    """What each work needs: nothing, a look-up, a human, or to be sent. Gives the jobs to send, intents committed."""
    if not works:
        return []
    keys = [work.sure_key for work in works]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        known = await store.deliveries(session, [key.text for key in keys])
        moved = {} if flow == "customers" else await store.elsewhere(session, keys)
    sorted_out: dict[Fate, list[tuple[Work, RowMapping | None]]] = {fate: [] for fate in Fate}
    for work in works:
        row = known.get(work.sure_key.text)
        if row is not None:
            work.key = replace(work.sure_key, version=row["version"] + (row["state"] == DeliveryState.gone))
        sorted_out[_fate(work, row, moved)].append((work, row))
    for work, row in sorted_out[Fate.done]:
        if row is not None:
            _done(ctx, work, row, verdicts)
    for work, row in _with_rows(sorted_out[Fate.gone]):
        # Whoever took it out of the books had a reason: only a human has it booked again.
        work.findings = [Finding(key="booking_gone", values={"booked_as": row["label"] or row["ref"]})]
        _park(ctx, work, ItemStatus.finding, verdicts, row, delivery_id=row["id"])
    for work, _ in sorted_out[Fate.elsewhere]:
        values = {"administration": moved[work.source_id].partition(":")[2]}
        work.findings = [Finding(key="booked_elsewhere", values=values, field="administrations")]
        _park(ctx, work, ItemStatus.finding, verdicts)
    fresh = [work for work, _ in sorted_out[Fate.fresh]]
    fresh.extend(await _look_up(ctx, flow, _with_rows(sorted_out[Fate.doubtful]), verdicts))
    jobs = await _intend(ctx, await _recognised(ctx, flow, fresh, verdicts), {}, verdicts)
    jobs.extend(await _changed(ctx, flow, _with_rows(sorted_out[Fate.changed]), verdicts))
    return jobs


def _with_rows(works: Sequence[tuple[Work, RowMapping | None]]) -> list[tuple[Work, RowMapping]]:
    return [(work, row) for work, row in works if row is not None]


async def _recognised(ctx: Context, flow: str, works: Sequence[Work], verdicts: Verdicts) -> list[Work]:
    """The works that may be sent: what already stands there is marked, what only looks like it is parked."""
    going: list[Work] = []
    claimed: dict[tuple[str, str], Work] = {}
    for work in await adopt.recognise(ctx, flow, works) if works else []:
        place = (work.sure_key.target, work.claim or "")
        if not work.findings and work.claim and place in claimed:
            work.findings = [adopt.taken(work)]
        if work.findings:
            _park(ctx, work, ItemStatus.finding, verdicts)
            continue
        claimed[place] = work
        going.append(work)
    return going


async def _intend(
    ctx: Context, works: Sequence[Work], revisions: Mapping[UUID, tuple[int, str, str]], verdicts: Verdicts
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
                _hold_back(ctx, work, verdicts)
            else:
                work.findings = [adopt.taken(work)]
                _park(ctx, work, ItemStatus.finding, verdicts)
            continue
        revision, ref, before = revisions.get(work.id, (1, "", ""))
        action = Action.update if revision > 1 else Action.adopt if work.existing else Action.write
        jobs.append(Job(work, action, delivery_id, ref, before))
    return jobs


async def _changed(ctx: Context, flow: str, works: Sequence[tuple[Work, RowMapping]], verdicts: Verdicts) -> list[Job]:
    """Documents that changed after they were booked: corrected as the target allows, else shown to a human."""
    writer = ctx.writer(flow)
    if not works:
        return []
    can = ctx.facts(flow).on_change is OnChange.update and writer.update is not None
    may = ctx.settings.on_change == "automatic" or flow == "customers"
    going: list[Work] = []
    revisions: dict[UUID, tuple[int, str, str]] = {}
    unsure = [row["id"] for _, row in works if row["state"] == DeliveryState.sent]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await store.unsend(session, unsure)
        stood = await store.last_receipts(session, [row["key"] for _, row in works])
    for work, row in works:
        receipt = stood.get(row["key"], {})
        if not work.forced and _period_closed(ctx, work, receipt):
            _park(ctx, work, ItemStatus.finding, verdicts, row)
        elif can and (may or work.forced):
            again = row["state"] != DeliveryState.recorded
            # A change that went out without an answer may stand there: then it is no hand that changed it.
            landed = again and row["state"] != DeliveryState.refused and row["sent_at"] is not None
            before = "" if work.forced or landed else receipt.get("fingerprint", "")
            revisions[work.id] = (row["revision"] + (0 if again else 1), row["ref"], before)
            going.append(work)
        else:
            work.findings = [Finding(key="changed_after_booking", values={"booked_as": row["label"] or row["ref"]})]
            _park(ctx, work, ItemStatus.changed, verdicts, row)
    return await _intend(ctx, going, revisions, verdicts)


def _period_closed(ctx: Context, work: Work, receipt: Mapping[str, Any]) -> bool:
    """True, with a finding, when what stands in the books lies in a period that was closed since."""
    closed = ctx.settings.closed_until
    booked_on = date.fromisoformat(receipt["booked_on"]) if receipt.get("booked_on") else None
    if closed is None or booked_on is None or booked_on > closed:
        return False
    values = {"date": booked_on.isoformat(), "closed_until": closed.isoformat()}
    work.findings = [Finding(key="period_closed", values=values, field="closed_until")]
    return True


def _hold_back(ctx: Context, work: Work, verdicts: Verdicts) -> None:
    """Another run has this document in hand: this one looks again when that one is done."""
    work.retry_at = ctx.clock.now() + IN_OTHER_HANDS
    _park(ctx, work, ItemStatus.waiting, verdicts)


def settle_s(ctx: Context, flow: str) -> float:
    """How long after a write a look-up may miss it: what the package says, and longer than a call may take.

    Under a key of ours a write that comes late is the same write; where only a search finds it, it is another one.
    """
    manifest = ctx.destination(flow).connector.manifest
    facts = ctx.facts(flow)
    return facts.settle_s if facts.dedupe is Dedupe.key else max(facts.settle_s, manifest.timeout_s + 5)


async def _look_up(ctx: Context, flow: str, works: Sequence[tuple[Work, RowMapping]], verdicts: Verdicts) -> list[Work]:
    """Settles the fate of what was sent without an answer. Gives the works that are provably absent."""
    absent: list[Work] = []
    if not works:
        return absent
    writer = ctx.writer(flow)
    async with ctx.database.tenant(ctx.organisation_id) as session:
        busy = await store.runs_in_hand(session, ctx, {row["run_id"] for _, row in works})
    for work, row in works:
        if row["run_id"] in busy:
            # Another combi of the same pair has it in hand this very moment.
            _hold_back(ctx, work, verdicts)
            continue
        if row["check_at"] and row["check_at"] > ctx.clock.now():
            work.retry_at = row["check_at"]
            _park(ctx, work, ItemStatus.unknown, verdicts)
            continue
        if ctx.facts(flow).dedupe is Dedupe.none:
            work.findings = [Finding(key="fate_unknown", values={})]
            _park(ctx, work, ItemStatus.unknown, verdicts)
            continue
        ctx.lease.check()
        try:
            receipt = await writer.find(ctx.destination(flow).http, work.sure_key, row["payload"])
        except (OutcomeUnknown, RecordRejected) as error:
            _doubt(ctx, work, row["id"], error, verdicts)
            continue
        if receipt is None:
            ctx.log("delivery.absent", item=work.id, number=work.shown)
            async with ctx.database.tenant(ctx.organisation_id) as session:
                await store.unsend(session, [row["id"]])
            absent.append(work)
        else:
            ctx.log("delivery.found_again", item=work.id, number=work.shown, booked_as=receipt.label or receipt.ref)
            _record(ctx, Job(work, Action.write, row["id"]), receipt, verdicts, fingerprint=row["fingerprint"])
    return absent


async def send(ctx: Context, flow: str, jobs: Sequence[Job]) -> None:
    """Sends in windows: marked as sent, called, recorded. Raises what stops the run, after recording what is known."""
    left = list(jobs)
    while left:
        window, left = left[: ctx.window], left[ctx.window :]
        ctx.lease.check()
        # The last call of the window begins up to WINDOW_S from now: a look-up counts from there.
        check_at = ctx.clock.now() + timedelta(seconds=WINDOW_S + settle_s(ctx, flow))
        async with ctx.database.tenant(ctx.organisation_id) as session:
            ours = await store.mark_sent(session, ctx, [job.delivery_id for job in window], check_at)
        if len(ours) < len(window):
            await _give_up(ctx, [job.work for job in window if job.delivery_id not in ours])
        window = [job for job in window if job.delivery_id in ours]
        points.reach(points.BEFORE_SEND)
        began = time.monotonic()
        results = await _call_all(ctx, flow, window)
        took = time.monotonic() - began
        stop = await _record_all(ctx, flow, results)
        if took < 0.25:
            ctx.window = min(ctx.window * 2, LARGEST_WINDOW)
        elif took > 1:
            ctx.window = max(ctx.window // 2, 1)
        if stop is not None:
            raise stop
        if left and ctx.out_of_time:
            return


async def _give_up(ctx: Context, works: Sequence[Work]) -> None:
    """Works that another run marked as sent between our intent and our turn."""
    verdicts = Verdicts()
    for work in works:
        _hold_back(ctx, work, verdicts)
    await _commit(ctx, verdicts)


async def _call_all(ctx: Context, flow: str, window: Sequence[Job]) -> list[Result]:
    """Calls the target for each job, a few at a time; after a reason to stop, the rest is not issued."""
    stopped = False
    doubts = 0
    ends_at = time.monotonic() + WINDOW_S
    turns = asyncio.Semaphore(PARALLEL)

    async def one(job: Job) -> Result:
        nonlocal stopped, doubts
        async with turns:
            if stopped or time.monotonic() > ends_at:
                return Result(job, issued=False)
            try:
                ctx.lease.check()
            except (LeaseLost, Cancelled) as end:
                stopped = True
                return Result(job, issued=False, end=end)
            try:
                receipt = await _call(ctx, flow, job)
            except LeaseLost as end:
                stopped = True
                return Result(job, issued=False, end=end)
            except (ReauthRequired, ConfigError, TransientError) as error:
                stopped = True
                return Result(job, error=error)
            except OutcomeUnknown as error:
                doubts += 1
                stopped = stopped or doubts >= DOUBTS_IN_A_ROW
                return Result(job, error=error)
            except RecordRejected as error:
                return Result(job, error=error)
            doubts = 0
            points.reach(points.AFTER_SEND)
            return Result(job, receipt=receipt)

    outcomes = await asyncio.gather(*(one(job) for job in window), return_exceptions=True)
    results: list[Result] = []
    for job, outcome in zip(window, outcomes, strict=True):
        if isinstance(outcome, Result):
            results.append(outcome)
        elif isinstance(outcome, Exception):
            # Our own mistake after the call may have gone out: what landed is unknown.
            _log.error("writer_failed", exc_info=outcome)
            results.append(Result(job, error=OutcomeUnknown("internal_error", error=type(outcome).__name__)))
        else:
            raise outcome
    return results


async def _call(ctx: Context, flow: str, job: Job) -> Receipt:
    writer = ctx.writer(flow)
    http = ctx.destination(flow).http
    work = job.work
    if job.action is Action.adopt and work.existing is not None:
        if writer.adopt is None:
            return adopt.receipt_of(work.existing, work.total)
        return await writer.adopt(http, work.payload, work.sure_key, work.existing)
    if job.action is Action.update and writer.update is not None:
        if job.before:
            stands = await writer.find(http, work.sure_key, work.payload)
            if stands is None:
                raise RecordRejected("booking_gone")
            if stands.fingerprint and stands.fingerprint != job.before:
                raise RecordRejected("edited_in_target", booked_as=stands.label)
        return await writer.update(http, work.payload, work.sure_key, job.ref)
    return await writer.write(http, work.payload, work.sure_key)


async def _record_all(ctx: Context, flow: str, results: Sequence[Result]) -> Exception | None:
    """Commits what is known of a window. Gives what stops the run, if anything.

    Who lost the lease still says what it knows to stand there, but leaves the rest in state `sent`: whoever has the
    run now may have sent it since, and looks it up otherwise.
    """
    points.reach(points.BEFORE_RECORD)
    verdicts = Verdicts()
    ended = next((result.end for result in results if result.end), None)
    lost = isinstance(ended, LeaseLost)
    stop: VendorError | None = None
    doubts = 0
    for result in results:
        if lost and result.receipt is None:
            continue
        work = result.job.work
        match result.error:
            case None if result.receipt is not None:
                _record(ctx, result.job, result.receipt, verdicts)
            case RecordRejected() as error:
                _refuse(ctx, result.job, error, verdicts)
            case OutcomeUnknown() as error:
                doubts += 1
                _doubt(ctx, work, result.job.delivery_id, error, verdicts, wait_s=settle_s(ctx, flow))
                if doubts >= DOUBTS_IN_A_ROW:
                    stop = stop or TransientError(error.key, words=error.words)
                    stop.values = error.values
            case error:
                # Not issued, or provably without effect: as if it had never been sent.
                stop = error or stop
                verdicts.deliveries.append({"id": result.job.delivery_id, "state": DeliveryState.intended})
    await _commit(ctx, verdicts)
    points.reach(points.AFTER_RECORD)
    return ended or stop


def _record(ctx: Context, job: Job, receipt: Receipt, verdicts: Verdicts, *, fingerprint: str | None = None) -> None:
    """The target has it. The total that was read back must be ours."""
    work = job.work
    verified = receipt.total is not None and receipt.total == work.total
    verdicts.deliveries.append(
        {
            "id": job.delivery_id,
            "state": DeliveryState.recorded,
            "ref": receipt.ref or job.ref,
            "label": receipt.label,
            "open_item": receipt.open_item,
            "receipt": _receipt_row(receipt, work),
            "verified": verified or work.total is None,
        }
    )
    for words in receipt.warnings:
        ctx.log("delivery.warning", level="warning", item=work.id, words=words)
    if receipt.total is not None and work.total is not None and not verified:
        work.findings = [total_differs(work.total, receipt.total, receipt.label)]
        _park(ctx, work, ItemStatus.finding, verdicts, None, delivery_id=job.delivery_id, receipt=receipt)
        return
    stale = fingerprint is not None and fingerprint != work.fingerprint
    first = job.action is Action.write
    if not stale:
        ctx.counts[work.flow]["booked" if first else job.action.value] += 1
        ITEMS.labels("booked").inc()
        did = "existed" if receipt.existed and job.action is Action.write else job.action.value
        ctx.log(f"item.{work.flow}.{did}", item=work.id, number=work.shown, booked_as=receipt.label or receipt.ref)
    invoice = work.flow == "invoices"
    verdicts.items.append(
        {
            "id": work.id,
            # A document that changed while its fate was unknown goes round once more.
            "status": ItemStatus.waiting if stale else ItemStatus.booked,
            "findings": [],
            "delivery_id": job.delivery_id,
            "target_ref": receipt.ref or job.ref,
            "target_label": receipt.label,
            "number": work.number,
            "note": "note.booked" if invoice and first and ctx.settings.note_success else None,
            "attach": True if invoice and first and ctx.settings.attach_document else None,
        }
    )


def total_differs(expected: Decimal, actual: Decimal, label: str) -> Finding:
    """What stands in the target does not amount to what the source printed."""
    return Finding(
        key="total_differs",
        values={
            "expected": f"{expected:f}",
            "actual": f"{actual:f}",
            "difference": f"{actual - expected:f}",
            "booked_as": label,
        },
    )


def _refuse(ctx: Context, job: Job, error: RecordRejected, verdicts: Verdicts) -> None:
    """The target said no and nothing was stored."""
    state = DeliveryState.refused
    verdicts.deliveries.append({"id": job.delivery_id, "state": state})
    job.work.findings = list(error.findings)
    status = ItemStatus.changed if job.action is Action.update else ItemStatus.rejected
    _park(ctx, job.work, status, verdicts, evidence=error)


def _doubt(
    ctx: Context, work: Work, delivery_id: UUID, error: VendorError, verdicts: Verdicts, wait_s: float | None = None
) -> None:
    """It may have landed: it is looked up when the target had time to show it, later and later while in doubt."""
    wait = wait_s if wait_s is not None else settle_s(ctx, work.flow) * 2 ** min(work.attempts, 8)
    work.retry_at = ctx.clock.now() + timedelta(seconds=wait)
    work.findings = [error.finding()]
    verdicts.deliveries.append({"id": delivery_id, "state": DeliveryState.sent, "check_at": work.retry_at})
    _park(ctx, work, ItemStatus.unknown, verdicts, evidence=error)


def _done(ctx: Context, work: Work, row: RowMapping, verdicts: Verdicts) -> None:
    """It stands there already, by an earlier run or an earlier installation."""
    stands = (row["receipt"] or {}).get("total")
    if stands is not None and work.total is not None and Decimal(stands) != work.total and not work.forced:
        work.findings = [total_differs(work.total, Decimal(stands), row["label"])]
        _park(ctx, work, ItemStatus.finding, verdicts, row, delivery_id=row["id"])
        return
    ctx.counts[work.flow]["unchanged"] += 1
    if row["settled_at"] is not None and work.attempts == 0:
        # An earlier installation saw the payment; whether it was written back too is for this one to make sure of.
        verdicts.unsettled.append(row["id"])
    if work.attempts == 0:
        ctx.log(f"item.{work.flow}.known", item=work.id, number=work.shown, booked_as=row["label"] or row["ref"])
    verdicts.items.append(
        {
            "id": work.id,
            "status": ItemStatus.booked,
            "findings": [],
            "delivery_id": row["id"],
            "target_ref": row["ref"],
            "target_label": row["label"],
            "number": work.number,
        }
    )


def _ignore(ctx: Context, work: Work, verdicts: Verdicts) -> None:
    assert work.ignored is not None  # noqa: S101 - the caller looked
    ctx.counts[work.flow]["ignored"] += 1
    # What was ignored before has its note; it was only asked again whether it still is.
    noted = work.ignored.noted and ctx.settings.note_ignored and work.attempts == 0
    verdicts.items.append(
        {
            "id": work.id,
            "status": ItemStatus.ignored,
            "findings": store.found_json([work.ignored.reason]),
            "number": work.ignored.number,
            "note": "note.ignored" if noted else None,
        }
    )


def _park(
    ctx: Context,
    work: Work,
    status: ItemStatus,
    verdicts: Verdicts,
    row: RowMapping | None = None,
    *,
    evidence: VendorError | None = None,
    delivery_id: UUID | None = None,
    receipt: Receipt | None = None,
) -> None:
    """Sets a work aside with everything that is wrong with it; the others go on."""
    ctx.counts[work.flow][status.value] += 1
    ITEMS.labels(status.value).inc()
    exchange = evidence.exchange if evidence else None
    for number, finding in enumerate(work.findings):
        ctx.log_finding(finding, work.id, exchange if number == 0 else None)
    again = ctx.clock.now() + LATER if status is ItemStatus.finding and delivery_id is None else None
    failed = work.flow == "invoices" and status in (ItemStatus.finding, ItemStatus.rejected)
    verdicts.items.append(
        {
            "id": work.id,
            "status": status,
            "findings": store.found_json(work.findings),
            "retry_at": work.retry_at or again,
            "delivery_id": delivery_id or (row["id"] if row else None),
            "target_ref": receipt.ref if receipt else None,
            "target_label": receipt.label if receipt else None,
            "number": work.number,
            "note": "note.failed" if failed and work.attempts == 0 and ctx.settings.note_failure else None,
        }
    )


async def _commit(ctx: Context, verdicts: Verdicts) -> None:
    if not (verdicts.items or verdicts.deliveries or ctx.lines):
        return
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await store.record(session, ctx, verdicts.deliveries)
        await store.unsettle(session, verdicts.unsettled)
        await store.park(session, ctx, verdicts.items)
        await store.write_lines(session, ctx)
        await store.show_progress(session, ctx)
    verdicts.items.clear()
    verdicts.deliveries.clear()
    verdicts.unsettled.clear()


def _receipt_row(receipt: Receipt, work: Work) -> dict[str, Any]:
    day = getattr(work.booking, "date", None)
    return {
        "booked_on": day.isoformat() if day else None,
        "ref": receipt.ref,
        "label": receipt.label,
        "total": str(receipt.total) if receipt.total is not None else None,
        "open_item": receipt.open_item,
        "existed": receipt.existed,
        "warnings": list(receipt.warnings),
        "fingerprint": receipt.fingerprint,
    }
