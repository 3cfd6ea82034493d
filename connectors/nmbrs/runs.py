"""Reading: every company's runs of every year, and the journals of those that may have changed (dossier 7)."""

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.nmbrs import journals
from connectors.nmbrs.account import named, transport
from connectors.nmbrs.markup import Unreadable
from connectors.nmbrs.settings import NmbrsSettings, own
from connectors.nmbrs.transport import Asked, Content, Run, Runs
from hub.sdk.connector import Page, Raw, Since, Whole
from hub.sdk.errors import ConfigError, TransientError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
RECENT_DAYS, OLDER_DAYS = 7, 28
"""Within how many days each journal is read again: of this and the previous year, and of older ones. Nothing shows that
the journals of a year were made anew (7)."""
LISTED_DAYS = 7
"""How old the list of companies may be once companies are chosen."""
TOGETHER_S = 600.0
"""Reading that stopped half-way goes on where it was, when it does so within this time; later it looks at all again."""
LARGEST_PAGE = 25
EMPTY_AGAIN_S = 20 * 3600.0
"""A year without any run says so on two nights before it is believed: an answer that failed looks the same."""
MOST_TRANSACTIONS = 9
LONGEST_KEPT = 20_000
State = dict[str, Any]


@dataclass
class Sweep:
    """One walk over all companies and years. `state` is what the next one knows: the cursor."""

    http: Http
    since: Since
    settings: NmbrsSettings
    today: date
    state: State
    names: dict[str, str] = field(default_factory=dict)
    """Company value -> its id in the API that is spoken."""
    records: list[Raw] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    read_well: int = 0
    failing: TransientError | None = None
    """The last trouble, when nothing was read well since."""
    down: TransientError | None = None
    """Two journals in a row failed: it is not the journal but Nmbrs."""
    refused: ConfigError | None = None

    def page(self) -> Page:
        """What was found since the last page, with the cursor up to here."""
        self.state["paused"] = datetime.now(UTC).isoformat()
        made = Page(tuple(self.records), deepcopy(self.state), tuple(self.wholes))
        self.records, self.wholes = [], []
        return made


async def read(http: Http, since: Since, settings: Settings) -> AsyncIterator[Page]:
    """Journals that are new or may have changed, and per company and year the proof of what there is.

    A company that is refused does not stop the others; the refusal is raised at the end.
    """
    sweep = await _begin(http, since, own(settings))
    for company in sweep.names:
        for year in _years(sweep):
            place = f"{company}:{year}"
            if place in sweep.state["done"]:
                continue
            try:
                async for page in _look(sweep, company, year):
                    yield page
            except ConfigError as refused:
                if refused.key != "nmbrs.no_rights":
                    raise
                sweep.refused = refused
                break
            sweep.state["done"].append(place)
            if len(sweep.records) + len(sweep.wholes) >= LARGEST_PAGE:
                yield sweep.page()
    if sweep.refused is not None or (sweep.failing is not None and not sweep.read_well):
        yield sweep.page()
        raise sweep.refused or sweep.failing or AssertionError("one of the two")
    sweep.state["done"] = []
    yield sweep.page()


async def _begin(http: Http, since: Since, settings: NmbrsSettings) -> Sweep:
    today = since.today or datetime.now(AMSTERDAM).date()
    state: State = deepcopy(dict(since.cursor or {}))
    state.setdefault("from", today.year)
    state.setdefault("years", {})
    state.setdefault("companies", {})
    if state.get("way") != http.way:  # Moved to the other API: the same companies under other ids.
        state |= {"way": http.way, "listed": "", "companies": {}}
    if not _together(state):
        state["done"] = []
    sweep = Sweep(http, since, settings, today, state)
    await _name(sweep)
    return sweep


def _together(state: State) -> bool:
    try:
        paused = datetime.fromisoformat(state.get("paused", ""))
    except ValueError:
        return False
    return 0 <= (datetime.now(UTC) - paused).total_seconds() < TOGETHER_S and isinstance(state.get("done"), list)


async def _name(sweep: Sweep) -> None:
    """The companies to look at. Listed anew when one is not known, nobody chose, a human asks, or once a week."""
    state, chosen = sweep.state, sweep.since.companies
    age = LISTED_DAYS if chosen and not sweep.since.thorough else 1
    known: dict[str, State] = state["companies"]
    if _age(sweep.today, state.get("listed", "")) >= age or not set(chosen) <= set(known):
        held = {value: facts["id"] for value, facts in known.items()}
        found = await named(sweep.http, chosen, held)
        known = {value: {**known.get(value, {}), "id": one.id} for value, one in found.items()}
        state |= {"companies": known, "listed": sweep.today.isoformat()}
    if missing := [value for value in chosen if value not in known]:
        raise ConfigError("nmbrs.company_gone", field="administrations", company=", ".join(missing))
    sweep.names = {value: facts["id"] for value, facts in known.items() if not chosen or value in chosen}


