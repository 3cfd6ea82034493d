"""Mutations: written once, found again by our key in `entryNumber`, read back, and listed (dossier 5, 7)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeVar

from connectors.eboekhouden.invoices import TYPE
from connectors.eboekhouden.listing import Query, pages
from connectors.eboekhouden.reading import amount, day, ident, one_of, rows, text
from connectors.eboekhouden.refusal import NUMBER_EXISTS, UNEXPLAINED
from connectors.eboekhouden.vat import FREE, RATES
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

NOT_THERE = (404, 410)
Found = TypeVar("Found")
NO_REASON = (UNEXPLAINED, "refused")
"""The keys of a refusal that says nothing of why."""
READ_BACK_S = (0.0, 0.5, 1.5)
"""Waits before a fresh mutation is looked up: the search may lag behind the answer."""


def entry_number(key: Key) -> str:
    """Our key as the mutation bears it: 16 of at most 50 characters, in a field that lists show (dossier 7)."""
    return f"hub-{key.mark}"


def marks(key: Key) -> tuple[str, ...]:
    """How our key may be spelt on a mutation."""
    return (entry_number(key),)


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The mutation that bears our key, by its invoice number and else by its date; both searches must miss it."""
    body = payload["body"]
    found: set[str] = set()
    for name in ("invoiceNumber", "date"):
        if name in body and not found:
            found = await _bearing(http, key, [("type", str(body["type"])), (name, body[name])], body)
    if len(found) > 1:
        raise OutcomeUnknown("eboekhouden.key_twice", mutations=", ".join(sorted(found)))
    if not found:
        return None
    ref = found.pop()
    return receipt(await read(http, ref) or {}, ref, body, existed=True)


async def _bearing(http: Http, key: Key, query: Query, body: Raw) -> set[str]:
    """The ids of mutations with our key. No filter is trusted: what does not bear the key does not count."""
    found: set[str] = set()
    async for page in pages(http, "/mutation", query):
        for row in page:
            if text(row.get("entryNumber")).lower() == entry_number(key) or await _bears_unseen(http, key, row, body):
                if not ident(row.get("id")):
                    raise OutcomeUnknown("eboekhouden.unclear_answer")
                found.add(ident(row["id"]))
    return found


async def _bears_unseen(http: Http, key: Key, row: Raw, body: Raw) -> bool:
    """Empty fields are left out of some reads (dossier 4): a mutation of our number that shows none is opened."""
    if "entryNumber" in row or not ident(row.get("id")) or text(row.get("invoiceNumber")) != body.get("invoiceNumber"):
        return False
    stands = await read(http, ident(row["id"])) or {}
    return text(stands.get("entryNumber")).lower() == entry_number(key)


async def read(http: Http, ref: str) -> Raw | None:
    """A mutation with its rows; None only when the package says that there is none. An odd answer is empty."""
    try:
        return one_of(await http.get(f"/mutation/{ref}"))
    except RecordRejected as refused:
        if refused.exchange is not None and refused.exchange.status in NOT_THERE:
            return None
        raise


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Creates the mutation. Raises RecordRejected when the number is another mutation's, or the date is refused."""
    body = {**payload["body"], "entryNumber": entry_number(key)}
    try:
        answer = await http.write("POST", "/mutation", body)
    except RecordRejected as refused:
        if refused.key == NUMBER_EXISTS:
            return await _standing(http, payload, key, refused)
        return await _unexplained(http, payload, key, refused)
    ref = ident(one_of(answer).get("id")) or ident(answer)
    if not ref:
        found = await _looked_up(http, payload, key)
        if found is None:
            raise OutcomeUnknown("eboekhouden.unclear_answer")
        return found
    try:
        stands = await read(http, ref) or {}
    except VendorError:  # It stands there; its total is verified from the open items.
        stands = {}
    return receipt(stands, ref, payload["body"])


async def _unexplained(http: Http, payload: Payload, key: Key, refused: RecordRejected) -> Receipt:
    """A refusal without a code that is known: that of our own duplicate, or of a closed period (dossier 4.1, 8)."""
    if refused.key not in NO_REASON:
        raise refused
    told = RecordRejected("eboekhouden.perhaps_closed", words=refused.words, date=payload["body"]["date"])
    told.exchange = refused.exchange
    try:
        found = await find(http, key, payload)
    except VendorError:
        raise told from refused
    if found is None:
        raise told from refused
    return found


async def _standing(http: Http, payload: Payload, key: Key, refused: RecordRejected) -> Receipt:
    """The number is taken: by us, earlier, or by somebody else."""
    found = await _looked_up(http, payload, key)
    if found is not None:
        return found
    number = payload["body"]["invoiceNumber"]
    try:
        listed = [row async for page in pages(http, "/mutation", [("invoiceNumber", number)]) for row in page]
    except VendorError as error:
        raise OutcomeUnknown("eboekhouden.unclear_answer", words=refused.words) from error
    theirs = [ident(row.get("id")) for row in listed if text(row.get("invoiceNumber")) == number]
    if not theirs:  # The search lags: it may be our own.
        raise OutcomeUnknown("eboekhouden.unclear_answer", words=refused.words)
    told = RecordRejected(NUMBER_EXISTS, words=refused.words, number=number, mutations=", ".join(theirs))
    told.exchange = refused.exchange
    raise told


