"""A sandbox of eAccounting with a connection to it, and documents to send there."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.eaccounting import CONNECTOR
from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.booking import BookedEntryLine, BookedLine, CustomerBooking, EntryBooking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import (
    Address,
    Customer,
    InvoiceLine,
    JournalEntry,
    PartyRef,
    SalesInvoice,
    VatClass,
    VatTreatment,
)
from hub.sdk.connector import Key, Payload
from hub.sdk.http import Http
from hub.sdk.settings import Settings
from tests.connectors.support import connected

HOME = "7c1a0b52-9f7e-4b0e-8a53-0d1f6a3b9e01"
HIGH = VatClass(id="21", label="21% btw", percentage=Decimal(21), treatment=VatTreatment.standard)
LOW = VatClass(id="9", label="9% btw", percentage=Decimal(9), treatment=VatTreatment.standard)
REVERSE = VatClass(id="verlegd", label="Btw verlegd", percentage=Decimal(0), treatment=VatTreatment.reverse_charge)
ICP = VatClass(id="icp", label="ICP", percentage=Decimal(0), treatment=VatTreatment.icp)
INVOICES, CUSTOMERS = CONNECTOR.targets["invoices"], CONNECTOR.targets["customers"]


def key(source_id: str = "20261187", stream: str = "invoices") -> Key:
    return Key("minuba:4711", stream, source_id, f"eaccounting:{HOME}")


def line(words: str, net: str, vat: str = "0", kind: VatClass | None = HIGH, **facts: Any) -> InvoiceLine:
    """A line; `quantity`, `unit_price` and `net` are texts."""
    numbers: dict[str, Any] = {name: Decimal(facts.pop(name)) for name in ("quantity", "unit_price") if name in facts}
    return InvoiceLine(description=words, net=Decimal(net), vat=Decimal(vat), vat_class=kind, **numbers, **facts)


WORKS = (
    line("Werkbon 5512: onderhoud cv-ketel", "0", kind=None),
    line("Monteur", "155.00", "32.55", quantity="2.5", unit_price="62.00"),
    line("Expansievat 18 l", "43.88", "9.21", quantity="1", unit_price="48.75", article="EXP-18"),
)
"""The dossier's draft (8.4)."""


def sale(*lines: InvoiceLine, customer: str = "", account: str = "-", **facts: Any) -> SalesBooking:
    """A sales booking whose totals are those of its lines."""
    lines = lines or WORKS
    net, vat = sum((one.net for one in lines), Decimal(0)), sum((one.vat for one in lines), Decimal(0))
    invoice = SalesInvoice(
        source_id="20261187",
        company="4711",
        number="20261187",
        date=date(2026, 11, 19),
        due_date=date(2026, 12, 3),
        customer=PartyRef(source_id="10482", name="Molen en Dijk Vastgoed B.V."),
        currency="EUR",
        reference="mw. J. Voorbeeld",
        lines=lines,
        total_net=net,
        total_vat=vat,
        total=net + vat,
    ).model_copy(update=facts)
    booked = tuple(
        BookedLine(account=account, net=one.net, vat=one.vat, vat_class=one.vat_class, description=one.description)
        for one in lines
    )
    return SalesBooking(invoice=invoice, administration=HOME, date=invoice.date, customer=customer or "0", lines=booked)


def client(**facts: Any) -> CustomerBooking:
    """A customer booking."""
    home = Address(street="Voorbeeldkade 12", postal_code="1234 AB", city="Utrecht", country="NL")
    customer = Customer(
        source_id="10482",
        number="10482",
        name="Molen en Dijk Vastgoed B.V.",
        emails=("administratie@molenendijk.example",),
        address=home,
        vat_number="NL853746333B01",
        chamber_of_commerce="00000000",
        payment_days=14,
    )
    return CustomerBooking(customer=customer.model_copy(update=facts), administration=HOME)


EntryLine = tuple[str, str, str, str]
"""Ledger account, signed amount (debit above zero), description and cost centre."""
PAYROLL: tuple[EntryLine, ...] = (
    ("4000", "18250.00", "Brutolonen", "10"),
    ("4010", "312.40", "Sociale lasten", "20"),
    ("1710", "-5210.15", "Af te dragen loonheffing", ""),
    ("1740", "-13352.25", "Te betalen nettolonen", "10"),
)


def payroll(*lines: EntryLine, day: date = date(2026, 2, 28), **facts: Any) -> EntryBooking:
    """A journal entry ready to be booked."""
    entry = JournalEntry(
        source_id="company:1/run:2", company="1", number="2026-02 run 2", date=day, year=day.year, period=day.month,
        description="Loonjournaal", currency="EUR", lines=(),
    )  # fmt: skip
    booked = tuple(
        BookedEntryLine(
            account=account,
            debit=max(Decimal(signed), Decimal(0)),
            credit=max(-Decimal(signed), Decimal(0)),
            description=words,
            cost_centre=centre,
        )
        for account, signed, words, centre in lines or PAYROLL
    )
    return EntryBooking(entry=entry.model_copy(update=facts), administration=HOME, date=day, lines=booked)


@pytest.fixture
def box() -> EaccountingSandbox:
    sandbox = EaccountingSandbox()
    sandbox.add_article("EXP-18", Name="Expansievat 18 l")
    sandbox.add_customer()
    return sandbox


@pytest.fixture
def customer(box: EaccountingSandbox) -> str:
    """The reference of the customer that stands there."""
    found: str = next(iter(box.company()["customers"]))
    return found


Connect = Callable[..., AbstractAsyncContextManager[Http]]


@pytest.fixture
def connect(box: EaccountingSandbox) -> Connect:
    """Opens a connection with a granted token, or with the secrets given."""

    def opened(secrets: Mapping[str, str] | None = None, **facts: Any) -> AbstractAsyncContextManager[Http]:
        return connected(CONNECTOR, box, "/v2", secrets or {"access_token": box.grant()[0]}, **facts)

    return opened


@pytest.fixture
async def http(connect: Connect) -> AsyncIterator[Http]:
    async with connect() as opened:
        yield opened


@pytest.fixture
async def master(http: Http) -> Master:
    assert CONNECTOR.master is not None
    return await CONNECTOR.master(http, HOME)


@pytest.fixture
def settings() -> EaccountingSettings:
    return EaccountingSettings()


@pytest.fixture
def encode(master: Master, customer: str) -> Callable[..., Payload]:
    """The payload of a booking, by default of the dossier's invoice for the customer that stands there."""

    def encoded(booking: SalesBooking | CustomerBooking | None = None, chosen: Settings | None = None) -> Payload:
        booking = booking or sale(customer=customer)
        if isinstance(booking, CustomerBooking):
            return CUSTOMERS.encode(booking, master, chosen or EaccountingSettings())
        if booking.customer == "0":
            booking = booking.model_copy(update={"customer": customer})
        return INVOICES.encode(booking, master, chosen or EaccountingSettings())

    return encoded
