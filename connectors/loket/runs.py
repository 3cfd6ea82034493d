"""Journal runs of the payroll administrations, told apart by payroll run, with their result lines (dossier 4)."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from connectors.loket.account import ADMINISTRATIONS, RUNS, WITH_RESULTS, companies, status
from connectors.loket.listing import Query, everything
from connectors.loket.reading import ident, part, said, value
from connectors.loket.settings import LoketSettings, own
from hub.sdk.connector import Page, Raw, Since, Whole
from hub.sdk.errors import ConfigError, RecordRejected, VendorError
from hub.sdk.http import Http
from hub.sdk.reading import flag, perhaps_day, whole
from hub.sdk.settings import Settings

QUEUED, NOTHING, FAILED, REMOVED, READY, EXPORTING, EXPORT_FAILED, EXPORTED = range(8)
"""The statuses of a run (dossier 4.1)."""
PAGE = 20
AGAIN_AFTER_S = 900
"""How long after a run is missed its administration is asked once more, before anything is concluded."""
_ROUND, _AFTERWARDS = timedelta(hours=1), timedelta(minutes=1)
"""How long the next slice of a round may be away, and a round's end is remembered."""
_NEW_YEAR = timedelta(days=7)
"""A payroll year's last week may end in the next calendar year (3.2)."""
_CONSOLIDATE = {"always": "Always", "never": "Never"}
_ORDER = ("orderBy", "sequenceNumber")
Place = Mapping[str, Any]
"""What the cursor remembers of one administration: `first` year read, whether the `filter` works, `known` runs."""


@dataclass(frozen=True)
class Group:
    """All journal runs that were made of one payroll run; `run` is the one that counts now."""

    source_id: str
    run: Raw
    live: tuple[str, ...]
    """The ids of those that have results; more than one is against Loket.nl's own rules (4.2)."""
    correction: bool = False
    """True when another payroll run went before it in the same period."""

    @property
    def stands(self) -> bool:
        """False when Loket.nl positively says that this payroll run has no journal (any more)."""
        return status(self.run) not in (NOTHING, REMOVED)


async def read(http: Http, since: Since, settings: Settings) -> AsyncIterator[Page]:
    """The runs that are new or different, with their lines; per administration one listing and one call per new run.

    A run's results never change under its own id: what was read is only asked again when a human wants it. Such a
    round may take several slices: the cursor remembers in `looked` what was seen in it.
    """
    chosen, cursor = own(settings), since.cursor or {}
    places: dict[str, Any] = dict(cursor.get("administrations", {}))
    wanted = since.companies or [one.value for one in await companies(http, {"loket_employer": chosen.loket_employer})]
    looked = _Looked(since.thorough, cursor.get("looked", {}))
    gone: dict[str, VendorError] = {}
    asked = list(dict.fromkeys(ident(one) for one in wanted))
    for administration in asked:
        reader = _Reader(http, administration, since, chosen, looked)
        try:
            async for page, place in reader.pages(places.get(administration, {})):
                places[administration] = place
                ended = administration == asked[-1] and bool(page.wholes)
                state = {"administrations": dict(places), "looked": looked.state(ended=ended)}
                yield Page(page.records, state, page.wholes)
        except (RecordRejected, ConfigError) as refused:
            if refused.exchange is None or refused.exchange.status not in (403, 404, 410):
                raise
            if not await _is_bare(http, administration, places.get(administration, {}), refused.exchange.status):
                gone[administration] = refused
    refusals = [one for one in gone.values() if isinstance(one, ConfigError)]
    if refusals and len(refusals) == len(asked):
        raise refusals[0]
    if gone:
        raise ConfigError("loket.administration_gone", field="administrations", administrations=", ".join(gone))


async def _is_bare(http: Http, administration: str, place: Place, status: int | None) -> bool:
    """True for a 404 of an administration that is there and of which no run was ever seen.

    How an empty list is answered is documented; a 404 is not defined (2.5), and holds nothing up where nothing is lost.
    """
    if status != 404 or place.get("known"):
        return False
    return administration in {one.value for one in await companies(http, {})}


class _Looked:
    """What was looked at again in the round that a human asked for.

    A round of several slices is remembered for a while after its end: its last slice may not know that it was the last.
    """

    def __init__(self, wanted: bool, before: Mapping[str, Any]) -> None:
        self.wanted = wanted
        until = before.get("until", "")
        fresh = bool(until) and datetime.now(UTC) < datetime.fromisoformat(until)
        self.ids: set[str] = set(before.get("ids", ())) if wanted and fresh else set()
        self.resumed = bool(self.ids)

    def again(self, source_id: str) -> bool:
        """True when this one is still to be looked at."""
        return self.wanted and source_id not in self.ids

    def state(self, *, ended: bool) -> dict[str, Any]:
        """For the cursor; empty when nothing needs to be remembered."""
        if not self.wanted or (ended and not self.resumed):
            return {}
        until = datetime.now(UTC) + (_AFTERWARDS if ended else _ROUND)
        return {"until": until.isoformat(), "ids": sorted(self.ids)}


