"""Verdicts: what became of each document in hand, as rows that are written with the next commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from hub.accounting.documents import Finding
from hub.accounting.money import cents
from hub.engine import store
from hub.engine.context import Context
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.resolve import Work
from hub.kit.metrics import ITEMS
from hub.sdk.connector import Key, Payload, Receipt
from hub.sdk.errors import RecordRejected, VendorError
from hub.sdk.manifest import Dedupe

LATER = timedelta(hours=1)
"""When a parked item is looked at again without anybody asking: the target's master data may have been completed."""
IN_OTHER_HANDS = timedelta(seconds=15)
"""When a document that another run has in hand is looked at again."""


VANISHED = "vanished_at_source"
VANISHED_BY_HAND = "vanished_to_correct_by_hand"
"""The same where the package does not let us reverse a booking."""


class Action(StrEnum):
    """What has to be done for a work at the target."""

    write = "write"
    update = "update"
    adopt = "adopt"
    reverse = "reverse"


@dataclass(frozen=True)
class Stood:
    """A booking of ours that stands in the target."""

    id: UUID
    key: Key
    payload: Payload
    receipt: Receipt
    total: Decimal | None
    adopted: bool
    booked_on: date | None
    recorded_at: datetime


@dataclass
class Job:
    """A work with its delivery row, ready to be sent."""

    work: Work
    action: Action
    delivery_id: UUID
    key: Key
    payload: Payload
    ref: str = ""
    before: str = ""
    """The fingerprint of what we left in the target, to notice hands that changed it."""
    undoes: Stood | None = None
    """The booking of which this is the opposite."""


@dataclass
class Verdicts:
    """Rows to be written with the next commit."""

    items: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    undone: list[UUID] = field(default_factory=list)
    """Bookings of which the opposite stands in the target now."""
    unsettled: list[UUID] = field(default_factory=list)
    """Bookings of which the payment must be proven again."""

    async def commit(self, ctx: Context) -> None:
        """Writes them in one transaction, with the lines for the log."""
        # Taken before anything is waited for: a line must not come into the log before what it tells.
        lines = ctx.take_lines()
        if not (self.items or self.deliveries or lines):
            return
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await store.record(session, ctx, self.deliveries)
            await store.undo(session, self.undone)
            await store.unsettle(session, self.unsettled)
            await store.park(session, ctx, self.items)
            await store.write_lines(session, ctx, lines)
            await store.show_progress(session, ctx)
        for rows in (self.items, self.deliveries, self.undone, self.unsettled):
            rows.clear()

    def item(self, work: Work, status: ItemStatus, **facts: Any) -> None:
        """What becomes of a work's item. `facts` as `store.park` takes them."""
        row = {"id": work.id, "status": status, "findings": [], "number": work.number, "route": work.route, **facts}
        self.items.append(row)


def settle_s(ctx: Context, flow: str) -> float:
    """How long after a write a look-up may miss it: what the package says, and longer than a call may take.

    Under a key of ours a write that comes late is the same write; where only a search finds it, it is another one.
    """
    manifest = ctx.destination(flow).connector.manifest
    facts = ctx.facts(flow)
    return facts.settle_s if facts.dedupe is Dedupe.key else max(facts.settle_s, manifest.timeout_s + 5)


def too_young(ctx: Context, work: Work, recorded_at: datetime) -> bool:
    """True, with a time to look again, while a search may still miss a booking and would say that it is gone."""
    again = recorded_at + timedelta(seconds=settle_s(ctx, work.flow))
    work.retry_at = again if again > ctx.clock.now() else None
    return work.retry_at is not None


def park(
    ctx: Context,
    work: Work,
    status: ItemStatus,
    verdicts: Verdicts,
    *,
    evidence: VendorError | None = None,
    delivery_id: UUID | None = None,
    asked_again: bool = True,
    receipt: Receipt | None = None,
) -> None:
    """Sets a work aside with everything that is wrong with it; the others go on.

    A finding is looked at again after a while, unless it is about the booking `delivery_id` (or `asked_again` is off).
    """
    ctx.counts[work.flow][status.value] += 1
    ITEMS.labels(status.value).inc()
    exchange = evidence.exchange if evidence and not ctx.facts(work.flow).personal else None
    for number, finding in enumerate(work.findings):
        ctx.log_finding(finding, work.id, exchange if number == 0 else None)
    about_a_booking = delivery_id is not None and not asked_again
    again = ctx.clock.now() + LATER if status is ItemStatus.finding and not about_a_booking else None
    failed = noted(ctx, work) and status in (ItemStatus.finding, ItemStatus.rejected)
    verdicts.item(
        work,
        status,
        findings=store.found_json(work.findings),
        retry_at=work.retry_at or again,
        delivery_id=delivery_id,
        target_ref=receipt.ref if receipt else None,
        target_label=receipt.label if receipt else None,
        note=note_key(work.flow, "failed") if failed and work.attempts == 0 and ctx.settings.note_failure else None,
    )


