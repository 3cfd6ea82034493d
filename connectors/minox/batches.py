"""Batches of booking lines in Minox: put, found again, listed, and given a document (dossier 4.6, 6)."""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import cast

from connectors.minox.administration import fiscal_years, journal, sales_likeness
from connectors.minox.listing import pages
from connectors.minox.reading import (
    alarming,
    amount,
    day,
    ident,
    messages,
    number,
    part,
    place,
    rows,
    text,
    words,
)
from connectors.minox.settings import MinoxSettings
from connectors.minox.unclear import settled
from hub.accounting.chart import FiscalYear
from hub.accounting.money import ZERO
from hub.sdk.connector import Existing, File, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

_NOT_THERE = (404, 410)
_FIRST_AUTOMATIC = 9000


async def read(http: Http, administration: str, ref: str) -> list[Raw] | None:
    """The lines of a batch; None only when Minox says that there is none. An odd answer is an empty list."""
    try:
        body = await http.get(_path(administration, ref))
    except RecordRejected as refused:
        if refused.exchange is not None and refused.exchange.status in _NOT_THERE:
            return None
        raise
    return [line for line in rows(body) if part(line.get("account"))]


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """What stands under our UUID. A batch without lines is as good as absent: the same PUT only updates it."""
    ref = str(key.uuid)
    lines = await read(http, payload["administration"], ref)
    return receipt(lines, payload, ref, existed=True) if lines else None


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Puts the batch under our UUID: new, or the same once more."""
    return await _put(http, payload, str(key.uuid))


async def update(http: Http, payload: Payload, key: Key, ref: str) -> Receipt:
    """Puts our own batch anew. Raises RecordRejected for one that somebody else made: that is not ours to overwrite."""
    return await _put(http, payload, own(key, ref))


def own(key: Key, ref: str) -> str:
    """The UUID of a batch that is ours. Raises RecordRejected for another."""
    if ref.lower() != str(key.uuid):
        raise RecordRejected("minox.not_our_batch", reference=ref)
    return ref.lower()


async def _put(http: Http, payload: Payload, ref: str) -> Receipt:
    lines, said = await put(http, payload, ref)
    if not lines and payload["total"] < 0:  # Which sign its open item shows is not known (dossier 4.7).
        lines = await read_back(http, payload, ref)
    return receipt(lines, payload, ref, said=said)


async def put(http: Http, payload: Payload, ref: str) -> tuple[list[Raw], list[Raw]]:
    """Puts a batch; the lines and the messages of the answer, either of which may be missing."""
    body = await http.write("PUT", _path(payload["administration"], ref), payload["lines"])
    said = messages(body)
    lines = [line for line in rows(body) if part(line.get("account"))]
    if any(alarming(one) for one in said):  # A success that speaks of errors: look before believing (dossier 7).
        lines = await _after_alarm(http, payload, ref, said)
    elif 0 < len(lines) < len(payload["lines"]):  # One line, or those with a message, say nothing of the whole.
        lines = await read_back(http, payload, ref)
    return lines, said


async def _after_alarm(http: Http, payload: Payload, ref: str, said: Sequence[Raw]) -> list[Raw]:
    lines = await settled(lambda: read(http, payload["administration"], ref), said)
    if not lines:  # A batch without lines is as good as none, and no proof of a refusal.
        raise OutcomeUnknown("minox.unclear_answer", words=words(said))
    return lines


async def read_back(http: Http, payload: Payload, ref: str) -> list[Raw]:
    """The lines of a batch that stands, where only they can tell; empty when they could not be read."""
    try:
        return await read(http, payload["administration"], ref) or []
    except VendorError:
        return []


def receipt(
    lines: Sequence[Raw], payload: Payload, ref: str, *, existed: bool = False, said: Sequence[Raw] = ()
) -> Receipt:
    """What a batch says of itself; without lines only what we know."""
    heard = words([*said, *messages(list(lines))])
    return Receipt(
        ref=ref,
        label=f"{payload['journal']} {payload['invoice_number']}",
        total=_total(lines, payload["customer"]),
        open_item=f"{payload['customer']}/{payload['invoice_number']}",
        existed=existed,
        warnings=(heard,) if heard else (),
        fingerprint=_fingerprint(lines, payload),
    )


def _total(lines: Iterable[Raw], customer: str) -> Decimal | None:
    """What the debtor owes by these lines: debit less credit, and so with the document's sign."""
    found = [signed for line in lines if is_customer(line, customer) and (signed := balance(line)) is not None]
    return sum(found, ZERO) if found else None


def balance(line: Raw) -> Decimal | None:
    """Debit less credit of a line; None when it shows neither."""
    debit, credit = amount(line.get("debit")), amount(line.get("credit"))
    return None if debit is None and credit is None else (debit or ZERO) - (credit or ZERO)


def is_customer(line: Raw, customer: str = "") -> bool:
    """True for a line on a debtor; on `customer` when a line does not say what its account is."""
    account = part(line.get("account"))
    kind = text(account.get("type")).lower()
    return kind == "customer" or (not kind and bool(customer) and number(account.get("id")) == customer)


