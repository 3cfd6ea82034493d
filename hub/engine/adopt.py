"""Adoption: what stands in the target already is recognised and taken over; what only looks like it is asked about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.accounting.booking import CustomerBooking
from hub.accounting.documents import Customer, Finding, JournalEntry, SalesInvoice
from hub.engine import read, store
from hub.engine.context import Context
from hub.engine.resolve import BOOKED_ONCE, Work, key_of
from hub.kit.database import text
from hub.sdk.connector import Existing, Payload, Receipt, TargetWriter
from hub.sdk.errors import OutcomeUnknown, RecordRejected

FEW = 20
"""Up to so many customers it costs less to ask for each than to list them all."""


def receipt_of(existing: Existing, total: Decimal | None) -> Receipt:
    """The receipt of something that stood there; its total is taken over when the listing showed it."""
    return Receipt(
        ref=existing.ref,
        label=existing.label or existing.number,
        total=existing.total if existing.total is not None else total,
        open_item=existing.open_item,
        existed=True,
    )


def taken(work: Work, by: str = "") -> Finding:
    """What marks this document in the target (a number, an e-mail address) belongs to another one there."""
    claim = work.claim or work.number
    if "@" in claim:
        return Finding(key="email_shared", values={"email": claim, "debtors": by})
    return Finding(key="number_taken", values={"number": claim, "debtors": by})


async def recognise(ctx: Context, flow: str, works: Sequence[Work]) -> list[Work]:
    """Gives the works back, each with `existing` when it stands there, or with a finding when that is not sure."""
    writer = ctx.writer(flow)
    for work in works:
        work.existing = None
        if work.forced and flow == "customers":
            # A human said that it is another customer, whatever it shares with one that stands there.
            work.claim = None
    asked = [work for work in works if not work.forced]
    listed: set[str] = set()
    if writer.index is not None:
        for administration in sorted({work.administration for work in asked}):
            mine = [work for work in asked if work.administration == administration]
            if await _listed(ctx, flow, administration, writer, mine):
                listed.add(administration)
    found = await _from_store(ctx, flow, writer, asked)
    if flow == "journals":
        for work_id, alike in (await _alike(ctx, flow, writer, asked)).items():
            found.setdefault(work_id, []).extend(alike)
    for work in asked:
        candidates = found.get(work.id, [])
        if work.administration not in listed and (flow == "customers" or (flow == "journals" and not writer.index)):
            try:
                candidates = await _live(ctx, flow, writer, work)
            except (OutcomeUnknown, RecordRejected) as error:
                work.findings = [error.finding()]
                continue
        _decide(work, writer, candidates)
    await _refuse_others(ctx, flow, asked)
    return list(works)


async def spare(ctx: Context, works: Sequence[Work]) -> None:
    """Takes the findings off customers of which one stands there already: what is asked of a new one is not asked then.

    Not where taking one over changes his card, for which all of it is needed.
    """
    writer = ctx.writer("customers")
    if writer.match is None or writer.adopt is not None:
        return
    for work in works:
        if not isinstance(work.document, Customer) or work.key is None:
            continue
        ctx.lease.check()
        booking = CustomerBooking(customer=work.document, administration=work.administration)
        try:
            found = await writer.match(ctx.destination("customers").http, booking)
        except (OutcomeUnknown, RecordRejected):
            continue
        if len({one.ref for one in found}) == 1:
            work.findings, work.booking, work.claim = [], booking, writer.claim(booking, ctx.settings)


async def _listed(ctx: Context, flow: str, administration: str, writer: TargetWriter, works: Sequence[Work]) -> bool:
    """Makes the listing of an administration on a combi's first run, and anew when older documents come than it holds.

    True when it is complete and of this run.
    """
    name = f"standing:{flow}:{administration}"
    known = read.position(ctx, name)
    if known is not None and not _older(known, works):
        return known.get("run") == str(ctx.run.id)
    if writer.index is None or (flow == "customers" and writer.match is not None and len(works) <= FEW):
        return False
    since = None if flow == "customers" else await _earliest(ctx, flow)
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text("DELETE FROM standing WHERE combi_id = :c AND stream = :s AND administration = :a"),
            {"c": ctx.combi.id, "s": flow, "a": administration},
        )
    total = 0
    async for page in writer.index(ctx.destination(flow).http, administration, since, ctx.settings):
        ctx.lease.check()
        total += len(page)
        await _keep(ctx, flow, administration, page)
    async with ctx.database.tenant(ctx.organisation_id) as session:
        begin = since.isoformat() if since else None
        await read.move(session, ctx, name, {"run": str(ctx.run.id), "entries": total, "since": begin})
    ctx.log("adopt.listed", flow=flow, administration=administration, entries=total)
    return True


def _older(known: Mapping[str, Any], works: Sequence[Work]) -> bool:
    """True when a document is of before the day from which the listing was made."""
    since = known.get("since")
    days = [work.document.date for work in works if isinstance(work.document, BOOKED_ONCE)]
    return bool(since and days) and min(days) < date.fromisoformat(str(since))


async def _earliest(ctx: Context, flow: str) -> date | None:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text("SELECT min(date) FROM item WHERE combi_id = :c AND flow = :f AND status IN ('waiting', 'unknown')"),
            {"c": ctx.combi.id, "f": flow},
        )
        return found.scalar_one_or_none()


async def _keep(ctx: Context, flow: str, administration: str, page: Sequence[Existing]) -> None:
    rows = [
        {
            "ref": one.ref,
            "label": one.label,
            "mark": one.mark,
            "number": one.number,
            "date": one.date,
            "total": one.total,
            "email": email.lower(),
            "open_item": one.open_item,
        }
        for one in page
        for email in (one.emails or ("",))
    ]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text(
                """INSERT INTO standing (organisation_id, combi_id, stream, administration, ref, label, mark, number,
                     date, total, email, open_item)
                SELECT :organisation, :combi, :stream, :administration, r.*
                FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(ref text, label text, mark text, number text,
                     date date, total numeric, email text, open_item text)"""
            ),
            {
                "organisation": ctx.organisation_id,
                "combi": ctx.combi.id,
                "stream": flow,
                "administration": administration,
                "rows": store.packed(rows),
            },
        )


async def _from_store(
    ctx: Context, flow: str, writer: TargetWriter, works: Iterable[Work]
) -> dict[UUID, list[Existing]]:
    rows = [
        {
            "id": work.id,
            "administration": work.administration,
            "marks": list(writer.marks(work.sure_key)),
            "number": work.claim or "",
            "emails": list(work.document.emails) if isinstance(work.document, Customer) else [],
        }
        for work in works
    ]
    if not rows:
        return {}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        return await store.standing(session, ctx, flow, rows)


async def _alike(ctx: Context, flow: str, writer: TargetWriter, works: Sequence[Work]) -> dict[UUID, list[Existing]]:
    """What stood in the target with an entry's date and total and is not known to be another entry's booking.

    A booking from another account of the same package may be of the same run, seen by another way in. The number of a
    payroll entry says little: two that look the same are asked about, and go on being so when the entry changes before
    a human has answered. What bears the mark of another entry of this combi, or is its delivery, is that entry's.
    """
    rows = [
        {"id": work.id, "administration": work.administration, "days": sorted(_days(work)), "total": work.total}
        for work in works
    ]
    if not rows:
        return {}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT r.id AS work, s.ref, s.label, s.mark, s.number, s.date, s.total, s.open_item
                FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, administration text, days jsonb,
                  total numeric)
                JOIN standing s ON s.combi_id = :combi AND s.stream = :stream AND s.administration = r.administration
                  AND (s.total = r.total AND r.days ? s.date::text OR EXISTS (
                    SELECT 1 FROM item i, jsonb_array_elements(i.findings) asked
                    WHERE i.id = r.id AND asked->>'key' = 'near_miss' AND asked->'values'->>'ref' = s.ref))
                WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.organisation_id = s.organisation_id
                  AND d.target = :package || ':' || s.administration AND d.stream = s.stream AND d.ref = s.ref
                  AND (d.source = :source OR split_part(d.source, ':', 1) <> split_part(:source, ':', 1)))"""
            ),
            {
                "rows": store.packed(rows),
                "combi": ctx.combi.id,
                "stream": flow,
                "source": ctx.origin(flow).source,
                "package": ctx.destination(flow).connector.manifest.name,
            },
        )
        alike = found.all()
    others = await _marks_of_others(ctx, flow, writer, {row.total for row in alike}) if alike else {}
    own = {work.id: set(writer.marks(work.sure_key)) for work in works}
    result: dict[UUID, list[Existing]] = {}
    for row in alike:
        if row.mark and row.mark in others.get(row.total, set()) - own[row.work]:
            continue
        standing = Existing(row.ref, row.label, row.mark, row.number, row.date, row.total, open_item=row.open_item)
        result.setdefault(row.work, []).append(standing)
    return result


