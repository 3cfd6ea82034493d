"""Who is connected and what the administration allows; by file only what was typed is known (dossier 2.1, 5)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

from connectors.finmaster.reading import CODE, KIND, NAME, Names, rows, said, value
from hub.accounting.chart import FiscalYear, Journal, LedgerAccount, Master
from hub.sdk.connector import Identity, Options, Raw
from hub.sdk.errors import ConfigError
from hub.sdk.http import Answer, Http, Refusal, by_status
from hub.sdk.reading import flag, line, perhaps_day, whole
from hub.sdk.settings import Option

LIST = "/administraties"
MEMORIAL = "memoriaal"
_NO_BOOKING = ("kop", "titel", "totaal", "heading", "header", "debiteuren", "crediteuren", "debtors", "creditors")
"""Kinds of accounts on which nothing is booked by hand: headings, and control accounts of sub-ledgers (3, check 5)."""
_CLOSED: Names = ("gesloten", "afgesloten", "closed")


def by_file(http: Http) -> bool:
    """True when this connection delivers by file: no call is ever made on it."""
    return "administration" in http.fields


async def identify(http: Http) -> Identity:
    """The administration that the token opens, or the one that was typed. Raises ConfigError when there is none."""
    if by_file(http):
        own = http.fields["administration"]
        return Identity(tenant=own, name=f"{http.fields['company']} ({own})", marks=(own,))
    found = {own: said(row, *NAME) for row in rows(await http.get(LIST)) if (own := said(row, "id", "code"))}
    if not found:
        raise ConfigError("finmaster.no_administration")
    known = http.fields.get("tenant", "")
    tenant = known if known in found else min(found)
    return Identity(tenant=tenant, name=found[tenant] or tenant, marks=tuple(sorted(found)))


async def administrations(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The administrations that can be booked in; normally one."""
    if by_file(http):
        return [Option(http.fields["administration"], http.fields["company"])]
    found = rows(await http.get(LIST))
    return [Option(own, said(row, *NAME) or own) for row in found if (own := said(row, "id", "code"))]


