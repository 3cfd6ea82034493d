"""Prerequisites: a customer stands in the target before its invoice goes there."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Ignored
from hub.engine import adopt, store
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.resolve import Work, document_of, key_of, resolve, work_of
from hub.kit import json
from hub.kit.database import text
from hub.kit.ids import new_id
from hub.sdk.connector import Raw
from hub.sdk.errors import Malformed, RecordRejected

Handle = Callable[[Context, str, Sequence[Work]], Awaitable[None]]
Place = tuple[str, str]
"""A customer in an administration: (source id, administration)."""


async def stand(ctx: Context, needed: set[Place], handle: Handle) -> dict[Place, str]:
    """The target's references of the needed customers; those that are missing are brought there first.

    What cannot be brought (a finding, an unknown outcome, not in the source) is missing from the answer.
    """
    if not needed:
        return {}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        refs = await references(session, ctx, needed)
        known = await places_of(session, ctx, sorted({source_id for source_id, _ in needed}))
    # One that an earlier installation brought there becomes an item too, so that its changes are followed.
    wanted = (needed - set(refs)) | (needed - set(known))
    if wanted:
        rows = await _call_up(ctx, wanted)
        now = ctx.clock.now()
        works = [
            work_of(row)
            for row in rows
            if row["status"] in (ItemStatus.waiting, ItemStatus.unknown)
            and (row["retry_at"] is None or row["retry_at"] <= now)
        ]
        if works:
            await handle(ctx, "customers", works)
            async with ctx.database.tenant(ctx.organisation_id) as session:
                refs.update(await references(session, ctx, wanted))
    return refs


async def references(session: AsyncSession, ctx: Context, places: Iterable[Place]) -> dict[Place, str]:
    """The target's references of the customers that stand there."""
    keys = {key_of(ctx, "customers", *place).text: place for place in places}
    found = await store.references(session, keys)
    return {keys[key]: ref for key, ref in found.items()}


async def _call_up(ctx: Context, places: set[Place]) -> Sequence[RowMapping]:
    """Makes items of the customers' cards, and gives them; a card that we do not have is fetched."""
    cards = await _cards(ctx, {source_id for source_id, _ in places})
    for source_id in sorted({source_id for source_id, _ in places} - set(cards)):
        raw = await _fetched(ctx, source_id)
        if raw is not None:
            cards[source_id] = raw
    rows = [row for place in sorted(places) if place[0] in cards and (row := card_row(ctx, place, cards[place[0]]))]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await store.upsert_items(session, ctx, "customers", rows)
        await _revive(session, ctx, places)
        return await store.items_of(session, ctx, "customers", places)


async def _revive(session: AsyncSession, ctx: Context, places: set[Place]) -> None:
    """A customer that was set aside (inactive, say) is wanted after all when an invoice names it."""
    await session.execute(
        text(
            """UPDATE item i SET status = 'waiting' FROM jsonb_to_recordset(cast(:keys AS jsonb)) AS k(s text, a text)
            WHERE i.combi_id = :combi AND i.flow = 'customers' AND i.source_id = k.s AND i.administration = k.a
              AND i.status = 'ignored'"""
        ),
        {"combi": ctx.combi.id, "keys": store.packed({"s": source, "a": place} for source, place in places)},
    )


def card_row(ctx: Context, place: Place, raw: Raw) -> dict[str, object] | None:
    """The item row of a customer in an administration; malformed cards become an item with findings."""
    source_id, administration = place
    row: dict[str, object] = {
        "id": new_id(ctx.clock),
        "source_id": source_id,
        "administration": administration,
        "status": ItemStatus.waiting,
        "number": "",
        "party": "",
        "currency": "",
        "raw": raw,
        "findings": [],
    }
    try:
        found = document_of(ctx, "customers", raw)
    except (Malformed, RecordRejected) as error:
        return {
            **row,
            "status": ItemStatus.finding,
            "findings": store.found_json(error.findings),
            "fingerprint": digest(raw),
        }
    if isinstance(found, Ignored):
        return {
            **row,
            "status": ItemStatus.ignored,
            "findings": store.found_json([found.reason]),
            "fingerprint": digest(raw),
        }
    return {
        **row,
        "fingerprint": found.fingerprint(),
        "party": getattr(found, "name", ""),
        "number": getattr(found, "number", ""),
    }


async def _cards(ctx: Context, source_ids: set[str]) -> dict[str, Raw]:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text("SELECT source_id, raw FROM party WHERE combi_id = :combi AND source_id = ANY(:ids)"),
            {"combi": ctx.combi.id, "ids": sorted(source_ids)},
        )
        return {row.source_id: row.raw for row in found}


async def _fetched(ctx: Context, source_id: str) -> Raw | None:
    raw = await _shown(ctx, source_id)
    if raw is not None:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await keep_cards(session, ctx, [(source_id, raw, digest(raw))])
    return raw


async def _shown(ctx: Context, source_id: str) -> Raw | None:
    """The card as the source shows it now."""
    stream = ctx.origin("customers").connector.sources.get("customers")
    if stream is None or stream.fetch is None:
        return None
    ctx.lease.check()
    try:
        return await stream.fetch(ctx.origin("customers").http, source_id)
    except RecordRejected as error:
        ctx.log_finding(error.finding(), None, error.exchange)
        return None


async def newcomers(ctx: Context, needed: Iterable[Place]) -> dict[Place, Work]:
    """Customers that are still to be brought to the target, with all that keeps them from it; nothing is written."""
    known = await _cards(ctx, {source_id for source_id, _ in needed})
    works: dict[Place, Work] = {}
    for source_id, administration in sorted(needed):
        raw = known.get(source_id) or await _shown(ctx, source_id)
        if raw is not None:
            work = Work(new_id(ctx.clock), "customers", source_id, administration, ItemStatus.waiting, raw)
            works[source_id, administration] = work
    await resolve(ctx, list(works.values()), {})
    await adopt.spare(ctx, [work for work in works.values() if work.findings])
    return works


async def keep_cards(session: AsyncSession, ctx: Context, cards: Sequence[tuple[str, Raw, str]]) -> None:
    """Stores customers as the source shows them: (source id, raw, fingerprint)."""
    rows = [{"source_id": source_id, "raw": raw, "fingerprint": mark} for source_id, raw, mark in cards]
    await session.execute(
        text(
            """INSERT INTO party AS p (organisation_id, combi_id, source_id, raw, fingerprint, updated_at)
            SELECT :organisation, :combi, r.source_id, r.raw, r.fingerprint, :now
            FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(source_id text, raw jsonb, fingerprint text)
            ON CONFLICT (combi_id, source_id) DO UPDATE SET raw = excluded.raw,
              fingerprint = excluded.fingerprint, updated_at = excluded.updated_at
            WHERE p.fingerprint <> excluded.fingerprint"""
        ),
        {
            "organisation": ctx.organisation_id,
            "combi": ctx.combi.id,
            "now": ctx.clock.now(),
            "rows": store.packed(rows),
        },
    )


async def places_of(session: AsyncSession, ctx: Context, source_ids: Sequence[str]) -> list[Place]:
    """In which administrations these customers are items already."""
    found = await session.execute(
        text(
            """SELECT source_id, administration FROM item
            WHERE combi_id = :combi AND flow = 'customers' AND source_id = ANY(:ids)"""
        ),
        {"combi": ctx.combi.id, "ids": list(source_ids)},
    )
    return [(row.source_id, row.administration) for row in found]


def digest(raw: Raw) -> str:
    """SHA-256 over a raw record, for records that are no document."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
