"""Offset paging over lists that change while they are read (dossier 2.3)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.simplicate.reading import moment, part, rows, text
from hub.sdk.connector import Page, Raw
from hub.sdk.errors import RecordRejected, TransientError
from hub.sdk.http import Http

LIMIT = 100
FAR_FUTURE, LONG_AGO = "2999-12-31 00:00:00", "2000-01-01 00:00:00"
OVERLAP = timedelta(minutes=5)
AHEAD = timedelta(days=2)
"""How far a package's clock, with its own zone, may be ahead of ours."""
BLIND_WINDOW = timedelta(days=92)
FULL_ROUND = 96
"""Without a filter on changes, every so many reads go over everything again: once a day at 15 minutes."""
SERVER_ERROR = 500
Query = Sequence[tuple[str, str]]
State = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A page of a walk. `offset` and `anchor` are where the next one starts; `last` says there is none."""

    rows: list[Raw]
    offset: int
    anchor: str
    last: bool


async def walk(http: Http, path: str, query: Query, *, offset: int = 0, anchor: str = "") -> AsyncIterator[Step]:
    """All records, a page at a time, by the number received: a large limit is cut silently.

    Each page starts with the last record of the one before (`anchor`). Where that is missing, records before it were
    deleted meanwhile and the rest moved up, so the stretch before is read again. Raises TransientError when the
    listing repeats itself.
    """
    known: set[str] = set()
    while True:
        body = await _page(http, path, query, offset)
        found = {text(row.get("id")) or repr(row): row for row in rows(body)}
        if anchor and anchor not in found:
            again = rows(await _page(http, path, query, max(0, offset - LIMIT)))
            found = {text(row.get("id")) or repr(row): row for row in again} | found
        fresh = [row for name, row in found.items() if name not in known]
        received = len(rows(body))
        if known and received >= LIMIT and not fresh:
            raise TransientError("simplicate.listing_repeats", path=path)
        last = not fresh or _ended(body, offset, received)
        anchor = text(rows(body)[-1].get("id")) if received else anchor
        offset += max(received - 1, 1) if anchor else received
        known = set(found)
        yield Step(fresh, offset, anchor, last)
        if last:
            return


async def _page(http: Http, path: str, query: Query, offset: int) -> Any:
    paging = [("sort", "id"), ("limit", str(LIMIT)), ("offset", str(offset)), ("metadata", "count,limit,offset")]
    body = await http.get(path, [*query, *paging])
    if not isinstance(body, list) and "data" not in part(body):
        raise TransientError("simplicate.answer_incomplete", path=path)
    return body


def _ended(body: object, offset: int, received: int) -> bool:
    """True when the count says so to the record; a full page never ends a listing: `count` might be the page's own."""
    facts = part(part(body).get("metadata"))
    count, limit = text(facts.get("count")), text(facts.get("limit"))
    full = received >= min(LIMIT, int(limit) if limit.isdecimal() and int(limit) else LIMIT)
    return received == 0 or (count.isdecimal() and not full and offset + received == int(count))


async def changes(
    http: Http, path: str, cursor: State | None, start: date | None, *, dated: bool, thorough: bool = False
) -> AsyncIterator[Page]:
    """What is new or changed since the cursor; everything (from `start` on, when `dated`) without one.

    The cursor holds which filter works, the moment of the last change handled, and the place inside a listing that
    is under way, so that a sliced first listing goes on where it stopped. A listing of several pages is not a
    snapshot: what changed while it ran is read again from the moment it began (`mark`). `thorough`: without a filter
    on changes, go over everything again, and not once a day only.
    """
    state = dict(cursor or {})
    if not state or _earlier(start, state.get("start")):
        state = {"start": start.isoformat() if start else None, **await _first(http, path)}
    if not state.get("proven", True) and state["seen"] and not state["offset"]:
        learnt = await _first(http, path)
        state |= {"by": learnt["by"], "proven": learnt["proven"]}
    one_page = not state["offset"]
    query = _window(state, dated, thorough) if one_page else [(name, value) for name, value in state["query"]]
    if query is None:
        yield Page([], {**state, "round": state["round"] + 1})
        return
    state["query"] = [list(pair) for pair in query]
    async for step in walk(http, path, query, offset=state["offset"], anchor=state["anchor"]):
        state |= _seen(state, step.rows, dated)
        state |= {"offset": step.offset, "anchor": step.anchor}
        if step.last:
            state = _finished(state, one_page)
        one_page = False
        yield Page(step.rows, dict(state))


