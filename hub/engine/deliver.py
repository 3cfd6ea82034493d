"""Deliver and record: everything at hand is sorted out, sent by the protocol, and told in verdicts.

While the calls of one batch are being made, the next one is prepared: a call is mostly waiting.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.accounting.documents import Finding, SalesInvoice
from hub.engine import absence, adopt, choosing, parties, protocol, sorting, store, verdicts
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.resolve import Work, needed_customers, read, resolve, work_of
from hub.engine.verdicts import Job, Verdicts

BATCH = 100


async def deliver(ctx: Context, flow: str) -> bool:
    """Works through everything of a flow that is at hand. False when the slice ended first."""
    if not await choosing.begin(ctx, flow):
        return True
    async with protocol.under_way(ctx, flow) as calls:
        while calls.ids or ctx.at_hand is None or flow in ctx.at_hand:
            async with ctx.database.tenant(ctx.organisation_id) as session:
                if flow not in await store.at_hand(session, ctx):
                    break
                rows = await store.items_at_hand(session, ctx, flow, BATCH, besides=calls.ids)
            if calls.ids and not (rows and _independent(flow, rows)):
                await calls.landed()
                continue
            if not rows:
                break
            ctx.at_hand = None
            works = [work_of(row) for row in rows]
            await calls.start(await prepare(ctx, flow, works), [work.id for work in works])
            if ctx.out_of_time:
                return False
    return True


def _independent(flow: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether documents may be prepared while the calls of others are being made.

    A look-up, and what is recognised by more than its own number, must not meet bookings that are not recorded yet.
    """
    return flow == "invoices" and all(row["status"] == ItemStatus.waiting and not row["attempts"] for row in rows)


async def handle(ctx: Context, flow: str, works: Sequence[Work]) -> None:
    """Takes a batch to its end: every work leaves it booked, parked, or with a time to look again."""
    await protocol.send(ctx, flow, await prepare(ctx, flow, works))


async def prepare(ctx: Context, flow: str, works: Sequence[Work]) -> list[Job]:
    """Gives the jobs of a batch, their intents committed; every other work is parked or done."""
    said = Verdicts()
    jobs = await absence.handle(ctx, flow, [work for work in works if work.vanished], said)
    works = [work for work in works if not work.vanished]
    customers: Mapping[tuple[str, str], str] = {}
    if flow == "invoices" and "customers" in ctx.destination(flow).connector.targets:
        await _read_all(ctx, works)
        customers = await parties.stand(ctx, needed_customers(works), handle)
        works = await _without_waiting(ctx, works, customers)
    await resolve(ctx, works, customers)
    if flow == "customers":
        await adopt.spare(ctx, [work for work in works if work.findings])
    ready: list[Work] = []
    going = await choosing.chosen(ctx, flow, works, said)
    standing = await sorting.standing(ctx, [work for work in going if work.findings])
    for work in going:
        if work.ignored is not None:
            verdicts.ignore(ctx, work, said)
        elif work.findings and work.id not in standing:
            verdicts.park(ctx, work, ItemStatus.finding, said)
        else:
            ready.append(work)
    jobs.extend(await sorting.sort_out(ctx, flow, ready, said))
    await said.commit(ctx)
    for work in works:
        ctx.fresh.pop((flow, work.source_id), None)
    return jobs


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
    said = Verdicts()
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
        verdicts.park(ctx, work, ItemStatus.waiting if work.retry_at else ItemStatus.finding, said)
    await said.commit(ctx)
    return going
