"""Who is connected, what the user may do there, and Loket.nl's own words for "no" (dossier 1.5, 2.5, 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.loket.listing import detail, everything, rows
from connectors.loket.reading import ident, part, said, value
from hub.sdk.connector import Identity, Options, Raw
from hub.sdk.errors import ConfigError, RecordRejected, VendorError
from hub.sdk.http import Answer, Http, Refusal, by_status
from hub.sdk.reading import line, whole
from hub.sdk.settings import Option

EMPLOYERS = "/providers/employers"
ADMINISTRATIONS = f"{EMPLOYERS}/payrolladministrations"
RUNS = f"{ADMINISTRATIONS}/journalruns"
WITH_RESULTS = 4
"""From this status on a run has results (dossier 4.1)."""
_RESULTS_ACTIVITY = "getjournalrunresultsbyjournalrunid"
_RUNS_ACTIVITY = "getjournalrunsbypayrolladministrationid"
_TRIED = 3
"""How many employers and administrations are looked into by a test."""


async def identify(http: Http) -> Identity:
    """The employer that the user works for; with several, the provider that they belong to.

    Tries beforehand what a run will need. Raises ConfigError that names the missing right or employer.
    """
    employers = await _readable(everything(http, EMPLOYERS), "loket.no_right_employers")
    known = {ident(value(one, "id")): said(one, "companyName", "name") for one in employers if ident(value(one, "id"))}
    if not known:
        raise ConfigError("loket.no_employer")
    await _try_rights(http, list(known))
    user = await _user(http)
    tenant = ident(http.fields.get("tenant", ""))
    if tenant not in known:
        tenant = next(iter(known)) if len(known) == 1 else await _provider(http) or min(known)
    name = known.get(tenant) or ", ".join(sorted(known.values()))
    return Identity(
        tenant=tenant,
        name=name[:200] or "Loket.nl",
        email=_email(user),
        user=said(user, "formattedName", "userName", "lastName", "name"),
        marks=tuple(sorted(known)),
    )


async def _readable(asked: Any, key: str) -> Any:
    """What a call gives; a 403 becomes the sentence of the right that it needs."""
    try:
        return await asked
    except ConfigError as refused:
        words = refused.words.lower()
        module = "module" in words or "product" in words
        raise ConfigError("loket.no_module" if module else key, words=refused.words) from refused


async def _user(http: Http) -> Raw:
    """Names and address of the user, where they may be read; no field is sure (dossier 3, endpoint 1)."""
    try:
        return detail(await http.get("/user"))
    except (RecordRejected, ConfigError):
        return {}


def _email(user: Raw) -> str:
    contact = part(user, "contactInformation")
    found = said(user, "emailAddress", "email") or said(contact, "emailAddress") or said(user, "userName")
    return found.lower() if "@" in found else ""


async def _provider(http: Http) -> str:
    try:
        found = rows(await http.get("/providers"))
    except (RecordRejected, ConfigError):
        return ""
    return ident(value(found[0], "id")) if len(found) == 1 else ""


async def _try_rights(http: Http, employers: Sequence[str]) -> None:
    """Reads a little of everything. One employer that can be read is enough: others may be set up otherwise."""
    refused: ConfigError | None = None
    for employer in employers[:_TRIED]:
        try:
            await _try_employer(http, employer)
        except ConfigError as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise refused


async def _try_employer(http: Http, employer: str) -> None:
    path = f"{EMPLOYERS}/{employer}/payrolladministrations"
    found = await _readable(everything(http, path), "loket.no_right_administrations")
    activities = await _activities(http, employer)
    for administration in [own for one in found if (own := ident(value(one, "id")))][:_TRIED]:
        listing = http.get(f"{ADMINISTRATIONS}/{administration}/journalruns", [("pageNumber", "1"), ("pageSize", "1")])
        try:
            runs = rows(await _readable(listing, "loket.no_right_runs"))
        except RecordRejected:  # Perhaps it has none yet: nothing is said of rights.
            continue
        run = next((one for one in runs if (status(one) or 0) >= WITH_RESULTS), None)
        if run is not None:
            results = http.get(f"{RUNS}/{ident(value(run, 'id'))}/results")
            await _readable(results, "loket.no_right_results")
            return
    # Without a run to try, only the list of activities can tell; it is believed where it knows the sister activity.
    if _RUNS_ACTIVITY in activities and _RESULTS_ACTIVITY not in activities:
        raise ConfigError("loket.no_right_results")


async def _activities(http: Http, employer: str) -> set[str]:
    """What the user may do for an employer; empty when that is not told. Two forms of the answer exist (3.1)."""
    try:
        found = await everything(http, f"{EMPLOYERS}/{employer}/authorizations", sized=False)
    except VendorError:
        return set()
    return {said(one, "description", "name").lower() for one in found}


async def employers(http: Http, _chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The employers that the user can see: normally one."""
    return [
        Option(own, said(one, "companyName", "name") or own)
        for one in await everything(http, EMPLOYERS)
        if (own := ident(value(one, "id")))
    ]


async def companies(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The payroll administrations of the chosen employer, or of all that the user can see."""
    wanted = ident(chosen.get("loket_employer"))
    found = await employers(http, {})
    options: list[Option] = []
    for employer in found:
        if wanted and employer.value != wanted:
            continue
        for one in await everything(http, f"{EMPLOYERS}/{employer.value}/payrolladministrations"):
            if own := ident(value(one, "id")):
                before = f"{employer.label} · " if len(found) > 1 else ""
                options.append(Option(own, before + _called(one, own)))
    return options


def _called(administration: Raw, own: str) -> str:
    """Name with the client number that Dutch users know, and when it ended."""
    name = said(administration, "name", "description", "shortName") or own
    client, ended = said(administration, "clientNumber"), said(administration, "endDate")[:10]
    return f"{name}{f' ({client})' if client else ''}{f' · t/m {ended}' if ended else ''}"


OPTIONS: Mapping[str, Options] = {"employers": employers, "companies": companies}


def status(run: Raw) -> int | None:
    """A run's status by its key; by its Dutch label where the key is missing; None for what is not known."""
    told = value(run, "journalRunStatus", "status")
    inner = told if isinstance(told, Mapping) else {}
    key = whole(value(inner, "key")) if inner else whole(told)
    if key is not None:
        return key if key in range(8) else None
    return _LABELS.get((said(inner, "value", "description") or line(told)).lower())


_LABELS = {
    "staat klaar voor journaliseren": 0,
    "geen journaal resultaten": 1,
    "fout bij aanmaken": 2,
    "verwijderd door gebruiker": 3,
    "journaal gereed": 4,
    "wordt geëxporteerd": 5,
    "exporteren mislukt": 6,
    "journaal geëxporteerd": 7,
}


def refusal(answer: Answer) -> Refusal | None:
    """The words of a refusal, from `messages[]` or `message`; what they mean follows from the status."""
    return by_status(answer, words, "loket")


def words(body: object) -> str:
    """What Loket.nl said, for humans."""
    if not isinstance(body, Mapping):
        return ""
    listed = value(body, "messages")
    found = [listed] if isinstance(listed, Mapping) else listed if isinstance(listed, list) else []
    told = [said(one, "description", "message") or line(one) for one in found]
    told += [said(body, "message", "error_description", "error")]
    return "; ".join(dict.fromkeys(one for one in told if one))[:500]
