"""Sales invoices as drafts: an article on every row, discounts as fractions, credit by a flag (dossier 3.2, 6)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from connectors.eaccounting import articles
from connectors.eaccounting.company import Company, company_of, shown
from connectors.eaccounting.reading import cut, ident, wrong
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.booking import BookedLine, Booking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding, InvoiceLine, VatTreatment
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Payload
from hub.sdk.errors import RecordRejected
from hub.sdk.settings import Settings

TEXT, REFERENCE = 2000, 100
QUANTITY_PLACES, DOMESTIC_PLACES, FOREIGN_PLACES = 2, 2, 4
"""Decimals (dossier 2)."""
DISCOUNT_PLACES = 4
LARGEST_PRICE = Decimal(10_000_000)
NOBODY = "0"
"""Stands for a customer that is yet to be made, in a preview."""
_ABROAD = (VatTreatment.icp, VatTreatment.export)


@dataclass(frozen=True)
class Line:
    """A booked line with what the source printed on it; signs as they will stand on the draft."""

    booked: BookedLine
    printed: InvoiceLine | None
    sign: int

    @property
    def is_text(self) -> bool:
        """Words only."""
        worth = self.booked.net or self.booked.vat
        priced = self.printed is not None and (self.printed.quantity or self.printed.unit_price)
        return not worth and not priced

    @property
    def words(self) -> str:
        """What is printed on the row."""
        return (self.printed.description if self.printed else "") or self.booked.description


def claim(booking: Booking, _: Settings) -> str | None:
    """The source's number: it stands in the draft's reference."""
    return cast(SalesBooking, booking).invoice.number


def _narrowed(booking: Booking, settings: Settings) -> tuple[SalesBooking, EaccountingSettings]:
    return cast(SalesBooking, booking), cast(EaccountingSettings, settings)


def _lines(sale: SalesBooking, settings: EaccountingSettings) -> list[Line]:
    sign = -1 if sale.invoice.is_credit and settings.credit_rows == "positive" else 1
    printed = sale.invoice.lines
    paired: Sequence[InvoiceLine | None] = printed if len(printed) == len(sale.lines) else [None] * len(sale.lines)
    return [Line(booked, one, sign) for booked, one in zip(sale.lines, paired, strict=True)]


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that eAccounting would refuse, or take and charge otherwise."""
    sale, chosen = _narrowed(booking, settings)
    company = company_of(master)
    lines = _lines(sale, chosen)
    unique: dict[tuple[str, ...], Finding] = {}
    for line in lines:
        for finding in _line(line, company, chosen):
            unique.setdefault((finding.key, *sorted(finding.values.values())), finding)
    found = [*unique.values()]
    if all(line.is_text for line in lines):
        found.append(wrong("eaccounting.no_rows", number=sale.invoice.number))
    if not found and sum((line.net for line in sale.lines), ZERO) == sale.invoice.total_net:
        found += _vat(sale, company)
    return found


def _line(line: Line, company: Company, settings: EaccountingSettings) -> Iterable[Finding]:
    if line.is_text:
        return
    article = articles.choose(line.booked, _material(line), company, settings)
    if isinstance(article, Finding):
        yield article
    if _reverse(line) and not company.reverse_charge:
        yield wrong("eaccounting.reverse_charge_off", line=line.words)
    if abs(line.booked.net) >= LARGEST_PRICE:
        yield wrong("eaccounting.amount_too_large", amount=f"{line.booked.net:f}")


def _vat(sale: SalesBooking, company: Company) -> Iterable[Finding]:
    """VAT is computed by eAccounting, per row or per rate (unknown, dossier 9): one of them must be the source's."""
    by_row, nets = ZERO, dict[Decimal, Decimal]()
    for line in sale.lines:
        rate = articles.charged(line, company) or ZERO
        by_row += cents(line.net * rate / 100)
        nets[rate] = nets.get(rate, ZERO) + line.net
    by_rate = sum((cents(net * rate / 100) for rate, net in nets.items()), ZERO)
    wanted = sale.invoice.total_vat
    if wanted not in (by_row, by_rate):
        difference = f"{by_rate - wanted:f}"
        yield wrong("eaccounting.vat_differs", vat=f"{wanted:f}", computed=f"{by_rate:f}", difference=difference)


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The draft, and the default articles it may need. Raises RecordRejected with findings."""
    sale, chosen = _narrowed(booking, settings)
    if found := validate(booking, master, settings):
        raise RecordRejected(found[0].key, findings=found)
    if not ident(sale.customer) and sale.customer != NOBODY:
        raise RecordRejected("eaccounting.customer_unknown", customer=sale.customer)
    company, invoice, lines = company_of(master), sale.invoice, _lines(sale, chosen)
    make: dict[str, Any] = {}
    rows = [*_text_rows(_subject(sale, lines)), *(row for one in lines for row in _rows(one, company, chosen, make))]
    return {
        "number": invoice.number,
        "total": cents(invoice.total),
        "net": cents(invoice.total_net),
        "currency": "" if invoice.currency == master.currency else invoice.currency,
        "reverse_charge": any(map(_reverse, lines)),
        "abroad": company.country if any(_treatment(line) in _ABROAD for line in lines) else "",
        "convert": chosen.export_as == "invoice",
        "articles": make,
        "body": {**_head(sale), "Rows": [{"LineNumber": at, **row} for at, row in enumerate(rows, 1)]},
    }


def _head(sale: SalesBooking) -> dict[str, Any]:
    """All but the rows; the currency and the terms are the customer's."""
    invoice = sale.invoice
    due = invoice.due_date if invoice.due_date and invoice.due_date >= sale.date else None
    fixed = {"EuThirdParty": False, "RotReducedInvoicingType": 0, "ReplaceUnitPriceWhenZero": False}
    head = {"CustomerId": ident(sale.customer), "IsCreditInvoice": invoice.is_credit, **fixed}
    words = {
        "InvoiceDate": sale.date.isoformat(),
        "DueDate": due.isoformat() if due else "",
        "YourReference": cut(invoice.reference, REFERENCE),
    }
    return head | {name: value for name, value in words.items() if value}


