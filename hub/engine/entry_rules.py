"""The customer's conventions for journal entries: whose account, whose cost centre, on which day.

A rule proposes, the target's chart of accounts disposes. Everything an entry lacks is gathered, so that each kind of
gap is one finding that names it all in the customer's own words.
"""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from hub.accounting.booking import BookedEntryLine
from hub.accounting.chart import LedgerAccount, Master
from hub.accounting.documents import EntryLine, Finding, JournalEntry, Label, SalaryBatch
from hub.accounting.money import ZERO
from hub.engine.rules import NO_ACCOUNT
from hub.engine.settings import CombiSettings, leading_code

Table = Mapping[str, str]
SEPARATOR = "; "
"""Between the accounts that one finding names."""
NAMELESS = "-"
"""How the mapping table may name a line without account, when its wage component has no name either."""


@dataclass(frozen=True)
class Proposal:
    """What a rule makes of a word of the source: a code of the target and where it comes from.

    `origin`: `table`, `same_code`, `fallback` (the setting for lines without one), or `none`.
    """

    code: str
    origin: str
    known: bool


@dataclass
class Gaps:
    """What an entry's lines lack, per kind, each named once."""

    found: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, kind: str, words: str) -> None:
        """One more of this kind."""
        self.found.setdefault(kind, {})[words.replace(SEPARATOR.strip(), ",")] = None

    def findings(self, master: Master) -> list[Finding]:
        """One finding per kind, in a fixed order."""
        where = master.name or master.administration
        return [
            Finding(key=kind, values={name: SEPARATOR.join(self.found[kind]), "administration": where}, field=place)
            for kind, (name, place) in KINDS.items()
            if kind in self.found
        ]


KINDS: Mapping[str, tuple[str, str]] = {
    "accounts_unknown": ("accounts", "ledger_accounts"),
    "accounts_not_in_table": ("accounts", "ledger_accounts"),
    "lines_without_account": ("lines", "fallback_account"),
    "fallback_account_unknown": ("account", "fallback_account"),
    "cost_centres_unknown": ("cost_centres", "cost_centres"),
    "cost_centres_not_in_table": ("cost_centres", "cost_centres"),
    "default_cost_centre_unknown": ("cost_centre", "default_cost_centre"),
    "accounts_need_cost_centre": ("accounts", "default_cost_centre"),
}
"""Every kind of gap: the finding's value that names them, and the setting or table that fills it."""


def book_entry(
    entry: JournalEntry, settings: CombiSettings, tables: Mapping[str, Table], master: Master
) -> tuple[tuple[BookedEntryLine, ...], list[Finding]]:
    """Every line that amounts to something on its account (`NO_ACCOUNT` where there is none), and every finding."""
    gaps = Gaps()
    lines: list[BookedEntryLine] = []
    for line in entry.lines:
        if not line.sides:
            continue
        account = _account(line, settings, tables.get("ledger_accounts", {}), master, gaps)
        cost_centre = _cost_centre(line, account, settings, tables.get("cost_centres", {}), master, gaps)
        lines.extend(
            BookedEntryLine(
                account=account,
                debit=debit,
                credit=credit,
                description=line.description or line.account_name,
                cost_centre=cost_centre,
            )
            for debit, credit in line.sides
        )
    return (merged(lines) if settings.merge_lines else tuple(lines)), gaps.findings(master)


def account_words(account: str, name: str) -> str:
    """An account as the customer knows it: `4000 Bruto lonen`."""
    return " ".join(part for part in (account, name) if part)


def centre_words(centre: Label) -> str:
    """A cost centre as the customer knows it: `100 Bediening`."""
    return centre.label if centre.label.startswith(centre.id) else account_words(centre.id, centre.label)


def propose_account(line: EntryLine, settings: CombiSettings, table: Table, master: Master) -> Proposal:
    """The target's account of a line: table, then the same code, or the fallback for a line without account."""
    named = (line.account, account_words(line.account, line.account_name))
    for words in named if line.account else (line.account_name, NAMELESS):
        if words and words in table:
            code = code_of(table[words], master)
            return Proposal(code, "table", account_stands(code, master))
    if not line.account:
        fallback = code_of(settings.fallback_account, master)
        return Proposal(
            fallback, "fallback" if fallback else "none", bool(fallback) and account_stands(fallback, master)
        )
    if settings.account_mode == "transpose":
        return Proposal("", "none", known=False)
    return Proposal(line.account, "same_code", account_stands(line.account, master))


def propose_centre(centre: Label | None, settings: CombiSettings, table: Table, master: Master) -> Proposal:
    """The target's cost centre: table, then the same code, or the default for a line that has none."""
    if centre is None or settings.cost_centre_mode == "none":
        default = centre_code(settings.default_cost_centre, master)
        return Proposal(default, "fallback" if default else "none", bool(default) and centre_stands(default, master))
    for words in (centre.id, centre_words(centre), centre.label):
        if words and words in table:
            code = centre_code(table[words], master)
            return Proposal(code, "table", centre_stands(code, master))
    if settings.cost_centre_mode == "table":
        return Proposal("", "none", known=False)
    for code in (centre.id, leading_code(centre.label), centre.label):
        if code and centre_stands(code, master):
            return Proposal(code, "same_code", known=True)
    return Proposal(centre.id, "same_code", known=False)


