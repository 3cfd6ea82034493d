"""The company behind a connection: who it is, and the codings, articles, units and terms that exports choose from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from connectors.eaccounting.listing import everything
from connectors.eaccounting.reading import flag, ident, one_of, percentage, text, whole
from hub.accounting.chart import Master
from hub.sdk.connector import Identity, Raw
from hub.sdk.errors import ConfigError
from hub.sdk.http import Http
from hub.sdk.settings import Option

BOOKKEEPING_ONLY = 3
_STATUSES = {0: "eaccounting.company_not_active", 2: "eaccounting.company_read_only"}


@dataclass(frozen=True)
class Coding:
    """An article account coding: the VAT rate it charges and the accounts it posts on."""

    id: str
    name: str
    rate: Decimal | None
    service: bool
    accounts: tuple[str, ...]


@dataclass(frozen=True)
class Article:
    """An article that stands there."""

    id: str
    coding: str
    active: bool


@dataclass(frozen=True)
class Terms:
    """Terms of payment for sales."""

    id: str
    name: str
    days: int | None


@dataclass(frozen=True)
class Company:
    """What a master says, read back."""

    country: str
    reverse_charge: bool
    codings: tuple[Coding, ...]
    articles: Mapping[str, Article]
    terms: tuple[Terms, ...]
    default_terms: str
    unit: str


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
    found = [coding_of(row) for row in await everything(http, "/articleaccountcodings") if usable(row)]
    return [Option(one.id, f"{one.name} ({shown(one.rate)}%)" if one.rate is not None else one.name) for one in found]


async def payment_terms(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The terms of payment for sales."""
    return [Option(one.id, one.name) for one in await _terms(http)]


async def accounts(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The revenue accounts of the codings in use."""
    names: dict[str, str] = {}
    for row in await everything(http, "/articleaccountcodings"):
        if usable(row):
            one = coding_of(row)
            for number in one.accounts:
                names.setdefault(number, one.name)
    return [Option(number, f"{number} {name}") for number, name in sorted(names.items())]


async def master(http: Http, administration: str) -> Master:
    """The lists that an export chooses from. Ledger accounts are not listed: the codings hold them."""
    found = await _settings(http)
    if _tenant(found) != administration:
        values = {"company": text(found.get("Name")), "administration": administration}
        raise ConfigError("eaccounting.other_company", field="administrations", **values)
    codings = [row for row in await everything(http, "/articleaccountcodings") if usable(row)]
    articles = [row for row in await everything(http, "/articles") if text(row.get("Number"))]
    reverse = found.get("UsesReverseConstructionVat")
    extra = {
        "country": text(found.get("CountryCode")).upper() or "NL",
        "reverse_charge": "no" if reverse is not None and not flag(reverse) else "yes",
        "codings": json.dumps([_packed(coding_of(row)) for row in codings]),
        "articles": json.dumps(
            {
                text(row.get("Number")): [ident(row.get("Id")), ident(row.get("CodingId")), usable(row)]
                for row in articles
                if ident(row.get("Id"))
            }
        ),
        "terms": json.dumps([[one.id, one.name, one.days] for one in await _terms(http)]),
        "default_terms": ident(found.get("TermsOfPaymentId")),
        "unit": _unit(await everything(http, "/units")),
    }
    currency = text(found.get("CurrencyCode")).upper() or "EUR"
    return Master(administration=administration, name=text(found.get("Name")), currency=currency, extra=extra)


def usable(row: Raw) -> bool:
    """Not switched off."""
    return bool(ident(row.get("Id"))) and (row.get("IsActive") is None or flag(row.get("IsActive")))


def coding_of(row: Raw) -> Coding:
    """A coding; its rate is unknown where neither of its two fields can be read."""
    rate = percentage(row.get("VatRatePercent"))
    if rate is None:
        rate = percentage(text(row.get("VatRate")).split("%")[0].split(" ")[-1])
    numbers = [text(value) for name, value in row.items() if name.endswith("AccountNumber")]
    return Coding(
        id=ident(row.get("Id")),
        name=text(row.get("Name")) or text(row.get("NameEnglish")),
        rate=rate,
        service=text(row.get("Type")).lower().startswith(("serv", "dienst", "tj")),
        accounts=tuple(dict.fromkeys(one for one in numbers if one)),
    )


def _packed(one: Coding) -> list[object]:
    return [one.id, one.name, None if one.rate is None else str(one.rate), one.service, list(one.accounts)]


async def _terms(http: Http) -> list[Terms]:
    found = await everything(http, "/termsofpayments")
    return [
        Terms(ident(row.get("Id")), text(row.get("Name")), whole(row.get("NumberOfDays")))
        for row in found
        if ident(row.get("Id"))
        and (row.get("AvailableForSales") is None or flag(row.get("AvailableForSales")))
        and (whole(row.get("TermsOfPaymentTypeId")) or 0) == 0
    ]


def _unit(found: Sequence[Raw]) -> str:
    """The unit of a default article: pieces where there are, else the first."""
    pieces = ("st", "stk", "stuk", "stuks", "pc", "pcs", "pce")
    words = ("Code", "Abbreviation", "AbbreviationEnglish", "Name")
    named = [row for row in found if any(text(row.get(one)).lower().rstrip(".") in pieces for one in words)]
    return next((own for row in [*named, *found] if (own := ident(row.get("Id")))), "")


def company_of(known: Master) -> Company:
    """What `master` put into `extra`; empty lists when it is another's master."""
    extra = known.extra
    return Company(
        country=extra.get("country", "NL"),
        reverse_charge=extra.get("reverse_charge", "yes") == "yes",
        codings=_codings(extra.get("codings", "[]")),
        articles=_articles(extra.get("articles", "{}")),
        terms=tuple(Terms(*one) for one in json.loads(extra.get("terms", "[]"))),
        default_terms=extra.get("default_terms", ""),
        unit=extra.get("unit", ""),
    )


@lru_cache(maxsize=16)
def _codings(stored: str) -> tuple[Coding, ...]:
    return tuple(
        Coding(own, name, None if rate is None else Decimal(rate), service, tuple(numbers))
        for own, name, rate, service, numbers in json.loads(stored)
    )


@lru_cache(maxsize=16)
def _articles(stored: str) -> Mapping[str, Article]:
    return {number: Article(*facts) for number, facts in json.loads(stored).items()}


def shown(rate: Decimal | None) -> str:
    """A percentage as people write it."""
    return "" if rate is None else f"{rate.normalize():f}"
