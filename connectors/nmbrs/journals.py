"""The journal of a run as a journal entry: one reading of the XML for both of Nmbrs' APIs (dossier 5.1, 7)."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from lxml import etree

from connectors.nmbrs.markup import Unreadable, child, name, parsed, words
from connectors.nmbrs.settings import NmbrsSettings, own
from connectors.nmbrs.transport import Run, Runs
from hub.accounting.documents import EntryLine, Finding, Ignored, JournalEntry, Label
from hub.accounting.money import decimal
from hub.sdk.connector import Raw
from hub.sdk.errors import Malformed
from hub.sdk.settings import Settings

_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")
_DATES = (
    re.compile(r"(?P<y>\d{4})-?(?P<m>\d\d)-?(?P<d>\d\d)(?:T.*)?"),
    re.compile(r"(?P<d>\d\d)-(?P<m>\d\d)-(?P<y>\d{4})"),
)
_SIDES = {"debit": True, "debet": True, "d": True, "credit": False, "c": False}
MOST_LINES = 20_000


def transactions(text: str) -> list[etree._Element]:
    """The transactions in a journal that have lines; none for an empty text. Raises Unreadable.

    Whatever their root is called and however deep they sit (unknown, 5.1): what holds a list of lines is one.
    """
    if not text.strip():
        return []
    root = parsed(text)
    holders: dict[int, etree._Element] = {}
    for line in root.iter():
        if name(line) == "line":
            holder = line.getparent()
            if holder is not None and name(holder) == "lines" and holder.getparent() is not None:
                holder = holder.getparent()
            holders.setdefault(id(holder), root if holder is None else holder)
    if sum(1 for one in root.iter() if name(one) == "line") > MOST_LINES:
        raise Unreadable(f"more than {MOST_LINES} lines")
    if not holders and (said := _outside_headers(root)):
        raise Unreadable(f"no journal, but: {said}"[:200])
    return list(holders.values())


def _outside_headers(root: etree._Element) -> str:
    """The words that stand outside headers: a journal without lines has none, a gateway's page or an error has."""
    told = [one for one in root.iter() if isinstance(one.tag, str) and (one.text or "").strip()]
    return " ".join(words(one) for one in told if all(name(above) != "header" for above in (one, *one.iterancestors())))


def written(transaction: etree._Element) -> str:
    """A transaction as text, to be kept."""
    return etree.tostring(transaction, encoding="unicode", with_tail=False)


def dated(transaction: etree._Element) -> str:
    """The date in the header, as it is written there; empty for none."""
    header = child(transaction, "header")
    return words(child(transaction if header is None else header, "date"))


def in_order(listed: Runs, company: str) -> list[tuple[str, Run]]:
    """Each run with its key. Runs that share all natural facts are told apart by the order in which they were made."""
    counts: dict[str, int] = {}
    found: list[tuple[str, Run]] = []
    once = {run.id: run for run in listed.runs}
    for run in sorted(once.values(), key=lambda one: (one.first, one.last, one.number, one.made_at, one.description)):
        plain = f"{company}:{run.year}:{run.first}-{run.last}:{run.number}"
        counts[plain] = counts.get(plain, 0) + 1
        found.append((plain if counts[plain] == 1 else f"{plain}#{counts[plain]}", run))
    return found


def source_id(raw: Raw) -> str:
    """Company, year, periods and run number: what both APIs know, and no id of theirs. Raises KeyError."""
    made = f"{raw['company']}:{raw['year']}:{raw['first']}-{raw['last']}:{raw['number']}"
    made += f"#{raw['ordinal']}" if raw["ordinal"] > 1 else ""
    return made + (f":t{raw['transaction']}" if raw["transaction"] > 1 else "")


def shown(raw: Raw) -> str:
    """How people call it, such as `2026-03 run 3`."""
    first, last = int(raw["first"]), int(raw["last"])
    periods = f"{first:02}" if first == last else f"{first:02}/{last:02}"
    made = f"{raw['year']}-{periods} run {raw['number']}"
    made += f" ({raw['ordinal']})" if raw["ordinal"] > 1 else ""
    return made + (f" deel {raw['transaction']}" if raw["transaction"] > 1 else "")