def noted(ctx: Context, work: Work) -> bool:
    """Whether the source has a timeline on which this kind of document is spoken of."""
    return work.flow in ("invoices", "journals") and ctx.source.connector.note is not None


def note_key(flow: str, what: str) -> str:
    """The words for the timeline: `booked`, `failed`, `ignored` or `skipped`."""
    return f"note.{what}" if flow == "invoices" else f"note.{flow}_{what}"


def hold_back(ctx: Context, work: Work, verdicts: Verdicts) -> None:
    """Another run has this document in hand: this one looks again when that one is done."""
    work.retry_at = ctx.clock.now() + IN_OTHER_HANDS
    park(ctx, work, ItemStatus.waiting, verdicts)


def record(ctx: Context, job: Job, receipt: Receipt, verdicts: Verdicts, *, fingerprint: str | None = None) -> None:
    """The target has it. The total that was read back must be ours.

    `fingerprint`: of the document as it was sent, when that may be longer ago.
    """
    work = job.work
    expected = job.undoes.total if job.undoes else work.total
    read = receipt.total
    if job.undoes and read is not None and expected is not None:
        read = abs(read).copy_sign(expected)  # a reversal may be told with either sign
    verified = read is not None and read == expected
    verdicts.deliveries.append(
        {
            "id": job.delivery_id,
            "state": DeliveryState.recorded,
            "ref": receipt.ref or job.ref,
            "label": receipt.label,
            "open_item": receipt.open_item,
            "receipt": _receipt_row(receipt, job),
            "verified": verified or expected is None,
        }
    )
    for words in receipt.warnings:
        ctx.log("delivery.warning", level="warning", item=work.id, words=words)
    if job.undoes is not None:
        _reversed(ctx, job, job.undoes, receipt, verdicts)
    if read is not None and expected is not None and not verified:
        work.findings = [total_differs(expected, read, receipt.label)]
        about = None if job.undoes else job.delivery_id
        park(ctx, work, ItemStatus.finding, verdicts, delivery_id=about, asked_again=False, receipt=receipt)
    elif job.undoes is None:
        _booked(ctx, job, receipt, verdicts, stale=fingerprint is not None and fingerprint != work.fingerprint)
    else:
        # What changed is booked anew in the next round; what vanished leaves it at that.
        verdicts.item(work, ItemStatus.reversed if work.vanished else ItemStatus.waiting)


def _booked(ctx: Context, job: Job, receipt: Receipt, verdicts: Verdicts, *, stale: bool) -> None:
    """`stale`: the document changed while its fate was unknown and goes round once more."""
    work = job.work
    first = job.action is Action.write
    if not stale:
        ctx.counts[work.flow]["booked" if first else job.action.value] += 1
        ITEMS.labels("booked").inc()
        did = "existed" if receipt.existed and first else job.action.value
        ctx.log(f"item.{work.flow}.{did}", item=work.id, number=work.shown, booked_as=receipt.label or receipt.ref)
    verdicts.item(
        work,
        ItemStatus.waiting if stale else ItemStatus.booked,
        delivery_id=job.delivery_id,
        target_ref=receipt.ref or job.ref,
        target_label=receipt.label,
        note=note_key(work.flow, "booked") if first and noted(ctx, work) and ctx.settings.note_success else None,
        attach=True if _has_sequel(ctx, work, receipt, first=first) else None,
    )


def _has_sequel(ctx: Context, work: Work, receipt: Receipt, *, first: bool) -> bool:
    """Whether a booking is followed by a printed form hung on it, or by telling the source.

    What waits for a file stands nowhere yet: the source is not told.
    """
    if ctx.recipe.direction(work.flow) != "forth":
        return False
    stream = ctx.stream(work.flow)
    if stream.acknowledge is not None and not receipt.filed:
        return True
    printed = stream.attachment is not None and ctx.writer(work.flow).attach is not None
    return printed and first and ctx.settings.attach_document


def _reversed(ctx: Context, job: Job, stood: Stood, receipt: Receipt, verdicts: Verdicts) -> None:
    work = job.work
    verdicts.undone.append(stood.id)
    ctx.counts[work.flow]["reversed"] += 1
    ctx.log(
        f"item.{work.flow}.{'vanished_' if work.vanished else ''}reverse",
        item=work.id,
        number=work.shown,
        booked_as=stood.receipt.label or stood.receipt.ref,
        reversed_as=receipt.label or receipt.ref,
    )


