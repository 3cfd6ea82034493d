"""A sandbox of e-Boekhouden.nl with a connection to it, and bookings to send there."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.eboekhouden import CONNECTOR
from connectors.eboekhouden.sandbox import DEMO_TOKEN, EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.booking import BookedEntryLine, BookedLine, CustomerBooking, EntryBooking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import (
    Address,
    Customer,
    JournalEntry,
    Label,
    PartyRef,
    SalesInvoice,
    VatClass,
    VatTreatment,
)
from hub.sdk.connector import Key
from hub.sdk.http import Http
from tests.connectors.support import connected

HOME = "51900003"
"""The id of the sandbox's first debtor ledger."""
HIGH = VatClass(id="21", label="21% btw", percentage=Decimal(21), treatment=VatTreatment.standard)
LOW = VatClass(id="9", label="9% btw", percentage=Decimal(9), treatment=VatTreatment.standard)
ICP = VatClass(id="icp", label="ICP", percentage=Decimal(0), treatment=VatTreatment.icp)
Line = tuple[str, str, str, VatClass | None]
"""Ledger account, net, VAT and class."""


def key(source_id: str, stream: str = "invoices") -> Key:
    return Key("simplicate:waterlinie", stream, source_id, f"eboekhouden:{HOME}")


def sale(*lines: Line, number: str = "F2026-0143", customer: str = "0", **facts: Any) -> SalesBooking:
    """A sales booking whose totals are those of its lines."""
    centre = facts.pop("cost_centre", None)
    booked = tuple(
        BookedLine(
            account=account,
            net=Decimal(net),
            vat=Decimal(vat),
            vat_class=kind,
            description="Advies maart",
            cost_centre=Label(id="c1", label=centre) if centre else None,
        )
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
    ("4000", "18250.00", "Brutolonen winkel", "Kantoor"),
    ("4000", "6400.00", "Brutolonen bakkerij", "20"),
    ("4010", "4312.75", "Sociale lasten werkgever", ""),
    ("1710", "-9871.20", "Af te dragen loonheffing", ""),
    ("1720", "-1680.40", "Pensioenpremie", ""),
    ("1700", "-17411.15", "Te betalen nettolonen", ""),
)
"""The payroll journal of the dossier, 10.2."""


def payroll(*lines: EntryLine, day: date = date(2026, 3, 31), **facts: Any) -> EntryBooking:
    """A journal entry ready to be booked."""
    entry = JournalEntry(
        source_id="company:1/run:481516", company="1", number="2026-03 run 481516", date=day, year=day.year,
        period=day.month, description="Loonjournaal", currency="EUR", lines=(),
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
def box() -> EboekhoudenSandbox:
    sandbox = EboekhoudenSandbox()
    home = sandbox.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
    sandbox.add_cost_centre(home, "Kantoor")
    sandbox.add_cost_centre(home, "20 Buitendienst")
    return sandbox


@pytest.fixture
def relation(box: EboekhoudenSandbox) -> str:
    """A relation that was there before us."""
    email = "administratie@houtwerf-noord.example"
    return str(box.add_relation(box.administration(), name="Houtwerf Noord B.V.", emailAddress=email)["id"])


Connect = Callable[..., AbstractAsyncContextManager[Http]]


@pytest.fixture
def connect(box: EboekhoudenSandbox) -> Connect:
    """Opens a connection with a fresh session."""

    def opened(**facts: Any) -> AbstractAsyncContextManager[Http]:
        return connected(CONNECTOR, box, "/v1", {"session_token": box.open()}, **facts)

    return opened


@pytest.fixture
async def http(connect: Connect) -> AsyncIterator[Http]:
    async with connect(fields={"tenant": HOME}) as client:
        yield client


@pytest.fixture
async def master(http: Http) -> Master:
    assert CONNECTOR.master is not None
    return await CONNECTOR.master(http, HOME)


@pytest.fixture
def settings() -> EboekhoudenSettings:
    return EboekhoudenSettings()
