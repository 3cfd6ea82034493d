"""Journal entries as batches in a memorial journal, and what a batch says of itself (dossier 4.6, 5.5, 5.6)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

from connectors.minox import batches
from connectors.minox.administration import journal, memorial, memorial_likeness
from connectors.minox.invoices import DESCRIPTION, entry_line
from connectors.minox.reading import cut, ident, messages, number, part, text, words
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import BookedEntryLine, Booking, EntryBooking
from hub.accounting.chart import LedgerAccount, Master
from hub.accounting.documents import Finding
from hub.accounting.money import ZERO
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

MOST_LINES = 8999
"""From line 9,000 of a journal page on Minox books lines of its own (dossier 4.6)."""


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that Minox would refuse, or take and book wrongly."""
    entry, chosen = cast(EntryBooking, booking), cast(MinoxSettings, settings)
    unique = {finding.model_dump_json(): finding for line in entry.lines for finding in _line(line, master)}
    return [*_document(entry, master, chosen), *unique.values()]


def _document(booking: EntryBooking, master: Master, settings: MinoxSettings) -> Iterable[Finding]:
    if master.fiscal_year(booking.date) is None:
        yield Finding(key="minox.fiscal_year_missing", values={"date": booking.date.isoformat()}, field="journal_date")
    book = memorial(master.journals, settings.journal)
    if isinstance(book, Finding):
        yield book
    if booking.entry.currency != master.currency:
        values = {"currency": booking.entry.currency, "expected": master.currency}
        yield Finding(key="minox.entry_other_currency", values=values)
    if len(booking.lines) > MOST_LINES:
        values = {"lines": str(len(booking.lines)), "most": str(MOST_LINES)}
        yield Finding(key="minox.too_many_lines", values=values)


def _line(line: BookedEntryLine, master: Master) -> Iterable[Finding]:
    account = master.by_number.get(line.account)
    if master.accounts is not None and (account is None or account.blocked):
        key = "minox.account_blocked" if account else "minox.account_unknown"
        yield Finding(key=key, values={"account": line.account}, field="ledger_accounts")
    if account is None:
        return
    values = {"account": line.account, "name": account.name, "cost_centre": line.cost_centre}
    if account.vat_percentage:
        charged = {"percentage": f"{account.vat_percentage.normalize():f}"}
        told = {"account": line.account, "name": account.name} | charged
        yield Finding(key="minox.entry_account_with_vat", values=told, field="ledger_accounts")
    if account.needs_cost_centre and not number(line.cost_centre):
        yield Finding(key="minox.cost_centre_needed", values=values, field="cost_centres")
    elif account.takes_cost_centre and line.cost_centre and not _known(line.cost_centre, master):
        yield Finding(key="minox.cost_centre_unknown", values=values, field="cost_centres")


def _known(cost_centre: str, master: Master) -> bool:
    own = number(cost_centre)
    return bool(own) and (master.cost_centres is None or own in {one.id for one in master.cost_centres})


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The batch of lines. Raises RecordRejected with findings when Minox would refuse it."""
    entry, chosen = cast(EntryBooking, booking), cast(MinoxSettings, settings)
    found = validate(booking, master, settings)
    book, year = memorial(master.journals, chosen.journal), master.fiscal_year(entry.date)
    if found or year is None or isinstance(book, Finding):
        raise RecordRejected(found[0].key, findings=found)
    common = {
        "journal": {"id": book.id},
        "period": {"fiscal_year": year.year},
        "document_date": entry.date.isoformat(),
    }
    return {
        "administration": entry.administration,
        "journal": book.id,
        "number": entry.entry.number,
        "date": entry.date.isoformat(),
        "fiscal_year": year.year,
        "total": sum((line.debit for line in entry.lines), ZERO),
        "lines": [_encoded(line, entry, master.by_number.get(line.account), common) for line in entry.lines],
    }


def _encoded(
    line: BookedEntryLine, booking: EntryBooking, account: LedgerAccount | None, common: dict[str, Any]
) -> dict[str, Any]:
    title = cut(f"{booking.entry.number} {line.description or booking.entry.description}", DESCRIPTION)
    made = entry_line(line.account, "ledger_account", line.debit - line.credit, title, common, line.debit > 0)
    if line.cost_centre and (account is None or account.takes_cost_centre):
        made["cost_center"] = {"id": int(line.cost_centre)}
    return made


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """What stands under our UUID. A batch without lines is as good as absent: the same PUT only updates it."""
    ref = str(key.uuid)
    lines = await batches.read(http, payload["administration"], ref)
    return receipt(lines, payload, ref, existed=True) if lines else None


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Puts the batch under our UUID: new, or the same once more."""
    return await _put(http, payload, str(key.uuid))


