"""Customers, known by their number (dossier 3.1, 5): made complete, shortened openly, never emptied."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

from stdnum.eu import vat as eu_vat
from stdnum.exceptions import InvalidFormat, InvalidLength, ValidationError

from connectors.eaccounting.company import Company, company_of
from connectors.eaccounting.listing import PAGE, everything, filtered, pages, single
from connectors.eaccounting.reading import cut, flag, ident, one_of, quoted, text, wrong
from connectors.eaccounting.remembered import memory
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.booking import Booking, CustomerBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Customer, Finding
from hub.sdk.connector import Existing, Key, Payload, Raw, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

NAME, STREET, CITY, POSTAL_CODE, NUMBER, EMAIL, PHONE, CONTACT, CHAMBER = 50, 50, 50, 10, 16, 255, 50, 100, 20
"""Longest texts (dossier 3.1)."""
NO_POSTAL_CODE, NO_CITY = "00000", "Onbekend"
"""What other clients fill in for what the source does not know (dossier 7)."""


def _narrowed(booking: Booking, settings: Settings) -> tuple[Customer, EaccountingSettings]:
    return cast(CustomerBooking, booking).customer, cast(EaccountingSettings, settings)


def claim(booking: Booking, _: Settings) -> str | None:
    """The customer number; without one the customer is itself and nobody else."""
    customer = cast(CustomerBooking, booking).customer
    return customer.number.strip() or f"id {customer.source_id}"


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that eAccounting would refuse of a new customer."""
    customer, chosen = _narrowed(booking, settings)
    return [*_address(customer, chosen), *_identity(customer, company_of(master), chosen)]


def _address(customer: Customer, settings: EaccountingSettings) -> Iterable[Finding]:
    home, name = customer.address, customer.name
    country = home.country.strip()
    missing = [part for part in ("postal_code", "city") if not getattr(home, part).strip()]
    if missing and settings.missing_address == "ask":
        key = "eaccounting.address_incomplete" if len(missing) > 1 else f"eaccounting.{missing[0]}_missing"
        yield wrong(key, field="missing_address", customer=name)
    if len(home.postal_code.strip()) > POSTAL_CODE:
        yield wrong("eaccounting.postal_code_too_long", customer=name, postal_code=home.postal_code)
    if country and not (len(country) == 2 and country.isalpha()):
        yield wrong("eaccounting.country_unknown", customer=name, country=country)


def _identity(customer: Customer, company: Company, settings: EaccountingSettings) -> Iterable[Finding]:
    number, vat_number = customer.number.strip(), _vat_number(customer, company)
    if len(number) > NUMBER:
        yield wrong("eaccounting.customer_number_too_long", customer=customer.name, number=number)
    doubted = vat_number is None or (settings.invalid_vat_number == "ask" and not _checks(vat_number))
    if doubted and not _may_leave_out(customer, company, settings):
        given = customer.vat_number.strip()
        yield wrong(
            "eaccounting.vat_number_invalid", field="invalid_vat_number", customer=customer.name, vat_number=given
        )
    if not _terms(customer, company, settings):
        yield wrong("eaccounting.payment_terms_missing", field="customer_payment_terms")


def _may_leave_out(customer: Customer, company: Company, settings: EaccountingSettings) -> bool:
    """Whether a VAT number that is no good may stay behind: VAT depends on it abroad."""
    abroad = customer.address.country.strip().upper() not in ("", company.country)
    return {"ask": False, "abroad": not abroad, "leave_out": True}[settings.invalid_vat_number]


def _vat_number(customer: Customer, company: Company) -> str | None:
    """The VAT number as VIES writes it; empty for one from outside its countries; None where its form is none of VIES'.

    Check digits that are wrong are no proof: only eAccounting knows what its VIES says.
    """
    given = "".join(one for one in customer.vat_number.upper() if one.isalnum())
    country = (customer.address.country.strip() or company.country).upper()
    if given and not given[:2].isalpha():
        given = ("EL" if country == "GR" else country) + given
    prefix = "gr" if given[:2] == "EL" else given[:2].lower()
    if not given or prefix not in eu_vat.MEMBER_STATES:
        return ""
    try:
        return str(eu_vat.validate(given))
    except (InvalidFormat, InvalidLength):
        return None
    except ValidationError:
        return given


def _checks(vat_number: str) -> bool:
    return not vat_number or bool(eu_vat.is_valid(vat_number))


