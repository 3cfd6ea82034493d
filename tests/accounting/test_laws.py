"""The laws of bookkeeping, each broken once, and the postings they protect."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.accounting.booking import (
    BookedEntryLine,
    BookedLine,
    CustomerBooking,
    EntryBooking,
    PaymentBooking,
    SalesBooking,
)
from hub.accounting.chart import LedgerAccount, Master
from hub.accounting.documents import Customer, InvoiceLine, JournalEntry, PartyRef, Payment, SalesInvoice, VatClass
from hub.accounting.invariants import findings
from hub.accounting.money import bankers, cents, decimal
from hub.accounting.posting import balances, posting

HIGH = VatClass(id="vh", label="21% btw", percentage=Decimal(21))
LOW = VatClass(id="vl", label="9% btw", percentage=Decimal(9))
MASTER = Master(
    administration="3",
    accounts=(
        LedgerAccount(number="8000", name="Omzet advies", vat_account="1510"),
        LedgerAccount(number="0801", name="Omzet boeken", vat_account="1511"),
    ),
)


def sale(*lines: tuple[str, str, VatClass], total: str | None = None, net: str | None = None) -> SalesBooking:
    """A booking of (net, vat, class) lines; `total` and `net` break the header."""
    nets = sum((Decimal(line[0]) for line in lines), Decimal(0))
    vats = sum((Decimal(line[1]) for line in lines), Decimal(0))
    invoice = SalesInvoice(
        source_id="invoice:1",
        company="c",
        number="F1",
        date=date(2026, 3, 9),
        customer=PartyRef(source_id="o", name="Bakkerij"),
        currency="EUR",
        lines=tuple(InvoiceLine(net=Decimal(one), vat=Decimal(two), vat_class=kind) for one, two, kind in lines),
        total_net=Decimal(net) if net else nets,
        total_vat=vats,
        total=Decimal(total) if total else nets + vats,
    )
    booked = tuple(
        BookedLine(account="8000" if kind is HIGH else "0801", net=Decimal(one), vat=Decimal(two), vat_class=kind)
        for one, two, kind in lines
    )
    return SalesBooking(invoice=invoice, administration="3", date=invoice.date, customer="10001", lines=booked)


def entry(*lines: tuple[str, str]) -> EntryBooking:
    """An entry of (debit, credit) lines."""
    document = JournalEntry(
        source_id="run:1",
        company="c",
        number="L1",
        date=date(2026, 2, 28),
        year=2026,
        period=2,
        currency="EUR",
        lines=(),
    )
    booked = tuple(BookedEntryLine(account="0410", debit=Decimal(one), credit=Decimal(two)) for one, two in lines)
    return EntryBooking(entry=document, administration="3", date=document.date, lines=booked)


def keys(booking: SalesBooking | EntryBooking) -> set[str]:
    return {finding.key for finding in findings(booking)}


def test_a_right_invoice_has_no_finding() -> None:
    assert keys(sale(("100.00", "21.00", HIGH), ("50.00", "4.50", LOW))) == set()


@pytest.mark.parametrize(
    ("booking", "key"),
    [
        (sale(), "invoice_without_lines"),
        (sale(("100.00", "21.00", HIGH), total="121.01"), "totals_differ"),
        (sale(("100.00", "21.00", HIGH), net="100.01", total="121.01"), "net_lines_differ"),
        (sale(("100.005", "21.00", HIGH)), "part_of_a_cent"),
        (sale(("100.00", "20.00", HIGH)), "vat_not_its_percentage"),
    ],
)
def test_each_law_is_told_when_broken(booking: SalesBooking, key: str) -> None:
    assert key in keys(booking)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert {"totals_differ", "part_of_a_cent", "vat_not_its_percentage"} <= keys(
        sale(("100.005", "3.00", HIGH), total="5.00")
    )


def test_rounding_per_line_is_a_cent_a_line_and_no_more() -> None:
    assert keys(sale(("0.10", "0.03", HIGH), ("0.10", "0.03", HIGH))) == set()
    assert "vat_not_its_percentage" in keys(sale(("0.10", "0.05", HIGH)))


def test_an_entry_out_of_balance_by_a_cent_is_refused_with_the_difference() -> None:
    (finding,) = findings(entry(("100.00", "0"), ("0", "99.99")))
    assert (finding.key, finding.values["difference"]) == ("entry_out_of_balance", "0.01")
    finding, *_ = findings(entry(("100", "0"), ("0", "99.996")))
    assert list(finding.values.values()) == ["100.00", "99.996", "0.004"]


@pytest.mark.parametrize("line", [("10.00", "10.00"), ("-5.00", "0"), ("0", "0"), ("0.001", "0")])
def test_an_entry_line_has_one_side_above_zero_in_cents(line: tuple[str, str]) -> None:
    assert "entry_line_wrong" in keys(entry(line, (line[1], line[0])))


def test_a_payment_of_nothing_is_a_finding() -> None:
    payment = Payment(source_id="p", invoice="i", date=date(2026, 1, 1), amount=Decimal(0), currency="EUR")
    assert [one.key for one in findings(PaymentBooking(payment=payment, administration="3"))] == ["payment_of_nothing"]
    assert findings(CustomerBooking(customer=Customer(source_id="o", name="x"), administration="3")) == []


AMOUNTS = st.decimals(min_value="-99999", max_value="99999", places=2)


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from([HIGH, LOW])), min_size=1, max_size=20))
def test_every_posting_balances_and_knows_no_negative_side(lines: list[tuple[Decimal, VatClass]]) -> None:
    booked = [(str(net), str(cents(net * (kind.percentage or 0) / 100)), kind) for net, kind in lines]
    shown = posting(sale(*booked), MASTER)
    assert balances(shown)
    assert all(min(one.debit, one.credit) == 0 <= max(one.debit, one.credit) for one in shown)


def test_an_invoice_debits_the_debtor_and_a_credit_note_swaps_the_sides() -> None:
    debtor, revenue, vat = posting(sale(("100.00", "21.00", HIGH)), MASTER)
    assert (debtor.account, debtor.debit) == ("10001", Decimal("121.00"))
    assert (revenue.account, revenue.name, revenue.credit) == ("8000", "Omzet advies", Decimal("100.00"))
    assert (vat.account, vat.credit) == ("1510", Decimal("21.00"))
    debtor, revenue, vat = posting(sale(("-100.00", "-21.00", HIGH)), MASTER)
    assert (debtor.credit, revenue.debit, vat.debit) == (Decimal("121.00"), Decimal("100.00"), Decimal("21.00"))


def test_leading_zeros_of_an_account_survive() -> None:
    assert {one.account for one in posting(sale(("10.00", "0.90", LOW)), MASTER)} == {"10001", "0801", "1511"}


def test_a_fingerprint_hears_amounts_and_not_words_or_spellings() -> None:
    first = sale(("100.00", "21.00", HIGH)).invoice
    assert first.model_copy(update={"subject": "anders"}).fingerprint() == first.fingerprint()
    assert sale(("100.000000", "21.0", HIGH)).invoice.fingerprint() == first.fingerprint()
    assert sale(("100.01", "21.00", HIGH)).invoice.fingerprint() != first.fingerprint()
    assert first.model_copy(update={"date": date(2026, 3, 10)}).fingerprint() != first.fingerprint()


@pytest.mark.parametrize("value", [None, True, 1.5, "", "abc", "NaN", "Infinity", [], "1,50"])
def test_only_exact_numbers_are_money(value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        decimal(value)


def test_rounding_is_named() -> None:
    assert (cents(Decimal("280.125")), bankers(Decimal("280.125"))) == (Decimal("280.13"), Decimal("280.12"))
    assert decimal("12.500000") == Decimal("12.5")
