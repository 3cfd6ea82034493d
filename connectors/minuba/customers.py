"""Clients of Minuba as debtors (dossier 4.2, 4.3)."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary

from stdnum.eu.vat import MEMBER_STATES

from connectors.minuba import profile
from connectors.minuba.listing import changes, identity, listed
from connectors.minuba.reading import Named, emails, number
from hub.accounting.documents import Address, Customer, Document, Finding, Ignored
from hub.sdk.connector import Page, Raw, Since, SourceStream
from hub.sdk.errors import Malformed, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

RESOURCE = "Client"
QUERY = (("include", "addresses"),)
COUNTRIES = {
    "nederland": "NL", "netherlands": "NL", "thenetherlands": "NL", "holland": "NL",
    "danmark": "DK", "denmark": "DK", "denemarken": "DK",
    "norge": "NO", "norway": "NO", "noorwegen": "NO",
    "sverige": "SE", "sweden": "SE", "zweden": "SE",
    "belgie": "BE", "belgië": "BE", "belgium": "BE",
    "duitsland": "DE", "deutschland": "DE", "germany": "DE", "tyskland": "DE",
}  # fmt: skip
_listed: "WeakKeyDictionary[Http, dict[str, Raw]]" = WeakKeyDictionary()


async def read(http: Http, since: Since, _settings: Settings) -> AsyncIterator[Page]:
    """Clients that are new or different; the listing is whole each time (dossier 4.2)."""
    found = [row async for page in listed(http, RESOURCE, QUERY) for row in page]
    _listed[http] = {identity(row): row for row in found}
    for page in changes(found, since.cursor or {}, {}):
        yield page


def key(raw: Raw) -> str:
    """The client's id. Raises ValueError when there is none."""
    if not (found := Named(raw).text("id")):
        raise ValueError("a client without id")
    return found


async def fetch(http: Http, source_id: str) -> Raw | None:
    """One client by id. No way to ask for one was seen: a filter is tried first, then the whole listing, once."""
    if http not in _listed:
        found: list[Raw] = []
        with suppress(RecordRejected):  # A refused filter: the listing tells.
            found = [row async for page in listed(http, RESOURCE, (("id", source_id), *QUERY)) for row in page]
        if len(found) == 1 and identity(found[0]) == source_id:
            return found[0]
        if not any(identity(row) == source_id for row in found):
            found = [row async for page in listed(http, RESOURCE, QUERY) for row in page]
        _listed[http] = {identity(row): row for row in found}
    return _listed[http].get(source_id)


def map_customer(raw: Raw, _settings: Settings) -> Document | Ignored:
    """The client as a debtor. Raises Malformed when it has no name."""
    client, source_id = Named(raw), key(raw)
    if not (name := client.text("name", *profile.CLIENT_NAME)):
        raise Malformed(Finding(key="minuba.client_without_name", values={"id": source_id}))
    found = client.parts("addresses")
    where = _postal(client, found)
    address = _address(where)
    vat_number, chamber = _numbers(client, address.country)
    everyone = [client, *(one for one in found if one.text("addresstype").upper() != "DELIVERY")]
    return Customer(
        source_id=source_id,
        name=name,
        number=client.text(*profile.CUSTOMER_NUMBER),
        contact=where.text("att"),
        emails=emails(*(one.value("email") for one in everyone)),
        phone=client.text("phone") or where.text("phone", "cellphone", "mobile"),
        address=address,
        vat_number=vat_number,
        chamber_of_commerce=chamber,
        payment_days=_days(client),
    )


def _postal(client: Named, found: list[Named]) -> Named:
    """Where invoices go: the billing address used last, one of that type, the contact address. Never a building site:
    a delivery address counts only when it is the billing address too.
    """
    used = [client.text(f"lastused{kind}addressid") for kind in ("billing", "contact")]
    by_id = {one.text("id"): one for one in found if one.text("id")}
    if used[0] in by_id:
        return by_id[used[0]]
    for kind in ("BILLING", "INVOICE", "CONTACT"):
        if of_kind := [one for one in found if one.text("addresstype").upper() == kind]:
            return next((one for one in of_kind if one.text("id") == used[1]), of_kind[0])
    untyped = [one for one in found if one.text("addresstype").upper() != "DELIVERY"]
    return untyped[0] if untyped else client if client.text("city", "postcode") else Named(None)


def _address(where: Named) -> Address:
    lines = (where.text("streetaddress", "street"), where.text("streetaddress2"))
    return Address(
        street=", ".join(line for line in lines if line),
        postal_code=where.text("postcode", "postalcode", "zipcode"),
        city=where.text("city"),
        country=_country(where.text("country", "countrycode")),
    )


def _country(words: str) -> str:
    if re.fullmatch(r"[A-Za-z]{2}", words):
        return words.upper()
    return COUNTRIES.get(words.lower().replace(" ", ""), "")


def _numbers(client: Named, country: str) -> tuple[str, str]:
    """VAT number and company number. `cvr` is seen and Danish; what Dutch accounts keep in it is unknown, so every
    number is judged by its own form: eight digits are a CVR in Denmark (and then the VAT number too), else a KvK.
    Whether a number is a valid one is for those who use it: nothing is dropped here for its check digit.
    """
    given = [client.text(*names) for names in (profile.VAT_NUMBER, ("cvr",), profile.CHAMBER)]
    compact = [found for words in given if (found := re.sub(r"[^0-9A-Za-z]", "", words).upper())]
    chambers = [found.removeprefix("DK") for found in compact if re.fullmatch(r"DK\d{8}|\d{8,10}", found)]
    vat_numbers = [found for one in compact if (found := _vat(one, country))]
    return next(iter(vat_numbers), ""), next(iter(chambers), "")


def _vat(found: str, country: str) -> str:
    if re.fullmatch(r"\d{8}", found):
        return f"DK{found}" if country == "DK" else ""
    if re.fullmatch(r"\d{9}B\d{2}", found):
        return f"NL{found}" if country in ("NL", "") else ""
    known = found[:2].lower() in MEMBER_STATES and re.fullmatch(r"[A-Z]{2}\w{6,13}", found) and re.search(r"\d", found)
    return found if known else ""


def _days(client: Named) -> int | None:
    """A payment term in days; a term in words (`14 dage netto`) by the only number in it."""
    term = client.value(*profile.TERM)
    words = Named(term).text("days", "name") or client.text(*profile.TERM)
    digits: Iterable[str] = re.findall(r"\d+", words)
    try:
        (days,) = digits
        return int(number(days)) if int(days) <= 365 else None
    except ValueError:
        return None


STREAM = SourceStream(document=Customer, read=read, key=key, map=map_customer, fetch=fetch)
