"""What would be booked: read, mapped and validated for real, with every posting and finding, and nothing written."""

from collections.abc import Sequence
from datetime import date as Day  # noqa: N812 - `date` is a field's name
from decimal import Decimal

from hub.accounting.chart import Master
from hub.accounting.documents import Document, Finding, Ignored, JournalEntry, Part, SalesInvoice
from hub.accounting.posting import PostingLine, posting
from hub.engine import parties, store
from hub.engine.context import Context
from hub.engine.models import DeliveryState, ItemStatus
from hub.engine.read import companies_of, position
from hub.engine.resolve import OURS, UNKNOWN_CUSTOMER, Work, document_of, needed_customers, resolve
from hub.engine.rules import NO_ACCOUNT
from hub.kit.database import text
from hub.kit.ids import new_id
from hub.sdk.connector import Raw, Since
from hub.sdk.errors import Malformed

LIMIT = 50
NEWCOMERS = 25


class PreviewDocument(Part):
    """One document: what would become of it, and on which accounts."""

    flow: str
    source_id: str
    number: str = ""
    date: Day | None = None
    party: str = ""
    amount: Decimal | None = None
    currency: str = ""
    administration: str = ""
    action: str
    """create, update, adopt, none (it stands there already), ignore, or attention when there are findings."""
    posting: tuple[PostingLine, ...] = ()
    findings: tuple[Finding, ...] = ()


class Preview(Part):
    """The first documents of every flow, newest read last. `complete` is False when there are more."""

    documents: tuple[PreviewDocument, ...]
    complete: bool = True


async def preview(ctx: Context, limit: int = LIMIT) -> Preview:
    """What a run would do now with the first `limit` documents of each flow."""
    shown: list[PreviewDocument] = []
    complete = True
    for flow in ctx.flows():
        if flow == "customers" or flow in OURS:
            continue
        raws, more = await first(ctx, flow, limit)
        complete = complete and not more
        shown.extend(await documents(ctx, flow, raws, asking=True))
    return Preview(documents=tuple(shown), complete=complete)


async def first(ctx: Context, flow: str, limit: int) -> tuple[list[Raw], bool]:
    """Raw records: first those that wait or are parked here, then what the source has that we have not read yet."""
    stream = ctx.stream(flow)
    raws = await _parked(ctx, flow, limit)
    since = Since(position(ctx, flow), ctx.combi.start_date, companies_of(ctx))
    async for page in stream.read(ctx.origin(flow).http, since, ctx.settings):
        raws.extend(page.records)
        if len(raws) >= limit:
            return raws[:limit], True
    return raws, False


async def _parked(ctx: Context, flow: str, limit: int) -> list[Raw]:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                """SELECT raw FROM item WHERE combi_id = :combi AND flow = :flow AND raw IS NOT NULL
                  AND status IN ('waiting', 'finding', 'rejected', 'changed', 'unknown') ORDER BY id LIMIT :limit"""
            ),
            {"combi": ctx.combi.id, "flow": flow, "limit": limit},
        )
        return [row.raw for row in found]


async def documents(ctx: Context, flow: str, raws: Sequence[Raw], *, asking: bool = False) -> list[PreviewDocument]:
    """What would become of these records of a flow, in their order; one that cannot be read at all is left out.

    `asking`: the packages are asked about the customers that an invoice would bring along.
    """
    by_id: dict[str, Work] = {}
    for raw in raws:
        try:
            source_id = ctx.stream(flow).key(raw)
        except (KeyError, ValueError, TypeError):
            continue
        by_id[source_id] = Work(new_id(ctx.clock), flow, source_id, "", ItemStatus.waiting, raw)
    works = list(by_id.values())
    await resolve(ctx, works, {})
    async with ctx.database.tenant(ctx.organisation_id) as session:
        customers = await parties.references(session, ctx, needed_customers(works))
    await resolve(ctx, works, customers)
    if asking and "customers" in ctx.destination(flow).connector.targets:
        await _with_customers(ctx, works, needed_customers(works) - set(customers))
    async with ctx.database.tenant(ctx.organisation_id) as session:
        known = await store.deliveries(session, [work.key.text for work in works if work.key])
    shown: list[PreviewDocument] = []
    for work in works:
        row = known.get(work.key.text) if work.key else None
        stands = row is not None and row["state"] == DeliveryState.recorded
        same = stands and row is not None and row["fingerprint"] == work.fingerprint
        if work.ignored:
            action = "ignore"
        elif work.findings:
            action = "attention"
        else:
            action = "none" if same else "update" if stands else "create"
        shown.append(await _shown(ctx, work, action))
    return shown


async def _with_customers(ctx: Context, works: Sequence[Work], missing: set[parties.Place]) -> None:
    """Adds what would keep an invoice's new customer from the target; of some only, since each may cost a call."""
    brought = await parties.newcomers(ctx, sorted(missing)[:NEWCOMERS])
    for work in works:
        if isinstance(work.document, SalesInvoice):
            customer = brought.get((work.document.customer.source_id, work.administration))
            work.findings.extend(customer.findings if customer and not work.findings else ())


async def single(ctx: Context, flow: str, raw: Raw) -> PreviewDocument | None:
    """The same for one record; an entry that lacks accounts shows the lines as the source has them."""
    shown = await documents(ctx, flow, [raw])
    if not shown or shown[0].posting:
        return shown[0] if shown else None
    try:
        entry = document_of(ctx, flow, raw)
    except Malformed:
        return shown[0]
    if not isinstance(entry, JournalEntry):
        return shown[0]
    lines = (
        PostingLine(
            account=part.account, name=part.account_name, debit=debit, credit=credit, description=part.description
        )
        for part in entry.lines
        for debit, credit in part.sides
    )
    return shown[0].model_copy(update={"posting": tuple(lines)})


async def _shown(ctx: Context, work: Work, action: str) -> PreviewDocument:
    document = work.document or _read_anyway(ctx, work)
    invoice = document if isinstance(document, SalesInvoice) else None
    ignored = (work.ignored.reason,) if work.ignored else ()
    return PreviewDocument(
        flow=work.flow,
        source_id=work.source_id,
        number=getattr(document, "number", "") or (work.ignored.number if work.ignored else ""),
        date=getattr(document, "date", None),
        party=invoice.customer.name if invoice else getattr(document, "name", ""),
        amount=invoice.total if invoice else getattr(document, "amount", None),
        currency=getattr(document, "currency", ""),
        administration=work.administration,
        action=action,
        posting=_posting(ctx, work),
        findings=(*work.findings, *ignored),
    )


def _posting(ctx: Context, work: Work) -> tuple[PostingLine, ...]:
    """Debit and credit of a resolved work.

    A debtor that is still to be made has no number yet, and some packages choose the account themselves.
    """
    if work.booking is None:
        return ()
    master = ctx.masters.get(work.administration)
    lines = posting(work.booking, master[0] if master else Master(administration=work.administration or "-"))
    nameless = (UNKNOWN_CUSTOMER, NO_ACCOUNT)
    return tuple(one.model_copy(update={"account": ""}) if one.account in nameless else one for one in lines)


def _read_anyway(ctx: Context, work: Work) -> Document | None:
    """The document behind a work that was set aside, for its number and amount."""
    try:
        found = document_of(ctx, work.flow, work.raw)
    except Malformed:
        return None
    return None if isinstance(found, Ignored) else found