@dataclass
class _Reader:
    """One payroll administration."""

    http: Http
    administration: str
    since: Since
    settings: LoketSettings
    looked: _Looked

    async def pages(self, place: Place) -> AsyncIterator[tuple[Page, Place]]:
        """What is new or different, and how far that brings us."""
        first = _first_year(self.since.start, place)
        known: dict[str, list[str]] = dict(place.get("known", {}))
        groups, filtering = await _listed(self.http, self.administration, first, known, place.get("filter", True))
        known = {one.source_id: known[one.source_id] for one in groups if one.source_id in known}
        reached = {"first": first, "filter": filtering}
        taken_back = [one.source_id for one in groups if one.source_id in known and not one.stands]
        known = {own_id: seen for own_id, seen in known.items() if own_id not in taken_back}
        waiting: list[Raw] = []
        for group in (one for one in groups if one.stands):
            early = _is_early(group.run, self.since.start, self.settings)
            before, now = known.get(group.source_id), [ident(value(group.run, "id")), _sum(group, early)]
            was_later = early and before is not None and not before[1].startswith("-")
            if was_later or (before == now and not self.looked.again(group.source_id)):
                continue
            raw = await _record(self.http, self.administration, group, early, self.settings)
            waiting.append(raw)
            self.looked.ids.add(group.source_id)
            if group.source_id and "refused" not in raw and raw.get("lines") != []:
                known[group.source_id] = now
            if len(waiting) >= PAGE:
                yield Page(waiting), {**reached, "known": dict(known)}
                waiting = []
        there = frozenset(one.source_id for one in groups if one.stands and one.source_id)
        wholes = [Whole(f"{self.administration}/", there, AGAIN_AFTER_S)]
        wholes += [Whole(one, frozenset()) for one in taken_back]  # Loket.nl itself says so: nothing to wait for.
        yield Page(waiting, None, tuple(wholes)), {**reached, "known": known}


def _first_year(start: date | None, place: Place) -> int | None:
    """The first payroll year that is read, None for all; it never moves on, or booked runs would seem to vanish."""
    first = (start - _NEW_YEAR).year if start else None
    if "first" not in place or first is None:
        return first
    return None if place["first"] is None else min(first, place["first"])


async def _listed(
    http: Http, administration: str, first: int | None, known: Mapping[str, Sequence[str]], filtering: bool
) -> tuple[list[Group], bool]:
    """The groups of all runs since a year, and whether the filter is of use.

    How a nested field is filtered is not documented beyond an example (2.3): a filter that hides what is known to be
    there, or is refused, is not used again. What the listing then lacks is really not there.
    """
    path = f"{ADMINISTRATIONS}/{quote(administration, safe='')}/journalruns"
    asked = bool(known) and filtering and first is not None
    if asked:
        year = ("filter", f"payrollRun.payrollPeriod.year ge {first}")
        try:
            groups = grouped(await _runs(http, path, [year, _ORDER]), administration, first, known)
        except RecordRejected as refused:
            if refused.exchange is None or refused.exchange.status != 400:
                raise
        else:
            if set(known) <= {one.source_id for one in groups}:
                return groups, True
    groups = grouped(await _runs(http, path, [_ORDER]), administration, first, known)
    return groups, filtering and not (asked and set(known) <= {one.source_id for one in groups})


async def _runs(http: Http, path: str, query: Query) -> list[Raw]:
    """A listing in the order in which runs are made, so that a new one moves no page; in any, where that is refused."""
    try:
        return await everything(http, path, query)
    except RecordRejected as refused:
        if refused.exchange is None or refused.exchange.status != 400 or len(query) > 1:
            raise
    return await everything(http, path)


