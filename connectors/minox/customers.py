"""Debtors in Minox: made with our key in `externalid`, found by it or by e-mail, and completed, never emptied (4.5)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, cast
from urllib.parse import quote

from connectors.minox.administration import sales_journal
from connectors.minox.listing import pages
from connectors.minox.reading import (
    alarming,
    flag,
    messages,
    number,
    one_of,
    part,
    place,
    rows,
    text,
    words,
)
from connectors.minox.settings import MinoxSettings
from connectors.minox.unclear import settled
from hub.accounting.booking import Booking, CustomerBooking
from hub.accounting.chart import Journal, Master
from hub.accounting.documents import Customer
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

_POSTAL = ("postal", "postadres")
_BAD_REQUEST = 400
_ENTRIES = {"email_addresses": "email_address", "phone_numbers": "phone_number"}


def external_id(key: Key) -> str:
    """Our key as Minox holds it: all lower case, short, the same after any loss of our data."""
    return f"hub-{key.mark}"


def marks(key: Key) -> tuple[str, ...]:
    """How our key may be spelt on a debtor."""
    return (external_id(key),)


def claim(booking: Booking, _: Settings) -> str | None:
    """The general e-mail address: by it debtors are told apart, so no two may share one."""
    return next(iter(cast(CustomerBooking, booking).customer.emails), None)


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The debtor as Minox takes it; `vat` goes along always, since a client that left it out was refused (4.5)."""
    book = sales_journal(master.journals, cast(MinoxSettings, settings).journal)
    return {
        "administration": booking.administration,
        "journal": book.id if isinstance(book, Journal) else "",
        "body": _body(cast(CustomerBooking, booking).customer),
    }


def _body(customer: Customer) -> dict[str, Any]:
    home = customer.address
    body: dict[str, Any] = {
        "addresses": [
            {
                "address_type": "postal",
                "name": customer.name,
                **_filled(
                    contact_name=customer.contact,
                    streetname_and_number=home.street,
                    postal_code=home.postal_code,
                    city=home.city,
                    country_code=home.country.upper(),
                ),
            }
        ],
        "vat": {"active": bool(customer.vat_number), "vat_registration_number": customer.vat_number},
        **_filled(chamber_of_commerce=customer.chamber_of_commerce),
    }
    emails = [{"email_address_type": "invoice", "email_address": one} for one in customer.emails if one]
    if emails:
        body["addresses"][0]["email_addresses"] = emails
    if customer.phone:
        body["addresses"][0]["phone_numbers"] = [{"phone_number_type": "phone", "phone_number": customer.phone}]
    if customer.iban:
        body["bank_accounts"] = [{"is_default": True, "iban": customer.iban}]
    if search := "".join(one for one in customer.name.upper() if one.isalnum())[:20]:
        body["search"] = [{"id": "key1", "value": search}]
    return body


