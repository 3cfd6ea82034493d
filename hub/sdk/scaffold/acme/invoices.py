"""Sales invoices of Acme."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

from hub.accounting.documents import Document, Finding, Ignored, InvoiceLine, Label, PartyRef, SalesInvoice, VatClass
from hub.accounting.money import decimal
from hub.sdk.connector import Page, Raw, Since, SourceStream
from hub.sdk.errors import Malformed, TransientError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

from .settings import AcmeSettings

STATUSES = {"sent": ("sent", "approved", "paid"), "approved": ("approved", "paid")}


async def read(http: Http, since: Since, _settings: Settings) -> AsyncIterator[Page]:
    """All invoices, by id; the cursor is the last id handled, so a read that stopped goes on where it was."""
    after = int((since.cursor or {}).get("after", 0))
    while True:
        body = await http.get("/invoices", [("after", str(after))])
        if not isinstance(body, dict) or not isinstance(body.get("items"), list):
            raise TransientError("acme.answer_incomplete")
        found = body["items"]
        if not found:
            return
        after = max(after, *(int(one["id"]) for one in found))
        yield Page(found, {"after": after})


def key(raw: Raw) -> str:
    """The invoice's id."""
    return str(raw["id"])


async def fetch(http: Http, source_id: str) -> Raw | None:
    """One invoice by id."""
    found: Raw | None = await http.get(f"/invoices/{source_id}", absent=(404,))
    return found


class _Reading:
    """All that is wrong with one record."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.found: list[Finding] = []

    def wrong(self, key: str, name: str, value: object) -> None:
        values = {"number": str(self.raw.get("number") or ""), "field": name, "value": str(value or "")[:80]}
        self.found.append(Finding(key=f"acme.{key}", values=values))

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        if value in (None, ""):
            self.wrong("field_missing", name, "")
        return str(value or "?")

    def amount(self, value: object, name: str) -> Decimal:
        try:
            return decimal(value)
        except ValueError:
            self.wrong("amount_unreadable", name, value)
            return Decimal(0)

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(str(self.raw.get(name))[:10])
        except ValueError:
            self.wrong("date_unreadable", name, self.raw.get(name))
            return date.min


def map_invoice(raw: Raw, settings: Settings) -> Document | Ignored:
    """The invoice as it was sent. Raises Malformed with everything that cannot be read."""
    take = settings.acme_take if isinstance(settings, AcmeSettings) else "sent"
    if raw.get("status") not in STATUSES[take]:
        return Ignored(source_id=key(raw), reason=Finding(key="acme.not_sent"), number=str(raw.get("number") or ""))
    reading = _Reading(raw)
    made = SalesInvoice(
        source_id=key(raw),
        company=reading.text("company"),
        number=reading.text("number"),
        date=reading.day("date"),
        customer=PartyRef(source_id=reading.text("customer"), name=str(raw.get("customer_name") or "")),
        currency="EUR",
        lines=tuple(_line(reading, one) for one in raw.get("lines") or ()),
        total_net=reading.amount(raw.get("net"), "net"),
        total_vat=reading.amount(raw.get("vat"), "vat"),
        total=reading.amount(raw.get("total"), "total"),
    )
    if reading.found:
        raise Malformed(*reading.found)
    return made


def _line(reading: _Reading, one: Any) -> InvoiceLine:
    percentage = reading.amount(one.get("percentage"), "percentage")
    return InvoiceLine(
        description=str(one.get("description") or ""),
        net=reading.amount(one.get("net"), "line net"),
        vat=reading.amount(one.get("vat"), "line vat"),
        vat_class=VatClass(id=str(percentage), percentage=percentage),
        revenue_group=Label(id=str(one.get("group") or "-"), label=str(one.get("group") or "")),
    )


STREAM = SourceStream(document=SalesInvoice, read=read, key=key, map=map_invoice, fetch=fetch)
