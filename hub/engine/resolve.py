"""Map and validate: from a raw record to a booking that answers every question, or to all that is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import RowMapping

from hub.accounting import invariants
from hub.accounting.booking import Booking, CustomerBooking, EntryBooking, PaymentBooking, SalaryBooking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import (
    Customer,
    Document,
    Finding,
    Ignored,
    JournalEntry,
    Payment,
    SalaryBatch,
    SalesInvoice,
    document_from,
)
from hub.accounting.money import ZERO
from hub.engine import entry_rules, rules
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.recipe import SALARIES
from hub.sdk.connector import Existing, Key, Payload
from hub.sdk.errors import Malformed, RecordRejected

_log = structlog.get_logger(__name__)

BOOKED_ONCE = (SalesInvoice, JournalEntry)
"""Kinds of documents that a company of the source sends to the one administration that belongs to it."""
OURS: Mapping[str, type[Document]] = {"payments": Payment, SALARIES: SalaryBatch}
"""Flows of which the engine itself makes the records."""
UNKNOWN_CUSTOMER = "0"
"""Stands for a debtor that is yet to be made, in a preview only."""


EDITED = ("edited_in_target", "edited_before_reversal")
"""Findings that hands changed a booking since it was ours."""


@dataclass
class Work:
    """One item in hand."""

    id: UUID
    flow: str
    source_id: str
    administration: str
    """Where the item itself says it goes; empty until the route is known."""
    status: ItemStatus
    raw: Mapping[str, Any]
    attempts: int = 0
    forced: bool = False
    number: str = ""
    delivery_id: UUID | None = None
    """Its booking, once it has one."""
    chosen: bool = False
    vanished: bool = False
    """The source no longer has it."""
    told: frozenset[str] = frozenset()
    """The keys of its findings when it came in hand: what a human knew who wants it done."""
    document: Document | None = None
    key: Key | None = None
    booking: Booking | None = None
    payload: Payload = field(default_factory=dict)
    claim: str | None = None
    total: Decimal | None = None
    findings: list[Finding] = field(default_factory=list)
    ignored: Ignored | None = None
    retry_at: datetime | None = None
    existing: Existing | None = None
    """What already stands in the target and is taken over."""

    @property
    def fingerprint(self) -> str:
        """Of the document in hand."""
        return self.document.fingerprint() if self.document else ""

    @property
    def overrides(self) -> bool:
        """True when a human heard that hands changed the booking, and wants the correction all the same."""
        return self.forced and not self.told.isdisjoint(EDITED)

    @property
    def shown(self) -> str:
        """How people call it: a customer by name, everything else by number."""
        return getattr(self.document, "name", "") or self.number or self.source_id

    @property
    def route(self) -> str:
        """Where a document that is booked once goes, as an item stores it."""
        return self.key.target if self.key and isinstance(self.document, BOOKED_ONCE) else ""

    @property
    def sure_key(self) -> Key:
        """The key of a work that was resolved."""
        assert self.key is not None  # noqa: S101 - resolve sets it before anything asks
        return self.key


def work_of(row: Mapping[str, Any] | RowMapping) -> Work:
    """A work from an item's row."""
    return Work(
        id=row["id"],
        flow=row["flow"],
        source_id=row["source_id"],
        administration=row["administration"],
        status=ItemStatus(row["status"]),
        raw=row["raw"] or {},
        attempts=row["attempts"],
        forced=row["forced"],
        number=row["number"],
        delivery_id=row["delivery_id"],
        chosen=row["chosen"],
        vanished=row["vanished_at"] is not None,
        told=frozenset(one["key"] for one in row["findings"]),
    )


def document_of(ctx: Context, flow: str, raw: Mapping[str, Any]) -> Document | Ignored:
    """The document in a raw record. Raises Malformed."""
    if flow in OURS:
        try:
            return document_from(OURS[flow], raw)
        except ValidationError:
            # Without its words: they quote the record, which may hold people's names and accounts.
            raise Malformed(Finding(key="record_forgotten")) from None
    try:
        return ctx.stream(flow).map(raw, ctx.settings)
    except (Malformed, RecordRejected):
        raise
    except Exception as error:
        _log.exception("map_failed", flow=flow)
        raise Malformed(Finding(key="internal_error", values={"error": type(error).__name__})) from error


def key_of(ctx: Context, flow: str, source_id: str, administration: str) -> Key:
    """The delivery key: whose document it is, and in whose books it belongs."""
    if flow == "payments":
        source = f"{ctx.target.connector.manifest.name}:{administration}"
        return Key(source, flow, source_id, ctx.source.source)
    return Key(ctx.source.source, flow, source_id, f"{ctx.destination(flow).connector.manifest.name}:{administration}")


def administration_of(ctx: Context, company: str) -> str | None:
    """The administration that the customer chose for a company of the source."""
    return ctx.settings.administrations.get(company) or None


def before_start(ctx: Context, document: Document) -> bool:
    """True when the combi does not go back that far."""
    day = getattr(document, "date", None)
    return ctx.combi.start_date is not None and isinstance(day, date) and day < ctx.combi.start_date


def set_aside(ctx: Context, document: Document) -> Ignored | None:
    """The rules by which a document is marked as handled and not sent."""
    if isinstance(document, BOOKED_ONCE):
        if before_start(ctx, document):
            start = str(ctx.combi.start_date)
            reason = Finding(key="before_start_date", values={"date": str(document.date), "start_date": start})
            return Ignored(source_id=document.source_id, reason=reason, number=document.number)
        if document.company in ctx.settings.ignored_companies:
            reason = Finding(key="company_ignored", values={"company": document.company}, field="ignored_companies")
            return Ignored(source_id=document.source_id, reason=reason, number=document.number)
    if isinstance(document, Payment) and document.amount < 0 and not ctx.settings.credit_payments:
        reason = Finding(key="credit_not_written_back", values={"number": document.number}, field="credit_payments")
        return Ignored(source_id=document.source_id, reason=reason, number=document.number)
    return None


