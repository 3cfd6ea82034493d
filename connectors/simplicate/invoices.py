"""Sales invoices and credit notes of Simplicate, with their PDF (dossier 3.1, 3.6, 5)."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from connectors.simplicate.listing import changes, walk
from connectors.simplicate.reading import day, number, one, part, plain, text
from connectors.simplicate.settings import own
from hub.accounting.documents import (
    Document,
    Finding,
    Ignored,
    InvoiceLine,
    Label,
    PartyRef,
    SalesInvoice,
    VatClass,
    VatTreatment,
)
from hub.accounting.money import CENT, bankers
from hub.sdk.connector import File, Page, Raw, Since, SourceStream
from hub.sdk.errors import Malformed, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

PATH = "/invoices/invoice"
ZERO_VAT = (
    (VatTreatment.icp, re.compile(r"\b(icp|icl|intracom\w*|eu)\b", re.IGNORECASE)),
    (VatTreatment.reverse_charge, re.compile(r"verlegd|verlegging|reverse", re.IGNORECASE)),
    (VatTreatment.export, re.compile(r"export|uitvoer|buiten (de )?eu\b|non[- ]eu\b", re.IGNORECASE)),
    (VatTreatment.exempt, re.compile(r"vrijgesteld|exempt", re.IGNORECASE)),
)
OUTSIDE = re.compile(r"\b(buiten (de )?|non[- ])eu\b", re.IGNORECASE)
CONCEPTS = frozenset({"concept", "draft"})


async def read(http: Http, since: Since, _settings: Settings) -> AsyncIterator[Page]:
    """Invoices that are new or changed; filters only save calls, `map` judges each record."""
    async for page in changes(http, PATH, since.cursor, since.start, dated=True, thorough=since.thorough):
        yield page


def key(raw: Raw) -> str:
    """The invoice's id. Raises ValueError when there is none."""
    if not (found := text(raw.get("id"))):
        raise ValueError("an invoice without id")
    return found


async def fetch(http: Http, source_id: str) -> Raw | None:
    """One invoice by id."""
    return one(await http.get(f"{PATH}/{quote(source_id, safe=':')}", absent=(404,)))


@dataclass
class _Problems:
    """All that is wrong with one record."""

    number: str
    found: list[Finding] = field(default_factory=list)

    def add(self, key: str, **values: object) -> None:
        said = {name: str(value)[:80] for name, value in values.items()}
        self.found.append(Finding(key=f"simplicate.{key}", values={"number": self.number} | said))

    def number_in(self, raw: Raw, name: str, line: int = 0, default: Decimal | None = None) -> Decimal:
        """A number, or 0 with a finding."""
        value = raw.get(name)
        if value in (None, "") and default is not None:
            return default
        try:
            return number(value)
        except ValueError:
            where = f"{name} ({line})" if line else name
            self.add("field_missing" if value in (None, "") else "number_unreadable", field=where, value=value or "")
            return Decimal(0)


def map_invoice(raw: Raw, settings: Settings) -> Document | Ignored:
    """The invoice as it was sent. Raises Malformed with everything that cannot be read."""
    invoice_number, source_id = text(raw.get("invoice_number")), key(raw)
    if (ignored := _why_not(raw, invoice_number, own(settings).ignore_marker)) is not None:
        chosen = ignored.key == "simplicate.ignored_by_marker"
        return Ignored(source_id=source_id, reason=ignored, number=invoice_number, noted=chosen)
    problems = _Problems(invoice_number)
    company = text(raw.get("my_organization_profile_id")) or text(part(raw.get("my_organization_profile")).get("id"))
    if not company:
        problems.add("field_missing", field="my_organization_profile_id", value="")
    customer = _customer(raw)
    if customer is None:
        problems.add("customer_missing")
    on, due = _days(raw, problems)
    totals = _totals(raw, problems)
    lines = _lines(raw, problems)
    if not problems.found:
        lines = _fitted(lines, totals, problems)
    if problems.found or customer is None or on is None:
        raise Malformed(*problems.found)
    return SalesInvoice(
        source_id=source_id,
        company=company,
        number=invoice_number,
        date=on,
        due_date=due,
        customer=customer,
        currency="EUR",  # No field anywhere in the API (dossier 2.6).
        reference=plain(raw.get("reference")),
        subject=plain(raw.get("subject")),
        lines=tuple(line for line in lines if line.net or line.vat or line.revenue_group) or tuple(lines),
        total_net=totals.net,
        total_vat=totals.vat,
        total=totals.gross,
    )


