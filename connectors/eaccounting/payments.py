"""Which exported invoices were paid: the open ones listed, and positive proof for those that left the list."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from connectors.eaccounting.drafts import DRAFTS, INVOICES, invoice_of, names_of, total_of
from connectors.eaccounting.listing import pages, single
from connectors.eaccounting.reading import amount, day, flag, ident, mark_of, text, whole
from hub.sdk.connector import Gone, OpenItem, Raw, Receipt, Settled, StillOpen
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

OPEN = "PaymentStatus gt 0"
"""1 unpaid, 2 overdue; filtering on it is documented (dossier 2). Its answer is not trusted, only used."""
_PAID = ("0", "paid")


async def read(http: Http, _administration: str, _settings: Settings) -> AsyncIterator[Sequence[OpenItem]]:
    """All drafts, which nobody can have paid, then the open invoices, each under every name we may know it by."""
    async for records, _ in pages(http, DRAFTS):
        yield [item for row in records for item in _unpaid(row)]
    async for records, _ in pages(http, INVOICES, OPEN):
        yield [item for row in records for item in open_items(row)]


def _unpaid(row: Raw) -> list[OpenItem]:
    total = total_of(row)
    names = [one for one in (mark_of(row), ident(row.get("Id"))) if one]
    return [OpenItem(own, total, total) for own in names] if total else []


def open_items(row: Raw) -> list[OpenItem]:
    """An invoice as open items; none when the row cannot be read, so that nothing is concluded from it."""
    total = total_of(row)
    if not total:
        return []
    left = _left(row)
    paid = proves(row)
    if not paid and (left is None or left == 0):
        left = total  # Open by its status, or settled by something else than a payment: not paid, as far as we know.
    balance = Decimal(0) if paid else (abs(left) if total > 0 else -abs(left)) if left is not None else total
    label = text(row.get("InvoiceNumber"))
    return [
        OpenItem(own, total, balance, day(row.get("PaymentDate")) if paid else None, label) for own in names_of(row)
    ]


def _left(row: Raw) -> Decimal | None:
    names = ("RemainingAmountInvoiceCurrency", "RemainingAmount")
    return next((found for name in names if (found := amount(row.get(name))) is not None), None)


def proves(row: Raw) -> bool:
    """Paid by its status, nothing remaining, and not because it was credited."""
    status = text(row.get("PaymentStatus")).lower()
    if row.get("CreditedBy") or flag(row.get("IsVoided")) or not total_of(row):
        return False
    left = _left(row)
    return status in _PAID and left in (None, 0)


async def confirm(http: Http, _administration: str, receipt: Receipt) -> Settled | StillOpen | Gone:
    """The fate of one document that is not in the listing; anything odd concludes nothing."""
    own = ident(receipt.ref)
    try:
        row = await single(http, f"{INVOICES}/{own}") if own else {}
        if ident(row.get("Id")) != own and own:
            if await single(http, f"{DRAFTS}/{own}"):
                return StillOpen()
            row = await invoice_of(http, receipt.open_item) or await invoice_of(http, own)
            if not row and not (row := await _looked_for(http, receipt)):
                return Gone()
    except RecordRejected:
        return StillOpen()
    if not proves(row) or whole(row.get("InvoiceNumber")) == 0:
        return StillOpen()
    total = total_of(row)
    if receipt.total is not None and (total is None or abs(total) != abs(receipt.total)):
        return StillOpen()
    return Settled(day(row.get("PaymentDate")), text(row.get("InvoiceNumber")) or receipt.label)


async def _looked_for(http: Http, receipt: Receipt) -> Raw:
    """The invoice in a list that was read after its draft was seen to be gone."""
    return await invoice_of(http, receipt.open_item, afresh=True) or await invoice_of(http, ident(receipt.ref))