def _days(work: Work) -> set[str]:
    """The days on which a document may have been booked."""
    days = {getattr(work.document, "date", None), getattr(work.booking, "date", None)}
    return {day.isoformat() for day in days if isinstance(day, date)}


async def _marks_of_others(
    ctx: Context, flow: str, writer: TargetWriter, totals: set[Decimal]
) -> dict[Decimal, set[str]]:
    """The marks that the combi's own documents of these totals would bear in the target."""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                "SELECT source_id, amount FROM item WHERE combi_id = :combi AND flow = :flow AND amount = ANY(:totals)"
            ),
            {"combi": ctx.combi.id, "flow": flow, "totals": sorted(totals)},
        )
        places = set(ctx.settings.administrations.values())
        marks: dict[Decimal, set[str]] = {}
        for row in found:
            for place in places:
                marks.setdefault(row.amount, set()).update(writer.marks(key_of(ctx, flow, row.source_id, place)))
        return marks


async def _live(ctx: Context, flow: str, writer: TargetWriter, work: Work) -> list[Existing]:
    if writer.match is None or work.booking is None:
        return []
    ctx.lease.check()
    http = ctx.destination(flow).http
    found = list(await writer.match(http, work.booking))
    if found or writer.match_is_proof:
        return found
    if work.flow != "customers":
        return []
    # Who bears our key is ours, whatever has become of its e-mail address.
    ours = await writer.find(http, work.sure_key, work.payload)
    marks = writer.marks(work.sure_key)
    return [Existing(ref=ours.ref, label=ours.label, mark=marks[0])] if ours else []


