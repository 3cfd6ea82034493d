"""A sandbox of Minox with a connection to it, and bookings to send there."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.minox import CONNECTOR
from connectors.minox.sandbox import MinoxSandbox, simple_debtor
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import BookedEntryLine, BookedLine, CustomerBooking, EntryBooking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Address, Customer, JournalEntry, PartyRef, SalesInvoice, VatClass, VatTreatment
from hub.sdk.connector import Key
from hub.sdk.http import Http
from tests.connectors.support import connected

HOME = "41207/3"
HIGH = VatClass(id="21", label="21% btw", percentage=Decimal(21), treatment=VatTreatment.standard)
LOW = VatClass(id="9", label="9% btw", percentage=Decimal(9), treatment=VatTreatment.standard)
ICP = VatClass(id="icp", label="ICP", percentage=Decimal(0), treatment=VatTreatment.icp)
Line = tuple[str, str, str, VatClass]
"""Ledger account, net, VAT and class."""


def key(source_id: str, stream: str = "invoices") -> Key:
    return Key("simplicate:waterlinie", stream, source_id, f"minox:{HOME}")


def sale(*lines: Line, number: str = "F2026-0143", customer: str = "10000", **facts: Any) -> SalesBooking:
    """A sales booking whose totals are those of its lines."""
    booked = tuple(
        BookedLine(account=account, net=Decimal(net), vat=Decimal(vat), vat_class=kind, description="Advies maart")
        for account, net, vat, kind in lines
    )
    net, vat = sum((one.net for one in booked), Decimal(0)), sum((one.vat for one in booked), Decimal(0))
    invoice = SalesInvoice(
        source_id=f"invoice:{number}",
        company="profile:1",
        number=number,
        date=date(2026, 3, 12),
        due_date=date(2026, 4, 11),
        customer=PartyRef(source_id="organization:1", name="Houtwerf Noord B.V."),
        currency="EUR",
        lines=(),
        total_net=net,
        total_vat=vat,
        total=net + vat,
    )
    made = SalesBooking(invoice=invoice, administration=HOME, date=date(2026, 3, 12), customer=customer, lines=booked)
    booking = {name: value for name, value in facts.items() if name in SalesBooking.model_fields}
    changed = {name: value for name, value in facts.items() if name not in booking}
    return made.model_copy(update=booking | {"invoice": invoice.model_copy(update=changed)})


def debtor(name: str = "Houtwerf Noord B.V.", *emails: str, **facts: Any) -> CustomerBooking:
    """A customer booking."""
    customer = Customer(
        source_id="organization:1",
        name=name,
        emails=emails,
        address=Address(street="Scheepskade 18", postal_code="9723 AB", city="Groningen", country="NL"),
        vat_number="NL800543210B01",
        chamber_of_commerce="80054321",
    )
    return CustomerBooking(customer=customer.model_copy(update=facts), administration=HOME)


EntryLine = tuple[str, str, str, str]
"""Ledger account, signed amount (debit above zero), description and cost centre."""
PAYROLL: tuple[EntryLine, ...] = (
    ("4000", "18250.00", "brutoloon", "10"),
    ("4999", "312.40", "thuiswerkvergoeding", "10"),
    ("1720", "-5210.15", "loonheffing", ""),
    ("1740", "-13352.25", "te betalen netto", ""),
)
"""The payroll journal of the dossier, 9.6."""


def payroll(*lines: EntryLine, day: date = date(2026, 2, 28), **facts: Any) -> EntryBooking:
    """A journal entry ready to be booked."""
    entry = JournalEntry(
        source_id="company:1/run:2", company="1", number="2026-02", date=day, year=day.year, period=day.month,
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
def box() -> MinoxSandbox:
    sandbox = MinoxSandbox()
    sandbox.books["tenants"]["41207"] = {"name": "Waterlelie", "password": "waterlelie", "administrations": {}}
    sandbox.add_administration(3, "Waterlelie Advies B.V.")
    sandbox.add_administration(4, "Waterlelie Uitgeverij B.V.")
    email = "administratie@houtwerf-noord.example"
    sandbox.add_customer(HOME, simple_debtor("Houtwerf Noord B.V.", email, "Scheepskade 18", "9723 AB", "Groningen"))
    return sandbox


Connect = Callable[..., AbstractAsyncContextManager[Http]]


@pytest.fixture
def connect(box: MinoxSandbox) -> Connect:
    """Opens a connection with a granted token, or with the secrets given."""

    def opened(secrets: Mapping[str, str] | None = None, **facts: Any) -> AbstractAsyncContextManager[Http]:
        granted = secrets or {"access_token": box.grant()[0]}
        client = {"client_id": "hub", "client_secret": "secret"}
        return connected(CONNECTOR, box, "/api/1", granted, oauth_client=client, **facts)

    return opened


@pytest.fixture
async def http(connect: Connect) -> AsyncIterator[Http]:
    async with connect() as client:
        yield client


@pytest.fixture
async def master(http: Http) -> Master:
    assert CONNECTOR.master is not None
    return await CONNECTOR.master(http, HOME)


@pytest.fixture
def settings() -> MinoxSettings:
    return MinoxSettings()
