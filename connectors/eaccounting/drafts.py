"""Drafts and the invoices that they become: written once, found again in both places, changed while still a draft."""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.eaccounting import articles, customers
from connectors.eaccounting.listing import everything, filtered, pages, single
from connectors.eaccounting.reading import amount, day, flag, ident, mark_of, one_of, text
from connectors.eaccounting.remembered import memory
from hub.sdk.connector import Existing, File, Key, Payload, Raw, Receipt
from hub.sdk.errors import ConfigError, OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

DRAFTS, INVOICES = "/customerinvoicedrafts", "/customerinvoices"
PLACES = (DRAFTS, INVOICES)
"""In this order: a draft becomes an invoice and never the other way, so nothing slips through between two looks."""
TOTALS = ("TotalAmountInvoiceCurrency", "TotalAmount", "TotalVatAmount")


def reference(number: str, mark: str) -> str:
    """The source's number and our key, in the field that people see and that can be searched."""
    return f"{' '.join(number.split())[:80]} #{mark}"


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The document that bears our key, as a draft or as an invoice; a conversion that was asked for is finished."""
    place, stands = await _standing(http, key.mark)
    if not stands:
        return None
    receipt = _receipt(stands, payload, existed=True)
    unfinished = place == DRAFTS and rows_of(stands) == rows_of(payload["body"])
    return await _converted(http, payload, receipt, key.mark) if unfinished else receipt


async def _standing(http: Http, mark: str) -> tuple[str, Raw]:
    """Where it stands. Whether references can be filtered on is not confirmed (dossier 5): absence is read, not asked.

    Raises OutcomeUnknown when the key stands on more than one document.
    """
    for asked in (True, False):
        for place in PLACES:
            wanted = f"contains(OurReference,'{mark}')"
            rows = await filtered(http, place, wanted) or [] if asked else await everything(http, place)
            found = {ident(row.get("Id")): row for row in rows if mark_of(row) == mark}
            if len(found) > 1:
                raise OutcomeUnknown("eaccounting.key_twice", documents=", ".join(sorted(map(_label, found.values()))))
            for row in found.values():
                return place, row
    return "", {}


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Makes the draft, with the default articles it needs, and the invoice when that was chosen."""
    body = await _ready(http, payload, key)
    made = one_of(await http.write("POST", DRAFTS, body))
    if not ident(made.get("Id")):
        made = await _read_back(http, key.mark, PLACES)
    return await _converted(http, payload, _receipt(_echoed(body, made), payload), key.mark)


async def _ready(http: Http, payload: Payload, key: Key) -> dict[str, Any]:
    """The body as it is sent: every row with the id of an article that stands there."""
    body = dict(payload["body"])
    await customers.fits(http, payload, body["CustomerId"])
    made = await articles.stand(http, payload["articles"])
    ids = {f"{articles.TO_BE_MADE}{number}": own for number, own in made.items()}
    rows = [{**row, "ArticleId": ids.get(own, own)} if (own := row.get("ArticleId")) else row for row in body["Rows"]]
    return {**body, "OurReference": reference(payload["number"], key.mark), "Rows": rows}


async def _converted(http: Http, payload: Payload, draft: Receipt, mark: str) -> Receipt:
    """The invoice that a draft becomes. One that eAccounting will not make yet stays a draft, and says why.

    Raises OutcomeUnknown for all that leaves the fate open: the draft stands, whatever became of the conversion.
    """
    if not payload["convert"] or draft.total not in (None, payload["total"]):
        return draft
    keep = {"keepOriginalDraftDate": "true", "overrideCompanyKeepOriginalDraftDate": "true"}
    try:
        made = one_of(await http.write("POST", f"{DRAFTS}/{draft.ref}/convert", None, keep))
        if not ident(made.get("Id")):
            made = await _became(http, draft.ref) or await _read_back(http, mark, (INVOICES,))
    except (RecordRejected, ConfigError) as error:
        return Receipt(draft.ref, draft.label, draft.total, draft.open_item, draft.existed, (error.words or error.key,))
    except VendorError as error:
        made = await _became(http, draft.ref)
        if not made:
            raise OutcomeUnknown("eaccounting.conversion_unclear", words=error.words) from error
    return _receipt({**made, "OurReference": text(made.get("OurReference")) or f"#{mark}"}, payload)


async def _became(http: Http, draft: str) -> Raw:
    """The invoice that came from a draft, while its id is known: whether our reference goes along is inferred."""
    try:
        return await invoice_of(http, draft, afresh=True)
    except VendorError:
        return {}


async def _read_back(http: Http, mark: str, places: Sequence[str]) -> Raw:
    """A document of which an answer said nothing. Raises OutcomeUnknown unless it is seen."""
    try:
        place, stands = await _standing(http, mark)
    except VendorError as error:
        raise OutcomeUnknown("eaccounting.unclear_answer", words=error.words) from error
    if place not in places:
        raise OutcomeUnknown("eaccounting.unclear_answer")
    return stands


async def update(http: Http, payload: Payload, key: Key, ref: str) -> Receipt:
    """Makes the draft say what the payload says; all that is not ours goes back as it was (dossier 2: PUT empties).

    Raises RecordRejected when it is an invoice by now: that can only be corrected by a human.
    """
    path = f"{DRAFTS}/{ident(ref)}"
    stands = await single(http, path)
    if not ident(stands.get("Id")):
        raise RecordRejected("eaccounting.already_invoiced", number=payload["number"])
    if mark_of(stands) not in ("", key.mark):
        raise RecordRejected("eaccounting.not_our_draft", reference=text(stands.get("OurReference")))
    body = {**stands, **await _ready(http, payload, key)}
    changed = one_of(await http.write("PUT", path, body))
    receipt = _receipt(_echoed(body, changed or dict.fromkeys(TOTALS)), payload)
    return await _converted(http, payload, receipt, key.mark)