def _terms(customer: Customer, company: Company, settings: EaccountingSettings) -> str:
    """The id of the terms with the customer's own number of days, else those chosen, else the company's."""
    own = [one.id for one in company.terms if customer.payment_days is not None and one.days == customer.payment_days]
    known = {one.id for one in company.terms}
    usual = [one for one in (settings.customer_payment_terms, company.default_terms) if one in known]
    return next(iter([*own, *usual, *(one.id for one in company.terms)]), company.default_terms)


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The customer's card, and in `told` what it does not say in full. Raises RecordRejected with findings."""
    customer, chosen = _narrowed(booking, settings)
    if found := validate(booking, master, settings):
        raise RecordRejected(found[0].key, findings=found)
    body = _body(customer, company_of(master), chosen)
    said = {"Name": customer.name, "InvoiceCity": customer.address.city, "VatNumber": customer.vat_number}
    told = [f"{words} -> {body.get(name, '-')}" for name, words in said.items() if _cut_off(words, body.get(name))]
    complete = chosen.customer_changes == "complete"
    spare = _may_leave_out(customer, company_of(master), chosen)
    return {"number": customer.number.strip(), "complete": complete, "told": told, "spare_vat": spare, "body": body}


def _cut_off(words: str, left: str | None) -> bool:
    said, stays = (sum(map(str.isalnum, one)) for one in (words, left or ""))
    return said > stays


def _body(customer: Customer, company: Company, settings: EaccountingSettings) -> dict[str, Any]:
    home, business = customer.address, not customer.is_person
    street = " ".join(home.street.split())
    first = cut(street, STREET)
    known = {
        "InvoiceAddress1": first,
        "InvoiceAddress2": cut(street[len(first) :], STREET),
        "InvoiceCountryCode": home.country.strip().upper() or company.country,
        "EmailAddress": next((one for one in customer.emails if one and len(one) <= EMAIL), ""),
        "Telephone": customer.phone.strip() if len(customer.phone.strip()) <= PHONE else "",
        "ContactPersonName": cut(customer.contact, CONTACT),
        "CorporateIdentityNumber": customer.chamber_of_commerce.strip()[:CHAMBER] if business else "",
        "VatNumber": (_vat_number(customer, company) or "") if business else "",
    }
    return {
        "Name": cut(customer.name, NAME),
        "InvoicePostalCode": home.postal_code.strip() or NO_POSTAL_CODE,
        "InvoiceCity": cut(home.city, CITY) or NO_CITY,
        "TermsOfPaymentId": _terms(customer, company, settings),
        "IsPrivatePerson": customer.is_person,
        "IsActive": True,
        **{name: value for name, value in known.items() if value},
    }


def number_of(payload: Payload, key: Key) -> str:
    """The number under which the customer goes: the source's, else one made of our key."""
    return payload["number"] or f"H{key.mark}"


async def by_number(http: Http, number: str) -> list[Raw]:
    """The customers that bear a number, asked now. An empty answer to this filter is proof (dossier 5)."""
    found = await filtered(http, "/customers", f"CustomerNumber eq {quoted(number)}")
    mine = [row for row in found or () if _bears(row, number)]
    if found is None or (found and not mine):  # The filter is refused or ignored.
        mine = [row for row in await everything(http, "/customers") if _bears(row, number)]
    return mine


def _bears(row: Raw, number: str) -> bool:
    return text(row.get("CustomerNumber")).lower() == number.lower() and bool(ident(row.get("Id")))


async def match(http: Http, booking: Booking) -> Sequence[Existing]:
    """The customer with the number of this one."""
    number = cast(CustomerBooking, booking).customer.number.strip()
    found = await _known(http, number) if number else []
    return [Existing(ref=ident(row.get("Id")), label=_label(row), number=number) for row in found]


async def _known(http: Http, number: str) -> list[Raw]:
    """From the list of all customers, which is read once where it fits on a page."""
    kept = memory(http)
    async with kept.lock:
        if kept.customers is None and not kept.many_customers:
            async for records, total in pages(http, "/customers"):
                if total not in (None, len(records)) or len(records) >= PAGE:
                    kept.many_customers = True
                    break
                kept.customers = kept.customers or {}
                for row in records:
                    kept.customers.setdefault(text(row.get("CustomerNumber")).lower(), []).append(row)
    if kept.customers is not None and not kept.many_customers:
        return [row for row in kept.customers.get(number.lower(), ()) if ident(row.get("Id"))]
    return await by_number(http, number)


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The customer under its number. Raises OutcomeUnknown when more than one bears it."""
    number = number_of(payload, key)
    found = {ident(row.get("Id")): row for row in await by_number(http, number)}
    if len(found) > 1:
        raise OutcomeUnknown("eaccounting.number_twice", number=number)
    return next((_receipt(row, existed=True) for row in found.values()), None)


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Creates the customer; one that bears the number by now is taken as it is."""
    number = number_of(payload, key)
    try:
        made = await _sent(http, ("POST", "/customers"), {"CustomerNumber": number, **payload["body"]}, payload, "")
    except RecordRejected as error:
        if error.key != "eaccounting.exists_already":
            raise
        found = await find(http, key, payload)
        if found is None:
            raise
        return found
    if not ident(made.get("Id")):
        made = {**made, **next(iter(await by_number(http, number)), {})}
    if not ident(made.get("Id")):
        raise OutcomeUnknown("eaccounting.unclear_answer")
    return _receipt(made, told=_told(payload, made))


