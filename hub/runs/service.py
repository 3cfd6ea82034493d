"""Runs and documents: what they look like, and what a human may do with them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.accounting.posting import PostingLine
from hub.catalogue.path import unknown
from hub.engine import items
from hub.engine.engine import AlreadyRunning
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus, Delivery, Item, LogEntry, Run
from hub.kit import text
from hub.kit.database import HubSession
from hub.kit.problem import Problem
from hub.runs import repository, sentences
from hub.runs.schemas import (
    BookingOut,
    BulkRetryIn,
    BulkRetryOut,
    HistoryOut,
    ItemOut,
    PostingOut,
    ResolveIn,
    RunIn,
    RunOut,
)
from hub.sdk.errors import VendorError

BULK = 1000
POLL_S = 0.5
HEARTBEAT_S = 15.0
LONGEST_S = 3600.0


def amount(value: Decimal | None) -> str | None:
    """An amount as the API writes it: two decimals, more only when it has them."""
    if value is None:
        return None
    rounded = round(value, 2)
    return str(rounded) if rounded == value else f"{value.normalize():f}"


def columns(row: object, names: Iterable[str]) -> dict[str, Any]:
    """Columns of a stored row by name."""
    return {name: getattr(row, name) for name in names}


async def combi_of(session: HubSession, combi_id: UUID, *, lock: bool = False) -> Combi:
    """A combi. Raises the 404 problem."""
    found = await repository.combi(session, combi_id, lock=lock)
    if found is None:
        raise unknown("combi")
    return found


async def run_of(session: HubSession, run_id: UUID) -> Run:
    """A run. Raises the 404 problem."""
    found = await repository.run(session, run_id)
    if found is None:
        raise unknown("run")
    return found


async def item_of(session: HubSession, item_id: UUID, *, lock: bool = False) -> Item:
    """A document. Raises the 404 problem."""
    found = await repository.item(session, item_id, lock=lock)
    if found is None:
        raise unknown("item")
    return found


def run_out(run: Run, language: str) -> RunOut:
    """A run as the API shows it."""
    return RunOut(
        **columns(run, set(RunOut.model_fields) - {"status", "outcome", "reason"}),
        status="finished" if run.finished_at else "running" if run.started_at else "queued",
        outcome=sentences.outcome(run.outcome, run.reason, language),
        reason=sentences.finding(run.reason, language) if run.reason else None,
    )


async def start(session: HubSession, hub: Hub, combi_id: UUID, asked: RunIn) -> Run:
    """A manual run. Raises 409 while another one goes on, naming it, and for a combi that is not installed yet."""
    combi = await combi_of(session, combi_id)
    if combi.status == CombiStatus.draft and asked.mode == "write":
        raise Problem(409, "not_active", "The combi is not active yet.", "Activate it first, or ask for a preview.")
    period = asked.period.model_dump(mode="json", by_alias=True, exclude_none=True) if asked.period else None
    try:
        return await hub.engine.start_run(
            session,
            combi,
            trigger="manual",
            mode=asked.mode,
            scope=asked.scope,
            period=period or None,
            documents=asked.documents,
        )
    except AlreadyRunning as running:
        raise Problem(409, "already_running", "A run of this combi is going on.", run_id=str(running.run_id)) from None


async def item_out(session: HubSession, item: Item, language: str) -> ItemOut:
    """A document with its booking and its history."""
    delivery = await repository.delivery(session, item.delivery_id)
    lines = await repository.history(session, item.id)
    plain = set(ItemOut.model_fields) - {"administration", "amount", "findings", "booking", "posting", "history"}
    return ItemOut(
        **columns(item, plain),
        administration=item.administration or (delivery.target if delivery else item.route).partition(":")[2],
        amount=amount(item.amount),
        findings=[sentences.finding(one, language) for one in item.findings],
        booking=booking_out(delivery) if delivery else None,
        history=[history_out(line, language) for line in lines],
    )


def posting_out(line: PostingLine) -> PostingOut:
    """A line of a booking as the API shows it."""
    return PostingOut(
        account=line.account,
        name=line.name,
        debit=amount(line.debit) or "0.00",
        credit=amount(line.credit) or "0.00",
        description=line.description,
        cost_centre=line.cost_centre,
    )


async def posting_of(hub: Hub, organisation_id: UUID, item: Item) -> list[PostingOut]:
    """Debit and credit of a document; empty when it cannot be booked, or a package cannot be reached now."""
    try:
        shown = await hub.engine.preview_of(organisation_id, item.combi_id, item.flow, item.raw or {})
        return [posting_out(line) for line in shown.posting] if shown else []
    except (VendorError, KeyError):
        return []


def booking_out(delivery: Delivery) -> BookingOut:
    """A booking as the API shows it."""
    plain = set(BookingOut.model_fields) - {"total"}
    return BookingOut(**columns(delivery, plain), total=amount(delivery.total))


def history_out(line: LogEntry, language: str) -> HistoryOut:
    """A line of the log about one document."""
    plain = {"at", "level", "key", "run_id", "evidence"}
    return HistoryOut(**columns(line, plain), sentence=sentences.sentence(line.key, line.values, language))


async def retry(session: HubSession, hub: Hub, item: Item, language: str) -> None:
    """Asks for another try at the next run. Raises 409 when its status forbids it."""
    try:
        await items.retry(session, hub.clock, item)
    except items.NotAllowed as refusal:
        raise _not_allowed(refusal, language) from None


async def skip(session: HubSession, hub: Hub, item: Item, reason: str, language: str) -> None:
    """A human says that it is not to be booked. Raises 409 when its status forbids it."""
    try:
        await items.skip(session, hub.clock, item, reason)
    except items.NotAllowed as refusal:
        raise _not_allowed(refusal, language) from None


async def resolve(session: HubSession, hub: Hub, item: Item, found: ResolveIn, language: str) -> None:
    """A human looked in the target. Raises 409 when the status forbids it."""
    try:
        await items.resolve(session, hub.clock, item, found.outcome, found.target_ref or "")
    except items.NotAllowed as refusal:
        raise _not_allowed(refusal, language) from None


async def retry_many(session: HubSession, hub: Hub, combi_id: UUID, asked: BulkRetryIn) -> BulkRetryOut:
    """Asks for another try of all these documents, up to `BULK` per call."""
    await combi_of(session, combi_id)
    found = await repository.retryable(
        session, combi_id, BULK + 1, status=asked.status, finding=asked.finding, ids=asked.ids
    )
    retried = refused = 0
    for item in found[:BULK]:
        try:
            await items.retry(session, hub.clock, item)
            retried += 1
        except items.NotAllowed:
            refused += 1
    return BulkRetryOut(retried=retried, refused=refused, more=len(found) > BULK and retried > 0)


async def decide_many(
    session: HubSession, hub: Hub, combi_id: UUID, ids: Sequence[UUID], action: str, reason: str = ""
) -> int:
    """One decision (`retry`, `skip`, `exists`, `absent`) about many documents; gives for how many it could be taken.

    `exists` is taken for documents only of which we know under what reference they would stand in the target.
    """
    decided = 0
    for item in await repository.retryable(session, combi_id, BULK, ids=ids):
        try:
            match action:
                case "retry":
                    await items.retry(session, hub.clock, item)
                case "skip":
                    await items.skip(session, hub.clock, item, reason)
                case "exists":
                    if not (items.named(item) or item.target_ref):
                        continue
                    await items.resolve(session, hub.clock, item, "exists", items.named(item) or item.target_ref)
                case _:
                    await items.resolve(session, hub.clock, item, "absent")
        except items.NotAllowed:
            continue
        decided += 1
    return decided


def _not_allowed(refusal: items.NotAllowed, language: str) -> Problem:
    sentence = sentences.sentence(refusal.key, refusal.values, language)
    return Problem(409, "not_allowed", text.sentence("problem.not_allowed", language), sentence, key=refusal.key)


async def watch(hub: Hub, organisation_id: UUID, run_id: UUID) -> AsyncIterator[Run | Mapping[str, Any] | None]:
    """How a run goes: its status and counts when they change, None when it is quiet, and the ended run as the last.

    Holds no connection while it waits.
    """
    shown: dict[str, Any] | None = None
    quiet = total = 0.0
    while total < LONGEST_S:
        async with hub.database.tenant(organisation_id) as session:
            row = await repository.progress(session, run_id)
            finished = await repository.run(session, run_id) if row is not None and row["finished_at"] else None
        if row is None:
            return
        if finished is not None:
            yield finished
            return
        now = {"status": "running" if row["started_at"] else "queued", "counts": row["counts"]}
        if now != shown:
            shown, quiet = now, 0.0
            yield now
        elif quiet >= HEARTBEAT_S:
            quiet = 0.0
            yield None
        await asyncio.sleep(POLL_S)
        quiet += POLL_S
        total += POLL_S


async def events(hub: Hub, organisation_id: UUID, run_id: UUID, language: str) -> AsyncIterator[str]:
    """Server-sent events of a run: `progress` when the counts change, `finished` at the end, comments in between."""
    number = 0
    async for seen in watch(hub, organisation_id, run_id):
        number += seen is not None
        match seen:
            case None:
                yield STILL_HERE
            case Run():
                yield event(number, "finished", run_out(seen, language).model_dump_json())
            case _:
                yield event(number, "progress", json.dumps(seen, default=str))


STILL_HERE = ": still here\n\n"


def event(number: int, name: str, data: str) -> str:
    """One server-sent event; every line of its data is a line of its own."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"id: {number}\nevent: {name}\n{lines}\n"