async def _looked_up(http: Http, payload: Payload, key: Key) -> Receipt | None:
    return await patiently(lambda: find(http, key, payload))


async def patiently(look: Callable[[], Awaitable[Found | None]]) -> Found | None:
    """What a search finds, which may lag behind the answer. Raises OutcomeUnknown when it fails."""
    for wait in READ_BACK_S:
        await asyncio.sleep(wait)
        try:
            found = await look()
        except VendorError as error:  # It may stand there: nothing else may be concluded.
            raise OutcomeUnknown("eboekhouden.unclear_answer", words=error.words) from error
        if found is not None:
            return found
    return None


def receipt(stands: Raw, ref: str, body: Raw, *, existed: bool = False) -> Receipt:
    """What a mutation says of itself; of one that could not be read only what we know."""
    number = text(stands.get("invoiceNumber")) or text(body.get("invoiceNumber"))
    return Receipt(
        ref=ref,
        label=f"mutatie {ref} · {number}".removesuffix(" · "),
        total=total(stands),
        open_item=ref,
        existed=existed,
        fingerprint=fingerprint(stands),
    )


def total(stands: Raw) -> Decimal | None:
    """What a mutation comes to with VAT, by its rows and the VAT shown with them; None when that cannot be told.

    A detail shows no total (dossier 5.4). The VAT is taken with the sign of its rows, however it is shown.
    """
    lines = rows(stands.get("rows")) if isinstance(stands.get("rows"), list) else []
    sums: dict[str, Decimal] = {}
    for line in lines:
        value, code = amount(line.get("amount")), text(line.get("vatCode"))
        if value is None:
            return None
        sums[code] = sums.get(code, ZERO) + value
    match text(stands.get("inExVat")).upper():
        case "IN" if sums:
            return cents(sum(sums.values(), ZERO))
        case "EX" if sums:
            return _with_vat(sums, stands.get("vat"))
        case _:
            return None


def _with_vat(sums: Mapping[str, Decimal], shown: object) -> Decimal | None:
    told: dict[str, Decimal] = {}
    for one in rows(shown) if isinstance(shown, list) else []:
        value, code = amount(one.get("amount")), text(one.get("vatCode"))
        if value is not None and code in sums:
            told[code] = told.get(code, ZERO) + value
    whole = ZERO
    for code, net in sums.items():
        vat = abs(told.get(code, ZERO)).copy_sign(net)
        expected = net * RATES[code] / 100 if code in RATES else vat
        if (net and code not in told and code in (*RATES, *FREE)) or abs(vat - expected) > 1:
            return None
        whole += net + vat
    return cents(whole)


def fingerprint(stands: Raw) -> str:
    """Over number, day, relation, ledgers, VAT codes and amounts: words may be changed. Empty without rows."""
    lines = rows(stands.get("rows")) if isinstance(stands.get("rows"), list) else []
    if not lines:
        return ""
    head = [text(stands.get("date"))[:10], text(stands.get("invoiceNumber")), text(stands.get("inExVat")).upper()]
    seen = [
        f"{ident(line.get('ledgerId'))}|{text(line.get('vatCode'))}|{amount(line.get('amount')) or ZERO:.2f}"
        f"|{ident(line.get('costCenterId'))}"
        for line in lines
    ]
    whole = [*head, ident(stands.get("ledgerId")), ident(stands.get("relationId")), *sorted(seen)]
    return hashlib.sha256("\n".join(whole).encode()).hexdigest()


async def index(
    http: Http, _administration: str, since: date | None, _settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """All sales mutations since a day. What a list's `amount` includes is not known: open items go first for totals."""
    open_totals: dict[str, Decimal] = {}
    async for page in pages(http, "/mutation/invoice/outstanding", [("credDeb", "D")]):
        for row in page:
            value = amount(row.get("totalAmount"))
            if ident(row.get("mutationId")) and value is not None:
                open_totals[ident(row["mutationId"])] = value
    query = [("type", str(TYPE)), *([("date[gte]", since.isoformat())] if since else [])]
    async for page in pages(http, "/mutation", query):
        yield [one for row in page if _is_sale(row) and (one := _existing(row, open_totals)) and _recent(one, since)]


def _is_sale(row: Raw) -> bool:
    """Filters may be ignored; a type that is no number is left to the filter."""
    kind = text(row.get("type"))
    return bool(ident(row.get("id"))) and (not kind.isdecimal() or int(kind) == TYPE)


def _recent(one: Existing, since: date | None) -> bool:
    return since is None or one.date is None or one.date >= since


def _existing(row: Raw, open_totals: Mapping[str, Decimal]) -> Existing:
    ref, shown = ident(row["id"]), amount(row.get("amount"))
    known = open_totals.get(ref)
    if known is not None and shown is not None and shown < 0 < known:
        known = -known  # How the open items show a credit note is not known.
    return Existing(
        ref=ref,
        label=f"mutatie {ref} · {text(row.get('invoiceNumber'))}",
        mark=text(row.get("entryNumber")).lower(),
        number=text(row.get("invoiceNumber")),
        date=day(row.get("date")),
        total=known if known is not None else shown,
        open_item=ref,
    )
