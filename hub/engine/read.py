"""Read: pages of raw records go into the store together with the cursor, so that nothing is seen and then forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Document, Finding, Ignored
from hub.engine import absence, parties, points, store
from hub.engine.context import KEPT_DOCUMENTS, Context
from hub.engine.models import ItemStatus
from hub.engine.resolve import BOOKED_ONCE, administration_of, document_of, set_aside
from hub.engine.verdicts import note_key
from hub.kit import json
from hub.kit.database import text
from hub.kit.ids import new_id
from hub.sdk.connector import Cursor, Page, Raw, Since
from hub.sdk.errors import Malformed, RecordRejected

T = TypeVar("T")


async def read(ctx: Context, flow: str) -> bool:
    """Reads a flow's stream to its end. False when the slice ended first; the cursor knows where to go on."""
    stream = ctx.stream(flow)
    cursor = None if _afresh(ctx, flow) else position(ctx, flow)
    since = Since(cursor, ctx.combi.start_date, companies_of(ctx), thorough(ctx), ctx.clock.today())
    pages = stream.read(ctx.origin(flow).http, since, ctx.settings)
    over = False
    async for page in ahead(ctx, pages):
        if flow == "customers":
            await _keep_customers(ctx, page)
        else:
            await _keep_documents(ctx, flow, page)
        ctx.run.progress = {**ctx.run.progress, f"begun:{flow}": True}
        if over:
            return False
        # Only asking for one page more tells whether this was the last: a slice that is too short for one page would
        # otherwise never learn that it is done.
        over = page.cursor is not None and ctx.out_of_time
    return True


