"""A journal run as a journal entry (dossier 4.3), or why it is not to be booked."""

from dataclasses import dataclass, field
from decimal import Decimal

from connectors.loket import runs
from connectors.loket.account import status
from connectors.loket.reading import ident, number, part, said, value
from connectors.loket.runs import EXPORT_FAILED, EXPORTED, EXPORTING, FAILED, QUEUED, READY
from connectors.loket.settings import LoketSettings, own
from hub.accounting.documents import Document, EntryLine, Finding, Ignored, JournalEntry, Label
from hub.sdk.connector import Raw
from hub.sdk.errors import Malformed
from hub.sdk.reading import flag, whole
from hub.sdk.reading import line as text
from hub.sdk.settings import Settings

_NOT_READY = {
    QUEUED: "loket.run_queued",
    FAILED: "loket.run_failed",
    EXPORTING: "loket.run_exporting",
    EXPORT_FAILED: "loket.run_export_failed",
    EXPORTED: "loket.run_exported",
}
_ALSO = {"failed_too": (READY, EXPORT_FAILED), "exported_too": (READY, EXPORT_FAILED, EXPORTED)}


@dataclass
class _Problems:
    """All that is wrong with one run."""

    number: str
    found: list[Finding] = field(default_factory=list)

    def add(self, key: str, **values: object) -> None:
        told = {name: text(one)[:80] for name, one in values.items()}
        self.found.append(Finding(key=f"loket.{key}", values={"number": self.number} | told))

    def amount(self, line: Raw, at: int, *names: str) -> Decimal:
        """An amount, or 0 with a finding."""
        found = value(line, *names)
        try:
            return number(found)
        except ValueError:
            self.add("amount_unreadable", line=at, value=found)
            return Decimal(0)


def map_run(raw: Raw, settings: Settings) -> Document | Ignored:
    """The entry of a run that stands ready. Raises Malformed with everything that cannot be read."""
    chosen, run = own(settings), part(raw, "run")
    called, source_id = shown(run), runs.key(raw)
    if (reason := _why_not(raw, run, called, chosen)) is not None:
        return _ignored(raw, run, called, reason, chosen)
    problems = _Problems(called)
    if len(value(raw, "live") or ()) > 1:
        problems.add("two_live_runs", runs=len(raw["live"]))
        raise Malformed(*problems.found)
    if status(run) is None:
        problems.add("status_unknown", status=said(part(run, "journalRunStatus"), "value", "key"))
    if "refused" in raw:
        problems.add("results_refused", words=raw["refused"])
    elif not raw.get("lines"):
        problems.add("lines_missing")
    on, year = runs.entry_day(run, chosen), whole(value(runs.period_of(run), "year"))
    if on is None:
        problems.add("date_missing")
    lines = [_line(line, at, chosen, problems) for at, line in enumerate(raw.get("lines") or (), start=1)]
    if problems.found or on is None:
        raise Malformed(*problems.found)
    return JournalEntry(
        source_id=source_id,
        company=said(raw, "administration"),
        number=called,
        date=on,
        year=year or on.year,
        period=whole(value(runs.period_of(run), "periodNumber")) or on.month,
        description=f"Loonjournaal {called}{' correctie' if flag(raw.get('correction')) else ''}",
        currency="EUR",  # No field anywhere in the API (dossier 4.1).
        lines=tuple(lines),
    )


def _ignored(raw: Raw, run: Raw, called: str, reason: Finding, settings: LoketSettings) -> Ignored:
    """A run that is listed and not booked, with what it shows of itself."""
    period = runs.period_of(run)
    year, at = whole(value(period, "year")), whole(value(period, "periodNumber"))
    lines = [_line(line, 0, settings, _Problems(called)) for line in raw.get("lines") or ()]
    return Ignored(
        source_id=runs.key(raw),
        reason=reason,
        number=called,
        date=runs.entry_day(run, settings),
        period=f"{year}-{at:02d}" if year is not None and at is not None else "",
        amount=sum((debit for line in lines for debit, _ in line.sides), Decimal(0)) if lines else None,
        currency="EUR",
    )


def _why_not(raw: Raw, run: Raw, called: str, settings: LoketSettings) -> Finding | None:
    """Why a run is not to be booked by Loket.nl's own facts or the customer's choice."""
    values = {"number": called}
    if flag(value(runs.period_of(run), "testYear")):
        return Finding(key="loket.test_year", values=values)
    if flag(raw.get("early")):
        return Finding(key="loket.before_start", values=values)
    now = status(run)
    if now is None or now in _ALSO.get(settings.loket_runs, (READY,)):
        return None
    field = "loket_runs" if now in (EXPORT_FAILED, EXPORTED) else None
    return Finding(key=_NOT_READY.get(now, "loket.run_failed"), values=values, field=field)


def shown(run: Raw) -> str:
    """How people call it: year, period and the payroll run's number, which a journal made anew keeps."""
    period, payroll = runs.period_of(run), part(run, "payrollRun")
    at = whole(value(period, "periodNumber"))
    spelt = f"-{at:02d}" if at is not None else ""
    if at is not None and not _is_month(period, at):
        spelt = f"-P{at:02d}"
    own_number = said(payroll, "sequenceNumberApproved") or said(run, "sequenceNumber")
    return f"{said(period, 'year')}{spelt} run {own_number}".strip()


def _is_month(period: Raw, at: int) -> bool:
    """True when the period is that calendar month, or does not show its days."""
    first, last = said(period, "periodStartDate")[:10], said(period, "periodEndDate")[:10]
    return not (first and last) or (first[5:7] == last[5:7] == f"{at:02d}" and first[8:] == "01")


def _line(line: Raw, at: int, settings: LoketSettings, problems: _Problems) -> EntryLine:
    account, centre = part(line, "generalLedgerAccount"), part(line, "costCenter")
    unit, component = part(line, "costUnit"), part(line, "payrollComponent")
    words = said(component, "description") or said(account, "description")
    if unit and settings.loket_cost_units == "in_description":
        words = f"{words} ({said(unit, 'code') or said(unit, 'description')})".strip()
    code = said(centre, "code") or said(centre, "description") or ident(value(centre, "key"))  # Key 0 is none.
    return EntryLine(
        account=said(account, "code"),
        account_name=said(account, "description"),
        debit=problems.amount(line, at, "debetAmount", "debitAmount"),
        credit=problems.amount(line, at, "creditAmount"),
        description=words,
        cost_centre=Label(id=code, label=said(centre, "description")) if code else None,
    )
