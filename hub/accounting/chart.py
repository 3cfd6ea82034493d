"""What an administration allows: its ledger accounts, journals, fiscal years and the rest of its master data."""

from collections.abc import Mapping
from datetime import date
from functools import cached_property

from hub.accounting.documents import Amount, Part, Text


class LedgerAccount(Part):
    """A ledger account. `number` is text: leading zeros count."""

    number: Text
    name: str = ""
    blocked: bool = False
    vat_known: bool = False
    """True when the package says how VAT is set up on this account; then `vat_percentage` None means: no VAT."""
    vat_percentage: Amount | None = None
    vat_account: str = ""
    """Where the package posts this account's VAT; empty when it does not say."""
    needs_cost_centre: bool = False
    takes_cost_centre: bool = True
    """False: the package refuses a cost centre on this account."""


class Journal(Part):
    """A journal (dagboek); `kind` is the package's own word and may be empty."""

    id: Text
    name: str = ""
    kind: str = ""


class FiscalYear(Part):
    """A fiscal year, both days included, with the number of periods it is divided in."""

    year: int
    start: date
    end: date
    periods: int = 12


class Master(Part):
    """The master data of one administration, as read at one moment. None: the package does not list it."""

    administration: Text
    name: str = ""
    currency: str = "EUR"
    accounts: tuple[LedgerAccount, ...] | None = None
    journals: tuple[Journal, ...] | None = None
    fiscal_years: tuple[FiscalYear, ...] | None = None
    cost_centres: tuple[Journal, ...] | None = None
    extra: Mapping[str, str] = {}
    """Facts that only the connector itself reads back, by name."""

    @cached_property
    def by_number(self) -> Mapping[str, LedgerAccount]:
        """Ledger accounts by number."""
        return {account.number: account for account in self.accounts or ()}

    def account(self, number: str) -> LedgerAccount | None:
        """The account with this number that can be booked on, or None."""
        account = self.by_number.get(number)
        return None if account is None or account.blocked else account

    def fiscal_year(self, day: date) -> FiscalYear | None:
        """The fiscal year that holds this day, or None."""
        return next((year for year in self.fiscal_years or () if year.start <= day <= year.end), None)
