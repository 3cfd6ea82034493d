"""Two packages that answer in no time and never leave the process: what remains is the engine and its database."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from hub.accounting.booking import Booking, CustomerBooking, SalesBooking
from hub.accounting.chart import LedgerAccount, Master
from hub.accounting.documents import Customer, Document, InvoiceLine, Label, PartyRef, SalesInvoice, VatClass
from hub.engine import registry
from hub.sdk.connector import Connector, Identity, Key, Page, Payload, Raw, Receipt, Since, SourceStream, TargetWriter
from hub.sdk.http import Http
from hub.sdk.manifest import Auth, Dedupe, Manifest, RateLimit, WriterFacts
from hub.sdk.settings import Settings

SOURCE, TARGET = "instantsource", "instanttarget"
RECIPE = f"{SOURCE}-{TARGET}"
COMPANY, ADMINISTRATION = "one", "1"
CUSTOMERS = 100
PAGE = 100
_FIRST_DAY = date(2026, 1, 1)
_VAT = {"id": "vat:21", "label": "Hoog 21%", "percentage": Decimal(21)}


def register(invoices: int) -> None:
    """Adds both packages to the registry of this process; the source holds so many invoices."""
    stored = SourceStream(SalesInvoice, partial(_invoices, invoices), _key, _invoice)
    cards = SourceStream(Customer, _customers, _key, _customer)
    streams = {"invoices": stored, "customers": cards}
    registry.add(Connector(_manifest(SOURCE, tuple(streams)), Settings, _identify, sources=streams))
    writers = {name: TargetWriter(_encode, _find, _write) for name in streams}
    registry.add(Connector(_manifest(TARGET, ()), Settings, _identify, targets=writers, master=_master))


def _manifest(name: str, sources: tuple[str, ...]) -> Manifest:
    facts = WriterFacts(dedupe=Dedupe.key)
    return Manifest(
        name=name,
        title=name,
        docs="https://example.nl",
        auth=(Auth(kind="key"),),
        endpoints={"API": "https://example.nl"},
        rate_limit=RateLimit(per_minute=6_000_000, burst=1000),
        sources=sources,
        targets={} if sources else {"invoices": facts, "customers": facts},
    )


async def _identify(_: Http) -> Identity:
    return Identity("bench", "bench")


async def _invoices(count: int, _: Http, since: Since, __: Settings) -> AsyncIterator[Page]:
    done = (since.cursor or {}).get("done", 0)
    while done < count:
        upto = min(done + PAGE, count)
        yield Page([_raw(at) for at in range(done, upto)], {"done": upto})
        done = upto


async def _customers(_: Http, since: Since, __: Settings) -> AsyncIterator[Page]:
    if since.cursor is None:
        yield Page([_card(at) for at in range(CUSTOMERS)], {"done": True})


def _raw(at: int) -> Raw:
    """About a kilobyte, as invoices are."""
    net = Decimal(100 + at % 900)
    lines = [
        {"id": f"line:{at}:{part}", "description": f"Advies week {part}", "amount": Decimal(1), "price": net,
         "vat": net * 21 / 100, "vat_class": _VAT,
         "revenue_group": {"id": f"group:{part}", "label": f"800{part} Omzet"}}
        for part in (0, 1)
    ]  # fmt: skip
    return {
        "id": f"invoice:{at:08d}",
        "number": f"F2026-{at:06d}",
        "status": {"id": "status:1", "name": "label_Sent"},
        "date": str(_FIRST_DAY + timedelta(days=at % 300)),
        "organization": {"id": f"organization:{at % CUSTOMERS}", "name": f"Klant {at % CUSTOMERS} B.V."},
        "lines": lines,
        "reference": f"PO {at}",
        "net": 2 * net,
        "vat": 2 * net * 21 / 100,
        "total": 2 * net * 121 / 100,
    }


def _card(at: int) -> Raw:
    return {"id": f"organization:{at}", "name": f"Klant {at} B.V.", "email": f"klant{at}@klanten.example"}


def _key(raw: Raw) -> str:
    return str(raw["id"])


def _invoice(raw: Raw, _: Settings) -> Document:
    return SalesInvoice(
        source_id=raw["id"],
        company=COMPANY,
        number=raw["number"],
        date=date.fromisoformat(raw["date"]),
        customer=PartyRef(source_id=raw["organization"]["id"], name=raw["organization"]["name"]),
        currency="EUR",
        reference=raw["reference"],
        lines=tuple(_line(line) for line in raw["lines"]),
        total_net=Decimal(raw["net"]),
        total_vat=Decimal(raw["vat"]),
        total=Decimal(raw["total"]),
    )


def _line(raw: Raw) -> InvoiceLine:
    vat = raw["vat_class"]
    return InvoiceLine(
        description=raw["description"],
        quantity=Decimal(raw["amount"]),
        unit_price=Decimal(raw["price"]),
        net=Decimal(raw["price"]) * Decimal(raw["amount"]),
        vat=Decimal(raw["vat"]),
        vat_class=VatClass(id=vat["id"], label=vat["label"], percentage=Decimal(vat["percentage"])),
        revenue_group=Label(id=raw["revenue_group"]["id"], label=raw["revenue_group"]["label"]),
    )


def _customer(raw: Raw, _: Settings) -> Document:
    return Customer(source_id=raw["id"], name=raw["name"], emails=(raw["email"],))


async def _master(_: Http, administration: str) -> Master:
    accounts = tuple(LedgerAccount(number=str(8000 + at), name=f"Omzet {at}") for at in range(20))
    return Master(administration=administration, accounts=accounts)


def _encode(booking: Booking, _: Master, __: Settings) -> Payload:
    match booking:
        case SalesBooking(invoice=invoice):
            debtor = {"account": booking.customer, "debit": invoice.total, "number": invoice.number}
            lines = [{"account": one.account, "credit": one.net + one.vat} for one in booking.lines]
            return {"ref": invoice.source_id, "total": str(invoice.total), "lines": [debtor, *lines]}
        case CustomerBooking(customer=customer):
            return {"ref": customer.source_id, "total": None, "name": customer.name, "emails": list(customer.emails)}
        case _:
            raise TypeError(type(booking).__name__)


async def _find(_: Http, __: Key, ___: Payload) -> Receipt | None:
    return None


async def _write(_: Http, payload: Payload, key: Key) -> Receipt:
    total = payload["total"]
    return Receipt(ref=str(key.uuid), label=payload["ref"], total=None if total is None else Decimal(total))
