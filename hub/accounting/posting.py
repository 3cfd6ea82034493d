"""Debit and credit: the journal lines a booking comes down to, for people to look at before it is sent."""

from decimal import Decimal

from hub.accounting.booking import Booking, EntryBooking, PaymentBooking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Amount, Part
from hub.accounting.money import ZERO


class PostingLine(Part):
    """One line; exactly one side is above zero. `account` is empty for the package's own collective accounts."""

    account: str
    name: str = ""
    debit: Amount = ZERO
    credit: Amount = ZERO
    description: str = ""
    cost_centre: str = ""


Posting = tuple[PostingLine, ...]


def line(account: str, signed: Decimal, *, name: str = "", description: str = "", cost_centre: str = "") -> PostingLine:
    """A line from a signed amount: above zero is debit, below zero is credit."""
    return PostingLine(
        account=account,
        name=name,
        debit=max(signed, ZERO),
        credit=max(-signed, ZERO),
        description=description,
        cost_centre=cost_centre,
    )


def balances(posting: Posting) -> bool:
    """Debit equals credit, to the last digit."""
    return sum((one.debit - one.credit for one in posting), ZERO) == 0


def posting(booking: Booking, master: Master) -> Posting:
    """The lines of a booking. A sales invoice: the debtor, the revenue, then the VAT per percentage."""
    match booking:
        case SalesBooking():
            return _sales(booking, master)
        case EntryBooking():
            return tuple(
                line(
                    one.account,
                    one.debit - one.credit,
                    name=_name(master, one.account),
                    description=one.description,
                    cost_centre=one.cost_centre,
                )
                for one in booking.lines
            )
        case PaymentBooking():
            amount = booking.payment.amount
            return (
                line("", amount, name="payment", description=booking.payment.reference),
                line("", -amount, name="debtor", description=booking.payment.number),
            )
        case _:
            return ()


def _name(master: Master, account: str) -> str:
    known = master.by_number.get(account)
    return known.name if known else ""


def _sales(booking: SalesBooking, master: Master) -> Posting:
    invoice = booking.invoice
    lines = [line(booking.customer, invoice.total, name=invoice.customer.name, description=invoice.number)]
    vat: dict[tuple[str, str], Decimal] = {}
    for revenue in booking.lines:
        account = master.by_number.get(revenue.account)
        if revenue.net:
            lines.append(
                line(
                    revenue.account,
                    -revenue.net,
                    name=_name(master, revenue.account),
                    description=revenue.description,
                )
            )
        label = revenue.vat_class.label if revenue.vat_class else ""
        place = (account.vat_account if account else "", label)
        vat[place] = vat.get(place, ZERO) + revenue.vat
    lines.extend(line(number, -total, name=label, description="btw") for (number, label), total in vat.items() if total)
    return tuple(one for one in lines if one.debit or one.credit)