async def _first(http: Http, path: str) -> dict[str, Any]:
    """What is learnt once: whether the filter on changes works, and the newest change.

    Asked for the far future it must find nothing, and asked for all of the past something, unless nothing is there:
    a filter that is not known may as well be ignored as answer nothing.
    """
    facts: dict[str, Any] = {"by": "updated_at", "proven": True, "seen": "", "mark": "", "since": "", "round": 0}
    facts |= {"offset": 0, "anchor": ""}
    one = [("limit", "1"), ("offset", "0")]
    past = ("q[updated_at][ge]", LONG_AGO)
    try:
        body = await http.get(path, [("q[updated_at][ge]", FAR_FUTURE), *one, ("metadata", "count")])
        if rows(body) or text(part(part(body).get("metadata")).get("count")) not in ("", "0"):
            return facts | {"by": "nothing"}
        try:
            newest = rows(await http.get(path, [past, ("sort", "-updated_at"), *one]))
        except RecordRejected:
            newest = []  # The first page's newest will do: more is read again, nothing is missed.
        if not newest and not rows(await http.get(path, [past, *one])):
            found = rows(await http.get(path, one))
            return facts | ({"by": "nothing"} if found else {"proven": False})
    except RecordRejected:
        return facts | {"by": "nothing"}
    except TransientError as error:
        if error.exchange is None or error.exchange.status != SERVER_ERROR:
            raise
        await http.get(path, one)  # Where the package itself is down, this fails too; else it was the filter.
        return facts | {"by": "nothing"}
    return facts | {"mark": max((_changed(row) for row in newest), default="")}


def _window(state: State, dated: bool, thorough: bool) -> Query | None:
    """The filter of the listing that is due; None when this round needs none: one page is always worth a call."""
    if state["by"] == "updated_at" and state["since"]:
        return [("q[updated_at][ge]", _overlapped(state["since"]))]
    full = state["by"] == "updated_at" or state["round"] % FULL_ROUND == 0 or not state["seen"] or thorough
    if not dated:
        return [] if full or state.get("one_page") else None
    if full:
        return [("q[date][ge]", state["start"])] if state["start"] else []
    since = (date.fromisoformat(state["seen"][:10]) - BLIND_WINDOW).isoformat()
    return [("q[date][ge]", max(since, state["start"] or ""))]


def _seen(state: State, found: Sequence[Raw], dated: bool) -> dict[str, Any]:
    """The newest moment in the package's own clock, and whether changes can be trusted to show themselves."""
    newest = max((_changed(row) or (state["by"] == "nothing" and _dated(row)) or "" for row in found), default="")
    facts = {"seen": max(state["seen"], newest), "mark": state["mark"] or newest}
    if dated and any(text(row.get("invoice_number")) and not moment(row.get("updated_at")) for row in found):
        facts["by"] = "nothing"  # A sent invoice without `updated_at` (seen, dossier 3.1) escapes the filter.
    return facts


def _finished(state: dict[str, Any], one_page: bool) -> dict[str, Any]:
    ended = {**state, "offset": 0, "anchor": "", "round": state["round"] + 1, "mark": state["seen"]}
    ended |= {"one_page": one_page}
    return ended | {"since": state["seen"] if one_page else state["mark"]}


def _changed(row: Raw) -> str:
    """When a record changed; nothing for a moment that lies ahead: it would hide all that changes until then."""
    names = ("updated_at", "modified", "created_at", "created")
    found = next((found for name in names if (found := moment(row.get(name)))), "")
    return found if found <= str(datetime.now(UTC).replace(tzinfo=None) + AHEAD) else ""


def _dated(row: Raw) -> str:
    return moment(f"{text(row.get('date'))[:10]} 00:00:00")


def _overlapped(since: str) -> str:
    """`since` less the overlap; an hour more in the night in which Dutch clocks go back."""
    moment_ = datetime.fromisoformat(since)
    back = moment_.month == 10 and moment_.day >= 25 and moment_.weekday() == 6 and moment_.hour < 6
    return str(moment_ - OVERLAP - (timedelta(hours=1) if back else timedelta()))


def _earlier(start: date | None, was: str | None) -> bool:
    return was is not None and (start is None or start.isoformat() < was)
