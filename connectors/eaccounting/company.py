"""The company behind a connection: who it is, and the codings, articles, units and terms that exports choose from."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from connectors.eaccounting import ledger
from connectors.eaccounting.listing import everything
from connectors.eaccounting.reading import flag, ident, one_of, percentage, text, whole
from hub.accounting.chart import Master
from hub.accounting.documents import Amount, Part
from hub.sdk.connector import Identity, Raw
from hub.sdk.errors import ConfigError
from hub.sdk.http import Http
from hub.sdk.settings import Option

BOOKKEEPING_ONLY = 3
_STATUSES = {0: "eaccounting.company_not_active", 2: "eaccounting.company_read_only"}


class Coding(Part):
    """An article account coding: the VAT rate it charges and the accounts it posts on."""

    id: str
    name: str
    rate: Amount | None
    service: bool
    accounts: Mapping[str, str]
    """Ledger account by the coding's own name of the case (dossier 3.4), such as `DomesticSalesSubjectToVat`."""


class Article(Part):
    """An article that stands there."""

    id: str
    coding: str
    active: bool


class Terms(Part):
    """Terms of payment for sales."""

    id: str
    name: str
    days: int | None


class Company(Part):
    """What the master data hold for exports."""

    country: str = "NL"
    reverse_charge: bool = True
    """False when the company settings say that it is off."""
    codings: tuple[Coding, ...] = ()
    articles: Mapping[str, Article] = {}
    terms: tuple[Terms, ...] = ()
    default_terms: str = ""
    unit: str = ""


async def _settings(http: Http) -> Raw:
    """The company's settings. Raises ConfigError when nothing can be exported to this company."""
    found = one_of(await http.get("/companysettings"))
    status, variant = whole(found.get("CompanyStatus")), whole(found.get("ProductVariant"))
    if status in _STATUSES:
        raise ConfigError(_STATUSES[status], company=text(found.get("Name")))
    if variant == BOOKKEEPING_ONLY:
        raise ConfigError("eaccounting.variant_without_sales", company=text(found.get("Name")))
    return found


def _tenant(found: Raw) -> str:
    for name in ("CompanyIdentifier", "CorporateIdentityNumber", "Name"):
        if own := text(found.get(name)):
            return own.lower() if ident(own) else own
    raise ConfigError("eaccounting.company_unknown")


async def identify(http: Http) -> Identity:
    """The one company that the connection's token opens (dossier 1)."""
    found = await _settings(http)
    own = _tenant(found)
    return Identity(tenant=own, name=text(found.get("Name")) or own, email=text(found.get("Email")))


async def administrations(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """One connection is one company."""
    found = await identify(http)
    return [Option(found.tenant, found.name)]


async def article_codings(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The codings that are in use, with their rates."""
    return [Option(one.id, f"{one.name} ({shown(one.rate) or '?'}%)") for one in await _codings(http)]


async def payment_terms(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The terms of payment for sales."""
    return [Option(one.id, one.name) for one in await _terms(http)]


async def accounts(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The revenue accounts of the codings in use; all accounts where only journal entries flow."""
    if set(chosen.get("flows") or ()) == {"journals"}:
        listed = (await ledger.read(http, {}))[1]
        return [Option(one.number, f"{one.number} {one.name}") for one in listed if not one.blocked]
    names = {number: one.name for one in reversed(await _codings(http)) for number in one.accounts.values()}
    return [Option(number, f"{number} {name}") for number, name in sorted(names.items())]


async def cost_centres(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The cost centre items."""
    listed = (await ledger.read(http, {}))[3]
    return [Option(one.id, f"{one.id} {one.name}") for one in listed]


async def master(http: Http, administration: str) -> Master:
    """The lists that an export chooses from. Ledger accounts are not listed: the codings hold them."""
    found = await _settings(http)
    if _tenant(found) != administration:
        values = {"company": text(found.get("Name")), "administration": administration}
        raise ConfigError("eaccounting.other_company", field="administrations", **values)
    reverse = found.get("UsesReverseConstructionVat")
    company = Company(
        country=text(found.get("CountryCode")).upper() or "NL",
        reverse_charge=reverse is None or flag(reverse),
        codings=await _codings(http),
        articles={
            text(row.get("Number")): Article(id=own, coding=ident(row.get("CodingId")), active=usable(row))
            for row in await everything(http, "/articles")
            if (own := ident(row.get("Id"))) and text(row.get("Number"))
        },
        terms=await _terms(http),
        default_terms=ident(found.get("TermsOfPaymentId")),
        unit=_unit(await everything(http, "/units")),
    )
    currency, name = text(found.get("CurrencyCode")).upper() or "EUR", text(found.get("Name"))
    books, found_accounts, years, centres = await ledger.read(http, found)
    return Master(
        administration=administration,
        name=name,
        currency=currency,
        accounts=tuple(found_accounts) if books.listed else None,
        fiscal_years=tuple(years) if books.listed else None,
        cost_centres=tuple(centres) if books.listed else None,
        extra={"company": company.model_dump_json(), "ledger": books.model_dump_json()},
    )


@lru_cache(maxsize=16)
def _read(stored: str) -> Company:
    return Company.model_validate_json(stored)


def company_of(known: Master) -> Company:
    """What `master` put into `extra`; empty lists when it is another's master."""
    return _read(known.extra.get("company", "{}"))


def usable(row: Raw) -> bool:
    """Not switched off."""
    return bool(ident(row.get("Id"))) and (row.get("IsActive") is None or flag(row.get("IsActive")))


def coding_of(row: Raw) -> Coding:
    """A coding; its rate is unknown where neither of its two fields can be read."""
    rate = percentage(row.get("VatRatePercent"))
    if rate is None:
        rate = percentage(text(row.get("VatRate")).split("%")[0].split(" ")[-1])
    numbers = {
        name.removesuffix("AccountNumber"): own
        for name, value in row.items()
        if name.endswith("AccountNumber") and (own := text(value))
    }
    return Coding(
        id=ident(row.get("Id")),
        name=text(row.get("Name")) or text(row.get("NameEnglish")),
        rate=rate,
        service=text(row.get("Type")).lower().startswith(("serv", "dienst", "tj")),
        accounts=numbers,
    )


async def _codings(http: Http) -> tuple[Coding, ...]:
    return tuple(coding_of(row) for row in await everything(http, "/articleaccountcodings") if usable(row))


async def _terms(http: Http) -> tuple[Terms, ...]:
    return tuple(
        Terms(id=own, name=text(row.get("Name")), days=whole(row.get("NumberOfDays")))
        for row in await everything(http, "/termsofpayments")
        if (own := ident(row.get("Id")))
        and (row.get("AvailableForSales") is None or flag(row.get("AvailableForSales")))
        and (whole(row.get("TermsOfPaymentTypeId")) or 0) == 0
    )


def _unit(found: Sequence[Raw]) -> str:
    """The unit of a default article: pieces where there are, else the first."""
    pieces = ("st", "stk", "stuk", "stuks", "pc", "pcs", "pce")
    words = ("Code", "Abbreviation", "AbbreviationEnglish", "Name")
    named = [row for row in found if any(text(row.get(one)).lower().rstrip(".") in pieces for one in words)]
    return next((own for row in [*named, *found] if (own := ident(row.get("Id")))), "")


def shown(rate: Decimal | None) -> str:
    """A percentage as people write it."""
    return "" if rate is None else f"{rate.normalize():f}"
