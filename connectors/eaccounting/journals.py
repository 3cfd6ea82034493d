"""Journal entries as vouchers: never changed, found by our key in their text, reversed when wrong (dossier 3.5)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from connectors.eaccounting.ledger import Ledger, ledger_of, year_of
from connectors.eaccounting.listing import everything, filtered, pages, single
from connectors.eaccounting.reading import MARK, amount, cut, day, ident, one_of, text, wrong
from hub.accounting.booking import BookedEntryLine, Booking, EntryBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

PATH = "/vouchers"
TEXT, ROW_TEXT = 1000, 50
"""Of a row 50 signs in 2018, 60 later: the shorter is always taken."""
MOST = Decimal(1_000_000_000)
CENTRE_FIELDS = ("CostCenterItemId1", "CostCenterItemId2", "CostCenterItemId3")
_AROUND = timedelta(days=366)
"""How far around its day a voucher is looked for: the document's day may have changed since."""


def validate(booking: Booking, master: Master, _: Settings) -> list[Finding]:
    """All that eAccounting would refuse."""
    entry, ledger = cast(EntryBooking, booking), ledger_of(master)
    found = [*_document(entry, master, ledger), *_lines(entry, master, ledger)]
    return list({one.model_dump_json(): one for one in found}.values())


def _document(booking: EntryBooking, master: Master, ledger: Ledger) -> Iterable[Finding]:
    on = booking.date.isoformat()
    year = year_of(ledger, booking.date)
    if ledger.listed and year is None:
        yield wrong("eaccounting.no_fiscal_year", field="journal_date", date=on)
    if year is not None and year.locked:
        yield wrong("eaccounting.year_locked", field="journal_date", date=on, year=f"{year.start} - {year.end}")
    if ledger.locked_to is not None and booking.date <= ledger.locked_to:
        yield wrong("eaccounting.locked_to", field="closed_until", date=on, locked_to=ledger.locked_to.isoformat())
    if booking.entry.currency != master.currency:
        yield wrong("eaccounting.entry_other_currency", currency=booking.entry.currency, expected=master.currency)
    if any(max(line.debit, line.credit) > MOST for line in booking.lines):
        yield wrong("eaccounting.entry_amount_too_large", most=f"{MOST:f}")


def _lines(booking: EntryBooking, master: Master, ledger: Ledger) -> Iterable[Finding]:
    year = year_of(ledger, booking.date)
    known = None if year is None or year.accounts is None else set(year.accounts)
    for line in booking.lines:
        if not line.account.isdecimal():
            yield wrong("eaccounting.account_no_number", field="ledger_accounts", account=line.account)
        elif known is not None and line.account not in known:
            elsewhere = line.account in master.by_number
            key = "eaccounting.account_not_in_year" if elsewhere else "eaccounting.account_unknown"
            yield wrong(key, field="ledger_accounts", account=line.account, date=booking.date.isoformat())
        if line.cost_centre and _takes(line, master) and line.cost_centre not in ledger.items:
            values = {"cost_centre": line.cost_centre, "account": line.account}
            yield wrong("eaccounting.cost_centre_unknown", field="cost_centres", **values)


def _takes(line: BookedEntryLine, master: Master) -> bool:
    account = master.by_number.get(line.account)
    return account is None or account.takes_cost_centre


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The voucher, without our key. Raises RecordRejected with findings when it cannot be booked."""
    if found := validate(booking, master, settings):
        raise RecordRejected(found[0].key, findings=found)
    entry, ledger = cast(EntryBooking, booking), ledger_of(master)
    return {
        "administration": entry.administration,
        "number": entry.entry.number,
        "year": year.id if (year := year_of(ledger, entry.date)) else "",
        "total": sum((line.debit for line in entry.lines), ZERO),
        "told": [f"{line.description} -> {shown}" for line in entry.lines if (shown := _short(line.description))
                 != " ".join(line.description.split())],
        "text": " ".join(f"{entry.entry.number} {entry.entry.description}".split()),
        "body": {
            "VoucherDate": entry.date.isoformat(),
            "Rows": [_row(line, master, ledger) for line in entry.lines],
        },
    }  # fmt: skip


def _short(words: str) -> str:
    return cut(words, ROW_TEXT)


def _row(line: BookedEntryLine, master: Master, ledger: Ledger) -> dict[str, Any]:
    made: dict[str, Any] = {
        "AccountNumber": int(line.account),
        "DebitAmount": cents(line.debit),
        "CreditAmount": cents(line.credit),
    }
    if words := _short(line.description):
        made["TransactionText"] = words
    if line.cost_centre and _takes(line, master):
        place, own = ledger.items[line.cost_centre]
        made[CENTRE_FIELDS[min(place, len(CENTRE_FIELDS)) - 1]] = own
    return made


def reversal(payload: Payload, receipt: Receipt, on: date) -> Payload:
    """The same voucher with its sides swapped, on a day; its words name the voucher that is undone."""
    turned = [
        {**row, "DebitAmount": row["CreditAmount"], "CreditAmount": row["DebitAmount"]}
        for row in payload["body"]["Rows"]
    ]
    body = {**payload["body"], "VoucherDate": on.isoformat(), "Rows": turned}
    return {**payload, "told": [], "text": f"Storno {receipt.label} {payload['text']}", "body": body}


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The voucher that bears our key."""
    stands = await _standing(http, key, payload)
    return _receipt(stands, payload, existed=True) if stands else None