async def update(http: Http, payload: Payload, key: Key, ref: str) -> Receipt:
    """Puts our own batch anew. Raises RecordRejected for one that somebody else made."""
    return await _put(http, payload, batches.own(key, ref))


async def _put(http: Http, payload: Payload, ref: str) -> Receipt:
    try:
        lines, said = await batches.put(http, payload, ref)
    except RecordRejected as refused:
        if refused.key != "minox.refused":
            raise
        # How Minox refuses a closed period or year is not known (dossier 5.2).
        year, day = str(payload["fiscal_year"]), payload["date"]
        told = RecordRejected("minox.entry_refused", words=refused.words, date=day, year=year)
        told.exchange = refused.exchange
        raise told from refused
    lines = lines or await batches.read_back(http, payload, ref)  # No open item will ever tell its total.
    return receipt(lines, payload, ref, said=said)


def receipt(
    lines: Sequence[Raw], payload: Payload, ref: str, *, existed: bool = False, said: Sequence[Raw] = ()
) -> Receipt:
    """What a batch says of itself, its total being the debit side; without lines only what we know."""
    heard = words([*said, *messages(list(lines))])
    return Receipt(
        ref=ref,
        label=f"{payload['journal']} {payload['number']}",
        total=_total(lines),
        existed=existed,
        warnings=(heard,) if heard else (),
        fingerprint=_fingerprint(lines),
    )


def _total(lines: Iterable[Raw]) -> Decimal | None:
    """The debit side of what was entered; None when a line does not show its amount."""
    signed = [batches.balance(line) for line in lines if not batches.automatic(line)]
    known = [one for one in signed if one is not None]
    return sum((max(one, ZERO) for one in known), ZERO) if known and len(known) == len(signed) else None


def _fingerprint(lines: Iterable[Raw]) -> str:
    """Over journal, day, accounts, amounts and cost centres of what was entered: words may be changed."""
    seen = sorted(
        "|".join(
            (
                ident(part(line.get("account")).get("id")),
                f"{batches.balance(line) or ZERO:.2f}",
                number(part(line.get("cost_center")).get("id")),
                ident(part(line.get("journal")).get("id")),
                text(line.get("document_date"))[:10],
            )
        )
        for line in lines
        if not batches.automatic(line)
    )
    return hashlib.sha256("\n".join(seen).encode()).hexdigest() if seen else ""


async def index(
    http: Http, administration: str, since: date | None, settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """All entries since a day, a fiscal year at a time, of journals that are not known to be for something else."""
    chosen = cast(MinoxSettings, settings).journal
    for year in await batches.years_since(http, administration, since):
        found: dict[str, Existing] = {}
        async for page in batches.lines_of(http, administration, year):
            for line in page:
                one = _existing(line) if _is_entry(line, chosen) else None
                if one is not None and (since is None or one.date is None or one.date >= since):
                    found[one.ref] = _joined(found.get(one.ref), one)
        yield list(found.values())


def _is_entry(line: Raw, chosen: str) -> bool:
    book = part(line.get("journal"))
    if batches.is_customer(line) or batches.automatic(line):
        return False
    own = ident(book.get("id"))
    return not own or own == chosen or memorial_likeness(journal(book)) >= 0


def _existing(line: Raw) -> Existing | None:
    batch = text(line.get("batch_id")).lower()
    if not batch:
        return None
    signed = batches.balance(line)
    return Existing(
        ref=batch,
        label=f"{ident(part(line.get('journal')).get('id'))} {text(line.get('description'))}".strip(),
        mark=batch,
        date=batches.booked_on(line),
        total=None if signed is None else max(signed, ZERO),
    )


def _joined(before: Existing | None, one: Existing) -> Existing:
    if before is None:
        return one
    total = None if before.total is None or one.total is None else before.total + one.total
    return Existing(before.ref, before.label, before.mark, date=before.date, total=total)
