"""Which article a line goes on: the one with the material's number, else the default article of its VAT rate."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from connectors.eaccounting.company import Article, Coding, Company, company_of, shown
from connectors.eaccounting.listing import everything, filtered
from connectors.eaccounting.reading import ident, one_of, quoted, text, wrong
from connectors.eaccounting.remembered import memory
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.booking import BookedLine, Booking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding, InvoiceLine, VatTreatment
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Raw
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

HIGH = Decimal(15)
UNCHARGED = (VatTreatment.reverse_charge, VatTreatment.icp, VatTreatment.export)
"""Uncharged because of the customer: the article is that of the rate that would have been charged (dossier 3.4)."""
CASES: Mapping[VatTreatment | None, str] = {
    VatTreatment.reverse_charge: "DomesticSalesSubjectToReversedConstructionVat",
    VatTreatment.icp: "ForeignSalesVatExemptWithinEu",
    VatTreatment.export: "ForeignSalesVatExemptOutsideEu",
    VatTreatment.exempt: "DomesticSalesVatExempt",
}
"""Which of a coding's accounts an uncharged line ends up on (dossier 3.4); all others on the one subject to VAT."""
TO_BE_MADE = "number "
"""Stands before a number in a stored payload where an article's id will be."""


Chosen = str | Mapping[str, Any]
"""The article of a line: its id, or the card of a default article that may have to be made first."""


def account(line: InvoiceLine, master: Master, settings: Settings) -> str:
    """The account on which eAccounting posts a line by itself: that of its article's coding, as far as it is known."""
    company, chosen = company_of(master), cast(EaccountingSettings, settings)
    own = company.articles.get((line.article or "").strip())
    coding: Coding | Finding | None = next((one for one in company.codings if own and one.id == own.coding), None)
    rate = article_rate(line, company)
    if coding is None and rate is not None:
        coding = coding_for(rate, "", company, chosen)
    if not isinstance(coding, Coding):
        return ""
    case = CASES.get(line.vat_class.treatment if line.vat_class else None, "DomesticSalesSubjectToVat")
    return coding.accounts.get(case, "")


def outdated(booking: Booking, master: Master) -> bool:
    """Whether a line's material has a number that no article known to us bears."""
    known = company_of(master).articles
    numbers = ((line.article or "").strip() for line in cast(SalesBooking, booking).invoice.lines)
    return any(number and number not in known for number in numbers)


def charged(line: BookedLine | InvoiceLine, company: Company) -> Decimal | None:
    """The VAT percentage that a line bears; None when it fits none of the company's rates."""
    known = line.vat_class
    if known is not None and known.treatment in (*UNCHARGED, VatTreatment.exempt):
        return ZERO
    if known is not None and known.percentage is not None:
        return known.percentage
    if not line.vat:
        return ZERO
    rates = sorted({one.rate for one in company.codings if one.rate}, reverse=True)
    return next((rate for rate in rates if abs(cents(line.net * rate / 100) - line.vat) <= Decimal("0.01")), None)


def article_rate(line: BookedLine | InvoiceLine, company: Company) -> Decimal | None:
    """The rate of the coding that a line needs: of an uncharged one, what would have been charged."""
    known = line.vat_class
    if known is None or known.treatment not in UNCHARGED:
        return charged(line, company)
    if known.percentage:
        return known.percentage
    return max((one.rate for one in company.codings if one.rate is not None), default=None)


def choose(line: BookedLine, number: str, company: Company, settings: EaccountingSettings) -> Chosen | Finding:
    """The article of a line, or why there is none. `number` is the source's own number of the material."""
    rate = article_rate(line, company)
    if rate is None:
        return wrong("eaccounting.vat_rate_unknown", line=line.description, vat=f"{line.vat:f}")
    own = company.articles.get(number.strip()) if number.strip() else None
    if own is not None and own.active:
        return _own(own, number, line, rate, company)
    return default(rate, line.account, company, settings)