def map_journal(raw: Raw, settings: Settings) -> JournalEntry | Ignored:
    """The entry of one transaction. Raises Malformed with everything that cannot be read."""
    number = shown(raw)
    match raw["state"]:
        case "unlocked":
            return Ignored(source_id=source_id(raw), reason=_finding("not_locked", raw), number=number)
        case "empty":
            return Ignored(source_id=source_id(raw), reason=_finding("empty_journal", raw), number=number)
        case "journal":
            pass
        case state:
            raise Malformed(_finding("journal_unavailable" if state == "unavailable" else "journal_unreadable", raw))
    try:
        found = transactions(raw["xml"])
    except Unreadable as error:
        raise Malformed(_finding("journal_unreadable", {**raw, "words": str(error)})) from error
    problems: list[Finding] = []
    on = _date(dated(found[0]), raw, own(settings), problems)
    lines = tuple(made for one in found for made in _lines(one, raw, problems))
    if problems or on is None:
        raise Malformed(*problems)
    return JournalEntry(
        source_id=source_id(raw),
        company=raw["company"],
        number=number,
        date=on,
        year=int(raw["year"]),
        period=int(raw["last"]),
        description=_description(raw),
        currency=_currency(found[0]),
        lines=lines,
    )


def _finding(key: str, raw: Raw, field: str | None = None, **values: object) -> Finding:
    told = {name: str(value)[:100] for name, value in values.items()}
    return Finding(key=f"nmbrs.{key}", values={"number": shown(raw), "words": raw.get("words", "")} | told, field=field)


def _description(raw: Raw) -> str:
    """Made of what cannot be edited in Nmbrs: with a run's own description, a new word there would be a new booking."""
    first, last = int(raw["first"]), int(raw["last"])
    return f"Lonen {raw['year']} periode {last if first == last else f'{first}-{last}'} run {raw['number']}"


def _currency(transaction: etree._Element) -> str:
    """Payroll journals are in euro (5.1, inferred); a header that says otherwise is believed."""
    header = child(transaction, "header")
    said = words(child(header, "currency")).upper() if header is not None else ""
    return said if re.fullmatch(r"[A-Z]{3}", said) else "EUR"


def _date(said: str, raw: Raw, settings: NmbrsSettings, problems: list[Finding]) -> date | None:
    """The journal's date; without one the last day of the run's last period. The year must be the run's (7)."""
    if not said or settings.payroll_date == "period_end":
        end = last_day(raw["kind"], int(raw["year"]), int(raw["last"]))
        if end is None:
            problems.append(_finding("date_missing", raw))
        return end
    for form in _DATES:
        if found := form.fullmatch(said):
            try:
                on = date(*(int(found[part]) for part in "ymd"))
            except ValueError:
                break
            if on.year != int(raw["year"]):
                problems.append(_finding("date_outside_year", raw, "payroll_date", date=on, year=raw["year"]))
            return on
    problems.append(_finding("date_unreadable", raw, "payroll_date", value=said))
    return None


def last_day(kind: str, year: int, period: int) -> date | None:
    """The last day of a payroll period; None when the kind of period is not known. Never after the year's end.

    Four-weekly and weekly periods end on the Sunday of an ISO week; the last one of a year takes what is left of it.
    """
    year_end = date(year, 12, 31)
    match kind:
        case "month":
            # A 13th month is booked on 31 December (7).
            return year_end if period >= 12 else date(year, period + 1, 1) - timedelta(days=1)
        case "4-weeks" | "week":
            week = period * 4 if kind == "4-weeks" else period
            if week > 52 or (kind == "4-weeks" and period >= 13):
                week = date(year, 12, 28).isocalendar().week
            return min(date.fromisocalendar(year, week, 7), year_end)
        case _:
            return None


def _lines(transaction: etree._Element, raw: Raw, problems: list[Finding]) -> list[EntryLine]:
    found: list[EntryLine] = []
    for at, line in enumerate((one for one in transaction.iter() if name(one) == "line"), 1):
        parts = {name(one): words(one) for one in line}
        where, told = line.get("id") or at, parts.get("description", "")
        value, side = _amount(parts.get("value", "")), _SIDES.get(parts.get("debitcredit", "").lower())
        if value is None:
            said = parts.get("value", "")
            problems.append(_finding("amount_unreadable", raw, value=said, line=where, description=told))
        if side is None:
            said = parts.get("debitcredit", "")
            problems.append(_finding("side_unreadable", raw, value=said, line=where, description=told))
        if value is None or side is None:
            continue
        centre = parts.get("dim2", "")
        facts: Mapping[str, Any] = {"debit": value} if side else {"credit": value}
        found.append(
            EntryLine(
                account=parts.get("dim1", ""),
                description=" ".join(parts.get("description", "").split()),
                cost_centre=Label(id=centre) if centre else None,
                **facts,
            )
        )
    return found


def _amount(said: str) -> Decimal | None:
    """An exact amount with a decimal point (5.1), or with a comma where that can mean nothing else."""
    if _COMMA.fullmatch(said):
        said = said.replace(",", ".")
    try:
        found = decimal(said)
    except ValueError:
        return None
    return found if abs(found) < 10**12 else None
