"""A document with every question answered: on which accounts, on which day, for which administration."""

from datetime import date as Day  # noqa: N812 - `date` is a field's name

from hub.accounting.documents import Amount, Customer, Label, Part, Payment, SalesInvoice, Text, VatClass


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


Booking = SalesBooking | CustomerBooking | PaymentBooking
