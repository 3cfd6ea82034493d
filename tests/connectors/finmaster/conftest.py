"""A sandbox of FinMaster with a connection to it by key and one by file, and entries to book there."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.finmaster import CONNECTOR
from connectors.finmaster.sandbox import DEMO_TOKEN, FinmasterSandbox
from connectors.finmaster.settings import FinmasterSettings
from hub.accounting.booking import BookedEntryLine, EntryBooking
from hub.accounting.chart import Master
from hub.accounting.documents import EntryLine, JournalEntry
from hub.sdk.connector import Key
from hub.sdk.http import Http
from tests.connectors.support import connected

HOME = "GK2026"
BY_FILE, BY_KEY = 0, 1
TYPED = {"administration": HOME, "company": "Bakkerij De Gouden Korst B.V.", "tax_number": "712345099"}
MONTH: tuple[tuple[str, str, str, str, str], ...] = (
    ("40100", "8250.00", "0", "WIN", "Brutolonen"),
    ("40100", "12400.50", "0", "BAK", "Brutolonen"),
    ("40150", "660.00", "0", "WIN", "Vakantiegeld"),
    ("40150", "992.04", "0", "BAK", "Vakantiegeld"),
    ("40300", "1567.50", "0", "WIN", "Sociale lasten"),
    ("40300", "2356.10", "0", "BAK", "Sociale lasten"),
    ("40400", "1240.05", "0", "BAK", "Pensioenlasten"),
    ("15200", "0", "8123.60", "", "Af te dragen loonheffing"),
    ("15100", "0", "15830.47", "", "Te betalen nettolonen"),
    ("15300", "0", "1860.08", "", "Af te dragen pensioen"),
    ("15400", "0", "1652.04", "", "Reservering vakantiegeld"),
)
"""The bakery's month, on FinMaster's accounts (dossier 8.4)."""


def key(source_id: str = "91d5/0f6d", version: int = 1) -> Key:
    return Key("loket:7c1f", "journals", source_id, f"finmaster:{HOME}", version)


def booking(*lines: tuple[str, str, str, str, str], day: str = "2026-09-30", **facts: Any) -> EntryBooking:
    """An entry of the bakery; lines are (account, debit, credit, cost centre, description)."""
    used = lines or MONTH
    entry = JournalEntry(
        source_id="91d5/0f6d",
        company="91d5",
        number="2026-09 run 10",
        date=date.fromisoformat(day),
        year=2026,
        period=9,
        description="Loonjournaal 2026-09 run 10",
        currency="EUR",
        lines=tuple(EntryLine(account=one[0], account_name=one[4]) for one in used),
    )
    booked = tuple(
        BookedEntryLine(
            account=account, debit=Decimal(debit), credit=Decimal(credit), cost_centre=centre, description=words
        )
        for account, debit, credit, centre, words in used
    )
    return EntryBooking(
        entry=entry.model_copy(update=facts), administration=HOME, date=date.fromisoformat(day), lines=booked
    )


@pytest.fixture
def box() -> FinmasterSandbox:
    sandbox = FinmasterSandbox()
    sandbox.add_administration()
    return sandbox


@pytest.fixture
async def http(box: FinmasterSandbox) -> AsyncIterator[Http]:
    async with connected(CONNECTOR, box, "", {"token": DEMO_TOKEN}, way=BY_KEY) as client:
        yield client


@pytest.fixture
async def by_file(box: FinmasterSandbox) -> AsyncIterator[Http]:
    async with connected(CONNECTOR, box, "", {}, way=BY_FILE, fields=TYPED) as client:
        yield client


@pytest.fixture
async def master(http: Http) -> Master:
    assert CONNECTOR.master is not None
    return await CONNECTOR.master(http, HOME)


@pytest.fixture
def settings() -> FinmasterSettings:
    return FinmasterSettings()