def _decide(work: Work, writer: TargetWriter, candidates: Sequence[Existing]) -> None:
    marks = writer.marks(work.sure_key)
    ours = {one.ref: one for one in candidates if one.mark and one.mark in marks}
    if ours:
        work.existing = next(iter(ours.values()))
        return
    match work.document:
        case Customer():
            _decide_customer(work, candidates)
        case SalesInvoice() as invoice:
            _decide_invoice(work, invoice, candidates)
        case JournalEntry() if candidates:
            work.findings = [_near_miss(candidates[0], work.total)]


def _decide_customer(work: Work, candidates: Sequence[Existing]) -> None:
    by_ref = {one.ref: one for one in candidates}
    if len(by_ref) > 1:
        shown = ", ".join(sorted(one.label or one.ref for one in by_ref.values()))
        work.findings = [taken(work, shown)]
    elif by_ref:
        work.existing = next(iter(by_ref.values()))


def _decide_invoice(work: Work, invoice: SalesInvoice, candidates: Sequence[Existing]) -> None:
    days = {invoice.date, getattr(work.booking, "date", invoice.date)}
    same = [one for one in candidates if one.total == invoice.total and one.date in days]
    if len({one.ref for one in same}) == 1:
        work.existing = same[0]
    elif candidates:
        work.findings = [_near_miss(candidates[0], invoice.total)]


