"""The protocol: `intended → sent → recorded`, each committed before the next, so that nothing is booked twice.

A document that is found in state `sent` (a crash, a time-out, a 5xx) is looked up before anything is sent again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from hub.accounting.documents import Finding
from hub.engine import adopt, points, store, verdicts
from hub.engine.context import Cancelled, Context, LeaseLost
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.resolve import Work
from hub.engine.verdicts import Action, Job, Verdicts
from hub.sdk.connector import Receipt
from hub.sdk.errors import ConfigError, OutcomeUnknown, ReauthRequired, RecordRejected, TransientError, VendorError
from hub.sdk.manifest import Dedupe

_log = structlog.get_logger(__name__)

LARGEST_WINDOW = 100
WINDOW_S = 20.0
"""After so long no more calls of a window are begun; the rest goes into the next one."""
PARALLEL = 4
"""Calls at the same time on one connection; its rate limit holds for all of them."""
DOUBTS_IN_A_ROW = 3
"""After so many unknown outcomes in one window the target is taken to be down."""


@dataclass
class Result:
    """What became of a job."""

    job: Job
    receipt: Receipt | None = None
    error: VendorError | None = None
    issued: bool = True
    end: LeaseLost | Cancelled | None = None
    """Why the run may not go on at all."""


async def look_up(ctx: Context, flow: str, doubtful: Sequence[tuple[Job, RowMapping]], said: Verdicts) -> list[Job]:
    """Settles the fate of what was sent without an answer. Gives the jobs that are provably absent in the target."""
    absent: list[Job] = []
    async with ctx.database.tenant(ctx.organisation_id) as session:
        busy = await store.runs_in_hand(session, ctx, {row["run_id"] for _, row in doubtful})
    for job, row in doubtful:
        work = job.work
        if row["run_id"] in busy:
            # Another combi of the same pair has it in hand this very moment.
            verdicts.hold_back(ctx, work, said)
        elif row["check_at"] and row["check_at"] > ctx.clock.now():
            work.retry_at = row["check_at"]
            verdicts.park(ctx, work, ItemStatus.unknown, said)
        elif ctx.facts(flow).dedupe is Dedupe.none:
            work.findings = [Finding(key="fate_unknown", values={})]
            verdicts.park(ctx, work, ItemStatus.unknown, said)
        elif not await _found(ctx, flow, job, row, said):
            absent.append(job)
    return absent


async def _found(ctx: Context, flow: str, job: Job, row: RowMapping, said: Verdicts) -> bool:
    """False when it is provably absent: back to the intent. True: there, or in doubt; the verdict says which."""
    work = job.work
    ctx.lease.check()
    try:
        receipt = await ctx.writer(flow).find(ctx.destination(flow).http, job.key, job.payload)
        if receipt is None and job.undoes is None:
            receipt = await adopt.without_key(ctx, flow, work, job.payload, row["intended_at"])
    except (OutcomeUnknown, RecordRejected) as error:
        verdicts.doubt(ctx, work, row["id"], error, said, asks=isinstance(error, adopt.LooksAlike))
        return True
    if receipt is None:
        ctx.log("delivery.absent", item=work.id, number=work.shown)
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await store.unsend(session, [row["id"]])
        return False
    ctx.log("delivery.found_again", item=work.id, number=work.shown, booked_as=receipt.label or receipt.ref)
    verdicts.record(ctx, job, receipt, said, fingerprint=row["fingerprint"])
    return True


async def send(ctx: Context, flow: str, jobs: Sequence[Job]) -> None:
    """Sends in windows: marked as sent, called, recorded. Raises what stops the run, after recording what is known."""
    left = list(jobs)
    while left:
        window, left = left[: ctx.window], left[ctx.window :]
        ctx.lease.check()
        # The last call of the window begins up to WINDOW_S from now: a look-up counts from there.
        check_at = ctx.clock.now() + timedelta(seconds=WINDOW_S + verdicts.settle_s(ctx, flow))
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


class UnderWay:
    """The batch whose calls are being made while the next one is prepared: one at most."""

    def __init__(self, ctx: Context, flow: str) -> None:
        self._ctx, self._flow = ctx, flow
        self._sending: asyncio.Task[None] | None = None
        self.ids: Sequence[UUID] = ()
        """The works under way."""

    async def start(self, jobs: Sequence[Job], ids: Sequence[UUID]) -> None:
        """Begins to send when the batch before has landed; raises what stopped that one."""
        await self.landed()
        self.ids = ids
        self._sending = asyncio.create_task(send(self._ctx, self._flow, jobs))

    async def landed(self) -> None:
        """Returns when all that is known of the batch is recorded; raises what stopped it."""
        sending, self._sending = self._sending, None
        if sending is not None:
            try:
                await sending
            finally:
                self.ids, self._ctx.at_hand = (), None

    def cancel(self) -> None:
        """Breaks the calls off; what was marked as sent is looked up later."""
        if self._sending is not None:
            self._sending.cancel()


@asynccontextmanager
async def under_way(ctx: Context, flow: str) -> AsyncIterator[UnderWay]:
    """Nothing is under way any more when the block is left, in whatever manner."""
    calls = UnderWay(ctx, flow)
    try:
        yield calls
    except asyncio.CancelledError:
        calls.cancel()
        raise
    finally:
        await calls.landed()


async def _give_up(ctx: Context, works: Sequence[Work]) -> None:
    """Works that another run marked as sent between our intent and our turn."""
    said = Verdicts()
    for work in works:
        verdicts.hold_back(ctx, work, said)
    await said.commit(ctx)


async def _call_all(ctx: Context, flow: str, window: Sequence[Job]) -> list[Result]:
    """Calls the target for each job, a few at a time; after a reason to stop, the rest is not issued."""
    stopped = False
    doubts = 0
    ends_at = time.monotonic() + WINDOW_S
    turns = ctx.turns.setdefault(ctx.destination(flow).connection_id, asyncio.Semaphore(PARALLEL))

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
        return await writer.adopt(http, job.payload, job.key, work.existing)
    if job.action is Action.update and writer.update is not None:
        if job.before:
            await _as_we_left_it(ctx, flow, job)
        return await writer.update(http, job.payload, job.key, job.ref)
    if job.undoes is not None and ctx.facts(flow).dedupe is not Dedupe.none:
        await _as_we_left_it(ctx, flow, job)
    return await writer.write(http, job.payload, job.key)


async def _as_we_left_it(ctx: Context, flow: str, job: Job) -> None:
    """Raises RecordRejected when the booking that is to be corrected is gone or was changed by hand.

    One that is taken back and could not be read when it was booked is known by its total.
    """
    key, payload = (job.undoes.key, job.undoes.payload) if job.undoes else (job.key, job.payload)
    stands = await ctx.writer(flow).find(ctx.destination(flow).http, key, payload)
    if stands is None:
        label = job.undoes.receipt.label if job.undoes else ""
        raise RecordRejected("booking_gone", booked_as=label or job.ref)
    edited = bool(job.before and stands.fingerprint and stands.fingerprint != job.before)
    if job.undoes and not job.before and not job.work.overrides:
        edited = None not in (stands.total, job.undoes.total) and stands.total != job.undoes.total
    if edited:
        raise RecordRejected("edited_before_reversal" if job.undoes else "edited_in_target", booked_as=stands.label)


async def _record_all(ctx: Context, flow: str, results: Sequence[Result]) -> Exception | None:
    """Commits what is known of a window. Gives what stops the run, if anything.

    Who lost the lease still says what it knows to stand there, but leaves the rest in state `sent`: whoever has the
    run now may have sent it since, and looks it up otherwise.
    """
    points.reach(points.BEFORE_RECORD)
    said = Verdicts()
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
                verdicts.record(ctx, result.job, result.receipt, said)
            case RecordRejected() as error:
                verdicts.refuse(ctx, result.job, error, said)
            case OutcomeUnknown() as error:
                doubts += 1
                wait_s = verdicts.settle_s(ctx, flow)
                verdicts.doubt(ctx, work, result.job.delivery_id, error, said, wait_s=wait_s)
                if doubts >= DOUBTS_IN_A_ROW:
                    stop = stop or TransientError(error.key, words=error.words)
                    stop.values = error.values
            case error:
                # Not issued, or provably without effect: as if it had never been sent.
                stop = error or stop
                said.deliveries.append({"id": result.job.delivery_id, "state": DeliveryState.intended})
    await said.commit(ctx)
    points.reach(points.AFTER_RECORD)
    return ended or stop