def status(raw: Raw) -> str:
    """The status's name without its `label_`, lower-cased; it is an object or a bare string (dossier 3.1)."""
    value = raw.get("status")
    name = text(part(value).get("name")) or text(part(value).get("label")) or text(value)
    return name.casefold().removeprefix("label_").removeprefix("invoicestatus_")


def _why_not(raw: Raw, invoice_number: str, marker: str) -> Finding | None:
    """Why a record is not to be booked: a concept has no number (dossier 3.1); a marker is a human's choice."""
    if not invoice_number or status(raw) in CONCEPTS:
        return Finding(key="simplicate.concept", values={"subject": plain(raw.get("subject"))})
    written = f"{plain(raw.get('reference'))}\n{plain(raw.get('subject'))}".casefold()
    if marker.strip() and marker.strip().casefold() in written:
        return Finding(key="simplicate.ignored_by_marker", values={"number": invoice_number, "marker": marker.strip()})
    return None


def _customer(raw: Raw) -> PartyRef | None:
    """The organisation, or else the person, that the invoice was sent to (dossier 3.5)."""
    for kind, name in (("organization", "name"), ("person", "full_name")):
        found = part(raw.get(kind))
        if source_id := text(raw.get(f"{kind}_id")) or text(found.get("id")):
            return PartyRef(source_id=source_id, name=plain(found.get(name)))
    return None


def _days(raw: Raw, problems: _Problems) -> tuple[date | None, date | None]:
    """Invoice date and due date; the API has only the term's days, often as a string."""
    try:
        on = day(raw.get("date"))
    except ValueError:
        problems.add("date_unreadable", value=text(raw.get("date")))
        return None, None
    if on is None:
        problems.add("field_missing", field="date", value="")
        return None, None
    try:
        return on, on + timedelta(days=int(number(part(raw.get("payment_term")).get("days"))))
    except (ValueError, OverflowError):
        return on, None


@dataclass(frozen=True)
class _Totals:
    net: Decimal
    vat: Decimal
    gross: Decimal


def _totals(raw: Raw, problems: _Problems) -> _Totals:
    """The three totals as printed; one that is left out follows from the other two."""
    names = ("total_excluding_vat", "total_vat", "total_including_vat")
    absent = [name for name in names if raw.get(name) in (None, "")]
    net, vat, gross = (
        problems.number_in(raw, name, default=Decimal(0) if absent == [name] else None) for name in names
    )
    match absent:
        case ["total_excluding_vat"]:
            net = gross - vat
        case ["total_vat"]:
            vat = gross - net
        case ["total_including_vat"]:
            gross = net + vat
        case _:
            pass
    return _Totals(net, vat, gross)


def _lines(raw: Raw, problems: _Problems) -> list[InvoiceLine]:
    found = raw.get("invoice_lines")
    if not isinstance(found, list) or not found:
        problems.add("lines_missing")
        return []
    return [_line(part(line), position, problems) for position, line in enumerate(found, 1)]


def _line(raw: Raw, position: int, problems: _Problems) -> InvoiceLine:
    """Net is price x amount, half to even (dossier 5.3); VAT is the line's own and only reckoned when left out."""
    wordless = all(raw.get(name) in (None, "") for name in ("amount", "price"))
    texts_only = Decimal(0) if wordless and plain(raw.get("description")) else None
    quantity = problems.number_in(raw, "amount", position, texts_only)
    price = problems.number_in(raw, "price", position, texts_only)
    net = bankers(quantity * price)
    vat_class = _vat_class(part(raw.get("vat_class")), position, problems)
    percentage = vat_class.percentage if vat_class else None
    reckoned = bankers(net * percentage / 100) if percentage is not None else Decimal(0) if net == 0 else None
    return InvoiceLine(
        description=plain(raw.get("description")),
        quantity=quantity,
        unit_price=price,
        net=net,
        vat=bankers(problems.number_in(raw, "total_vat", position, reckoned)),
        vat_class=vat_class,
        revenue_group=_label(raw.get("revenue_group")),
        article=text(raw.get("default_service_id")) or text(raw.get("service_id")) or None,
    )


def _vat_class(raw: Raw, position: int, problems: _Problems) -> VatClass | None:
    label = plain(raw.get("label"))
    name = text(raw.get("id")) or text(raw.get("code")) or label or text(raw.get("percentage"))
    if not name:
        return None
    percentage = None
    if raw.get("percentage") not in (None, ""):
        percentage = problems.number_in(raw, "percentage", position)
    return VatClass(
        id=name, label=label, percentage=percentage, treatment=treatment(percentage, f"{text(raw.get('code'))} {label}")
    )


