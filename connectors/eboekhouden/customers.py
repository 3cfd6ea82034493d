"""Relations: made with our key in `code`, found by it or by e-mail, and completed, never emptied (dossier 6.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from connectors.eboekhouden.listing import pages
from connectors.eboekhouden.reading import cut, flag, ident, one_of, text
from connectors.eboekhouden.refusal import CODE_EXISTS
from hub.accounting.booking import Booking, CustomerBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Customer
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

LONGEST: Mapping[str, int] = {
    "name": 100,
    "contact": 50,
    "address": 150,
    "postalCode": 50,
    "city": 50,
    "country": 50,
    "phoneNumber": 50,
    "emailAddress": 150,
    "vatNumber": 50,
    "companyRegistrationNumber": 50,
    "iban": 50,
}
"""What is longer is cut for names and places, and left out where a part of it would be another thing."""
_WHOLE = ("emailAddress", "vatNumber", "companyRegistrationNumber", "iban", "phoneNumber", "postalCode")
_KEPT = (
    *("type", "code", "name", "salutation", "contact", "gender", "address", "postalCode", "city", "country"),
    *("address2", "postalCode2", "city2", "country2", "phoneNumber", "mobilePhoneNumber", "faxNumber", "emailAddress"),
    *("emailAddressInvoice", "emailAddressReminder", "website", "note", "vatNumber", "inactive", "termOfPayment"),
    *("companyRegistrationNumber", "iban", "bic", "ledgerId", *(f"freeText{number}" for number in range(1, 11))),
)
"""What a change sends along as it stands: the documentation demands the name and gives defaults to what is empty."""
_EMAILS = ("emailAddress", "emailAddressInvoice", "emailAddressReminder")
MOST_OPENED = 100
"""So many relations are opened for one e-mail address; when there are more, the filter was ignored."""


def code_of(key: Key) -> str:
    """Our key as a relation bears it: exactly the 15 characters that a code may have."""
    return f"hub{key.mark}"


def marks(key: Key) -> tuple[str, ...]:
    """How our key may be spelt on a relation."""
    return (code_of(key),)


def encode(booking: Booking, _: Master, __: Settings) -> Payload:
    """The relation as e-Boekhouden.nl takes it, without our key: only what is known and whole."""
    customer = cast(CustomerBooking, booking).customer
    return {"administration": booking.administration, "body": _body(customer)}


def _body(customer: Customer) -> dict[str, Any]:
    home = customer.address
    chamber = "".join(one for one in customer.chamber_of_commerce if one.isalnum())
    iban = "".join(customer.iban.split()).upper()
    known = {
        "name": customer.name,
        "contact": customer.contact,
        "address": home.street,
        "postalCode": home.postal_code,
        "city": home.city,
        "country": home.country,
        "phoneNumber": customer.phone,
        "emailAddress": next((one for one in customer.emails if _is_email(one)), ""),
        "vatNumber": customer.vat_number,
        "companyRegistrationNumber": chamber if chamber.isdecimal() else "",
        "iban": iban if _is_iban(iban) else "",
    }
    body: dict[str, Any] = {"type": "P" if customer.is_person else "B"}
    for name, value in known.items():
        fits = len(value) <= LONGEST[name]
        if short := (value.strip() if name in _WHOLE and fits else "" if name in _WHOLE else cut(value, LONGEST[name])):
            body[name] = short
    if customer.payment_days is not None and customer.payment_days >= 0:
        body["termOfPayment"] = customer.payment_days
    return body


def _is_email(value: str) -> bool:
    name, at, home = value.partition("@")
    return bool(name and at) and "." in home.strip(".") and "@" not in home and not any(one.isspace() for one in value)


def _is_iban(value: str) -> bool:
    """By its check digits: a wrong one makes the package refuse the whole relation (REL_007)."""
    if not (value.isascii() and value.isalnum() and len(value) > 4):
        return False
    return int("".join(str(int(one, 36)) for one in value[4:] + value[:4])) % 97 == 1


async def find(http: Http, key: Key, _: Payload) -> Receipt | None:
    """The relation that bears our key. The filter is not trusted; a list that shows no codes is opened."""
    found: dict[str, Raw] = {}
    async for page in pages(http, "/relation", [("code", code_of(key))]):
        for row in page:
            seen = row if "code" in row or not ident(row.get("id")) else await _read(http, ident(row["id"])) or row
            if text(seen.get("code")).lower() == code_of(key):
                found[ident(row.get("id"))] = seen
    if len(found) > 1:
        raise OutcomeUnknown("eboekhouden.code_twice", relations=", ".join(sorted(found)))
    if "" in found:
        raise OutcomeUnknown("eboekhouden.unclear_answer")
    return next((_receipt(own, row, existed=True) for own, row in found.items()), None)


async def _read(http: Http, ref: str) -> Raw | None:
    return one_of(await http.get(f"/relation/{ref}", absent=(404, 410))) or None


async def match(http: Http, booking: Booking) -> Sequence[Existing]:
    """The relations that use one of the customer's e-mail addresses; more than one is for a human to choose from."""
    customer = cast(CustomerBooking, booking).customer
    found: dict[str, tuple[Existing, bool]] = {}
    for email in filter(_is_email, customer.emails):
        async for own, row in _by_email(http, email.lower()):
            found.setdefault(own, (_existing(own, row), flag(row.get("inactive"))))
    active = [one for one, inactive in found.values() if not inactive]
    return active or [one for one, _ in found.values()]