def _age(today: date, then: str) -> int:
    """Days since a day; very many when it is not known, or lies ahead."""
    try:
        days = (today - date.fromisoformat(then)).days
    except ValueError:
        return 10**6
    return days if days >= 0 else 10**6


def _years(sweep: Sweep) -> Iterable[int]:
    """From the start to this year; the next one as well in December, when its first run may be made (7)."""
    start = sweep.since.start
    first = sweep.settings.start_year or (start.year if start else sweep.state["from"])
    return range(first, sweep.today.year + (2 if sweep.today.month == 12 else 1))


def _turn(sweep: Sweep, name: str, then: str, days: int) -> bool:
    """True when something that was looked at on a day is to be looked at again: spread evenly, at least each `days`."""
    age = _age(sweep.today, then)
    return age >= days or (age > 0 and (sweep.today.toordinal() + zlib.crc32(name.encode())) % days == 0)


async def _look(sweep: Sweep, company: str, year: int) -> AsyncIterator[Page]:
    """One company and year: one call when nothing changed; none for an older year whose turn it is not."""
    place = f"{company}:{year}"
    recent = year >= sweep.today.year - 1
    kept: State = sweep.state["years"].setdefault(place, {"day": "", "runs": {}})
    if not (recent or sweep.since.thorough or _turn(sweep, place, kept["day"], RECENT_DAYS)):
        return
    listed = await transport(sweep.http).runs(sweep.http, sweep.names[company], year)
    named_runs = journals.in_order(listed, company)
    wanted: list[Asked] = []
    for key, run in named_runs:
        entry = kept["runs"].get(key)
        if not await _eligible(sweep, company, run):
            continue
        if sweep.settings.only_locked and not run.locked:
            _set_aside(sweep, company, kept, key, run)
        elif _due(sweep, key, run, entry, RECENT_DAYS if recent else OLDER_DAYS):
            known = entry or {}
            wanted.append(Asked(run, known.get("split") or sweep.settings.split, known.get("task", "")))
    keys = {run.id: key for key, run in named_runs}
    contents = transport(sweep.http).contents(sweep.http, sweep.names[company], wanted)
    async for content in contents:
        await _keep(sweep, company, kept, keys[content.run.id], content)
        if len(sweep.records) >= LARGEST_PAGE or sweep.down is not None:
            yield sweep.page()
        if sweep.down is not None:
            raise sweep.down
    kept["day"] = sweep.today.isoformat()
    _prove(sweep, f"{place}:", kept, listed, named_runs)


async def _eligible(sweep: Sweep, company: str, run: Run) -> bool:
    """True for a run that ends in or after the first period that is wanted."""
    settings, start = sweep.settings, sweep.since.start
    if settings.start_year is not None:
        return (run.year, run.last) >= (settings.start_year, settings.start_period)
    if start is None or run.year > start.year:
        return True
    # Where the kind of period is not told, too much is read: the engine leaves out what is dated before the start.
    end = journals.last_day(await _kind(sweep, company), run.year, run.last)
    return end is None or end >= start


async def _kind(sweep: Sweep, company: str) -> str:
    """How a company pays, asked once."""
    facts: State = sweep.state["companies"][company]
    if "kind" not in facts:
        try:
            facts["kind"] = await transport(sweep.http).kind(sweep.http, facts["id"])
        except ConfigError:  # A call that is switched off: it is only needed for journals without a date.
            return ""
    return str(facts["kind"])


def _mark(run: Run) -> str:
    """What a listing says of a run, in short: when it differs, the journal may."""
    facts = (run.id, run.locked, run.number, run.first, run.last, run.description, run.made_at, run.type)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:10]


def _due(sweep: Sweep, key: str, run: Run, entry: State | None, days: int) -> bool:
    """True when a run's journal has to be read (again)."""
    if entry is None or not entry["hash"] or entry["mark"] != _mark(run) or not run.locked or sweep.since.thorough:
        return True
    return _turn(sweep, key, entry["day"], days)


def _set_aside(sweep: Sweep, company: str, kept: State, key: str, run: Run) -> None:
    """A run that is not locked is shown. One that was booked and unlocked since stays as it is until it is locked."""
    entry = kept["runs"].get(key)
    if entry is not None and entry["hash"]:
        entry["mark"] = "unlocked"
    elif entry is None or entry["mark"] != _mark(run):
        kept["runs"][key] = {"mark": _mark(run), "hash": "", "day": "", "count": 1}
        sweep.records.append(_raw(company, key, run, "unlocked"))