def _own(own: Article, number: str, line: BookedLine, rate: Decimal, company: Company) -> Chosen | Finding:
    theirs = next((one.rate for one in company.codings if one.id == own.coding), None)
    uncharged = line.vat_class is not None and line.vat_class.treatment in UNCHARGED
    if theirs is not None and theirs != rate and not uncharged:
        return wrong("eaccounting.article_other_vat", article=number, set_up=shown(theirs), charged=shown(rate))
    return own.id


def default(rate: Decimal, account: str, company: Company, settings: EaccountingSettings) -> Chosen | Finding:
    """The default article of a rate: under a fixed number, or one of its own where that has another coding."""
    coding = coding_for(rate, account, company, settings)
    if isinstance(coding, Finding):
        return coding
    numbers = (f"HUB-{shown(rate)}", f"HUB-{shown(rate)}-{account}"[:40], f"HUB-{shown(rate)}-{coding.id[:8]}")
    usual = coding_for(rate, "", company, settings)
    first = 0 if isinstance(usual, Coding) and usual.id == coding.id else 1
    for number in numbers[first:]:
        stands = company.articles.get(number)
        if stands is not None and stands.active and stands.coding in ("", coding.id):
            return stands.id
        if stands is None:
            return _new(number, rate, coding, company)
    return wrong("eaccounting.default_article_taken", article=numbers[-1])


def _new(number: str, rate: Decimal, coding: Coding, company: Company) -> Mapping[str, Any]:
    """Prices 0 and 0 fit every rate (dossier 3.4)."""
    named = {"Number": number, "Name": f"Verkoop {shown(rate)}% btw", "IsActive": True}
    return {**named, "NetPrice": 0, "GrossPrice": 0, "CodingId": coding.id, "UnitId": company.unit}


def coding_for(rate: Decimal, account: str, company: Company, settings: EaccountingSettings) -> Coding | Finding:
    """The coding of a rate: the one that posts on the line's account, else the chosen one, else the only fitting."""
    field = f"article_coding_{'zero' if rate == 0 else 'high' if rate >= HIGH else 'low'}"
    fitting = [one for one in company.codings if one.rate == rate]
    posting = [one for one in fitting if account and account in one.accounts.values()]
    wanted: str = getattr(settings, field)
    chosen = [one for one in fitting if one.id == wanted]
    services = [one for one in fitting if one.service]
    for found in (posting, chosen, fitting if not wanted else [], services if not wanted else []):
        if len(found) == 1:
            return found[0]
    key = "eaccounting.coding_choose" if fitting else "eaccounting.coding_missing"
    return wrong(key, field=field, rate=shown(rate), choices=", ".join(one.name for one in fitting))


async def stand(http: Http, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The ids of default articles by number; those that are missing are made, each once per run.

    Raises OutcomeUnknown when the fate of a new one is not clear: it is looked up by its number the next time.
    """
    kept = memory(http)
    async with kept.lock:
        for number, card in wanted.items():
            if number not in kept.articles:
                stands = await _by_number(http, number)
                kept.articles[number] = ident(stands.get("Id")) or await _made(http, card)
        return {number: kept.articles[number] for number in wanted}


async def _by_number(http: Http, number: str) -> Raw:
    found = await filtered(http, "/articles", f"Number eq {quoted(number)}")
    mine = [row for row in found or () if _bears(row, number)]
    if not mine and (found is None or found):
        mine = [row for row in await everything(http, "/articles") if _bears(row, number)]
    return mine[0] if mine else {}


def _bears(row: Raw, number: str) -> bool:
    return text(row.get("Number")).lower() == number.lower() and bool(ident(row.get("Id")))


async def _made(http: Http, card: Mapping[str, Any]) -> str:
    try:
        made = one_of(await http.write("POST", "/articles", card))
    except RecordRejected as error:
        if error.key != "eaccounting.exists_already":
            raise
        made = {}
    own = ident(made.get("Id")) or ident((await _by_number(http, str(card["Number"]))).get("Id"))
    if not own:
        raise OutcomeUnknown("eaccounting.unclear_answer")
    return own