async def _standing(http: Http, key: Key, payload: Payload) -> Raw:
    """Whether texts can be filtered on is not confirmed (dossier 5): absence is read over the days around, not asked.

    Raises OutcomeUnknown when the key stands on more than one voucher.
    """
    on = date.fromisoformat(payload["body"]["VoucherDate"])
    around = " and ".join(
        f"VoucherDate {how} {one.isoformat()}T00:00:00.00Z" for how, one in (("ge", on - _AROUND), ("le", on + _AROUND))
    )
    for asked in (True, False):
        wanted = f"contains(VoucherText,'{key.mark}')"
        rows = await filtered(http, PATH, wanted) or [] if asked else await everything(http, PATH, around)
        found = {ident(row.get("Id")): row for row in rows if _mark(row) == key.mark and ident(row.get("Id"))}
        if len(found) > 1:
            raise OutcomeUnknown("eaccounting.key_twice", documents=", ".join(sorted(map(_label, found.values()))))
        for row in found.values():
            return await _with_rows(http, row, payload["year"])
    return {}


async def _with_rows(http: Http, row: Raw, year: str) -> Raw:
    """The voucher in full: a list may leave out its rows."""
    if _rows(row) or not year:
        return row
    return await single(http, f"{PATH}/{year}/{ident(row.get('Id'))}") or row


def _mark(row: Raw) -> str:
    found = MARK.search(text(row.get("VoucherText")).lower())
    return found[1] if found else ""


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Makes the voucher. No VAT code is taken over from the accounts: a payroll journal has no VAT."""
    mark = f" #{key.mark}"
    body = {**payload["body"], "VoucherText": f"{cut(payload['text'], TEXT - len(mark))}{mark}"}
    made = one_of(await http.write("POST", PATH, body, {"useDefaultVatCodes": "false"}))
    if not ident(made.get("Id")) or not _whole(made, body):
        try:
            stands = await _standing(http, key, payload)
        except VendorError as error:
            raise OutcomeUnknown("eaccounting.unclear_answer", words=error.words) from error
        if not stands and not ident(made.get("Id")):
            raise OutcomeUnknown("eaccounting.unclear_answer")
        made = stands or {**made, "Rows": None}
    return _receipt(made, payload)


def _whole(made: Raw, body: Mapping[str, Any]) -> bool:
    """The answer shows every row that was sent."""
    shown = made.get("Rows")
    return isinstance(shown, list) and len(shown) == len(body["Rows"])


def _receipt(row: Raw, payload: Payload, *, existed: bool = False) -> Receipt:
    return Receipt(
        ref=ident(row.get("Id")),
        label=_label(row) or payload["number"],
        total=_total(row),
        existed=existed,
        warnings=tuple(payload["told"]),
        fingerprint=_fingerprint(row),
    )


def _label(row: Raw) -> str:
    return text(row.get("NumberAndNumberSeries")) or text(row.get("VoucherText")).partition("#")[0].strip()


def _rows(row: Raw) -> list[Raw]:
    found = row.get("Rows")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _balance(row: Raw) -> Decimal | None:
    debit, credit = amount(row.get("DebitAmount")), amount(row.get("CreditAmount"))
    return None if debit is None and credit is None else (debit or ZERO) - (credit or ZERO)


def _total(row: Raw) -> Decimal | None:
    """The debit side; None when the rows are not shown."""
    signed = [_balance(one) for one in _rows(row)]
    known = [one for one in signed if one is not None]
    return sum((max(one, ZERO) for one in known), ZERO) if known and len(known) == len(signed) else None


def _fingerprint(row: Raw) -> str:
    """Over day, accounts, amounts and cost centres; empty when the rows are not shown."""
    seen = sorted(
        "|".join(
            (
                text(one.get("AccountNumber")),
                f"{_balance(one) or ZERO:.2f}",
                *(ident(one.get(name)) for name in CENTRE_FIELDS),
            )
        )
        for one in _rows(row)
    )
    words = "\n".join([text(row.get("VoucherDate"))[:10], *seen])
    return hashlib.sha256(words.encode()).hexdigest() if seen else ""


async def index(http: Http, _: str, since: date | None, __: Settings) -> AsyncIterator[Sequence[Existing]]:
    """All vouchers since a day. What bears a key of ours needs no total: it is known by it."""
    # From the day before: whose midnight a filter means is not known.
    condition = f"VoucherDate ge {(since - timedelta(days=1)).isoformat()}T00:00:00.00Z" if since else ""
    async for records, _total_of_all in pages(http, PATH, condition):
        late = [row for row in records if since is None or (day(row.get("VoucherDate")) or since) >= since]
        yield [
            Existing(
                ref=ident(row.get("Id")),
                label=_label(row),
                mark=_mark(row),
                date=day(row.get("VoucherDate")),
                total=None if _mark(row) else _total(row),
            )
            for row in late
            if ident(row.get("Id"))
        ]