def _near_miss(near: Existing, expected: Decimal | None) -> Finding:
    return Finding(
        key="near_miss",
        values={
            "number": near.number or near.ref,
            "booked_as": near.label or near.ref,
            "date": str(near.date or ""),
            "amount": f"{near.total:.2f}" if near.total is not None else "",
            "expected": f"{expected:.2f}" if expected is not None else "",
            "ref": near.ref,
            "open_item": near.open_item,
        },
    )


class LooksAlike(OutcomeUnknown):
    """What was sent without an answer may stand in the target without our key: only a human can tell."""


async def without_key(ctx: Context, flow: str, work: Work, payload: Payload, since: datetime) -> Receipt | None:
    """What was sent without an answer, where it may stand without our key: the one document of our number, day and
    total. Raises LooksAlike when something only looks like it. None: nothing does.
    """
    writer = ctx.writer(flow)
    if writer.alike is None:
        return None
    found = await _nobodys(ctx, flow, work, await writer.alike(ctx.destination(flow).http, payload, since))
    work.existing, work.findings = None, []
    if isinstance(work.document, SalesInvoice):
        _decide_invoice(work, work.document, [one for one in found if one.number and one.number == work.claim])
    sure, work.existing = work.existing, None
    if sure is not None:
        return receipt_of(sure, work.total)
    work.findings = []
    if found:
        near = _near_miss(replace(found[0], number=found[0].number or found[0].label), work.total)
        raise LooksAlike(near.key, **near.values)
    return None


async def _nobodys(ctx: Context, flow: str, work: Work, found: Sequence[Existing]) -> list[Existing]:
    """Without what is known to be another document's booking, by its own id or by the one it came from."""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        others = await session.execute(
            text(
                """SELECT ref FROM delivery WHERE target = :target AND stream = :stream AND key <> :key
                AND ref = ANY(:refs) AND state IN ('sent', 'recorded')"""
            ),
            {
                "target": work.sure_key.target,
                "stream": flow,
                "key": work.sure_key.text,
                "refs": [name for one in found for name in (one.ref, one.open_item)],
            },
        )
        taken_ = set(others.scalars())
    return [one for one in found if not taken_ & {one.ref, one.open_item}]


async def _refuse_others(ctx: Context, flow: str, works: Sequence[Work]) -> None:
    """What was found may already be another document's booking: then it is not this one's."""
    wanted = [work for work in works if work.existing is not None]
    if not wanted:
        return
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT r.id, d.label, d.ref FROM jsonb_to_recordset(cast(:rows AS jsonb))
                     AS r(id uuid, target text, ref text, key text)
                JOIN delivery d ON d.target = r.target AND d.stream = :stream AND d.ref = r.ref AND d.key <> r.key
                  AND d.state IN ('sent', 'recorded')"""
            ),
            {
                "stream": flow,
                "rows": store.packed(
                    {
                        "id": work.id,
                        "target": work.sure_key.target,
                        "ref": work.existing.ref if work.existing else "",
                        "key": work.sure_key.text,
                    }
                    for work in wanted
                ),
            },
        )
        holders = {row.id: row.label or row.ref for row in found}
    claimants: dict[tuple[str, str], list[Work]] = {}
    for work in wanted:
        if work.id in holders:
            work.findings, work.existing = [taken(work, holders[work.id])], None
        elif work.existing is not None:
            claimants.setdefault((work.sure_key.target, work.existing.ref), []).append(work)
    for alike in claimants.values():
        _refuse_all_but_the_marked(ctx, flow, alike)


def _refuse_all_but_the_marked(ctx: Context, flow: str, alike: Sequence[Work]) -> None:
    """Of several documents that seem to be one in the target only the one whose mark it bears is: the first would be
    a guess.
    """
    marks = ctx.writer(flow).marks
    owner = next((one for one in alike if one.existing and one.existing.mark in marks(one.sure_key)), None)
    for work in alike if len(alike) > 1 else ():
        others = [getattr(one.document, "name", one.number) for one in alike if one is not work]
        if work is not owner and work.existing is not None:
            shown = [work.existing.label or work.existing.ref, *others]
            work.findings, work.existing = [taken(work, ", ".join(shown))], None