async def resolve(ctx: Context, works: Sequence[Work], customers: Mapping[tuple[str, str], str]) -> None:
    """Fills every work with its booking and payload, or with findings. `customers`: (source id, administration) -> ref.

    Works that were read well but miss their customer's reference stay without booking: see `needed_customers`.
    """
    for work in works:
        work.findings.clear()
        try:
            read(ctx, work)
            if work.document is not None and work.ignored is None and not work.findings:
                await _book(ctx, work, customers)
        except Malformed as error:
            work.findings.extend(error.findings)
        except RecordRejected as error:
            work.findings.extend(error.findings)


def read(ctx: Context, work: Work) -> None:
    """The document, where it goes and its key."""
    if work.key is not None:
        return
    found = ctx.fresh.get((work.flow, work.source_id)) or document_of(ctx, work.flow, work.raw)
    ignored = found if isinstance(found, Ignored) else set_aside(ctx, found)
    if ignored is not None:
        work.ignored = ignored
        return
    assert isinstance(found, Document)  # noqa: S101 - an Ignored returned above
    if isinstance(found, BOOKED_ONCE):
        administration = administration_of(ctx, found.company)
        if administration is None:
            values = {"company": found.company}
            work.findings.append(Finding(key="company_without_administration", values=values, field="administrations"))
            return
        work.administration = administration
    work.document = found
    work.number = getattr(found, "number", "")
    work.key = key_of(ctx, work.flow, work.source_id, work.administration)


def needed_customers(works: Sequence[Work]) -> set[tuple[str, str]]:
    """The customers, per administration, that must stand in the target before these works can be booked."""
    return {
        (work.document.customer.source_id, work.administration)
        for work in works
        if isinstance(work.document, SalesInvoice) and work.key is not None and not work.findings
    }


async def _book(ctx: Context, work: Work, customers: Mapping[tuple[str, str], str]) -> None:
    if work.flow in OURS:
        master = Master(administration=work.administration)
    else:
        master = await ctx.master(work.administration)
    _fit(ctx, work, master, customers)
    if work.flow in OURS or not ctx.may_have_grown(work.administration):
        return
    outdated = ctx.writer(work.flow).outdated
    if work.findings or (outdated is not None and work.booking is not None and outdated(work.booking, master)):
        # The chart may have grown since it was stored: look once more before bothering a human.
        master = await ctx.master(work.administration, anew=True)
        work.findings.clear()
        _fit(ctx, work, master, customers)


def _fit(ctx: Context, work: Work, master: Master, customers: Mapping[tuple[str, str], str]) -> None:
    booking = _booking(ctx, work, master, customers)
    if booking is None:
        return
    writer = ctx.writer(work.flow)
    for one in (*invariants.findings(booking), *writer.validate(booking, master, ctx.settings)):
        # A line without account has its finding already; what the package says of `NO_ACCOUNT` tells nothing more.
        if one not in work.findings and rules.NO_ACCOUNT not in one.values.values():
            work.findings.append(one)
    if work.findings:
        return
    work.booking = booking
    work.payload = writer.encode(booking, master, ctx.settings)
    work.claim = writer.claim(booking, ctx.settings)
    match booking:
        case SalesBooking(invoice=invoice):
            work.total = invoice.total
        case PaymentBooking(payment=payment):
            work.total = payment.amount
        case SalaryBooking(batch=batch):
            work.total = batch.total
        case EntryBooking(lines=lines):
            work.total = sum((line.debit for line in lines), ZERO)


def _booking(ctx: Context, work: Work, master: Master, customers: Mapping[tuple[str, str], str]) -> Booking | None:
    match work.document:
        case SalesInvoice() as invoice:
            table, own = ctx.mappings.get("ledger_accounts", {}), ctx.writer(work.flow).account
            lines, findings = rules.book_lines(invoice, ctx.settings, table, master, own)
            day = rules.booking_date(invoice.date, ctx.settings, ctx.clock.today())
            if isinstance(day, Finding):
                findings.append(day)
                day = invoice.date
            work.findings.extend(findings)
            customer = customers.get((invoice.customer.source_id, work.administration), UNKNOWN_CUSTOMER)
            return SalesBooking(
                invoice=invoice, administration=work.administration, date=day, customer=customer, lines=lines
            )
        case JournalEntry() as entry:
            return _entry_booking(ctx, work, entry, master)
        case Customer() as customer:
            return CustomerBooking(customer=customer, administration=work.administration)
        case Payment() as payment:
            return PaymentBooking(payment=payment, administration=work.administration)
        case SalaryBatch() as batch:
            if not work.forced and (differs := entry_rules.not_the_net_pay(batch, ctx.settings)) is not None:
                work.findings.append(differs)
            day = max(batch.date, ctx.clock.today())
            return SalaryBooking(batch=batch, administration=work.administration, date=day)
        case _:
            work.findings.append(Finding(key="kind_unknown", values={"flow": work.flow}))
            return None


def _entry_booking(ctx: Context, work: Work, entry: JournalEntry, master: Master) -> EntryBooking:
    lines, findings = entry_rules.book_entry(entry, ctx.settings, ctx.mappings, master)
    day = entry_rules.entry_date(entry.date, ctx.settings, ctx.clock.today())
    if isinstance(day, Finding):
        findings.append(day)
        day = entry.date
    work.findings.extend(findings)
    return EntryBooking(entry=entry, administration=work.administration, date=day, lines=lines)