def _subject(sale: SalesBooking, lines: Sequence[Line]) -> str:
    """The invoice's subject, where no line says it."""
    subject = " ".join(sale.invoice.subject.split())
    return "" if any(subject == " ".join(line.words.split()) for line in lines) else subject


def _rows(line: Line, company: Company, settings: EaccountingSettings, make: dict[str, Any]) -> list[dict[str, Any]]:
    """A line as one row, or as more where its words are longer than a row takes."""
    if line.is_text:
        return [*_text_rows(line.words)]
    article = articles.choose(line.booked, _material(line), company, settings)
    if isinstance(article, Finding):
        raise RecordRejected(article.key, findings=[article])
    if not isinstance(article, str):
        make[article["Number"]] = article
        article = f"{articles.TO_BE_MADE}{article['Number']}"
    quantity, price, discount, told = _priced(line)
    words = f"{line.words.strip()} {told}".strip()
    worth = {"Quantity": quantity, "UnitPrice": price, "DiscountPercentage": discount}
    kind = {"IsTextRow": False, "ReversedConstructionServicesVatFree": _reverse(line), "ArticleId": article}
    row = {**kind, **worth, **({"Text": words[:TEXT]} if words else {})}
    return [row, *_text_rows(words[TEXT:])]


def _text_rows(words: str) -> Iterator[dict[str, Any]]:
    for at in range(0, len(words.strip()), TEXT):
        part = words.strip()[at : at + TEXT]
        yield {"IsTextRow": True, "Text": part, "ReversedConstructionServicesVatFree": False}


def _material(line: Line) -> str:
    return (line.printed.article if line.printed else "") or ""


def _treatment(line: Line) -> VatTreatment | None:
    return line.booked.vat_class.treatment if line.booked.vat_class else None


def _reverse(line: Line) -> bool:
    return _treatment(line) is VatTreatment.reverse_charge


def _priced(line: Line) -> tuple[Decimal, Decimal, Decimal, str]:
    """Quantity, price, discount (0 to 1) and what they leave unsaid: the first spelling that makes the net amount."""
    net = cents(line.booked.net * line.sign)
    places = FOREIGN_PLACES if _treatment(line) in _ABROAD else DOMESTIC_PLACES
    quantity, price = _printed(line)
    if quantity is None or price is None:
        return Decimal(1), net, ZERO, ""
    if _fits(quantity, QUANTITY_PLACES) and _fits(price, places):
        for discount in _discounts(quantity * price, net):
            if cents(quantity * price * (1 - discount)) == net:
                return cents(quantity), price.quantize(Decimal(1).scaleb(-places)), discount, ""
    return Decimal(1), net, ZERO, f"({shown(abs(quantity))} x {shown(abs(price))})"


def _printed(line: Line) -> tuple[Decimal | None, Decimal | None]:
    if line.printed is None or line.printed.unit_price is None or line.printed.quantity is None:
        return None, None
    quantity, price = line.printed.quantity * line.sign, line.printed.unit_price
    return (-quantity, -price) if quantity < 0 and price < 0 else (quantity, price)


def _discounts(gross: Decimal, net: Decimal) -> Iterator[Decimal]:
    """None, then the fraction in as few decimals as may do."""
    yield ZERO
    if not gross or not 0 <= net / gross <= 1:
        return
    for places in range(1, DISCOUNT_PLACES + 1):
        yield (1 - net / gross).quantize(Decimal(1).scaleb(-places))


def _fits(value: Decimal, places: int) -> bool:
    return value == value.quantize(Decimal(1).scaleb(-places))
