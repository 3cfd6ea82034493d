"""The rules for journal entries: accounts, cost centres, signs, sums and days, without any package."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.accounting import invariants
from hub.accounting.booking import BookedEntryLine, EntryBooking
from hub.accounting.chart import Journal, LedgerAccount, Master
from hub.accounting.documents import EntryLine, Finding, JournalEntry, Label
from hub.accounting.posting import posting
from hub.engine import entry_rules
from hub.engine.rules import NO_ACCOUNT
from hub.engine.settings import CombiSettings

D = Decimal
MASTER = Master(
    administration="3",
    name="Waterlelie B.V.",
    accounts=(
        LedgerAccount(number="4000", name="Bruto lonen"),
        LedgerAccount(number="0170", name="Netto lonen", takes_cost_centre=False),
        LedgerAccount(number="170", name="Iets anders"),
        LedgerAccount(number="4010", name="Sociale lasten", needs_cost_centre=True),
        LedgerAccount(number="4020", name="Oud", blocked=True),
        LedgerAccount(number="1999", name="Tussenrekening lonen"),
    ),
    cost_centres=(Journal(id="100", name="Bediening"), Journal(id="007", name="Keuken")),
)


def line(
    account: str, debit: str = "0", credit: str = "0", name: str = "", centre: str = "", **facts: Any
) -> EntryLine:
    """A line; `centre` is `100` or `100 Bediening`."""
    code, _, label = centre.partition(" ")
    place = Label(id=code, label=label) if code else None
    return EntryLine(account=account, account_name=name, debit=D(debit), credit=D(credit), cost_centre=place, **facts)


def entry(*lines: EntryLine, day: str = "2026-02-20") -> JournalEntry:
    """An entry of these lines."""
    return JournalEntry(
        source_id="512:1", company="512", number="2026-02 run 1", date=date.fromisoformat(day), year=2026, period=2,
        currency="EUR", lines=lines,
    )  # fmt: skip


def booked(
    *lines: EntryLine, accounts: dict[str, str] | None = None, centres: dict[str, str] | None = None, **settings: Any
) -> tuple[list[tuple[str, str, str, str]], list[Finding]]:
    """(account, debit, credit, cost centre) of every line, and the findings."""
    tables = {"ledger_accounts": accounts or {}, "cost_centres": centres or {}}
    made, findings = entry_rules.book_entry(entry(*lines), CombiSettings(**settings), tables, MASTER)
    return [(one.account, f"{one.debit:f}", f"{one.credit:f}", one.cost_centre) for one in made], findings


def test_leading_zeros_make_another_account() -> None:
    assert booked(line("0170", "5"), line("170", "6")) == ([("0170", "5", "0", ""), ("170", "6", "0", "")], [])


def test_negative_values_change_sides_and_zero_lines_fall_away() -> None:
    lines, findings = booked(line("4000", "-5"), line("4000", credit="-7.50"), line("4999", "0.00"), line("4000"))
    assert lines == [("4000", "0", "5", ""), ("4000", "7.50", "0", "")]
    assert findings == []


def test_a_line_with_both_sides_stays_two() -> None:
    assert booked(line("4000", "5", "3"))[0] == [("4000", "5", "0", ""), ("4000", "0", "3", "")]


def test_own_chart_takes_the_same_code_and_a_table_entry_goes_first() -> None:
    lines, findings = booked(line("4000", "5"), line("4999", "1"), accounts={"4999": "1999", "4000": "4000 Bruto"})
    assert ([one[0] for one in lines], findings) == (["4000", "1999"], [])


def test_unknown_and_blocked_accounts_are_one_finding_and_never_the_fallback() -> None:
    lines, (finding,) = booked(
        line("4999", "1", name="Pensioen"), line("4020", "1", name="Oud"), line("4999", "2", name="Pensioen"),
        fallback_account="1999",
    )  # fmt: skip
    assert [one[0] for one in lines] == [NO_ACCOUNT] * 3
    assert (finding.key, finding.field) == ("accounts_unknown", "ledger_accounts")
    assert finding.values == {"accounts": "4999 Pensioen; 4020 Oud", "administration": "Waterlelie B.V."}


def test_the_fallback_is_for_lines_without_account() -> None:
    assert booked(line("", "1", name="Bonus"), fallback_account="1999 Tussenrekening")[0] == [("1999", "1", "0", "")]
    _, (finding,) = booked(line("", "1", name="Bonus"), line("", "1", description="Fiets"))
    assert (finding.key, finding.values["lines"]) == ("lines_without_account", "Bonus; Fiets")
    _, (finding,) = booked(line("", "1"), line("", "2"), fallback_account="1998")
    assert (finding.key, finding.values["account"]) == ("fallback_account_unknown", "1998")


def test_a_wage_component_without_account_can_be_mapped_by_its_name() -> None:
    lines, findings = booked(line("", "1", name="Bonus"), accounts={"Bonus": "4000"}, fallback_account="1999")
    assert ([one[0] for one in lines], findings) == (["4000"], [])


def test_transposing_takes_nothing_but_the_table() -> None:
    lines, (finding,) = booked(
        line("4000", "1", name="Loon"), line("0170", "1"), accounts={"0170": "170"}, account_mode="transpose"
    )
    assert [one[0] for one in lines] == [NO_ACCOUNT, "170"]
    assert (finding.key, finding.values["accounts"]) == ("accounts_not_in_table", "4000 Loon")
    _, (finding,) = booked(line("4000", "1"), accounts={"4000": "9"}, account_mode="transpose")
    assert (finding.key, finding.values["accounts"]) == ("accounts_unknown", "4000 → 9")


def test_cost_centres_go_along_by_code_and_are_dropped_where_the_account_takes_none() -> None:
    lines, findings = booked(line("4000", "1", centre="007 Keuken"), line("0170", "1", centre="999"))
    assert ([one[3] for one in lines], findings) == (["007", ""], [])


def test_unknown_cost_centres_are_one_finding() -> None:
    _, (finding,) = booked(line("4000", "1", centre="7 Keuken"), line("4000", "1", centre="8"))
    assert (finding.key, finding.values["cost_centres"]) == ("cost_centres_unknown", "7 Keuken; 8")


def test_cost_centres_by_table_alone() -> None:
    lines, (finding,) = booked(
        line("4000", "1", centre="7"), line("4000", "1", centre="100"), centres={"7": "007"}, cost_centre_mode="table"
    )
    assert [one[3] for one in lines] == ["007", ""]
    assert (finding.key, finding.values["cost_centres"]) == ("cost_centres_not_in_table", "100")


def test_the_default_cost_centre_is_for_lines_without_one() -> None:
    lines, findings = booked(line("4000", "1"), line("0170", "1"), default_cost_centre="100 Bediening")
    assert ([one[3] for one in lines], findings) == (["100", ""], [])
    lines, _ = booked(line("4000", "1", centre="999"), cost_centre_mode="none", default_cost_centre="100")
    assert [one[3] for one in lines] == ["100"]
    _, (finding,) = booked(line("4000", "1"), default_cost_centre="999")
    assert finding.key == "default_cost_centre_unknown"


def test_an_account_that_needs_a_cost_centre_and_gets_none_is_a_finding() -> None:
    _, (finding,) = booked(line("4010", "1"), line("4010", "2"), line("4000", "1"))
    assert (finding.key, finding.values["accounts"]) == ("accounts_need_cost_centre", "4010 Sociale lasten")
    assert booked(line("4010", "1", centre="100"))[1] == []


def test_lines_are_added_up_per_account_cost_centre_and_side() -> None:
    lines, _ = booked(
        line("4000", "1", centre="100"), line("4000", "2", centre="100"), line("4000", "4", centre="007"),
        line("4000", credit="8", centre="100"), merge_lines=True,
    )  # fmt: skip
    assert lines == [("4000", "3", "0", "100"), ("4000", "4", "0", "007"), ("4000", "0", "8", "100")]


def test_a_cent_out_of_balance_is_refused_with_the_difference() -> None:
    document = entry(line("4000", "10.00"), line("0170", credit="9.99"))
    made, _ = entry_rules.book_entry(document, CombiSettings(), {}, MASTER)
    booking = EntryBooking(entry=document, administration="3", date=document.date, lines=made)
    (finding,) = invariants.findings(booking)
    assert (finding.key, finding.values["difference"]) == ("entry_out_of_balance", "0.01")


def test_a_posting_shows_cost_centres_and_names() -> None:
    document = entry(line("4000", "10", centre="100"), line("0170", credit="10"))
    made, _ = entry_rules.book_entry(document, CombiSettings(), {}, MASTER)
    shown = posting(EntryBooking(entry=document, administration="3", date=document.date, lines=made), MASTER)
    assert [(one.account, one.name, one.debit, one.credit, one.cost_centre) for one in shown] == [
        ("4000", "Bruto lonen", D(10), D(0), "100"),
        ("0170", "Netto lonen", D(0), D(10), ""),
    ]


@pytest.mark.parametrize(
    ("choice", "closed", "day"),
    [
        ("source", None, "2026-02-20"),
        ("end_of_month", None, "2026-02-28"),
        ("end_of_month", "2026-02-27", "2026-02-28"),
        ("today", "2026-02-28", "2026-03-02"),
        ("next_open_period", "2026-02-28", "2026-03-01"),
        ("next_open_period", "2026-01-31", "2026-02-20"),
        ("source", "2026-02-20", None),
    ],
)
def test_the_booking_date(choice: str, closed: str | None, day: str | None) -> None:
    settings = CombiSettings(journal_date=choice, closed_until=date.fromisoformat(closed) if closed else None)
    found = entry_rules.entry_date(date(2026, 2, 20), settings, date(2026, 3, 2))
    if day is None:
        assert isinstance(found, Finding)
        assert (found.key, found.field) == ("period_closed", "journal_date")
    else:
        assert found == date.fromisoformat(day)


def test_the_gaps_of_many_entries_are_joined() -> None:
    one = Finding(key="accounts_unknown", values={"accounts": "1; 2", "administration": "A"}, field="ledger_accounts")
    two = Finding(key="accounts_unknown", values={"accounts": "2; 3", "administration": "A"}, field="ledger_accounts")
    other = Finding(key="accounts_unknown", values={"accounts": "2", "administration": "B"}, field="ledger_accounts")
    closed = Finding(key="period_closed", values={"date": "2026-01-01"})
    found = entry_rules.joined([one, closed, two, other, closed])
    assert [dict(each.values) for each in found] == [
        {"accounts": "1; 2; 3", "administration": "A"},
        {"accounts": "2", "administration": "B"},
        {"date": "2026-01-01"},
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["4000", "0170", "170", "4010"]),
            st.integers(-(10**6), 10**6),
            st.integers(-(10**6), 10**6),
            st.sampled_from(["", "100", "007"]),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_the_signs_the_sums_are_the_sources(made: list[tuple[str, int, int, str]], merge: bool) -> None:
    lines = [line(account, str(D(debit) / 100), str(D(credit) / 100), centre=at) for account, debit, credit, at in made]
    document = entry(*lines)
    booked_lines, _ = entry_rules.book_entry(document, CombiSettings(merge_lines=merge), {}, MASTER)
    debit = sum((one.debit for one in booked_lines), D(0))
    credit = sum((one.credit for one in booked_lines), D(0))
    assert debit == document.amount
    assert debit - credit == sum((one.debit - one.credit for one in lines), D(0))
    assert all(min(one.debit, one.credit) == 0 < max(one.debit, one.credit) for one in booked_lines)
    assert all(isinstance(one, BookedEntryLine) for one in booked_lines)
