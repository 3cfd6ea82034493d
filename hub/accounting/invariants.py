"""The laws every document keeps before it is sent: small named functions, each returning all it finds."""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from stdnum import iban

from hub.accounting.booking import Booking, CustomerBooking, EntryBooking, PaymentBooking, SalaryBooking, SalesBooking
from hub.accounting.documents import Finding
from hub.accounting.money import CENT, ZERO, cents

Check = Callable[[SalesBooking], Iterable[Finding]]


def lines_are_there(booking: SalesBooking) -> Iterable[Finding]:
    """An invoice has at least one line."""
    if not booking.lines:
        yield Finding(key="invoice_without_lines", values={"number": booking.invoice.number})


def totals_add_up(booking: SalesBooking) -> Iterable[Finding]:
    """Net + VAT = total, to the cent, as the source printed them."""
    invoice = booking.invoice
    difference = invoice.total - invoice.total_net - invoice.total_vat
    if difference:
        yield Finding(key="totals_differ", values=_amounts(invoice.total, invoice.total_net + invoice.total_vat))


def net_lines_add_up(booking: SalesBooking) -> Iterable[Finding]:
    """The lines' net amounts are the invoice's net total, to the cent: a difference is shown, never spread here."""
    total = sum((line.net for line in booking.lines), ZERO)
    if total != booking.invoice.total_net:
        yield Finding(key="net_lines_differ", values=_amounts(booking.invoice.total_net, total))


def vat_lines_add_up(booking: SalesBooking) -> Iterable[Finding]:
    """The lines' VAT is the invoice's VAT total, to the cent."""
    total = sum((line.vat for line in booking.lines), ZERO)
    if total != booking.invoice.total_vat:
        yield Finding(key="vat_lines_differ", values=_amounts(booking.invoice.total_vat, total))


def amounts_are_whole_cents(booking: SalesBooking) -> Iterable[Finding]:
    """No amount that is booked has a part of a cent."""
    invoice = booking.invoice
    for value in (invoice.total, *(line.net for line in booking.lines), *(line.vat for line in booking.lines)):
        if value != cents(value):
            yield Finding(key="part_of_a_cent", values={"amount": str(value)})
            return


def vat_fits_its_class(booking: SalesBooking) -> Iterable[Finding]:
    """Per VAT class the VAT is its percentage of the net, give or take a cent a line: rounding, nothing else."""
    groups: dict[str, list[Decimal]] = {}
    shown: dict[str, tuple[str, Decimal]] = {}
    for line in booking.lines:
        if line.vat_class is not None and line.vat_class.percentage is not None:
            sums = groups.setdefault(line.vat_class.id, [ZERO, ZERO, ZERO])
            sums[0] += line.net
            sums[1] += line.vat
            sums[2] += 1
            shown[line.vat_class.id] = (line.vat_class.label or line.vat_class.id, line.vat_class.percentage)
    for key, (net, vat, count) in groups.items():
        label, percentage = shown[key]
        expected = cents(net * percentage / 100)
        if abs(expected - vat) > CENT * count:
            yield Finding(key="vat_not_its_percentage", values={"vat_class": label, **_amounts(expected, vat)})


SALES: tuple[Check, ...] = (
    lines_are_there,
    totals_add_up,
    net_lines_add_up,
    vat_lines_add_up,
    amounts_are_whole_cents,
    vat_fits_its_class,
)
"""All laws of a sales invoice, in the order in which a human would check them."""


def entry_has_lines(booking: EntryBooking) -> Iterable[Finding]:
    """An entry has at least two lines."""
    if len(booking.lines) < 2:
        yield Finding(key="entry_without_lines", values={"number": booking.entry.number})


def entry_balances(booking: EntryBooking) -> Iterable[Finding]:
    """Debit is credit, to the last digit: a cent of difference is refused, never spread."""
    nothing = cents(ZERO)  # Two decimals at least, however the package spells whole euros.
    debit = sum((line.debit for line in booking.lines), nothing)
    credit = sum((line.credit for line in booking.lines), nothing)
    if debit != credit:
        values = {"debit": f"{debit:f}", "credit": f"{credit:f}", "difference": f"{debit - credit:f}"}
        yield Finding(key="entry_out_of_balance", values=values)


def entry_lines_have_one_side(booking: EntryBooking) -> Iterable[Finding]:
    """A line is either debit or credit, above zero, in whole cents."""
    for line in booking.lines:
        sides = (line.debit, line.credit)
        if min(sides) != 0 or max(sides) <= 0 or max(sides) != cents(max(sides)):
            values = {"account": line.account, "debit": f"{line.debit:f}", "credit": f"{line.credit:f}"}
            yield Finding(key="entry_line_wrong", values=values)


ENTRIES = (entry_has_lines, entry_balances, entry_lines_have_one_side)
"""All laws of a journal entry."""


def salaries_are_there(booking: SalaryBooking) -> Iterable[Finding]:
    """A batch has at least one order."""
    if not booking.batch.orders:
        yield Finding(key="salaries_empty", values={"number": booking.batch.number})


def salaries_add_up(booking: SalaryBooking) -> Iterable[Finding]:
    """The orders are the batch's total, to the cent."""
    total = sum((order.amount for order in booking.batch.orders), ZERO)
    if total != booking.batch.total:
        yield Finding(key="salaries_total_differs", values=_amounts(booking.batch.total, total))


def salaries_can_be_paid(booking: SalaryBooking) -> Iterable[Finding]:
    """Every order is in euro, above zero, in whole cents, to an IBAN that is one, under a reference of its own.

    People are named by the reference and the last four characters of the account: no more goes into a finding.
    """
    batch = booking.batch
    if batch.currency != "EUR":
        yield Finding(key="salaries_not_in_euro", values={"currency": batch.currency})
    times = Counter(order.reference for order in batch.orders)
    for reference in sorted(one for one, count in times.items() if count > 1):
        yield Finding(key="salary_reference_twice", values={"reference": reference})
    for order in batch.orders:
        values = {"reference": order.reference, "account": order.iban[-4:]}
        if not iban.is_valid(order.iban):
            yield Finding(key="salary_iban_wrong", values=values)
        if order.amount <= 0 or order.amount != cents(order.amount):
            yield Finding(key="salary_amount_wrong", values={**values, "amount": f"{order.amount:f}"})
    if batch.debtor_iban and not iban.is_valid(batch.debtor_iban):
        yield Finding(key="salaries_own_iban_wrong", values={"account": batch.debtor_iban[-4:]})


SALARIES = (salaries_are_there, salaries_add_up, salaries_can_be_paid)
"""All laws of a salary batch."""


def findings(booking: Booking) -> list[Finding]:
    """Everything that is wrong with a booking by the laws of bookkeeping alone."""
    match booking:
        case SalesBooking():
            return [finding for law in SALES for finding in law(booking)]
        case EntryBooking():
            return [finding for rule in ENTRIES for finding in rule(booking)]
        case SalaryBooking():
            return [finding for salary_law in SALARIES for finding in salary_law(booking)]
        case CustomerBooking():
            return []
        case PaymentBooking():
            return [Finding(key="payment_of_nothing", values={})] if booking.payment.amount == 0 else []


def _amounts(expected: Decimal, actual: Decimal) -> dict[str, str]:
    return {"expected": f"{expected:f}", "actual": f"{actual:f}", "difference": f"{actual - expected:f}"}
