"""A document with every question answered: on which accounts, on which day, for which administration."""

from datetime import date as Day  # noqa: N812 - `date` is a field's name
from decimal import Decimal

from hub.accounting.documents import (
    Amount,
    Customer,
    JournalEntry,
    Label,
    Part,
    Payment,
    SalaryBatch,
    SalesInvoice,
    Text,
    VatClass,
)


class BookedLine(Part):
    """One revenue line. Signs as on the invoice; `account` is confirmed by the target's chart."""

    account: Text
    net: Amount
    vat: Amount
    vat_class: VatClass | None = None
    description: str = ""
    cost_centre: Label | None = None


class SalesBooking(Part):
    """A sales invoice ready to be booked. `customer` is the target's own reference of the debtor."""

    invoice: SalesInvoice
    administration: Text
    date: Day
    customer: Text
    lines: tuple[BookedLine, ...]


class CustomerBooking(Part):
    """A customer ready to be created or updated in one administration."""

    customer: Customer
    administration: Text


class PaymentBooking(Part):
    """A payment ready to be written to the package that made the invoice."""

    payment: Payment
    administration: Text
    """Where the payment was seen."""


class BookedEntryLine(Part):
    """One line of an entry on an account that the target's chart confirmed. One side is above zero, the other zero."""

    account: Text
    debit: Amount = Decimal(0)
    credit: Amount = Decimal(0)
    description: str = ""
    cost_centre: str = ""


class EntryBooking(Part):
    """A journal entry ready to be booked: lines that balance, in one fiscal period."""

    entry: JournalEntry
    administration: Text
    date: Day
    lines: tuple[BookedEntryLine, ...]


class SalaryBooking(Part):
    """A salary batch ready to be offered. `date` is the day of payment that is asked for: never in the past."""

    batch: SalaryBatch
    administration: Text
    date: Day


Booking = SalesBooking | CustomerBooking | PaymentBooking | EntryBooking | SalaryBooking
