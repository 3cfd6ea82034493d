"""Journal entries as memorial mutations of type 7: a suspense account faces one row per line (dossier 5.3, 7)."""

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from connectors.eboekhouden import mutations
from connectors.eboekhouden.administration import centre_id, ledger_id, suspense
from connectors.eboekhouden.invoices import DESCRIPTION, FIRST_YEAR, LAST_YEAR, MOST_ROWS, ROW_DESCRIPTION
from connectors.eboekhouden.listing import Query, pages
from connectors.eboekhouden.mutations import entry_number
from connectors.eboekhouden.reading import amount, cut, day, ident, one_of, rows, text
from connectors.eboekhouden.refusal import MAIN_UNKNOWN
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.booking import BookedEntryLine, Booking, EntryBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

TYPE = 7
_PART = re.compile(r"(.+?)(?:-(\d+)/(\d+))?")
_AROUND = timedelta(days=366)
"""How far around its day an entry is looked for: hands may have moved it."""


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that e-Boekhouden.nl would refuse, or take and book wrongly."""
    entry, chosen = cast(EntryBooking, booking), cast(EboekhoudenSettings, settings)
    found = [*_document(entry, master, chosen), *_lines(entry, master, chosen)]
    return list({one.model_dump_json(): one for one in found}.values())


def _document(booking: EntryBooking, master: Master, settings: EboekhoudenSettings) -> Iterable[Finding]:
    account = suspense(master, settings.suspense_account)
    if isinstance(account, Finding):
        yield account
    if booking.entry.currency != master.currency:
        values = {"currency": booking.entry.currency, "expected": master.currency}
        yield Finding(key="eboekhouden.entry_other_currency", values=values)
    if not FIRST_YEAR <= booking.date.year <= LAST_YEAR:
        yield Finding(key="eboekhouden.date_refused", values={"date": booking.date.isoformat()}, field="journal_date")


def _lines(booking: EntryBooking, master: Master, settings: EboekhoudenSettings) -> Iterable[Finding]:
    for line in booking.lines:
        if ledger_id(master, line.account) is None:
            yield Finding(key="eboekhouden.account_unknown", values={"account": line.account}, field="ledger_accounts")
        if settings.cost_centre_use != "never" and line.cost_centre and not centre_id(master, line.cost_centre):
            values = {"cost_centre": line.cost_centre, "account": line.account}
            yield Finding(key="eboekhouden.entry_cost_centre_unknown", values=values, field="cost_centres")


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The mutations of an entry, without our key. Raises RecordRejected with findings when it cannot be booked."""
    entry, chosen = cast(EntryBooking, booking), cast(EboekhoudenSettings, settings)
    found = validate(booking, master, settings)
    account = suspense(master, chosen.suspense_account)
    if found or isinstance(account, Finding):
        raise RecordRejected(found[0].key, findings=found)
    title = f"{entry.entry.number} {entry.entry.description}"
    made = [_row(line, master, chosen) for line in entry.lines]
    common = {
        "type": TYPE,
        "date": entry.date.isoformat(),
        "ledgerId": ledger_id(master, account),
        "inExVat": "EX",
        "description": cut(title, DESCRIPTION),
    }
    return {
        "administration": entry.administration,
        "number": entry.entry.number,
        "total": sum((line.debit for line in entry.lines), ZERO),
        "told": _told([(title, DESCRIPTION), *((line.description, ROW_DESCRIPTION) for line in entry.lines)]),
        "bodies": [{**common, "rows": made[at : at + MOST_ROWS]} for at in range(0, len(made), MOST_ROWS)],
    }


def _row(line: BookedEntryLine, master: Master, settings: EboekhoudenSettings) -> dict[str, Any]:
    """A row above zero credits its ledger, one below zero debits it (dossier 5.3)."""
    made: dict[str, Any] = {
        "ledgerId": ledger_id(master, line.account),
        "vatCode": "GEEN",
        "amount": cents(line.credit - line.debit),
    }
    if words := cut(line.description, ROW_DESCRIPTION):
        made["description"] = words
    if line.cost_centre and settings.cost_centre_use != "never":
        made["costCenterId"] = int(centre_id(master, line.cost_centre))
    return made


