"""Who is connected, and its companies under names that both of Nmbrs' APIs know (dossier 2, 4, 6, 7)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.nmbrs import rest, soap
from connectors.nmbrs.transport import Company, Transport
from hub.sdk.connector import Identity, Options
from hub.sdk.errors import ConfigError, VendorError
from hub.sdk.http import Http
from hub.sdk.settings import Option

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
TRACED, TRACES = 2, 12
"""Of how many companies, and of how many runs of each of their years, is kept when they were made."""
_MADE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:(\d\d:\d\d).*")


def transport(http: Http) -> Transport:
    """The API that this connection speaks."""
    return soap.TRANSPORT if http.way == "key" else rest.TRANSPORT


async def identify(http: Http) -> Identity:
    """The environment behind the grant: over SOAP by its subdomain, which REST does not know: there a debtor's id.

    The companies mark it as the same customer over both. Raises ConfigError when the login sees none.
    """
    email = http.fields.get("email", "").lower()
    known = http.fields.get("tenant", "")
    tenant = http.fields.get("domain", "").lower()
    if http.way == "key" and not tenant:
        tenant = await _looked_up(http, known)
    found = await transport(http).companies(http)
    if not found:
        raise ConfigError("nmbrs.no_companies")
    if http.way != "key":
        owners = {one.debtor or one.id for one in found}
        tenant = known if known in owners else min(owners)
    name = found[0].name if len(found) == 1 else tenant if http.way == "key" else f"{found[0].name} (+{len(found) - 1})"
    marks = tuple(sorted({mark(one) for one in found}))
    return Identity(tenant, name or tenant, email, email, marks, tuple(await _traces(http, found)))


async def _looked_up(http: Http, known: str) -> str:
    try:
        return await soap.environment(http)
    except ConfigError as refused:
        if refused.key != "nmbrs.call_off" or not known:
            raise
        return known


def mark(company: Company) -> str:
    """By what a company is recognised over both APIs: its number and its name, whatever the case and the signs."""
    plain = "".join(letter for letter in company.name.casefold() if letter.isalnum())
    return f"{company.number} {plain}"


async def _traces(http: Http, found: Sequence[Company]) -> list[str]:
    """When the first runs of this year and the last were made, in minutes and seconds: of hours the zone is unknown.

    A copy of an environment has companies of the same number and name; its runs were not made in the same second.
    """
    this_year = datetime.now(AMSTERDAM).year
    traces: list[str] = []
    for company in sorted(found, key=mark)[:TRACED]:
        for year in (this_year - 1, this_year):
            try:
                listed = await transport(http).runs(http, company.id, year)
            except VendorError:  # Nothing is concluded from what may not be seen.
                return traces
            made = [(one.first, one.last, one.number, _MADE.fullmatch(one.made_at)) for one in listed.runs]
            traces += sorted(
                f"{mark(company)}/{year}={first}-{last}:{number}@{at[1]}" for first, last, number, at in made if at
            )[:TRACES]
    return traces


async def named(http: Http, chosen: Sequence[str] = (), held: Mapping[str, str] | None = None) -> dict[str, Company]:
    """The companies by the value under which they are chosen and booked, for ever and over both APIs.

    That is a company's number; `debtor/number` where the login sees one number twice, or where it was chosen so.
    `held` is what was named before, value -> id: a number keeps meaning what it meant when another company takes the
    same one. Companies that cannot be told apart are left out; raises ConfigError when a chosen one is among them, or
    has become ambiguous.
    """
    api = transport(http)
    found = await api.companies(http)
    counts = Counter(one.number for one in found)
    split = {value.rpartition("/")[2] for value in chosen if "/" in value}
    unclear = [one for one in found if counts[one.number] > 1 or one.number in split]
    concerned = {value.rpartition("/")[2] for value in chosen} & {one.number for one in unclear}
    try:
        numbers = await api.debtors(http, unclear) if unclear else {}
    except ConfigError:
        if concerned or len(unclear) == len(found):
            raise
        numbers = {}
    kept = {own: value for value, own in (held or {}).items()}
    values: dict[str, list[Company]] = {}
    for one in found:
        whole = f"{numbers.get(one.id, '?')}/{one.number}"
        value = kept.get(one.id) or (whole if counts[one.number] > 1 or whole in chosen else one.number)
        values.setdefault(value, []).append(one)
    names = {value: same[0] for value, same in values.items() if len(same) == 1 and not value.startswith("?")}
    for value in chosen if names else (one.number for one in unclear):
        number = value.rpartition("/")[2]
        if value not in names and counts[number] > 1:
            choices = ", ".join(other for other in names if other.endswith(f"/{number}"))
            key = "nmbrs.company_ambiguous" if choices else "nmbrs.company_number_twice"
            raise ConfigError(key, field="administrations", company=number, choices=choices)
    return names


async def companies(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The companies to choose from, those that were chosen already under the value that they were chosen by."""
    names = await named(http, _chosen(chosen))
    return [Option(value, f"{value} · {one.name}" if one.name else value) for value, one in names.items()]


def _chosen(chosen: Mapping[str, Any]) -> list[str]:
    several = chosen.get("administrations")
    return [str(one) for one in several] if isinstance(several, Mapping) else []


async def cost_centres(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The cost centres of the chosen companies, of all when none is chosen."""
    wanted = _chosen(chosen)
    found: dict[str, str] = {}
    for value, one in (await named(http, wanted)).items():
        if value in wanted or not wanted:
            found |= await transport(http).cost_centres(http, one.id)
    return [Option(code, f"{code} · {words}" if words else code) for code, words in found.items()]


OPTIONS: Mapping[str, Options] = {"companies": companies, "cost_centres": cost_centres}
