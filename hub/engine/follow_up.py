"""What follows a booking: the printed form hung on it, the source told, a word on its timeline. None stops a run."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping

from hub.accounting.documents import Finding
from hub.engine import words
from hub.engine.context import Context
from hub.engine.read import move, position
from hub.engine.store import at_hand, write_lines
from hub.kit import text as sentences
from hub.kit.database import text
from hub.sdk.connector import Note
from hub.sdk.errors import ConfigError, OutcomeUnknown, RecordRejected, TransientError, VendorError

BATCH = 50
_FORMS = "forms"
DUE = "(i.note <> '' OR i.attach)"
"""As the index of `item` says it: what is due is found without a look at what is not."""
YOUNG = timedelta(hours=2)
"""So long after the booking its form is asked for in every run; later once a day, since each asking costs calls."""
PATIENCE = timedelta(days=30)
"""After so long a form that never came is given up."""
LANGUAGE = "nl"
"""Timelines are read by the customer's own people."""


async def follow_up(ctx: Context) -> bool:
    """Does everything that is due. False when the slice ended first."""
    if ctx.at_hand is None:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await at_hand(session, ctx)
    if "follow_up" not in (ctx.at_hand or ()):
        return True
    return await _attach(ctx) and await _note(ctx)


async def _due(
    ctx: Context, condition: str, after: UUID | None = None, young: datetime | None = None
) -> list[RowMapping]:
    """A batch of what is due; `young`: only what was booked since then."""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                f"""SELECT i.id, i.flow, i.source_id, i.number, i.note, i.findings, i.target_ref, i.target_label, i.raw,
                  d.payload, d.recorded_at FROM item i LEFT JOIN delivery d ON d.id = i.delivery_id
                WHERE i.combi_id = :combi AND {DUE} AND {condition} AND (cast(:after AS uuid) IS NULL OR i.id > :after)
                  AND (cast(:young AS timestamptz) IS NULL OR d.recorded_at > :young)
                ORDER BY i.id LIMIT :limit"""
            ),
            {"combi": ctx.combi.id, "after": after, "young": young, "limit": BATCH},
        )
        return list(found.mappings())


async def _attach(ctx: Context) -> bool:
    """Hangs printed forms on bookings and tells the source; what cannot be done yet is tried again, less often."""
    last: UUID | None = None
    today = {"day": ctx.clock.today().isoformat()}
    daily = ctx.run.trigger != "schedule" or position(ctx, _FORMS) != today
    young = None if daily else ctx.clock.now() - YOUNG
    while rows := await _due(ctx, "i.attach AND i.status = 'booked'", last, young):
        for row in rows:
            last = row["id"]
            await _attach_one(ctx, row)
            if ctx.out_of_time:
                return False
    if daily and last is not None:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await move(session, ctx, _FORMS, today)
    return True


async def _attach_one(ctx: Context, row: RowMapping) -> None:
    stream = ctx.stream(row["flow"])
    fetch, tell, hang = stream.attachment, stream.acknowledge, ctx.writer(row["flow"]).attach
    done = fetch is None or hang is None
    try:
        if tell is not None:
            await tell(ctx.origin(row["flow"]).http, row["raw"], row["target_label"], ctx.settings)
        if fetch is not None and hang is not None:
            file = await fetch(ctx.origin(row["flow"]).http, row["source_id"])
            if file is not None:
                await hang(ctx.destination(row["flow"]).http, row["payload"], row["target_ref"], file)
                ctx.log("attachment.hung", item=row["id"], number=row["number"], file=file.name)
                done = True
            elif row["recorded_at"] is not None and row["recorded_at"] < ctx.clock.now() - PATIENCE:
                ctx.log("attachment.missing", level="warning", item=row["id"], number=row["number"])
                done = True
    except RecordRejected as error:
        ctx.log_finding(error.finding(), row["id"], error.exchange)
        done = True
    except (OutcomeUnknown, ConfigError) as error:
        ctx.log_finding(error.finding(), row["id"], error.exchange)
        done = False
    async with ctx.database.tenant(ctx.organisation_id) as session:
        if done:
            await session.execute(text("UPDATE item SET attach = false WHERE id = :id"), {"id": row["id"]})
        await write_lines(session, ctx)


async def _note(ctx: Context) -> bool:
    """Writes on the timeline. A note is struck off before it is written: better none than the same one twice."""
    write = ctx.source.connector.note
    if write is None:
        return True
    while rows := await _due(ctx, "i.note <> ''"):
        for row in rows:
            async with ctx.database.tenant(ctx.organisation_id) as session:
                await session.execute(text("UPDATE item SET note = '' WHERE id = :id"), {"id": row["id"]})
            try:
                await write(ctx.source.http, _words(row))
            except TransientError:
                async with ctx.database.tenant(ctx.organisation_id) as session:
                    await session.execute(
                        text("UPDATE item SET note = :note WHERE id = :id"), {"note": row["note"], "id": row["id"]}
                    )
                raise
            except VendorError as error:
                ctx.log_finding(error.finding(), row["id"], error.exchange)
                async with ctx.database.tenant(ctx.organisation_id) as session:
                    await write_lines(session, ctx)
            if ctx.out_of_time:
                return False
    return True


def _words(row: RowMapping) -> Note:
    findings = [Finding.model_validate(one, strict=False) for one in row["findings"]]
    reasons = " ".join(words.sentence(one, LANGUAGE) for one in findings)
    values = {"number": row["number"], "booked_as": row["target_label"] or row["target_ref"], "reasons": reasons}
    return Note(
        source_id=row["source_id"],
        title=sentences.sentence(f"{row['note']}.title", LANGUAGE, values),
        text=sentences.sentence(f"{row['note']}.text", LANGUAGE, values),
    )