async def memorial_journals(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The memorial journals of the chosen administration, or of the only one; by file there is no list."""
    if by_file(http):
        return []
    places = sorted(set((chosen.get("administrations") or {}).values()))
    place = places[0] if places else (await identify(http)).tenant
    return [Option(one.id, f"{one.id} · {one.name}") for one in await _journals(http, place) if is_memorial(one)]


async def cost_centres(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The active cost centres of the chosen administration."""
    if by_file(http):
        return []
    places = sorted(set((chosen.get("administrations") or {}).values()))
    place = places[0] if places else (await identify(http)).tenant
    return [Option(one.id, f"{one.id} · {one.name}") for one in await _cost_centres(http, place)]


async def accounts(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The accounts of the chosen administration that can be booked on."""
    if by_file(http):
        return []
    places = sorted(set((chosen.get("administrations") or {}).values()))
    place = places[0] if places else (await identify(http)).tenant
    found = [_account(row) for row in await _listed(http, place, "grootboekrekeningen")]
    return [Option(one.number, f"{one.number} · {one.name}") for one in found if not one.blocked]


OPTIONS: Mapping[str, Options] = {
    "administrations": administrations,
    "memorial_journals": memorial_journals,
    "cost_centres": cost_centres,
    "accounts": accounts,
}


def is_memorial(journal: Journal) -> bool:
    """True for a memorial journal, and for one that does not say what it is."""
    return not journal.kind or journal.kind.lower().startswith(MEMORIAL) or journal.kind.upper() == "M"


async def master(http: Http, administration: str) -> Master:
    """The chart, cost centres, journals and periods. By file nothing is listed: the customer's own words are taken.

    Raises ConfigError when the connection does not reach this administration.
    """
    found = {one.value: one.label for one in await administrations(http, {})}
    if administration not in found:
        raise ConfigError("finmaster.administration_unknown", field="administrations", administration=administration)
    if by_file(http):
        return Master(administration=administration, name=found[administration])
    ledger = [row for row in await _listed(http, administration, "grootboekrekeningen") if said(row, *CODE)]
    periods = [row for row in await _listed(http, administration, "perioden") if _span(row)]
    return Master(
        administration=administration,
        name=found[administration],
        accounts=tuple(_account(row) for row in ledger),
        journals=tuple(await _journals(http, administration)),
        fiscal_years=_fiscal_years(periods) or None,
        cost_centres=tuple(await _cost_centres(http, administration)),
        extra={
            **{f"type:{said(row, *CODE)}": _type(row) for row in ledger},
            **{f"period:{_year(row)}:{_number(row)}": _told(row) for row in periods},
        },
    )


async def _listed(http: Http, administration: str, what: str) -> list[Raw]:
    return rows(await http.get(f"{LIST}/{quote(administration, safe='')}/{what}"))


async def _journals(http: Http, administration: str) -> list[Journal]:
    found = await _listed(http, administration, "dagboeken")
    return [Journal(id=own, name=said(row, *NAME), kind=said(row, *KIND)) for row in found if (own := said(row, *CODE))]


async def _cost_centres(http: Http, administration: str) -> list[Journal]:
    found = await _listed(http, administration, "kostenplaatsen")
    return [
        Journal(id=own, name=said(row, *NAME))
        for row in found
        if (own := said(row, *CODE)) and flag(value(row, "actief", "active"), default=True) and not _blocked(row)
    ]


def _account(row: Raw) -> LedgerAccount:
    rule = said(row, "kostenplaats", "kostenplaatsregel", "costcentre").lower()
    control = flag(value(row, "subadministratie", "tussenrekening", "controlaccount"))
    kind = said(row, *KIND).lower()
    return LedgerAccount(
        number=said(row, *CODE),
        name=said(row, *NAME),
        blocked=_blocked(row) or control or kind in _NO_BOOKING,
        needs_cost_centre=rule in ("verplicht", "required"),
        takes_cost_centre=rule not in ("verboden", "forbidden", "geen", "none"),
    )


def _blocked(row: Raw) -> bool:
    return flag(value(row, "geblokkeerd", "blocked")) or not flag(value(row, "actief", "active"), default=True)


def _type(row: Raw) -> str:
    """B for a balance account, P for profit and loss, M when it is not told: the words of the audit file (2.2)."""
    kind = said(row, *KIND).lower()
    if kind.startswith(("b", "activa", "passiva")):
        return "B"
    return "P" if kind.startswith(("w", "v", "p", "kosten", "opbrengst")) else "M"


def _year(row: Raw) -> int | None:
    starts = perhaps_day(value(row, "begin", "begindatum", "start", "van", "startdatum"))
    return whole(value(row, "boekjaar", "jaar", "year")) or (starts.year if starts else None)


def _number(row: Raw) -> int | None:
    return whole(value(row, "periode", "nummer", "number", "period"))


def _span(row: Raw) -> tuple[date, date] | None:
    first = perhaps_day(value(row, "begin", "begindatum", "start", "van", "startdatum"))
    last = perhaps_day(value(row, "eind", "einddatum", "einde", "end", "tot", "tm"))
    return (first, last) if first and last and _number(row) is not None else None


def _told(row: Raw) -> str:
    """`first/last/open`, or `closed` when the period or its year is."""
    span = _span(row)
    assert span is not None  # noqa: S101 - the caller left out what has none
    words = {said(row, "status").lower(), said(row, "boekjaarstatus", "jaarstatus").lower()}
    closed = any(flag(value(row, name)) for name in (*_CLOSED, "boekjaargesloten"))
    closed = closed or bool(words & {"gesloten", "afgesloten", "closed"})
    return f"{span[0]}/{span[1]}/{'closed' if closed else 'open'}"


def _fiscal_years(periods: Sequence[Raw]) -> tuple[FiscalYear, ...]:
    spans: dict[int, list[tuple[date, date]]] = {}
    for row in periods:
        span, year = _span(row), _year(row)
        if span is not None and year is not None:
            spans.setdefault(year, []).append(span)
    return tuple(
        FiscalYear(year=year, start=min(found)[0], end=max(last for _, last in found), periods=len(found))
        for year, found in sorted(spans.items())
    )


def refusal(answer: Answer) -> Refusal | None:
    """The words of a refusal; what they mean follows from the status."""
    return by_status(answer, words, "finmaster")


def words(body: object) -> str:
    """What FinMaster said, for humans: every fault with what it is about."""
    listed = value(body, "fouten", "errors")
    found = listed if isinstance(listed, list) else [listed] if isinstance(listed, Mapping) else []
    told = [_fault(one) for one in found]
    told += [said(body, "fout", "error"), said(body, "melding", "message", "omschrijving")]
    return "; ".join(dict.fromkeys(one for one in told if one))[:500]


def _fault(one: object) -> str:
    if not isinstance(one, Mapping):
        return line(one)
    about = [f"{name} {line(found)}" for name, found in one.items() if name != "code" and line(found)]
    return f"{said(one, 'code')} ({', '.join(about)})" if about else said(one, "code")
