"""The customer's conventions as named rules: a rule proposes, the target's chart of accounts disposes."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from hub.accounting.booking import BookedLine
from hub.accounting.chart import Master
from hub.accounting.documents import Finding, InvoiceLine, SalesInvoice
from hub.engine.settings import CombiSettings, leading_code
from hub.sdk.settings import Settings

Table = Mapping[str, str]
OwnAccount = Callable[[InvoiceLine, Master, Settings], str]


def _by_leading_code(line: InvoiceLine) -> str:
    return leading_code(line.revenue_group.label) if line.revenue_group else ""


def _by_same_code(line: InvoiceLine) -> str:
    return line.revenue_group.label.strip() if line.revenue_group else ""


def _by_nothing(_: InvoiceLine) -> str:
    return ""


RULES: Mapping[str, Callable[[InvoiceLine], str]] = {
    "leading_code": _by_leading_code,
    "same_code": _by_same_code,
    "table": _by_nothing,
    "fixed": _by_nothing,
}
"""How a revenue group proposes a ledger account, by the setting's name. `table` and `fixed` propose nothing."""

NO_ACCOUNT = "?"
"""Stands for the account of a line that has none yet, so that all else can be checked too, and of one that the package
chooses itself."""


def words_of(line: InvoiceLine) -> tuple[str, ...]:
    """How a line may be named in the mapping table, the most precise first: group with VAT class, then the group."""
    group = line.revenue_group
    names = [name for name in (group.label, group.id) if name] if group else ["-"]
    vat = line.vat_class
    precise = [f"{name} / {word}" for name in names for word in ((vat.label, vat.id) if vat else ()) if word]
    return (*precise, *names)


def account_of(
    line: InvoiceLine, settings: CombiSettings, table: Table, master: Master, own: OwnAccount | None = None
) -> str | Finding:
    """The ledger account of a line: table, then rule, then default; whichever the chart confirms first.

    `own` is how the package chooses accounts itself, for lines to which the customer's conventions give none.
    """
    for words in words_of(line):
        if words in table:
            account = leading_code(table[words]) or table[words]
            return account if _confirmed(account, master) else _unknown(account, line, field="ledger_accounts")
    proposed = RULES[settings.revenue_account](line)
    if proposed and _confirmed(proposed, master):
        return proposed
    fallback = leading_code(settings.default_revenue_account) or settings.default_revenue_account.strip()
    if fallback:
        if _confirmed(fallback, master):
            return fallback
        return Finding(
            key="default_account_unknown",
            values={"account": fallback, "administration": master.name or master.administration},
            field="default_revenue_account",
        )
    if own is not None:
        return own(line, master, settings) or NO_ACCOUNT
    if proposed:
        return _unknown(proposed, line, field="ledger_accounts")
    label = line.revenue_group.label if line.revenue_group else ""
    return Finding(key="no_account", values={"revenue_group": label, "line": line.description}, field="ledger_accounts")


def book_lines(
    invoice: SalesInvoice, settings: CombiSettings, table: Table, master: Master, own: OwnAccount | None = None
) -> tuple[tuple[BookedLine, ...], list[Finding]]:
    """Every line with its account (`NO_ACCOUNT` where there is none), and every finding, each named once."""
    lines: list[BookedLine] = []
    findings: list[Finding] = []
    for line in invoice.lines:
        account = account_of(line, settings, table, master, own)
        if isinstance(account, Finding):
            if account not in findings:
                findings.append(account)
            account = NO_ACCOUNT
        lines.append(
            BookedLine(
                account=account,
                net=line.net,
                vat=line.vat,
                vat_class=line.vat_class,
                description=line.description,
                cost_centre=line.cost_centre,
            )
        )
    return tuple(lines), findings


def booking_date(invoice_date: date, settings: CombiSettings, today: date) -> date | Finding:
    """On which day a document is booked; a finding when the customer closed that day."""
    closed = settings.closed_until
    match settings.booking_date:
        case "today":
            day = today
        case "next_open_period":
            day = max(invoice_date, closed + timedelta(days=1)) if closed else invoice_date
        case _:
            day = invoice_date
    if closed and day <= closed:
        return Finding(
            key="period_closed",
            values={"date": day.isoformat(), "closed_until": closed.isoformat()},
            field="booking_date",
        )
    return day


def _confirmed(account: str, master: Master) -> bool:
    return master.accounts is None or master.account(account) is not None


def _unknown(account: str, line: InvoiceLine, *, field: str) -> Finding:
    label = line.revenue_group.label if line.revenue_group else ""
    return Finding(key="account_unknown", values={"account": account, "revenue_group": label}, field=field)
