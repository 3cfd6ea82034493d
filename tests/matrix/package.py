"""What the matrix must know of a package: how a customer gets in, what is booked from it, and where its books lie."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Totals = Mapping[str, Decimal]
"""Invoices by the digits of their number, each with its total including VAT; a credit note is negative."""
Balances = Mapping[str, Decimal]
"""One journal entry: by ledger account, debit less credit."""


WAGES: Mapping[str, str] = {
    "4000": "Brutolonen",
    "4010": "Vakantiegeld",
    "4050": "Sociale lasten",
    "1700": "Af te dragen loonheffing",
    "1710": "Te betalen nettolonen",
}
"""The accounts of a payroll, which stand in every target's chart."""
PAYROLLS: Mapping[int, tuple[tuple[str, str, str], ...]] = {
    1: (
        ("4000", "9100.00", "0"),
        ("4010", "728.00", "0"),
        ("4050", "1638.27", "0"),
        ("1700", "0", "3211.05"),
        ("1710", "0", "8255.22"),
    ),
    2: (
        ("4000", "9450.50", "0"),
        ("4010", "756.04", "0"),
        ("4000", "-100.00", "0"),
        ("1700", "0", "3300.00"),
        ("1710", "0", "6806.54"),
    ),
}
"""Journals of 2026 by month: (account, debit, credit); a negative value takes back a part."""


@dataclass(frozen=True)
class Package:
    """One package: `PACKAGE` in `tests/matrix/<name>.py`. A connector without one fails the matrix by name."""

    furnish: Callable[[Any], None]
    """Gives an emptied sandbox the books of a small company: as a source something to book, as a target room for it."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What the customer types before connecting."""
    login: Mapping[str, str] = field(default_factory=dict)
    """What the customer fills in at the consent page where the page does not propose it."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Settings that nobody can guess; all else keeps the defaults of the recipe."""
    journal: Mapping[str, str] = field(default_factory=dict)
    """As a target with a setting `journal`: its answer by flow."""
    words: Mapping[str, str] = field(default_factory=dict)
    """As a source: its own words for kinds of revenue that its invoices show without a ledger account -> the kind."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """As a target that posts by ledger account: the kind of revenue -> the account."""
    invoices: Callable[[Any], Totals] | None = None
    """As a source what must be booked, as a target what stands there. Raises AssertionError when one stands twice."""
    journals: Callable[[Any], list[Balances]] | None = None
    """The same for journal entries, in any order."""
    pay: Callable[[Any, str], Decimal] | None = None
    """As a target: somebody pays the invoice of these digits in full; gives how much."""
    paid: Callable[[Any], Totals] | None = None
    """As a source: what was written back as paid, by the digits of the invoice's number."""


def package(name: str) -> Package:
    """The facts of a connector. Raises AssertionError saying what to write where."""
    try:
        found: Package = importlib.import_module(f"tests.matrix.{name}").PACKAGE
    except ModuleNotFoundError:
        raise AssertionError(
            f"tests/matrix/{name}.py is missing: its PACKAGE says how {name} is entered and read"
        ) from None
    return found


def digits(number: object) -> str:
    """What every package keeps of an invoice's number."""
    return "".join(filter(str.isdigit, str(number)))


def balances(lines: Iterable[tuple[str, Decimal]]) -> Balances:
    """The lines of an entry (account, debit less credit) added up per account."""
    found: dict[str, Decimal] = {}
    for account, value in lines:
        found[account] = found.get(account, Decimal(0)) + value
    return found


def once(pairs: list[tuple[str, Decimal]]) -> Totals:
    """By number. Raises AssertionError when one stands there twice."""
    numbers = [number for number, _ in pairs]
    assert len(numbers) == len(set(numbers)), f"stands more than once: {sorted(numbers)}"
    return dict(pairs)
