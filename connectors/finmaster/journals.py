"""Memorial entries: all or nothing, booked once by our reference, read back (dossier 3, 5)."""

import calendar
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from urllib.parse import quote

from connectors.finmaster.administration import LIST, by_file, is_memorial
from connectors.finmaster.reading import LINES, REFERENCE, VOUCHER, amount, rows, said, value
from connectors.finmaster.settings import FinmasterSettings, own
from hub.accounting.booking import Booking, EntryBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.accounting.money import ZERO
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.reading import cut, perhaps_day
from hub.sdk.settings import Settings

LONGEST = 50
"""Of a text: what comparable packages take everywhere (3.1). Account and cost centre codes are never cut."""
DUPLICATE = 409
_NO_LISTING = (400, 403, 404, 405)
_NONE = (404,)


@dataclass(frozen=True)
class Place:
    """Where in the fiscal calendar an entry falls; `closed` None: it is not told."""

    year: int
    period: int
    first: date
    last: date
    closed: bool | None = None


def reference(key: Key) -> str:
    """Our key as the entry bears it."""
    return f"HUB-{key.mark}"


def marks(key: Key) -> tuple[str, ...]:
    """How our key may be spelt on an entry."""
    return (reference(key),)


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """The journal, the fiscal year and the period; accounts and cost centres are the engine's."""
    entry = _entry(booking)
    found = [one for one in (_journal(master, own(settings)), _period(entry, master)) if isinstance(one, Finding)]
    if entry.entry.currency != master.currency:
        values = {"currency": entry.entry.currency, "expected": master.currency}
        found.append(Finding(key="finmaster.other_currency", values=values))
    return found


def _entry(booking: Booking) -> EntryBooking:
    if not isinstance(booking, EntryBooking):
        raise TypeError(f"expected EntryBooking, got {type(booking).__name__}")
    return booking


def _journal(master: Master, settings: FinmasterSettings) -> str | Finding:
    """The memorial journal's code; a finding that names the choices otherwise."""
    wanted = settings.finmaster_journal.strip()
    if master.journals is None:
        return wanted or Finding(key="finmaster.journal_missing", field="finmaster_journal")
    choices = [one for one in master.journals if is_memorial(one)]
    values = {"journal": wanted, "choices": ", ".join(f"{one.id} {one.name}".strip() for one in choices)}
    if wanted:
        known = next((one for one in master.journals if one.id == wanted), None)
        if known is None:
            return Finding(key="finmaster.journal_unknown", values=values, field="finmaster_journal")
        return (
            wanted
            if is_memorial(known)
            else Finding(key="finmaster.journal_not_memorial", values=values, field="finmaster_journal")
        )
    if len(choices) == 1:
        return choices[0].id
    return Finding(key="finmaster.journal_choose", values=values, field="finmaster_journal")


def _period(entry: EntryBooking, master: Master) -> Finding | None:
    if master.fiscal_years is None:
        return None
    at, values = _listed_place(entry.date, master), {"date": entry.date.isoformat()}
    if at is None:
        return Finding(key="finmaster.period_missing", values=values, field="journal_date")
    if at.closed:
        values |= {"period": f"{at.year}-{at.period:02d}"}
        return Finding(key="finmaster.period_closed", values=values, field="journal_date")
    return None


def _listed_place(on: date, master: Master) -> Place | None:
    """The period that holds this day; the shortest one when several do (a thirteenth for the closing entries)."""
    found: list[Place] = []
    for name, told in master.extra.items():
        if name.startswith("period:"):
            _, year, number = name.split(":")
            first, last, state = told.split("/")
            if first <= on.isoformat() <= last:
                days = date.fromisoformat(first), date.fromisoformat(last)
                found.append(Place(int(year), int(number), *days, state == "closed"))
    open_first = sorted(found, key=lambda one: (bool(one.closed), one.period))
    return open_first[0] if open_first else None