async def _keep(sweep: Sweep, company: str, kept: State, key: str, content: Content) -> None:
    """The records of one journal that was asked for, when it is not what it was."""
    run, entry = content.run, kept["runs"].get(key)
    if content.trouble is not None:
        _miss(sweep, company, kept, key, content)
        return
    sweep.read_well, sweep.failing = sweep.read_well + 1, None
    digest = hashlib.sha256(content.xml.encode()).hexdigest()[:16]
    made: State = {
        "mark": _mark(run), "hash": digest, "day": sweep.today.isoformat(), "count": 1,
        "split": (entry or {}).get("split") or sweep.settings.split, "full": (entry or {}).get("full", False),
    }  # fmt: skip
    same = entry is not None and (entry["hash"], entry["mark"]) == (digest, made["mark"])
    try:
        found = journals.transactions(content.xml)
    except Unreadable as error:
        made["hash"] = ""  # Read again the next time, whatever it says.
        sweep.records.append(_raw(company, key, run, "unreadable", words=str(error), xml=_clean(content.xml)))
        kept["runs"][key] = {**made, "count": (entry or made)["count"]}
        return
    # A journal that held something and is empty now is gone, as a run is that was removed. What an unlocked run shows
    # is not known (12): of that nothing is concluded.
    made["full"] = bool(found) or made["full"]
    before = (entry or made)["count"]
    kept["runs"][key] = {**made, "count": len(found) or (0 if made["full"] and run.locked else before)}
    if same and not sweep.since.thorough:
        return
    if not found and not made["full"]:
        sweep.records.append(_raw(company, key, run, "empty"))
    undated = sweep.settings.payroll_date == "period_end" or not all(map(journals.dated, found))
    kind = await _kind(sweep, company) if found and undated else sweep.state["companies"][company].get("kind", "")
    for at, one in enumerate(found, 1):
        xml = journals.written(one)
        sweep.records.append(_raw(company, key, run, "journal", transaction=at, kind=kind, xml=xml))
    if run.locked and entry is not None and entry["hash"] and entry["mark"] == made["mark"]:
        _doubt(kept, but=key)


def _doubt(kept: State, but: str) -> None:
    """A journal changed of which the listing says nothing new: the journals of the whole year may have been made anew
    (7), so that the others are read the next time too."""
    for key, entry in kept["runs"].items():
        if key != but and entry["hash"] and entry["day"] != "":
            entry["day"] = ""


def _miss(sweep: Sweep, company: str, kept: State, key: str, content: Content) -> None:
    """A journal that could not be had now: asked for again the next time, and shown when it was never read."""
    trouble, entry = content.trouble, kept["runs"].get(key)
    unreadable = trouble is not None and trouble.key == "nmbrs.journal_unreadable"
    # A journal that failed the last time too may be one that always does: it says nothing of the others.
    again = entry is not None and entry["mark"] == "missing"
    if isinstance(trouble, TransientError) and trouble.key != "nmbrs.not_ready" and not again:
        sweep.down = sweep.failing and trouble
        sweep.failing = trouble
    # A file that was not ready is asked for under its task once more; after that a new one is begun.
    begun = trouble.values.get("task", "") if trouble is not None else ""
    task = begun if begun != (entry or {}).get("task") else ""
    if entry is not None and entry["hash"]:
        entry |= {"day": "", "task": task}
        return
    count = (entry or {}).get("count", 1)
    kept["runs"][key] = {"mark": "missing", "hash": "", "day": "", "count": count, "task": task}
    said = f"{trouble.key if trouble else ''} {trouble.words if trouble else ''}".strip()
    state = "unreadable" if unreadable else "unavailable"
    sweep.records.append(_raw(company, key, content.run, state, words=said))


def _raw(company: str, key: str, run: Run, state: str, **facts: Any) -> Raw:
    ordinal = int(key.rpartition("#")[2]) if "#" in key else 1
    return {
        "company": company, "year": run.year, "first": run.first, "last": run.last, "number": run.number,
        "ordinal": ordinal, "transaction": 1, "description": run.description, "made_at": run.made_at,
        "locked": run.locked, "type": run.type, "run": run.id, "state": state, "kind": "", "xml": "", "words": "",
    } | facts  # fmt: skip


def _clean(text: str) -> str:
    """The start of a text that could not be read, fit to be kept."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text[:LONGEST_KEPT])


def _prove(sweep: Sweep, prefix: str, kept: State, listed: Runs, found: Sequence[tuple[str, Run]]) -> None:
    """What a complete list proves: these runs exist, whether they are wanted or not, and no others."""
    if listed.odd == 0:
        ids = {one for key, _ in found for one in _ids(key, kept["runs"].get(key))}
        sweep.wholes.append(Whole(prefix, frozenset(ids), 0 if found else EMPTY_AGAIN_S))
    if found:
        present = {key for key, _ in found}
        kept["runs"] = {key: entry for key, entry in kept["runs"].items() if key in present}


def _ids(key: str, entry: State | None) -> list[str]:
    """The source ids of a run: of each of its transactions, as many as there may be when it was never read."""
    if entry is not None and entry["hash"] and not entry["count"]:
        return []
    count = entry["count"] if entry is not None and entry["hash"] else MOST_TRANSACTIONS
    return [key, *(f"{key}:t{at}" for at in range(2, count + 1))]