def merged(lines: Iterable[BookedEntryLine]) -> tuple[BookedEntryLine, ...]:
    """One line per account, cost centre and side, in order of first appearance; unequal descriptions fall away."""
    sums: dict[tuple[str, str, bool], list[BookedEntryLine]] = {}
    for line in lines:
        sums.setdefault((line.account, line.cost_centre, line.debit > 0), []).append(line)
    return tuple(
        group[0].model_copy(
            update={
                "debit": sum((one.debit for one in group), Decimal(0)),
                "credit": sum((one.credit for one in group), Decimal(0)),
                "description": group[0].description if len({one.description for one in group}) == 1 else "",
            }
        )
        for group in sums.values()
    )


def entry_date(day: date, settings: CombiSettings, today: date) -> date | Finding:
    """On which day an entry is booked; a finding when the customer closed that day."""
    closed = settings.closed_until
    match settings.journal_date:
        case "end_of_month":
            day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
        case "today":
            day = today
        case "next_open_period":
            day = max(day, closed + timedelta(days=1)) if closed else day
    if closed and day <= closed:
        values = {"date": day.isoformat(), "closed_until": closed.isoformat()}
        return Finding(key="period_closed", values=values, field="journal_date")
    return day


def code_of(text: str, master: Master) -> str:
    """The account that a setting or table names: `4999` or `4999 Tussenrekening lonen`."""
    stripped = text.strip()
    return stripped if stripped in master.by_number else leading_code(stripped) or stripped


def centre_code(text: str, master: Master) -> str:
    """The cost centre that a setting or table names: `100` or `100 Bediening`."""
    stripped = text.strip()
    codes = {one.id for one in master.cost_centres or ()}
    first = stripped.split(maxsplit=1)[0] if stripped else ""
    return first if stripped not in codes and first in codes else stripped


def joined(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of many documents, the same gaps of one administration in one finding, and each cause once."""
    gathered: dict[tuple[str, str], tuple[Finding, dict[str, None]]] = {}
    others: list[Finding] = []
    for one in findings:
        if one.key not in KINDS:
            others.append(one)
            continue
        name = KINDS[one.key][0]
        _, words = gathered.setdefault((one.key, one.values.get("administration", "")), (one, {}))
        words.update(dict.fromkeys(one.values[name].split(SEPARATOR)))
    together = [
        one.model_copy(update={"values": {**one.values, KINDS[one.key][0]: SEPARATOR.join(words)}})
        for one, words in gathered.values()
    ]
    causes: dict[tuple[object, ...], Finding] = {}
    for one in others:
        causes.setdefault(_cause(one), one)
    return [*together, *causes.values()]


def _cause(one: Finding) -> tuple[object, ...]:
    """What a choice in the settings or in a table solves at once, whichever line it is said of."""
    values = ((name, value) for name, value in one.values.items() if one.field is None or name != "line")
    return one.key, one.field, *sorted(values)


def _account(line: EntryLine, settings: CombiSettings, table: Table, master: Master, gaps: Gaps) -> str:
    proposal = propose_account(line, settings, table, master)
    if proposal.known:
        return proposal.code
    words = account_words(line.account, line.account_name)
    match proposal.origin:
        case "fallback":
            gaps.add("fallback_account_unknown", proposal.code)
        case "table":
            gaps.add("accounts_unknown", f"{words or line.description} → {proposal.code}")
        case "same_code":
            gaps.add("accounts_unknown", words)
        case _ if line.account:
            gaps.add("accounts_not_in_table", words)
        case _:
            gaps.add("lines_without_account", line.account_name or line.description or NAMELESS)
    return NO_ACCOUNT


def _cost_centre(
    line: EntryLine, account: str, settings: CombiSettings, table: Table, master: Master, gaps: Gaps
) -> str:
    stands: LedgerAccount | None = master.account(account)
    if stands is not None and not stands.takes_cost_centre:
        return ""
    proposal = propose_centre(line.cost_centre, settings, table, master)
    if proposal.known:
        return proposal.code
    match proposal.origin:
        case "fallback":
            gaps.add("default_cost_centre_unknown", proposal.code)
        case "table" if line.cost_centre:
            gaps.add("cost_centres_unknown", f"{centre_words(line.cost_centre)} → {proposal.code}")
        case "same_code" if line.cost_centre:
            gaps.add("cost_centres_unknown", centre_words(line.cost_centre))
        case _ if line.cost_centre and settings.cost_centre_mode == "table":
            gaps.add("cost_centres_not_in_table", centre_words(line.cost_centre))
        case _ if stands is not None and stands.needs_cost_centre:
            gaps.add("accounts_need_cost_centre", account_words(stands.number, stands.name))
    return ""


def account_stands(account: str, master: Master) -> bool:
    """Whether it can be booked on, as far as the package says."""
    return master.accounts is None or master.account(account) is not None


def centre_stands(code: str, master: Master) -> bool:
    """Whether the administration has this cost centre, as far as the package says."""
    return master.cost_centres is None or any(one.id == code for one in master.cost_centres)


def not_the_net_pay(batch: SalaryBatch, settings: CombiSettings) -> Finding | None:
    """A finding when what is to be paid is not what the journal owes: on the chosen account, else on any one.

    Without a journal to compare with nothing is concluded.
    """
    account = leading_code(settings.net_pay_account) or settings.net_pay_account.strip()
    sums = [owed for owes, owed in batch.owed if account in ("", owes)]
    if not batch.owed or batch.total in sums:
        return None
    values = {"number": batch.number, "total": f"{batch.total:f}", "account": account}
    if not account:
        return Finding(key="salaries_not_in_journal", values=values, field="net_pay_account")
    booked = max(sums, default=ZERO)
    values |= {"booked": f"{booked:f}", "difference": f"{batch.total - booked:f}"}
    return Finding(key="salaries_differ_from_journal", values=values, field="net_pay_account")