def place_of(on: date, master: Master, settings: FinmasterSettings) -> Place:
    """Fiscal year and period of a day: as listed, else months from the month in which the fiscal year starts.

    A fiscal year that does not start in January bears the year in which it ends.
    """
    if (listed := _listed_place(on, master)) is not None:
        return listed
    start = settings.finmaster_year_start
    year = on.year + (1 if start > 1 and on.month >= start else 0)
    last = calendar.monthrange(on.year, on.month)[1]
    return Place(year, (on.month - start) % 12 + 1, on.replace(day=1), on.replace(day=last))


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The entry as the stand-in interface takes it, with what a file of it needs beside. Amounts are text."""
    entry, chosen = _entry(booking), own(settings)
    if problems := validate(booking, master, settings):
        raise RecordRejected(problems[0].key, findings=problems)
    at, journal = place_of(entry.date, master, chosen), str(_journal(master, chosen))
    names = {one.account: one.account_name for one in entry.entry.lines if one.account_name}
    body = {
        "dagboek": journal,
        "boekdatum": entry.date.isoformat(),
        "boekjaar": at.year,
        "periode": at.period,
        "omschrijving": cut(entry.entry.description or entry.entry.number, LONGEST),
        "regels": [
            {
                "regel": number,
                "rekening": line.account,
                "kostenplaats": line.cost_centre or None,
                "debet": f"{line.debit:.2f}",
                "credit": f"{line.credit:.2f}",
                "omschrijving": cut(line.description, LONGEST),
            }
            for number, line in enumerate(entry.lines, start=1)
        ],
    }
    used = sorted({line.account for line in entry.lines})
    return {
        "administration": entry.administration,
        "body": body,
        "total": f"{sum((line.debit for line in entry.lines), ZERO):.2f}",
        "number": entry.entry.number,
        "period": [at.first.isoformat(), at.last.isoformat()],
        "accounts": {one: {"name": _name(one, master, names), "type": _type(one, master)} for one in used},
    }


def _name(account: str, master: Master, names: Mapping[str, str]) -> str:
    known = master.by_number.get(account)
    return (known.name if known else "") or names.get(account, "") or account


def _type(account: str, master: Master) -> str:
    return master.extra.get(f"type:{account}", "M")


def _path(administration: str) -> str:
    return f"{LIST}/{quote(administration, safe='')}/memoriaalboekingen"


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The entry that bears our reference; a 404 is none. By file nothing stands anywhere before it is recorded with us.

    None does no harm: FinMaster itself books a reference once.
    """
    if by_file(http):
        return None
    body = await http.get(_path(payload["administration"]), [("referentie", reference(key))], absent=_NONE)
    found = [row for row in rows(body) if said(row, *REFERENCE).lower() == reference(key).lower()]
    vouchers = {said(row, *VOUCHER) for row in found}
    if len(vouchers) > 1:
        raise OutcomeUnknown("finmaster.reference_twice", vouchers=", ".join(sorted(vouchers)))
    return receipt(found[0], payload, key, existed=True) if found else None


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Books the entry and reads it back. By file nothing is sent: the entry waits for the next file."""
    if by_file(http):
        label = f"{payload['body']['dagboek']} · {reference(key)}"
        return Receipt(reference(key), label, Decimal(payload["total"]), filed=True)
    body = {**payload["body"], "referentie": reference(key)}
    try:
        answer = await http.write("POST", _path(payload["administration"]), body, [("dryRun", "false")])
    except RecordRejected as refused:
        return await _standing(http, payload, key, refused)
    try:
        stands = await find(http, key, payload)
    except VendorError:  # It was said to stand there; its total is looked at when it is next seen.
        stands = None
    if stands is not None:
        return replace(stands, existed=False)
    voucher = said(answer, *VOUCHER)
    if not voucher:
        raise OutcomeUnknown("finmaster.unclear_answer")
    return receipt(answer if isinstance(answer, Mapping) else {}, payload, key)


async def _standing(http: Http, payload: Payload, key: Key, refused: RecordRejected) -> Receipt:
    """A reference that is booked already is ours, from an earlier time; any other no is passed on."""
    if refused.exchange is None or refused.exchange.status != DUPLICATE:
        raise _told(refused, payload) from refused
    found = await find(http, key, payload)
    if found is not None:
        return found
    if "DUBBEL" in refused.words.upper():  # It says so itself, and does not show it yet.
        raise OutcomeUnknown("finmaster.unclear_answer", words=refused.words) from refused
    raise _told(refused, payload) from refused


def _told(refused: RecordRejected, payload: Payload) -> RecordRejected:
    """A refusal without a reason of its own, with the day and what to look at; any other as it is."""
    if refused.key != "finmaster.refused":
        return refused
    told = RecordRejected("finmaster.entry_refused", words=refused.words, date=payload["body"]["boekdatum"])
    told.exchange = refused.exchange
    return told


def receipt(row: Raw, payload: Payload, key: Key, *, existed: bool = False) -> Receipt:
    """What an entry says of itself; without lines only what we know."""
    voucher = said(row, *VOUCHER) or reference(key)
    journal = said(row, "dagboek", "journal") or payload["body"]["dagboek"]
    return Receipt(ref=voucher, label=f"{journal} {voucher}", total=_total(row), existed=existed,
                   fingerprint=_fingerprint(row))  # fmt: skip


def _lines(row: Raw) -> Sequence[Raw]:
    found = value(row, *LINES)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _total(row: Raw) -> Decimal | None:
    """The debit side, by the lines or else by what the entry says."""
    if lines := _lines(row):
        sides = [amount(value(line, "debet", "debit")) for line in lines]
        return sum((one for one in sides if one is not None), ZERO)
    return amount(value(row, "totaaldebet", "totaal", "total"))


def _fingerprint(row: Raw) -> str:
    """Over day, accounts, cost centres and amounts of what stands there: not over words."""
    seen = sorted(
        "|".join((
            said(line, "rekening", "account"),
            said(line, "kostenplaats", "costcentre"),
            f"{amount(value(line, 'debet', 'debit')) or ZERO:.2f}",
            f"{amount(value(line, 'credit')) or ZERO:.2f}",
        ))
        for line in _lines(row)
    )  # fmt: skip
    whole = "\n".join([said(row, "boekdatum", "datum", "date")[:10], *seen])
    return hashlib.sha256(whole.encode()).hexdigest() if seen else ""


async def index(
    http: Http, administration: str, since: date | None, _settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """The memorial entries since a day, where the interface lists them; by file nothing can be seen."""
    if by_file(http):
        return
    query = [("vanaf", since.isoformat())] if since else []
    found = rows(await http.get(_path(administration), query, absent=_NO_LISTING))
    entries = [_existing(row) for row in found if said(row, *VOUCHER)]
    yield [one for one in entries if since is None or one.date is None or one.date >= since]


def _existing(row: Raw) -> Existing:
    voucher = said(row, *VOUCHER)
    return Existing(
        ref=voucher,
        label=f"{said(row, 'dagboek', 'journal')} {voucher}".strip(),
        mark=said(row, *REFERENCE),
        number=said(row, "omschrijving", "description"),
        date=perhaps_day(value(row, "boekdatum", "datum", "date")),
        total=_total(row),
    )