async def _sent(http: Http, way: tuple[Literal["POST", "PUT"], str], card: Raw, payload: Payload, stood: str) -> Raw:
    """Sends a card and returns it as it was taken: with `stood` where its VAT number is refused and may stay behind."""
    number = payload["body"].get("VatNumber", "")
    try:
        return {**card, **one_of(await http.write(*way, card))}
    except RecordRejected as error:
        unclear = error.key == "eaccounting.data_refused" and not _checks(number)
        refused = unclear or error.key == "eaccounting.vat_number_refused"
        if not (refused and payload.get("spare_vat") and number not in ("", stood)):
            raise
    without = {name: value for name, value in {**card, "VatNumber": stood}.items() if name != "VatNumber" or stood}
    return {**without, **one_of(await http.write(*way, without))}


def _told(payload: Payload, taken: Raw) -> list[str]:
    """What a card does not say in full, its refused VAT number too."""
    number, left = payload["body"].get("VatNumber", ""), text(taken.get("VatNumber"))
    same = number == "".join(filter(str.isalnum, left)).upper()
    return [*payload["told"], *([] if same or not number else [f"{number} -> {left or '-'}"])]


async def update(http: Http, payload: Payload, _: Key, ref: str) -> Receipt:
    """Completes a card: what we know replaces what stands there, everything else goes back as it was (dossier 2)."""
    path = f"/customers/{ident(ref)}"
    stands = await single(http, path)
    if not ident(stands.get("Id")):
        raise RecordRejected("eaccounting.not_found")
    wanted = merged(stands, payload["body"])
    if payload["complete"] and any(wanted[name] != stands.get(name) for name in wanted):
        taken = await _sent(http, ("PUT", path), wanted, payload, text(stands.get("VatNumber")))
        return _receipt(taken, told=_told(payload, taken))
    return _receipt(stands, existed=True)


def merged(stands: Raw, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The whole card with our words in it; a placeholder, our terms and the active flag replace nothing."""
    kept = {"TermsOfPaymentId", "IsActive", "IsPrivatePerson"}
    doubtful = {"InvoicePostalCode": NO_POSTAL_CODE, "InvoiceCity": NO_CITY}
    changes = {
        name: value
        for name, value in ours.items()
        if not (text(stands.get(name)) and (name in kept or doubtful.get(name) == value))
        and not (name in kept and stands.get(name) is not None)
    }
    return {**stands, **changes}


async def fits(http: Http, payload: Payload, ref: str) -> None:
    """Raises RecordRejected when the customer's card makes eAccounting charge or count otherwise than the invoice does.

    Sets the card's half of reverse charge, without which a flagged row is refused (dossier 3.2, measured). Harmless for
    other invoices: rows without the flag are charged as ever.
    """
    home = payload.get("abroad", "")
    if not (payload["currency"] or payload["reverse_charge"] or home):
        return
    kept = memory(http)
    async with kept.lock:
        card = kept.cards.get(ref) or await single(http, f"/customers/{ident(ref)}")
        if not ident(card.get("Id")):
            raise RecordRejected("eaccounting.customer_unknown", customer=ref)
        if payload["currency"] not in ("", text(card.get("CurrencyCode")).upper()):
            raise RecordRejected("eaccounting.other_currency", currency=payload["currency"])
        where = {text(card.get("InvoiceCountryCode")).upper(), text(card.get("VatNumber")).upper()[:2]} - {""}
        if home and where == {home}:
            raise RecordRejected("eaccounting.customer_at_home", customer=_label(card), country=home)
        if payload["reverse_charge"] and not flag(card.get("ReverseChargeOnConstructionServices")):
            if not text(card.get("VatNumber")):
                raise RecordRejected("eaccounting.reverse_charge_needs_vat_number", customer=_label(card))
            card = {**card, "ReverseChargeOnConstructionServices": True}
            await http.write("PUT", f"/customers/{ident(ref)}", card)
        kept.cards[ref] = card


def _label(row: Raw) -> str:
    return f"{text(row.get('CustomerNumber'))} {text(row.get('Name'))}".strip()


def _receipt(row: Raw, *, existed: bool = False, told: Sequence[str] = ()) -> Receipt:
    return Receipt(ref=ident(row.get("Id")), label=_label(row), existed=existed, warnings=tuple(told))
