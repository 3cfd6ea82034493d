"""Which booked invoices were paid: the outstanding list, and proof for those that left it (dossier 5.5, 6.4)."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from decimal import Decimal

from connectors.eboekhouden import mutations
from connectors.eboekhouden.listing import everything, pages
from connectors.eboekhouden.reading import amount, day, ident, rows, text
from hub.accounting.money import ZERO
from hub.sdk.connector import Gone, OpenItem, Raw, Receipt, Settled, StillOpen
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

PATH = "/mutation/invoice/outstanding"
DEBTORS = ("credDeb", "D")
PAYMENT_TYPE = "3"


async def read(http: Http, _administration: str, _: Settings) -> AsyncIterator[Sequence[OpenItem]]:
    """All items of the outstanding list, by mutation. One at 0 is proof only when as much was paid as it is for."""
    async for page in pages(http, PATH, [DEBTORS]):
        yield [item for row in page if (item := open_item(row)) is not None]


def open_item(row: Raw) -> OpenItem | None:
    """An open item; None when the row cannot be read, so that nothing is concluded from it."""
    own, total = ident(row.get("mutationId")), amount(row.get("totalAmount"))
    paid, balance = amount(row.get("paidAmount")), amount(row.get("outstandingAmount"))
    if not own or total is None or (balance is None and paid is None):
        return None
    if balance is None:
        balance = total - (paid or ZERO) if abs(paid or ZERO) < abs(total) else Decimal(1)
    elif balance == 0 and (not total or paid is None or abs(paid) < abs(total)):
        return None
    return OpenItem(open_item=own, total=total, balance=balance, reference=f"mutatie {own}")


async def confirm(http: Http, _administration: str, receipt: Receipt) -> Settled | StillOpen | Gone:
    """The fate of one booking that is not in the outstanding list; anything odd concludes nothing."""
    if not ident(receipt.ref):
        return StillOpen()
    try:
        stands = await mutations.read(http, receipt.ref)
        if stands is None:
            return StillOpen() if await _listed(http, receipt.ref) else Gone()
        if not _unchanged(stands, receipt):
            return StillOpen()
        return await _judged(http, stands, receipt)
    except RecordRejected:
        return StillOpen()


async def _listed(http: Http, ref: str) -> bool:
    """Whether the list still shows a mutation that cannot be read: a second opinion on its deletion (dossier 7.4)."""
    return any(ident(row.get("id")) == ref for row in await everything(http, "/mutation", [("id", ref)]))


def _unchanged(stands: Raw, receipt: Receipt) -> bool:
    """As we left it. A mutation that hands changed proves nothing."""
    now, total = mutations.fingerprint(stands), mutations.total(stands)
    if not now or (receipt.fingerprint and now != receipt.fingerprint):
        return False
    return receipt.total is None or total is None or abs(total) == abs(receipt.total)


async def _judged(http: Http, stands: Raw, receipt: Receipt) -> Settled | StillOpen:
    number, relation = text(stands.get("invoiceNumber")), ident(stands.get("relationId"))
    if not number:
        return StillOpen()
    for row in await everything(http, PATH, [DEBTORS, ("invoiceNumber", number)]):
        own = ident(row.get("mutationId"))
        if own == receipt.ref or (not own and text(row.get("invoiceNumber")) in ("", number)):
            item = open_item(row)
            return Settled(None, receipt.label) if item is not None and item.balance == 0 else StillOpen()
    # An unchanged sale that the package's own list of what is owed leaves out, twice, is not owed (dossier 11.11).
    paid_on = await _paid_on(http, number, relation, receipt.total or mutations.total(stands))
    return Settled(paid_on, receipt.label)


async def _paid_on(http: Http, number: str, relation: str, owed: Decimal | None) -> date | None:
    """The day on which booked payments came to what is owed; None when they do not show it, or it was settled else."""
    booked: list[tuple[date, Decimal]] = []
    for row in await everything(http, "/mutation", [("type", PAYMENT_TYPE), ("invoiceNumber", number)]):
        numbers = [one.strip() for one in text(row.get("invoiceNumber")).split(",")]
        on = day(row.get("date"))
        if number not in numbers or text(row.get("type")) not in ("", PAYMENT_TYPE) or on is None:
            continue
        stands = await mutations.read(http, ident(row.get("id"))) if ident(row.get("id")) else None
        booked += [
            (on, amount(line.get("amount")) or ZERO)
            for line in rows((stands or {}).get("rows"))
            if text(line.get("invoiceNumber")) == number and ident(line.get("relationId")) in ("", relation)
        ]
    came_in = ZERO
    for on, value in sorted(booked):
        came_in += value
        if owed is not None and abs(came_in) >= abs(owed):
            return on
    return None