def vanished(ctx: Context, flow: str, number: str, booked_as: str) -> Finding:
    """The source no longer has what stands in the target; says what can be done there."""
    key = VANISHED if ctx.writer(flow).reversal is not None else VANISHED_BY_HAND
    return Finding(key=key, values={"number": number, "booked_as": booked_as})


def called(stood: Stood | None) -> str:
    """What stands in the target as people know it; empty for nothing."""
    return (stood.receipt.label or stood.receipt.ref) if stood else ""


def total_differs(expected: Decimal, actual: Decimal, label: str) -> Finding:
    """What stands in the target does not amount to what the source printed."""
    return Finding(
        key="total_differs",
        values={
            "expected": f"{cents(expected):f}",
            "actual": f"{cents(actual):f}",
            "difference": f"{cents(actual - expected):f}",
            "booked_as": label,
        },
    )


def refuse(ctx: Context, job: Job, error: RecordRejected, verdicts: Verdicts) -> None:
    """The target said no and nothing was stored."""
    verdicts.deliveries.append({"id": job.delivery_id, "state": DeliveryState.refused})
    job.work.findings = list(error.findings)
    corrects = job.action in (Action.update, Action.reverse)
    park(ctx, job.work, ItemStatus.changed if corrects else ItemStatus.rejected, verdicts, evidence=error)


def doubt(
    ctx: Context,
    work: Work,
    delivery_id: UUID,
    error: VendorError,
    verdicts: Verdicts,
    *,
    wait_s: float | None = None,
    asks: bool = False,
) -> None:
    """It may have landed: it is looked up when the target had time to show it, later and later while in doubt.

    `asks`: a human is asked, so no run waits for it.
    """
    now = ctx.clock.now()
    wait = wait_s if wait_s is not None else settle_s(ctx, work.flow) * 2 ** min(work.attempts, 8)
    check_at = None if asks else now + timedelta(seconds=wait)
    work.retry_at = check_at or now + LATER
    work.findings = [error.finding()]
    verdicts.deliveries.append({"id": delivery_id, "state": DeliveryState.sent, "check_at": check_at})
    park(ctx, work, ItemStatus.unknown, verdicts, evidence=error)


def done(ctx: Context, work: Work, row: RowMapping, verdicts: Verdicts) -> None:
    """It stands there already, by an earlier run or an earlier installation."""
    stands = (row["receipt"] or {}).get("total")
    if stands is not None and work.total is not None and Decimal(stands) != work.total and not work.forced:
        work.findings = [total_differs(work.total, Decimal(stands), row["label"])]
        park(ctx, work, ItemStatus.finding, verdicts, delivery_id=row["id"], asked_again=False)
        return
    ctx.counts[work.flow]["unchanged"] += 1
    if row["settled_at"] is not None and work.attempts == 0:
        # An earlier installation saw the payment; whether it was written back too is for this one to make sure of.
        verdicts.unsettled.append(row["id"])
    if work.attempts == 0:
        ctx.log(f"item.{work.flow}.known", item=work.id, number=work.shown, booked_as=row["label"] or row["ref"])
    verdicts.item(work, ItemStatus.booked, delivery_id=row["id"], target_ref=row["ref"], target_label=row["label"])


def ignore(ctx: Context, work: Work, verdicts: Verdicts) -> None:
    """A rule set it aside."""
    assert work.ignored is not None  # noqa: S101 - the caller looked
    ctx.counts[work.flow]["ignored"] += 1
    # What was ignored before has its note; it was only asked again whether it still is.
    told = work.ignored.noted and ctx.settings.note_ignored and work.attempts == 0
    verdicts.item(
        work,
        ItemStatus.ignored,
        findings=store.found_json([work.ignored.reason]),
        number=work.ignored.number or work.number,
        note=note_key(work.flow, "ignored") if told else None,
    )


def _receipt_row(receipt: Receipt, job: Job) -> Mapping[str, Any]:
    day = job.undoes.booked_on if job.undoes else getattr(job.work.booking, "date", None)
    return {
        "booked_on": day.isoformat() if day else None,
        "ref": receipt.ref,
        "label": receipt.label,
        "total": str(receipt.total) if receipt.total is not None else None,
        "open_item": receipt.open_item,
        "existed": receipt.existed,
        "warnings": list(receipt.warnings),
        "fingerprint": receipt.fingerprint,
        "filed": receipt.filed,
    }