def _told(words: Iterable[tuple[str, int]]) -> list[str]:
    """What does not stand there in full, before and after."""
    cuts = {" ".join(one.split()): cut(one, longest) for one, longest in words}
    return [f"{whole} -> {shown}" for whole, shown in cuts.items() if whole != shown]


def reversal(payload: Payload, receipt: Receipt, on: date) -> Payload:
    """The same mutations with every sign turned, on a day; the words name the mutations that are undone."""
    title = cut(f"Storno {receipt.ref} {payload['number']}", DESCRIPTION)
    turned = [
        {
            **body,
            "date": on.isoformat(),
            "description": title,
            "rows": [{**row, "amount": -_exact(row["amount"])} for row in body["rows"]],
        }
        for body in payload["bodies"]
    ]
    total = sum((max(_exact(row["amount"]), ZERO) for body in payload["bodies"] for row in body["rows"]), ZERO)
    return {**payload, "total": total, "told": [], "bodies": turned}


def _exact(value: Any) -> Decimal:
    return Decimal(str(value))


def part_number(key: Key, place: int, of: int) -> str:
    """Our key on one mutation of an entry: at most 24 of 50 characters."""
    return entry_number(key) if of == 1 else f"{entry_number(key)}-{place}/{of}"


@dataclass(frozen=True)
class _Standing:
    """The mutations that bear a key, by their place among as many as there should be."""

    ids: Mapping[int, str]
    of: int = 0

    @property
    def whole(self) -> bool:
        return bool(self.ids) and len(self.ids) == self.of

    @property
    def shown(self) -> str:
        return ", ".join(self.ids[place] for place in sorted(self.ids))


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """What bears our key on its day or, moved by hands, within a year of it; both searches must miss it.

    An entry of which only the first parts stand is not booked yet: `write` makes the others. Raises OutcomeUnknown
    when a part in between is missing.
    """
    stands = await _standing(http, key, payload)
    if stands.whole:
        return await _receipt(http, payload, stands, existed=True)
    if stands.ids and sorted(stands.ids) != list(range(1, len(stands.ids) + 1)):
        raise OutcomeUnknown("eboekhouden.parts_missing", number=payload["number"], mutations=stands.shown)
    return None


async def _standing(http: Http, key: Key, payload: Payload) -> _Standing:
    on = date.fromisoformat(payload["bodies"][0]["date"])
    kind = ("type", str(TYPE))
    found = await _bearing(http, key, [kind, ("date", on.isoformat())], opened=True)
    if not found.whole:
        around = [("date[gte]", (on - _AROUND).isoformat()), ("date[lte]", (on + _AROUND).isoformat())]
        found = await _bearing(http, key, [kind, *around], before=found)
    return found


async def _bearing(
    http: Http, key: Key, query: Query, *, opened: bool = False, before: _Standing | None = None
) -> _Standing:
    """The mutations with our key among a listing's and those known before. No filter is trusted to hold."""
    ids = {place: {own} for place, own in before.ids.items()} if before else {}
    counts = {before.of} if before and before.of else set()
    async for page in pages(http, "/mutation", query):
        for row in page:
            own = ident(row.get("id"))
            place, of = _place(await _entry_number(http, row, opened), key)
            if of and not own:
                raise OutcomeUnknown("eboekhouden.unclear_answer")
            if of:
                ids.setdefault(place, set()).add(own)
                counts.add(of)
    if len(counts) > 1 or any(len(same) > 1 for same in ids.values()):
        shown = ", ".join(sorted({own for same in ids.values() for own in same}, key=int))
        raise OutcomeUnknown("eboekhouden.key_twice", mutations=shown)
    return _Standing({place: min(same) for place, same in ids.items()}, counts.pop() if counts else 0)


async def _entry_number(http: Http, row: Raw, opened: bool) -> str:
    """Empty fields are left out of some reads (dossier 4): a mutation of that day that shows none is opened."""
    if opened and "entryNumber" not in row and ident(row.get("id")) and text(row.get("type")) in ("", str(TYPE)):
        row = await mutations.read(http, ident(row["id"])) or {}
    return text(row.get("entryNumber")).lower()