def _filled(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The debtor that bears our key, by the key or by one of its e-mail addresses."""
    home = place(payload["administration"])
    mine = await _bearing(http, home, external_id(key))
    if not mine:
        for email in _emails_of(payload["body"]):
            found = await _by_email(http, home, email)
            mine += [one for one in found if _bears(one, external_id(key))]
    unique = {number(one.get("id")): one for one in mine if number(one.get("id"))}
    if len(unique) > 1:
        raise OutcomeUnknown("minox.key_twice", customers=", ".join(sorted(unique)))
    if mine and not unique:
        raise OutcomeUnknown("minox.unclear_answer")
    return next((_receipt(one, existed=True) for one in unique.values()), None)


async def _bearing(http: Http, home: str, mark: str) -> list[Raw]:
    found = await _searched(http, home, "by_externalid", mark)
    if found is None:
        return [one async for page in pages(http, f"{home}/customer") for one in page if _bears(one, mark)]
    mute = [one for one in found if "externalid" not in one and number(one.get("id"))]
    if len(mute) > 1:  # Neither trusted nor judged: the filter may have been ignored.
        raise OutcomeUnknown("minox.unclear_answer")
    return mute or [one for one in found if _bears(one, mark)]


def _bears(record: Raw, mark: str) -> bool:
    return text(record.get("externalid")).lower() == mark


async def _searched(http: Http, home: str, by: str, value: str) -> list[Raw] | None:
    """The hits of a search; None where it answers 400, be it for "none" or for a value it cannot take (4.5)."""
    try:
        return rows(await http.get(f"{home}/customer/{by}/{quote(value, safe='')}", absent=(404, 410)))
    except RecordRejected as refused:
        if refused.exchange is None or refused.exchange.status != _BAD_REQUEST:
            raise
        return None


async def match(http: Http, booking: Booking) -> Sequence[Existing]:
    """The debtors that use one of the customer's e-mail addresses; more than one is for a human to choose from."""
    customer = cast(CustomerBooking, booking).customer
    home = place(booking.administration)
    found: dict[str, Existing] = {}
    for email in customer.emails:
        for one in await _by_email(http, home, email) if email else ():
            existing = _existing(one)
            found.setdefault(existing.ref, existing)
    return list(found.values())


async def _by_email(http: Http, home: str, email: str) -> list[Raw]:
    """Debtors that use the address; the filter is not trusted, and who shows no address is looked at singly."""
    hits = await _searched(http, home, "by_email", email)
    if hits is None:
        hits = [one async for page in pages(http, f"{home}/customer") for one in page]
    found: list[Raw] = []
    for one in hits:
        if not number(one.get("id")):
            continue
        shown = await _whole(http, home, one)
        if email.lower() in _emails_of(shown):
            found.append(shown)
    return found


async def _whole(http: Http, home: str, row: Raw) -> Raw:
    """A debtor with its addresses; one that a list shows without is asked singly."""
    if "addresses" in row:
        return row
    return one_of(await http.get(f"{home}/customer/{number(row['id'])}", absent=(404, 410))) or row


def _emails_of(record: Raw) -> tuple[str, ...]:
    found = [
        text(part(entry).get("email_address")).lower()
        for address in record.get("addresses") or ()
        for entry in part(address).get("email_addresses") or ()
    ]
    return tuple(dict.fromkeys(one for one in found if one))


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Creates the debtor, unless one bears our key. Its number is in the answer, or read back by our key (4.5, 6)."""
    home = place(payload["administration"])
    if await _bearing(http, home, external_id(key)):
        stands = await find(http, key, payload)
        if stands is not None:
            return stands
    query = {"journal_id": payload["journal"]} if payload["journal"] else {}
    body = {"externalid": external_id(key), **payload["body"]}
    answer = await http.write("POST", f"{home}/customer", body, query)
    made = one_of(answer)
    said = messages(answer) if not isinstance(answer, str) else []
    if number(made.get("id")) and not any(alarming(one) for one in said):
        return _receipt({**body, **made}, said=said)
    return await settled(lambda: find(http, key, payload), said)


async def update(http: Http, payload: Payload, _: Key, ref: str) -> Receipt:
    """Brings a debtor up to date: what we know replaces what stands there, what we do not know stays."""
    home = f"{place(payload['administration'])}/customer/{number(ref)}"
    stands = one_of(await http.get(home))
    if not stands:
        raise RecordRejected("minox.customer_unknown", customer=ref)
    return await _patch(http, home, stands, merged(stands, payload["body"]))


async def adopt(http: Http, payload: Payload, key: Key, existing: Existing) -> Receipt:
    """Writes our key on a debtor that has none; another's key is left alone, and the debtor as its user made it."""
    home = f"{place(payload['administration'])}/customer/{number(existing.ref)}"
    stands = one_of(await http.get(home))
    if not stands:
        raise RecordRejected("minox.customer_unknown", customer=existing.ref)
    taken = text(stands.get("externalid"))
    return await _patch(http, home, stands, {} if taken else {"externalid": external_id(key)}, existed=True)


async def _patch(http: Http, home: str, stands: Raw, changes: Mapping[str, Any], *, existed: bool = False) -> Receipt:
    said: list[Raw] = []
    if changes:
        answer = await http.write("PATCH", home, changes)
        said = messages(answer) if not isinstance(answer, str) else []
        if any(alarming(one) for one in said):
            raise RecordRejected("minox.refused", words=words(said))
    return _receipt({**stands, **changes}, existed=existed, said=said)


def merged(stands: Raw, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that differ, each complete: whether Minox merges or replaces arrays is not known (4.5)."""
    wanted: dict[str, Any] = {}
    if _new(stands.get("chamber_of_commerce"), ours.get("chamber_of_commerce")):
        wanted["chamber_of_commerce"] = ours["chamber_of_commerce"]
    if not any(_holds(one, ours["addresses"][0]) for one in _postal(stands.get("addresses"))):
        wanted["addresses"] = _addresses(stands.get("addresses"), ours["addresses"][0])
    if ours["vat"]["vat_registration_number"]:
        wanted["vat"] = {**part(stands.get("vat")), **ours["vat"]}
    for name, own in (("bank_accounts", "iban"), ("search", "id")):
        wanted[name] = _with(stands.get(name), ours.get(name) or (), own)
    return {name: value for name, value in wanted.items() if value and value != stands.get(name)}


def _postal(stands: object) -> list[Raw]:
    """The postal addresses; all of them where none is called so."""
    found = [part(one) for one in stands] if isinstance(stands, list) else []
    return [one for one in found if text(one.get("address_type")).lower() in _POSTAL] or found


def _holds(address: Raw, ours: Mapping[str, Any]) -> bool:
    """True when an address says all that ours does: where arrays are added to, the next update would add once more."""
    for name, value in ours.items():
        if name in _ENTRIES:
            known = {_folded(part(one).get(_ENTRIES[name])) for one in address.get(name) or ()}
            if not {_folded(one.get(_ENTRIES[name])) for one in value} <= known:
                return False
        elif name != "address_type" and text(address.get(name)) != text(value):
            return False
    return True


def _new(stands: object, ours: object) -> bool:
    return bool(text(ours)) and text(stands) != text(ours)


def _addresses(stands: object, ours: Mapping[str, Any]) -> list[Any]:
    """The postal address (else the first) completed; every other address, e-mail and telephone kept."""
    found = [dict(one) for one in stands if isinstance(one, Mapping)] if isinstance(stands, list) else []
    if not found:
        return [dict(ours)]
    at = next((i for i, one in enumerate(found) if text(one.get("address_type")).lower() in _POSTAL), 0)
    simple = {name: value for name, value in ours.items() if name not in _ENTRIES and name != "address_type"}
    found[at] = {**found[at], **simple}
    for name, own in _ENTRIES.items():
        if entries := _with(found[at].get(name), ours.get(name) or (), own):
            found[at][name] = entries
    return found


def _with(stands: object, ours: Sequence[Mapping[str, Any]], own: str) -> list[Any]:
    """What stands there, followed by what of ours is not among it."""
    kept = list(stands) if isinstance(stands, list) else []
    known = {_folded(part(one).get(own)) for one in kept}
    return [*kept, *(dict(one) for one in ours if _folded(one.get(own)) not in known)]


def _folded(value: object) -> str:
    return "".join(text(value).lower().split())


def _name_of(record: Raw) -> str:
    names = [text(part(one).get("name")) for one in record.get("addresses") or ()]
    return next((name for name in [*names, text(record.get("name"))] if name), "")


def _receipt(record: Raw, *, existed: bool = False, said: Sequence[Raw] = ()) -> Receipt:
    own = number(record.get("id"))
    heard = words(said)
    blocked = part(record.get("blocked"))
    notes = [heard, text(blocked.get("reason")) if flag(blocked.get("active")) else ""]
    return Receipt(
        ref=own,
        label=f"{own} {_name_of(record)}".strip(),
        existed=existed,
        warnings=tuple(one for one in notes if one),
    )


def _existing(record: Raw) -> Existing:
    own = number(record.get("id"))
    return Existing(
        ref=own,
        label=f"{own} {_name_of(record)}".strip(),
        mark=text(record.get("externalid")).lower(),
        emails=_emails_of(record),
    )


async def index(
    http: Http, administration: str, _since: date | None, _settings: Settings
) -> AsyncIterator[Sequence[Existing]]:
    """All debtors of an administration."""
    home = place(administration)
    async for page in pages(http, f"{home}/customer"):
        yield [_existing(await _whole(http, home, row)) for row in page if number(row.get("id"))]
