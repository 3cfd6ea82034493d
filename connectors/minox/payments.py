"""Which booked invoices were paid: open items, and positive proof for those that left the list (dossier 4.7)."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from connectors.minox import batches
from connectors.minox.listing import pages
from connectors.minox.reading import amount, nothing, number, part, place, rows, text
from hub.accounting.money import ZERO
from hub.sdk.connector import Gone, OpenItem, Raw, Receipt, Settled, StillOpen
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings


async def read(http: Http, administration: str, _: Settings) -> AsyncIterator[Sequence[OpenItem]]:
    """All items of the open list. One that stands at 0 is proof of payment only when as much was paid as it is for."""
    path = f"{place(administration)}/receivable"
    async for page in pages(http, path, [("status", "open")], absent=(404, 410)):
        yield [item for row in page if (item := open_item(row)) is not None]


def open_item(row: Raw) -> OpenItem | None:
    """An open item; None when the row cannot be read, so that nothing is concluded from it."""
    own, total, balance = _key(row), amount(row.get("total")), amount(row.get("balance"))
    if not own or total is None or _owed_by_us(row):
        return None
    paid = amount(row.get("paid"))
    if balance is None:
        if paid is None:
            return None
        balance = total - paid if abs(paid) < abs(total) else Decimal(1)
    elif balance == 0 and not _proves(row):
        return None
    return OpenItem(open_item=own, total=total, balance=balance, reference=own)


def _owed_by_us(row: Raw) -> bool:
    """True for a supplier's item. `type` alone decides nothing: the one example seen says `payable` for both (4.7)."""
    kind = text(part(row.get("account")).get("type")).lower()
    return kind == "supplier" or (kind != "customer" and text(row.get("type")).lower() == "payable")


def _key(row: Raw) -> str:
    customer = number(part(row.get("account")).get("id")) or number(row.get("account_id"))
    own = number(row.get("invoice_number"))
    return f"{customer}/{own}" if customer and own else ""


def _proves(row: Raw) -> bool:
    """`balance` is 0 and `paid` is at least `total`, whatever the signs (dossier 4.7)."""
    total, paid, balance = amount(row.get("total")), amount(row.get("paid")), amount(row.get("balance"))
    return balance == 0 and total is not None and paid is not None and total != 0 and abs(paid) >= abs(total)


async def confirm(http: Http, administration: str, receipt: Receipt) -> Settled | StillOpen | Gone:
    """The fate of one booking that is not in the open list; anything odd concludes nothing."""
    customer, _, own = receipt.open_item.partition("/")
    if not (customer.isdecimal() and own.isdecimal()):
        return StillOpen()
    path = f"{place(administration)}/receivable/account/{customer}/invoice/{own}"
    try:
        body = await http.get(path, absent=(404, 410))
        found = rows(body)
        if found or not (body is None or nothing(body)):
            return _judged([row for row in found if _key(row) in ("", receipt.open_item)], receipt)
        return await _by_batch(http, administration, receipt)
    except RecordRejected:
        return StillOpen()


def _judged(found: Sequence[Raw], receipt: Receipt) -> Settled | StillOpen:
    if len(found) != 1 or not _proves(found[0]):
        return StillOpen()
    total = amount(found[0].get("total"))
    if receipt.total is not None and (total is None or abs(total) != abs(receipt.total)):
        return StillOpen()
    return Settled(None, receipt.label)


async def _by_batch(http: Http, administration: str, receipt: Receipt) -> Settled | StillOpen | Gone:
    """A vanished item is paid when its booking still stands as we made it, and gone when the booking is."""
    lines = await batches.read(http, administration, receipt.ref)
    if lines is None:
        return Gone()
    customer = receipt.open_item.partition("/")[0]
    mine = [
        line
        for line in lines
        if batches.is_customer(line, customer)
        and f"{number(part(line.get('account')).get('id'))}/{number(line.get('invoice_number'))}" == receipt.open_item
    ]
    total = sum((batches.balance(line) or ZERO for line in mine), ZERO)
    unchanged = bool(mine) and total != 0 and (receipt.total is None or abs(total) == abs(receipt.total))
    return Settled(None, receipt.label) if unchanged else StillOpen()