async def _by_email(http: Http, email: str) -> Any:
    """Lists show no addresses (dossier 6.3): every hit is opened, for the filter may have been ignored."""
    opened = 0
    async for page in pages(http, "/relation", [("email", email)]):
        for own in filter(None, (ident(row.get("id")) for row in page)):
            opened += 1
            if opened > MOST_OPENED:
                return
            row = await _read(http, own)
            if row is not None and email in _emails(row):
                yield own, row


def _emails(row: Raw) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for name in _EMAILS if (one := text(row.get(name)).lower())))


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Creates the relation. Its id is in the answer, or looked up by our code."""
    try:
        answer = await http.write("POST", "/relation", {**payload["body"], "code": code_of(key)})
    except RecordRejected as refused:
        if refused.key != CODE_EXISTS:
            raise
        return await _looked_up(http, payload, key, refused.words)
    ref = ident(one_of(answer).get("id")) or ident(answer)
    if not ref:
        return await _looked_up(http, payload, key, "")
    return _receipt(ref, {**payload["body"], "code": code_of(key)})


async def _looked_up(http: Http, payload: Payload, key: Key, words: str) -> Receipt:
    try:
        found = await find(http, key, payload)
    except VendorError as error:  # It may stand there: nothing else may be concluded.
        raise OutcomeUnknown("eboekhouden.unclear_answer", words=words) from error
    if found is None:
        raise OutcomeUnknown("eboekhouden.unclear_answer", words=words)
    return found


async def update(http: Http, payload: Payload, _: Key, ref: str) -> Receipt:
    """Brings a relation up to date: what we know replaces what stands there, what we do not know stays."""
    stands = await _read(http, ref)
    if stands is None:
        raise RecordRejected("eboekhouden.relation_unknown", relation=ref)
    changed = changes(stands, payload["body"])
    if changed:
        await http.write("PATCH", f"/relation/{ref}", changed)
    return _receipt(ref, {**stands, **changed})


def changes(stands: Raw, ours: Mapping[str, Any]) -> dict[str, Any]:
    """What to send: nothing when nothing differs, else everything that stands with ours on top."""
    if all(text(stands.get(name)) == text(value) for name, value in ours.items()):
        return {}
    kept = {name: stands[name] for name in _KEPT if stands.get(name) not in (None, "")}
    return {**kept, **ours}


def _receipt(ref: str, row: Raw, *, existed: bool = False) -> Receipt:
    return Receipt(ref=ref, label=_label(row) or ref, existed=existed)


def _existing(ref: str, row: Raw) -> Existing:
    return Existing(ref=ref, label=_label(row) or ref, mark=text(row.get("code")).lower(), emails=_emails(row))


def _label(row: Raw) -> str:
    return f"{text(row.get('code'))} {text(row.get('name'))}".strip()
