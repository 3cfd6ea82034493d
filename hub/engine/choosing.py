"""Choosing: documents that a human picks for a run, and journal entries that wait to be chosen."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding, Ignored
from hub.engine import store, verdicts
from hub.engine.context import Context
from hub.engine.models import DeliveryState
from hub.engine.recipe import SALARIES
from hub.engine.resolve import Work
from hub.engine.verdicts import Verdicts

CHOOSABLE = ("invoices", "journals")
NOT_CHOSEN = "not_chosen"


async def begin(ctx: Context, flow: str) -> bool:
    """Marks what this run is asked to book. False: it is asked for documents of other flows alone."""
    wanted = ctx.run.documents
    if wanted is None or flow == SALARIES:
        return True  # salaries have the ids of their journals
    if flow not in CHOOSABLE:
        return False
    ctx.at_hand = None
    done = f"begun:chosen:{flow}"
    if ctx.run.progress.get(done):
        return True
    async with ctx.database.tenant(ctx.organisation_id) as session:
        await session.execute(
            text(
                """UPDATE item SET chosen = true, retry_at = NULL,
                  status = CASE WHEN status = 'ignored' AND vanished_at IS NULL AND findings @> cast(:reason AS jsonb)
                    THEN 'waiting' ELSE status END
                WHERE combi_id = :combi AND flow = :flow AND source_id = ANY(:wanted)"""
            ),
            {
                "combi": ctx.combi.id,
                "flow": flow,
                "wanted": wanted,
                "reason": store.packed([{"key": NOT_CHOSEN}]),
            },
        )
        if flow == "journals" and ctx.settings.selection == "chosen":
            await _list_others(session, ctx, wanted)
        if flow == [one for one in ctx.flows() if one in CHOOSABLE][-1]:
            await _tell_unknown(session, ctx, wanted)
    ctx.run.progress = {**ctx.run.progress, done: True}
    return True


async def _tell_unknown(session: AsyncSession, ctx: Context, wanted: Sequence[str]) -> None:
    """Names what was asked for and is no document of the source."""
    found = await session.execute(
        text("SELECT source_id FROM item WHERE combi_id = :combi AND flow = ANY(:flows) AND source_id = ANY(:wanted)"),
        {"combi": ctx.combi.id, "flows": list(CHOOSABLE), "wanted": list(wanted)},
    )
    known = {row.source_id for row in found}
    for source_id in sorted(set(wanted) - known):
        ctx.log("run.document_unknown", level="warning", source_id=source_id)
    await store.write_lines(session, ctx)


async def _list_others(session: AsyncSession, ctx: Context, wanted: Sequence[str]) -> None:
    """What was read just now and is not asked for shows as not chosen at once; the next run looks at it once more."""
    reason = Finding(key=NOT_CHOSEN, field="selection").model_dump(mode="json")
    await session.execute(
        text(
            """UPDATE item SET status = 'ignored', run_id = :run, findings = jsonb_build_array(jsonb_set(
                cast(:reason AS jsonb), '{values}', jsonb_build_object('number', number)))
            WHERE combi_id = :combi AND flow = 'journals' AND status = 'waiting' AND attempts = 0 AND NOT chosen
              AND delivery_id IS NULL AND source_id <> ALL(:wanted)"""
        ),
        {"combi": ctx.combi.id, "run": ctx.run.id, "wanted": list(wanted), "reason": store.packed([reason])[1:-1]},
    )


async def chosen(ctx: Context, flow: str, works: Sequence[Work], said: Verdicts) -> list[Work]:
    """The works that may be booked; where a human chooses, the others are listed as not chosen.

    What stands in the target already has been chosen once, by whatever installation.
    """
    if flow != "journals" or ctx.settings.selection == "automatic":
        return list(works)
    asked = [work for work in works if work.key is not None and not work.chosen and work.ignored is None]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        known = await store.deliveries(session, [work.sure_key.text for work in asked])
    standing = {key for key, row in known.items() if row["state"] in (DeliveryState.sent, DeliveryState.recorded)}
    going: list[Work] = []
    for work in works:
        if work.chosen or work.ignored is not None or (work.key is not None and work.sure_key.text in standing):
            going.append(work)
            continue
        reason = Finding(key=NOT_CHOSEN, values={"number": work.number}, field="selection")
        work.ignored = Ignored(source_id=work.source_id, reason=reason, number=work.number)
        verdicts.ignore(ctx, work, said)
    return going
