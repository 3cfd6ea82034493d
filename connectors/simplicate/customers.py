"""Organisations and persons of Simplicate as debtors (dossier 3.4)."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from connectors.simplicate.listing import changes
from connectors.simplicate.reading import flag, number, one, part, plain, text
from connectors.simplicate.settings import own
from hub.accounting.documents import Address, Customer, Document, Finding, Ignored
from hub.sdk.connector import Page, Raw, Since, SourceStream
from hub.sdk.errors import Malformed
from hub.sdk.http import Http
from hub.sdk.settings import Settings

MISSING = (400, 404, 422)
"""What a relation that was removed answers (dossier 2.5)."""


async def read(http: Http, since: Since, settings: Settings) -> AsyncIterator[Page]:
    """New and changed organisations, and persons when they are listed too; each has its own place in the cursor.

    Archived relations and the own companies are left out; an invoice that names one still gets it by `fetch`.
    """
    chosen = own(settings)
    kinds = ["organization"] + (["person"] if chosen.persons and chosen.list_persons else [])
    cursors: dict[str, Any] = dict(since.cursor or {})
    for kind in kinds:
        async for page in changes(http, f"/crm/{kind}", cursors.get(kind), None, dated=False, thorough=since.thorough):
            cursors[kind] = page.cursor
            yield Page([row for row in page.records if not _set_aside(row)], dict(cursors))


def key(raw: Raw) -> str:
    """The relation's id. Raises ValueError when there is none."""
    if not (found := text(raw.get("id"))):
        raise ValueError("a relation without id")
    return found


async def fetch(http: Http, source_id: str) -> Raw | None:
    """One organisation or person by id."""
    kind = "person" if source_id.startswith("person:") else "organization"
    return one(await http.get(f"/crm/{kind}/{quote(source_id, safe=':')}", absent=MISSING))


def map_customer(raw: Raw, settings: Settings) -> Document | Ignored:
    """The relation as a debtor. Raises Malformed when it has no name."""
    source_id, is_person = key(raw), _is_person(raw)
    name = _person_name(raw) if is_person else plain(raw.get("name"))
    if is_person and not own(settings).persons:
        unwanted = Finding(key="simplicate.person_not_wanted", values={"name": name}, field="persons")
        return Ignored(source_id=source_id, reason=unwanted, number=text(raw.get("relation_number")))
    if not name:
        raise Malformed(Finding(key="simplicate.relation_without_name", values={"id": source_id}))
    vat_number = text(raw.get("vat_number")) or text(part(raw.get("accountancy")).get("vat_number_fe"))
    return Customer(
        source_id=source_id,
        name=name,
        number=text(raw.get("relation_number")),
        is_person=is_person,
        emails=_emails(raw),
        phone=text(raw.get("phone")),
        address=_address(raw),
        vat_number=_compact(vat_number),
        chamber_of_commerce=_compact(text(raw.get("coc_code"))),
        iban=_compact(text(raw.get("bank_account"))),
        payment_days=_payment_days(raw),
    )


def _is_person(raw: Raw) -> bool:
    source_id = text(raw.get("id"))
    return source_id.startswith("person:") or (
        not source_id.startswith("organization:") and "name" not in raw and bool(_person_name(raw))
    )


def _person_name(raw: Raw) -> str:
    parts = (plain(raw.get(name)) for name in ("first_name", "family_name_prefix", "family_name"))
    return plain(raw.get("full_name")) or " ".join(part for part in parts if part)


def _set_aside(raw: Raw) -> bool:
    own_company = text(part(raw.get("relation_type")).get("label")).casefold() == "relationtype_own_company"
    return own_company or not flag(raw.get("is_active"), default=True)


def _emails(raw: Raw) -> tuple[str, ...]:
    """The general address first, since debtors are matched by it; then the fixed invoicing address (gotcha 14)."""
    debtor = part(raw.get("debtor"))
    fixed = text(debtor.get("send_email_type")) == "fixed" or flag(debtor.get("send_invoice_email_to_fixed_email"))
    written = f"{text(raw.get('email'))};{text(debtor.get('send_email_email')) if fixed else ''}".lower()
    found = [word.strip("<>\"'") for word in re.split(r"[;,\s]+", written)]
    return tuple(dict.fromkeys(word for word in found if re.fullmatch(r"[^@]+@[^@]+", word)))


def _address(raw: Raw) -> Address:
    """Where post goes; a person's address is a list or an object (dossier 3.4)."""
    postal, visiting, own = (_first(raw.get(name)) for name in ("postal_address", "visiting_address", "address"))
    given = postal if flag(raw.get("has_different_postal_address")) and postal else visiting or own or postal
    country = text(given.get("country_code")) or text(given.get("country"))
    return Address(
        street=", ".join(line for line in (plain(given.get("line_1")), plain(given.get("line_2"))) if line),
        postal_code=plain(given.get("postal_code")),
        city=plain(given.get("locality")),
        country=country.upper() if re.fullmatch(r"[A-Za-z]{2}", country) else "",
    )


def _first(value: object) -> Raw:
    return part(value[0]) if isinstance(value, list) and value else part(value)


def _compact(value: str) -> str:
    return re.sub(r"[\s.\-]", "", value).upper()


def _payment_days(raw: Raw) -> int | None:
    try:
        days = int(number(part(part(raw.get("debtor")).get("payment_term")).get("days")))
    except (ValueError, OverflowError):
        return None
    return days if days >= 0 else None


STREAM = SourceStream(document=Customer, read=read, key=key, map=map_customer, fetch=fetch)