def _fingerprint(lines: Sequence[Raw], payload: Payload) -> str:
    """Over accounts, amounts, number and day of what was entered: the lines that Minox adds itself stay out."""
    added = {*payload["vat_accounts"], *(ident(part(line.get("vat")).get("account_id")) for line in lines)}
    seen = sorted(
        "|".join((account, f"{balance(line) or ZERO:.2f}", number(line.get("invoice_number")), _day(line)))
        for line in lines
        if (account := ident(part(line.get("account")).get("id"))) not in added and not automatic(line)
    )
    return hashlib.sha256("\n".join(seen).encode()).hexdigest() if seen else ""


def automatic(line: Raw) -> bool:
    """From line 9,000 of a journal page on Minox adds contra and collective postings (dossier 4.6)."""
    return int(number(part(line.get("journal")).get("line_number")) or 0) >= _FIRST_AUTOMATIC


def _day(line: Raw) -> str:
    return text(line.get("document_date"))[:10]


def _path(administration: str, ref: str) -> str:
    return f"{place(administration)}/transaction_line_batch/{ref}"


async def attach(http: Http, payload: Payload, ref: str, file: File) -> None:
    """Hangs the printed invoice on its batch: one part `data`, in base64; a batch holds at most one document."""
    lines = await read(http, payload["administration"], ref)
    if any(ident(line.get("document_id")) for line in lines or ()):
        return  # Where the batch does not show itself (yet), Minox judges: a second document is refused.
    files = {"data": (file.name, base64.b64encode(file.content), file.media_type)}
    await http.write("POST", f"{_path(payload['administration'], ref)}/blob", files=files)


async def index(
    http: Http, administration: str, since: date | None, settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """All sales entries since a day: the debtors' lines, of journals that are not known to be for something else."""
    journal_id = cast(MinoxSettings, settings).journal
    for year in await years_since(http, administration, since):
        async for page in lines_of(http, administration, year):
            yield _entries(page, since, journal_id)


async def years_since(http: Http, administration: str, since: date | None) -> list[FiscalYear]:
    """The fiscal years that reach to a day or go on after it, the oldest first."""
    years = [year for year in await fiscal_years(http, administration) if since is None or year.end >= since]
    return sorted(years, key=lambda one: one.start)


async def lines_of(http: Http, administration: str, year: FiscalYear) -> AsyncIterator[list[Raw]]:
    """All lines of a fiscal year, each once, in pages that may split a batch: the period's filter may be ignored."""
    seen: set[int] = set()
    for period in range(1, year.periods + 1):
        path = f"{place(administration)}/year/{year.year}/transaction_lines"
        async for page in pages(http, path, [("period", str(period))], absent=_NOT_THERE):
            yield [line for line in page if _of_period(line, year, period, seen)]


def _of_period(line: Raw, year: FiscalYear, period: int, seen: set[int]) -> bool:
    """`seen` is only for lines that do not show their period: then the filter may have been ignored."""
    shown = number(part(line.get("period")).get("id"))
    if shown and int(shown) <= year.periods:
        return int(shown) == period
    names = ("batch_id", "id", "invoice_number", "debit", "credit", "description")
    mark = hash((ident(part(line.get("account")).get("id")), *(text(line.get(name)) for name in names)))
    new = mark not in seen
    seen.add(mark)
    return new


def _entries(page: Iterable[Raw], since: date | None, chosen: str) -> list[Existing]:
    found: dict[tuple[str, str], Existing] = {}
    for line in page:
        if not is_customer(line) or not _is_sale(line, chosen) or not number(line.get("invoice_number")):
            continue
        one = _existing(line)
        if one is None or (since is not None and one.date is not None and one.date < since):
            continue
        place_ = (one.ref, one.open_item)
        before = found.get(place_)
        found[place_] = one if before is None else _summed(before, one)
    return list(found.values())


def _summed(before: Existing, one: Existing) -> Existing:
    total = None if before.total is None or one.total is None else before.total + one.total
    return Existing(before.ref, before.label, before.mark, before.number, before.date, total, (), before.open_item)


def _is_sale(line: Raw, chosen: str) -> bool:
    book = part(line.get("journal"))
    if not ident(book.get("id")):
        return True
    return ident(book["id"]) == chosen or sales_likeness(journal(book)) >= 0


def booked_on(line: Raw) -> date | None:
    """The day a line is booked on; None when it cannot be read."""
    try:
        return day(line.get("document_date"))
    except ValueError:
        return None


def _existing(line: Raw) -> Existing | None:
    shown, customer = number(line.get("invoice_number")), number(part(line.get("account")).get("id"))
    batch = text(line.get("batch_id")).lower()
    return Existing(
        ref=batch or f"{customer}/{shown}",
        label=f"{ident(part(line.get('journal')).get('id'))} {shown}".strip(),
        mark=batch,
        number=shown,
        date=booked_on(line),
        total=balance(line),
        open_item=f"{customer}/{shown}",
    )