def grouped(
    runs: Iterable[Raw], administration: str, first: int | None, known: Mapping[str, Sequence[str]]
) -> list[Group]:
    """One group per payroll run, oldest first. A run that was known under an id keeps it, whatever it shows now."""
    by_id = {ident(value(run, "id")) or repr(run): run for run in runs if _since(run, first)}
    names = {journal: source_id for source_id, (journal, _) in known.items()}
    payrolls = {_payroll(run): names[journal] for journal, run in by_id.items() if journal in names and _payroll(run)}
    members: dict[str, list[Raw]] = {}
    for journal, run in by_id.items():
        payroll = _payroll(run)
        name = names.get(journal) or payrolls.get(payroll) or f"{administration}/{payroll or journal}"
        members.setdefault(name if ident(value(run, "id")) else "", []).append(run)
    periods: dict[tuple[Any, ...], list[int]] = {}
    for runs_of in members.values():
        if (order := _approved(runs_of[0])) is not None:
            periods.setdefault(_period(runs_of[0]), []).append(order)
    return [_group(name, runs_of, min(periods.get(_period(runs_of[0]), [0]))) for name, runs_of in members.items()]


def _group(name: str, runs: Sequence[Raw], first_of_period: int) -> Group:
    live = [run for run in runs if (status(run) or 0) >= WITH_RESULTS]
    undecided = [run for run in runs if status(run) in (None, QUEUED)]
    current = max(live or undecided or runs, key=_newest)
    order = _approved(current)
    correction = order is not None and order > first_of_period
    return Group(name, current, tuple(sorted(ident(value(run, "id")) for run in live)), correction)


def _newest(run: Raw) -> tuple[int, str, str]:
    return whole(value(run, "sequenceNumber")) or 0, said(run, "requestTime"), said(run, "id")


def _payroll(run: Raw) -> str:
    """The payroll run's id; where it is not shown its number, which is unique within a payroll year (4.1)."""
    if found := ident(value(part(run, "payrollRun"), "payrollRunId", "id")):
        return found
    number, year = _approved(run), _year(run)
    if number is None or year is None:
        return ""
    return f"{year}-{number}{'-test' if flag(value(period_of(run), 'testYear')) else ''}"


def _approved(run: Raw) -> int | None:
    return whole(value(part(run, "payrollRun"), "sequenceNumberApproved"))


def period_of(run: Raw) -> Raw:
    """The payroll period of a run."""
    return part(part(run, "payrollRun"), "payrollPeriod")


def _period(run: Raw) -> tuple[Any, ...]:
    return tuple(said(period_of(run), name) for name in ("year", "periodNumber", "periodStartDate"))


def _year(run: Raw) -> int | None:
    return whole(value(period_of(run), "year"))


def _since(run: Raw, first: int | None) -> bool:
    return first is None or (_year(run) or first) >= first


def entry_day(run: Raw, settings: LoketSettings) -> date | None:
    """The day of the entry, by the customer's choice; None when the run does not tell it."""
    ends = perhaps_day(value(period_of(run), "periodEndDate", "endDate"))
    if settings.loket_date == "request_date":
        return perhaps_day(value(run, "requestTime")) or ends
    return ends


def _is_early(run: Raw, start: date | None, settings: LoketSettings) -> bool:
    on = entry_day(run, settings)
    return start is not None and on is not None and on < start


def _sum(group: Group, early: bool) -> str:
    """What makes a run worth reading again; `-` in front when it lies before the start."""
    facts = [group.live, group.correction, status(group.run), said(group.run, "processingFinishedTime")]
    facts += [_period(group.run), said(period_of(group.run), "periodEndDate"), said(period_of(group.run), "testYear")]
    return ("-" if early else "") + hashlib.blake2b(repr(facts).encode(), digest_size=6).hexdigest()


async def _record(http: Http, administration: str, group: Group, early: bool, settings: LoketSettings) -> Raw:
    """The raw record: the run as it came, and what we know beside it."""
    record: dict[str, Any] = {"source_id": group.source_id, "administration": administration, "run": group.run}
    record |= {"early": early, "correction": group.correction, "live": list(group.live)}
    if early or not group.source_id or (status(group.run) or 0) < WITH_RESULTS or len(group.live) > 1:
        return record
    try:
        record["lines"] = await results(http, ident(value(group.run, "id")), settings)
    except RecordRejected as refused:  # Of this run only: the others go on, and this one is asked again next time.
        record["refused"] = refused.words or refused.key
    return record


async def results(http: Http, run: str, settings: LoketSettings) -> list[Raw]:
    """All result lines of a run, in Loket.nl's own order."""
    way = _CONSOLIDATE.get(settings.loket_consolidate)
    query = [("consolidate", way)] if way else []
    return await everything(http, f"{RUNS}/{quote(run, safe='')}/results", query, sized=False)


def key(raw: Raw) -> str:
    """Administration and payroll run, so that a journal made anew is the same document. Raises ValueError for none."""
    if not (found := said(raw, "source_id")):
        raise ValueError("a journal run without id")
    return found