async def ahead(ctx: Context, pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same pages; the next one is asked for while one is worked on, unless the slice is over."""
    coming: asyncio.Task[T | None] | None = None
    try:
        while True:
            page = await (coming or _next(pages))
            if page is None:
                return
            coming = asyncio.create_task(_next(pages)) if time.monotonic() < ctx.ends_at else None
            yield page
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _next(pages: AsyncIterator[T]) -> T | None:
    return await anext(pages, None)


def companies_of(ctx: Context) -> tuple[str, ...]:
    """The source's companies that are booked somewhere; empty when the customer has not chosen yet."""
    return tuple(one for one in ctx.settings.administrations if one not in ctx.settings.ignored_companies)


def thorough(ctx: Context) -> bool:
    """True when a human asks for this run."""
    return ctx.run.trigger == "manual" or ctx.run.scope == "everything"


def _afresh(ctx: Context, flow: str) -> bool:
    """A run over everything starts without a cursor, once."""
    return ctx.run.scope == "everything" and not ctx.run.progress.get(f"begun:{flow}")


def position(ctx: Context, stream: str) -> Cursor | None:
    """How far a stream was read."""
    return ctx.positions.get(stream)


async def move(session: AsyncSession, ctx: Context, stream: str, cursor: Cursor) -> None:
    """Moves a stream's cursor, in the transaction that stores what was read."""
    await session.execute(
        text(
            """INSERT INTO position (organisation_id, combi_id, stream, cursor, moved_at)
            VALUES (:organisation, :combi, :stream, cast(:cursor AS jsonb), :now)
            ON CONFLICT (combi_id, stream) DO UPDATE SET cursor = excluded.cursor, moved_at = excluded.moved_at"""
        ),
        {
            "organisation": ctx.organisation_id,
            "combi": ctx.combi.id,
            "stream": stream,
            "cursor": json.dumps(dict(cursor)),
            "now": ctx.clock.now(),
        },
    )
    ctx.positions[stream] = json.loads(json.dumps(dict(cursor)))


async def _keep_documents(ctx: Context, flow: str, page: Page) -> None:
    rows = [_row(ctx, flow, raw) for raw in page.records]
    unique = {row["source_id"]: row for row in rows if row}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        counts = await store.upsert_items(session, ctx, flow, list(unique.values()))
        for name, count in counts.items():
            ctx.counts[flow][name] += count
        await absence.look(session, ctx, flow, unique, page.wholes)
        await store.write_lines(session, ctx)
        await store.show_progress(session, ctx)
        points.reach(points.BEFORE_CURSOR)
        if page.cursor is not None:
            await move(session, ctx, flow, page.cursor)
    points.reach(points.AFTER_CURSOR)


def _number_in(error: Malformed | RecordRejected) -> str:
    """The number of a record that cannot be read, where what is wrong with it names it."""
    return next((str(shown) for one in error.findings if (shown := one.values.get("number"))), "")


def _row(ctx: Context, flow: str, raw: Raw) -> dict[str, Any] | None:
    """The item row of a raw record. A record without an id cannot be an item: it is told in the log."""
    try:
        source_id = ctx.stream(flow).key(raw)
    except (KeyError, ValueError, TypeError):
        ctx.log_finding(Finding(key="record_without_id", values={"flow": flow}), None)
        return None
    row: dict[str, Any] = {
        "id": new_id(ctx.clock),
        "source_id": source_id,
        "status": ItemStatus.waiting,
        "number": "",
        "party": "",
        "currency": "",
        "raw": raw,
        "findings": [],
        "fingerprint": "",
    }
    try:
        found = document_of(ctx, flow, raw)
    except (Malformed, RecordRejected) as error:
        return {
            **row,
            "status": ItemStatus.finding,
            "number": _number_in(error),
            "findings": store.found_json(error.findings),
            "fingerprint": parties.digest(raw),
        }
    ignored = found if isinstance(found, Ignored) else set_aside(ctx, found)
    if isinstance(found, Document):
        row = {**row, **_shown(found), "fingerprint": found.fingerprint(), "route": _route(ctx, flow, found)}
    if ignored is None:
        if isinstance(found, Document) and len(ctx.fresh) < KEPT_DOCUMENTS:
            ctx.fresh[flow, source_id] = found
        return row
    noted = ignored.noted and ctx.settings.note_ignored and ctx.source.connector.note is not None
    return {
        **row,
        "status": ItemStatus.ignored,
        **_ignored_shown(ignored, row),
        "findings": store.found_json([ignored.reason]),
        "fingerprint": row["fingerprint"] or parties.digest({"ignored": ignored.reason.key}),
        "note": note_key(flow, "ignored") if noted else "",
    }


def _ignored_shown(ignored: Ignored, row: dict[str, Any]) -> dict[str, Any]:
    """What is known of a record that is not booked, for the history."""
    return {
        "number": row["number"] or ignored.number,
        "date": row.get("date") or ignored.date,
        "period": row.get("period") or ignored.period,
        "amount": row["amount"] if row.get("amount") is not None else ignored.amount,
        "currency": row["currency"] or ignored.currency,
    }


def _route(ctx: Context, flow: str, document: Document) -> str:
    """Where a document that is booked once goes, as far as the customer has chosen that yet."""
    place = administration_of(ctx, document.company) if isinstance(document, BOOKED_ONCE) else None
    return f"{ctx.destination(flow).connector.manifest.name}:{place}" if place else ""


def _shown(document: Document) -> dict[str, Any]:
    """The columns by which people look for a document."""
    customer = getattr(document, "customer", None)
    return {
        "number": getattr(document, "number", ""),
        "date": getattr(document, "date", None),
        "party": getattr(customer, "name", "") or getattr(document, "name", ""),
        "amount": getattr(document, "total", None) or getattr(document, "amount", None),
        "currency": getattr(document, "currency", ""),
        "period": getattr(document, "shown_period", ""),
    }


async def _keep_customers(ctx: Context, page: Page) -> None:
    """Cards are kept; those that are items already, or all when the customer wants all, become work."""
    cards: list[tuple[str, Raw, str]] = []
    for raw in page.records:
        row = parties.card_row(ctx, (_card_id(ctx, raw), ""), raw)
        if row is not None and row["source_id"]:
            cards.append((str(row["source_id"]), raw, str(row["fingerprint"])))
    raws = {source_id: raw for source_id, raw, _ in cards}
    places: set[parties.Place] = set()
    if ctx.settings.customers == "all":
        places |= {(source, place) for source in raws for place in set(ctx.settings.administrations.values())}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        if cards:
            await parties.keep_cards(session, ctx, cards)
            places.update(await parties.places_of(session, ctx, list(raws)))
        rows = [row for place in sorted(places) if (row := parties.card_row(ctx, place, raws[place[0]]))]
        counts = await store.upsert_items(session, ctx, "customers", rows)
        for name, count in counts.items():
            ctx.counts["customers"][name] += count
        await store.write_lines(session, ctx)
        await store.show_progress(session, ctx)
        points.reach(points.BEFORE_CURSOR)
        if page.cursor is not None:
            await move(session, ctx, "customers", page.cursor)
    points.reach(points.AFTER_CURSOR)


def _card_id(ctx: Context, raw: Raw) -> str:
    try:
        return ctx.stream("customers").key(raw)
    except (KeyError, ValueError, TypeError):
        ctx.log_finding(Finding(key="record_without_id", values={"flow": "customers"}), None)
        return ""