def treatment(percentage: Decimal | None, words: str) -> VatTreatment | None:
    """A suggestion: a charged rate is standard, a rate of 0 is what its code and label say, or unknown (dossier 5)."""
    if percentage is None:
        return None
    if percentage != 0:
        return VatTreatment.standard
    if OUTSIDE.search(words):
        return VatTreatment.export
    return next((meant for meant, pattern in ZERO_VAT if pattern.search(words)), None)


def _label(value: object) -> Label | None:
    label = plain(part(value).get("label")) or plain(value)
    name = text(part(value).get("id")) or label
    return Label(id=name, label=label) if name else None


def _fitted(lines: Sequence[InvoiceLine], totals: _Totals, problems: _Problems) -> list[InvoiceLine]:
    """The lines with their rounding differences to the header's totals placed (dossier 5.3), or findings.

    Net: on the first line, as Simplicate does. VAT: on the largest line of the largest VAT group.
    """
    fitted = list(lines)
    spare_net = totals.net - sum((line.net for line in lines), Decimal(0))
    spare_vat = totals.vat - sum((line.vat for line in lines), Decimal(0))
    if abs(spare_net) > max(2 * CENT, CENT * len(lines)):
        problems.add("net_differs", total=totals.net, lines=totals.net - spare_net)
    if abs(spare_vat) > CENT * len(lines):
        problems.add("vat_differs", total=totals.vat, lines=totals.vat - spare_vat)
    if problems.found:
        return fitted
    fitted[0] = fitted[0].model_copy(update={"net": fitted[0].net + spare_net})
    largest = _largest_of_largest_group(fitted)
    fitted[largest] = fitted[largest].model_copy(update={"vat": fitted[largest].vat + spare_vat})
    return fitted


def _largest_of_largest_group(lines: Sequence[InvoiceLine]) -> int:
    groups: dict[str, Decimal] = {}
    for line in lines:
        groups[_group(line)] = groups.get(_group(line), Decimal(0)) + line.vat
    return max(range(len(lines)), key=lambda at: (abs(groups[_group(lines[at])]), abs(lines[at].net), -at))


def _group(line: InvoiceLine) -> str:
    return line.vat_class.id if line.vat_class else ""


async def attachment(http: Http, source_id: str) -> File | None:
    """The PDF that was sent; None for an invoice without one. Documents of other invoices are never taken."""
    document = await _sent_document(http, source_id)
    if document is None:
        return None
    content = await http.download(f"/documents/download/{quote(text(document.get('id')), safe=':')}")
    if not content.lstrip().startswith(b"%PDF"):
        return None
    title = plain(document.get("title")).replace("/", "-") or source_id.replace(":", "-")
    return File(title if title.lower().endswith(".pdf") else f"{title}.pdf", content)


async def _sent_document(http: Http, source_id: str) -> Raw | None:
    """By the newer form of the filter, else by the earlier one (dossier 3.6)."""
    earlier = [("q[invoice_id]", source_id), ("q[document_type.label]", "label_sended invoice")]
    for query in ([("q[linked_to.invoice_id]", source_id)], earlier):
        try:
            found = [row async for step in walk(http, "/invoices/document", query) for row in step.rows]
        except RecordRejected:
            continue
        if (sent := _newest_sent(row for row in found if _belongs(row, source_id))) is not None:
            return sent
    return None


def _belongs(document: Raw, source_id: str) -> bool:
    links = document.get("linked_to")
    found = links if isinstance(links, list) else [links]
    return source_id in {text(document.get("invoice_id"))}.union(*(map(text, part(link).values()) for link in found))


def _newest_sent(documents: Iterable[Raw]) -> Raw | None:
    def rank(document: Raw) -> tuple[int, str]:
        kind: Any = document.get("document_type")
        words = (text(part(kind).get("label")) or text(kind)).casefold()
        sent = 2 if "sended" in words or "sent" in words or "verzonden" in words else 1 if "invoice" in words else 0
        return sent, text(document.get("created_at"))

    found = sorted((document for document in documents if text(document.get("id"))), key=rank)
    typed = [document for document in found if rank(document)[0]]
    return typed[-1] if typed else found[0] if len(found) == 1 else None


STREAM = SourceStream(document=SalesInvoice, read=read, key=key, map=map_invoice, fetch=fetch, attachment=attachment)