def _echoed(body: Raw, answer: Raw) -> Raw:
    """What was sent under what came back; rows that came back shortened are not taken for all."""
    shortened = len(answer.get("Rows") or ()) != len(body["Rows"])
    return {**body, **answer, **({"Rows": None} if shortened else {})}


async def index(http: Http, _: str, since: date | None, __: Settings) -> AsyncIterator[Sequence[Existing]]:
    """All drafts and invoices since a day, once per number that their references hold."""
    for place in PLACES:
        async for records, _total_of_all in pages(http, place):
            late = [row for row in records if since is None or (day(row.get("InvoiceDate")) or since) >= since]
            yield [one for row in late if ident(row.get("Id")) for one in existing(row)]


def existing(row: Raw) -> Iterator[Existing]:
    """A document as it stands, once per number that its references hold."""
    words = f"{text(row.get('OurReference'))} {text(row.get('YourReference'))}".split()
    numbers = dict.fromkeys(one.strip(",;()") for one in words if any(map(str.isdecimal, one)) and one[:1] != "#")
    own, mark = ident(row.get("Id")), mark_of(row)
    for number in numbers or {"": None}:
        yield Existing(own, _label(row), mark, number, day(row.get("InvoiceDate")), total_of(row), (), mark or own)


async def attach(http: Http, _: Payload, ref: str, file: File) -> None:
    """Hangs the PDF on the draft, or on the invoice that it became; nothing when one hangs there."""
    kind, own = "customerinvoicedraft", ident(ref)
    stands = await single(http, f"{DRAFTS}/{own}")
    if not ident(stands.get("Id")):
        kind = "customerinvoice"
        stands = await single(http, f"{INVOICES}/{own}") or await invoice_of(http, own, afresh=True)
        own = ident(stands.get("Id"))
    if not own:
        raise RecordRejected("eaccounting.not_found")
    if stands.get("SalesDocumentAttachments"):
        return
    data = base64.b64encode(file.content).decode()
    card = {"ContentType": file.media_type, "FileName": file.name, "DockumentId": own, "Data": data}
    await http.write("POST", f"/salesdocumentattachments/{kind}", card)


async def invoice_of(http: Http, name: str, *, afresh: bool = False) -> Raw:
    """The invoice of our mark or of a draft's id; empty is proof of absence only of a list that was read afresh."""
    kept = memory(http)
    async with kept.lock:
        if kept.invoices is None or afresh:
            kept.invoices = {own: row for row in await everything(http, INVOICES) for own in names_of(row)}
    return kept.invoices.get(name, {})


def names_of(row: Raw) -> list[str]:
    """By what an invoice may be known to us: our mark, its id, the id of the draft it came from."""
    return [one for one in (mark_of(row), ident(row.get("Id")), ident(row.get("CreatedFromDraftId"))) if one]


def total_of(row: Raw) -> Decimal | None:
    """The total, negative for a credit whatever sign it is shown with (unknown, dossier 6.5)."""
    found = next((one for name in TOTALS[:2] if (one := amount(row.get(name))) is not None), None)
    return -abs(found) if found is not None and flag(row.get("IsCreditInvoice")) else found


def total_as_ours(row: Raw, payload: Payload) -> Decimal | None:
    """The total as ours counts it: a draft may show it without VAT (unknown, dossier 8.4)."""
    total, vat, ours = total_of(row), amount(row.get("TotalVatAmount")), Decimal(str(payload["total"]))
    net = Decimal(str(payload["net"]))
    return ours if vat is not None and total == net and abs(vat) == abs(ours - net) else total


def _label(row: Raw) -> str:
    number = text(row.get("InvoiceNumber"))
    own = text(row.get("OurReference")).partition("#")[0].strip()
    return f"Factuur {number}" if number.strip("0") else f"Concept {own or ident(row.get('Id'))[:8]}"


def _receipt(row: Raw, payload: Payload, *, existed: bool = False) -> Receipt:
    own = ident(row.get("Id"))
    return Receipt(own, _label(row), total_as_ours(row, payload), mark_of(row) or own, existed, (), _fingerprint(row))


def rows_of(row: Raw) -> list[tuple[str, ...]] | None:
    """What people change on the rows; None when they are not shown in full."""
    rows, found = row.get("Rows"), list[tuple[str, ...]]()
    for one in rows if isinstance(rows, list | tuple) else [None]:
        given = one if isinstance(one, Mapping) else {}
        numbers = [amount(given.get(name)) for name in ("Quantity", "UnitPrice")]
        if not flag(given.get("IsTextRow")) and None in numbers:
            return None
        discount = amount(given.get("DiscountPercentage")) or Decimal(0)
        worth = () if flag(given.get("IsTextRow")) else (*map(text, numbers), text(discount))
        found.append((text(given.get("Text")), *worth))
    return found


def _fingerprint(row: Raw) -> str:
    """Over what people change on a draft; empty when the answer does not show it in full."""
    rows, total = rows_of(row), total_of(row)
    parts = [text(row.get("CustomerId")).lower(), text(total), text(amount(row.get("TotalVatAmount"))), str(rows)]
    return "" if rows is None or total is None else hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