def _place(shown: str, key: Key) -> tuple[int, int]:
    """Which part of how many of our entry bears this; (0, 0) when none does."""
    match = _PART.fullmatch(shown)
    if match is None or match[1] != entry_number(key):
        return 0, 0
    return int(match[2] or 1), int(match[3] or 1)


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Creates the mutations that do not stand there yet. RecordRejected names those that do when one is refused."""
    bodies = payload["bodies"]
    stands = await _begun(http, payload, key)
    ids = dict(stands.ids)
    for place, body in enumerate(bodies, 1):
        if place in ids:
            continue
        try:
            ids[place] = await _create(
                http, {**body, "entryNumber": part_number(key, place, len(bodies))}, payload, key
            )
        except RecordRejected as refused:
            if not ids:
                raise
            done = _Standing(ids, len(bodies))
            told = _rejected(refused, "eboekhouden.part_refused", part=f"{place}/{done.of}", mutations=done.shown)
            raise told from refused
    return await _receipt(http, payload, _Standing(ids, len(bodies)))


async def _begun(http: Http, payload: Payload, key: Key) -> _Standing:
    """What an interrupted write left. Raises RecordRejected for parts of what an entry was before it changed."""
    if key.version > 1:
        former = await _standing(http, replace(key, version=key.version - 1), payload)
        if former.ids and not former.whole:
            raise RecordRejected("eboekhouden.parts_left", number=payload["number"], mutations=former.shown)
    if len(payload["bodies"]) == 1:
        return _Standing({})
    stands = await _standing(http, key, payload)
    same = not stands.ids or stands.of == len(payload["bodies"])
    for place, own in stands.ids.items() if same else ():
        there, body = await mutations.read(http, own) or {}, payload["bodies"][place - 1]
        same = same and mutations.fingerprint(there) in {
            mutations.fingerprint(one) for one in (body, _turned(body)) if one
        }
    if not same:
        raise RecordRejected("eboekhouden.parts_left", number=payload["number"], mutations=stands.shown)
    return stands


async def _create(http: Http, body: Raw, payload: Payload, key: Key) -> str:
    """The id of the new mutation.

    That rows may come to nothing on the main ledger is inferred (dossier 5.3): after a refusal for no known reason one
    of the credited ledgers faces the others instead, which books the same.
    """
    try:
        answer = await http.write("POST", "/mutation", body)
    except RecordRejected as refused:
        if refused.key == MAIN_UNKNOWN:
            raise _rejected(refused, "eboekhouden.suspense_gone", field="suspense_account") from refused
        if refused.key not in mutations.NO_REASON:
            raise
        told = _rejected(refused, "eboekhouden.perhaps_closed", date=body["date"])
        if (own := await _already(http, payload, key, body, told)) is not None:
            return own
        if (turned := _turned(body)) is None:
            raise told from refused
        try:
            answer = await http.write("POST", "/mutation", turned)
        except RecordRejected:
            raise told from refused
    own = ident(one_of(answer).get("id")) or ident(answer)
    return own or await _looked_up(http, payload, key, body)


def _rejected(refused: RecordRejected, name: str, **values: Any) -> RecordRejected:
    told = RecordRejected(name, words=refused.words, **values)
    told.exchange = refused.exchange
    return told


def _turned(body: Raw) -> dict[str, Any] | None:
    """The same posting without the suspense account: one ledger of the entry faces the rows of the others.

    None where the rows do not come to nothing, or every ledger has rows with a cost centre, which a main ledger cannot
    have.
    """
    sums: dict[int, Decimal] = {}
    for row in body["rows"]:
        sums[row["ledgerId"]] = sums.get(row["ledgerId"], ZERO) + _exact(row["amount"])
    bound = {row["ledgerId"] for row in body["rows"] if "costCenterId" in row}
    fit = [(abs(total), own) for own, total in sums.items() if total and own not in bound]
    if sum(sums.values(), ZERO) or not fit:
        return None
    main = max(fit)[1]
    return {**body, "ledgerId": main, "rows": [row for row in body["rows"] if row["ledgerId"] != main]}


async def _already(http: Http, payload: Payload, key: Key, body: Raw, told: RecordRejected) -> str | None:
    """The mutation, when the refusal was that of our own duplicate."""
    try:
        stands = await _standing(http, key, payload)
    except VendorError:
        raise told from None
    return stands.ids.get(_place(body["entryNumber"], key)[0])


async def _looked_up(http: Http, payload: Payload, key: Key, body: Raw) -> str:
    """The id of a mutation whose answer named none."""
    place = _place(body["entryNumber"], key)[0]
    found = await mutations.patiently(lambda: _id_at(http, payload, key, place))
    if found is None:
        raise OutcomeUnknown("eboekhouden.unclear_answer")
    return found


async def _id_at(http: Http, payload: Payload, key: Key, place: int) -> str | None:
    return (await _standing(http, key, payload)).ids.get(place)


async def _receipt(http: Http, payload: Payload, stands: _Standing, *, existed: bool = False) -> Receipt:
    """What the mutations say of themselves: the total is their debit side."""
    read: list[Raw] = []
    for place in sorted(stands.ids):
        try:
            read.append(await mutations.read(http, stands.ids[place]) or {})
        except VendorError:  # It stands there; what it says is not known.
            read.append({})
    prints = [mutations.fingerprint(one) for one in read]
    mains = {body["ledgerId"] for body in payload["bodies"]} if stands.of > 1 else set()
    sums = [_debit(one, mains) for one in read]
    return Receipt(
        ref="+".join(stands.ids[place] for place in sorted(stands.ids)),
        label=f"mutatie {stands.shown} · {payload['number']}",
        total=sum((one for one in sums if one is not None), ZERO) if None not in sums else None,
        existed=existed,
        warnings=tuple(payload["told"]),
        fingerprint=hashlib.sha256("\n".join(prints).encode()).hexdigest() if all(prints) else "",
    )


def _debit(stands: Raw, suspense: Collection[int] = ()) -> Decimal | None:
    """What a mutation debits, its main ledger unless that is a suspense account; None when it cannot be told."""
    lines = rows(stands.get("rows")) if isinstance(stands.get("rows"), list) else []
    amounts = [value for line in lines if (value := amount(line.get("amount"))) is not None]
    if not amounts or len(amounts) != len(lines):
        return None
    facing = ZERO if ident(stands.get("ledgerId")) in {str(own) for own in suspense} else sum(amounts, ZERO)
    return sum((max(-one, ZERO) for one in amounts), ZERO) + max(facing, ZERO)


async def index(
    http: Http, _administration: str, since: date | None, _settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """All memorial mutations since a day; those that do not bear a key of ours are opened for their total."""
    query = [("type", str(TYPE)), *([("date[gte]", since.isoformat())] if since else [])]
    parts: dict[str, dict[int, Raw]] = {}
    async for page in pages(http, "/mutation", query):
        found: list[Existing] = []
        for row in page:
            booked = day(row.get("date"))
            if not ident(row.get("id")) or text(row.get("type")) not in ("", str(TYPE)):
                continue
            if since is not None and booked is not None and booked < since:
                continue
            mark, place, of = _mark(text(row.get("entryNumber")).lower())
            if of > 1:
                parts.setdefault(f"{mark}/{of}", {})[place] = row
            else:
                found.append(await _existing(http, row, mark))
        yield found
    yield [_joined(name, places) for name, places in parts.items() if len(places) == int(name.rpartition("/")[2])]


def _mark(shown: str) -> tuple[str, int, int]:
    match = _PART.fullmatch(shown) if shown.startswith("hub-") else None
    return (match[1], int(match[2] or 1), int(match[3] or 1)) if match else (shown, 1, 1)


async def _existing(http: Http, row: Raw, mark: str) -> Existing:
    own = ident(row["id"])
    stands = {} if mark.startswith("hub-") else await mutations.read(http, own) or {}
    return Existing(
        ref=own,
        label=" · ".join(filter(None, (f"mutatie {own}", text(stands.get("description"))))),
        mark=mark,
        date=day(row.get("date")),
        total=_debit(stands),
    )


def _joined(name: str, places: Mapping[int, Raw]) -> Existing:
    ids = [ident(places[place]["id"]) for place in sorted(places)]
    first = places[min(places)]
    return Existing(
        ref="+".join(ids), label=f"mutatie {', '.join(ids)}", mark=name.rpartition("/")[0], date=day(first.get("date"))
    )
