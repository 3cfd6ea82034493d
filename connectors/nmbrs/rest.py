"""Nmbrs over REST: pages, errors with a code, and files that are made by a task (dossier 2.2, 6)."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from connectors.nmbrs import markup
from connectors.nmbrs.transport import Asked, Company, Content, Run, Runs, Split, Transport, number, period_kind
from hub.sdk.connector import Raw
from hub.sdk.errors import ConfigError, RecordRejected, TransientError, VendorError
from hub.sdk.http import Answer, Http, Kind, Refusal
from hub.sdk.reading import flag, part, text

PAGE_SIZE = 100
MOST_PAGES = 1000
AT_ONCE = 8
"""How many tasks are begun before their files are asked for: the waiting is shared."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
PATIENCE_S = 60.0
"""How long a run waits for its files; what is not made by then is asked for again the next time."""
QUOTA_REST_S = 24 * 3600.0
"""A used-up quota comes back with the next billing cycle (6); once a night is often enough to look."""
Meaning = tuple[Kind, str, str | None, float | None]
ERRORS: Mapping[str, Meaning] = {
    **dict.fromkeys(("40101", "40102"), ("reauth", "nmbrs.access_refused", None, None)),
    "40304": ("config", "nmbrs.environment_disabled", None, None),
    "40306": ("config", "nmbrs.several_debtors", None, None),
    "42908": ("transient", "nmbrs.too_many_calls", None, None),
    "42909": ("transient", "nmbrs.quota_exceeded", None, QUOTA_REST_S),
}
"""What a code means (dossier 6): kind, key, field, rest."""
BY_STATUS: Mapping[int, Meaning] = {
    # A fresh token that is refused with another word than one about tokens: it is our own key that is wrong.
    401: ("config", "nmbrs.subscription_key_refused", None, None),
    403: ("config", "nmbrs.no_rights", "administrations", None),
}
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
JOURNALS: Mapping[Split, str] = {"company": "journals", "cost_centre": "journalscostcenter"}


def refusal(answer: Answer) -> Refusal | None:
    """An error as Nmbrs words it: `code`, `title`, `detail`, `invalid-params` (dossier 6). None for a success."""
    if answer.status < 400 or not isinstance(answer.body, Mapping):
        return None
    code, said = text(answer.body.get("code")), _said(answer.body)
    meaning = ERRORS.get(code) or BY_STATUS.get(answer.status, ("rejected", "nmbrs.refused", None, None))
    if answer.status == 401 and "subscription" in said.lower():
        meaning = BY_STATUS[401]
    kind, key, field, rest = meaning
    return Refusal(said, kind, key, field, rest, (("code", code), ("call", "")))


def _said(body: Raw) -> str:
    given = body.get("invalid-params")
    wrong = [part(one) for one in given] if isinstance(given, list) else []
    told = [text(body.get(name)) for name in ("title", "detail", "message", "error_description", "error")]
    told += [f"{text(one.get('name'))}: {text(one.get('reason'))}" for one in wrong]
    return " · ".join(one for one in told if one)[:300]


def _rows(body: object) -> list[Raw]:
    """The records of an answer: `{pagination, data}`, a bare list, or one record."""
    inner: Any = body.get("data", body) if isinstance(body, Mapping) else body
    if isinstance(inner, Mapping):
        inner = [inner]
    return [one for one in inner if isinstance(one, Mapping) and one] if isinstance(inner, list) else []


async def _listed(http: Http, path: str, query: Mapping[str, str | int] | None = None) -> list[Raw]:
    """A whole listing. Raises TransientError when Nmbrs gives less than it says there is."""
    found: list[Raw] = []
    for page in range(1, MOST_PAGES + 1):
        body = await http.get(path, {**(query or {}), "pageNumber": page, "pageSize": PAGE_SIZE})
        rows, facts = _rows(body), part(part(body).get("pagination"))
        if page > 1 and rows and rows == found[-len(rows) :]:
            raise TransientError("nmbrs.listing_repeats", path=path)
        found += rows
        total, pages = number(facts.get("totalRecords")), number(facts.get("totalPages"))
        more = bool(facts.get("nextPage")) if "nextPage" in facts else pages.isdecimal() and page < int(pages)
        if not facts:
            more = len(rows) >= PAGE_SIZE
        if total.isdecimal() and len(found) < int(total):
            if not rows:
                raise TransientError("nmbrs.listing_short", path=path, total=total, found=len(found))
            more = True
        if not more or not rows:
            return found
    raise TransientError("nmbrs.listing_repeats", path=path)


async def companies(http: Http) -> list[Company]:
    """All companies; over the debtors where the consent is for several of them (40306, seen live)."""
    try:
        rows = await _listed(http, "/api/companies")
    except ConfigError as refused:
        if refused.key != "nmbrs.several_debtors":
            raise
        found: dict[str, Company] = {}
        for debtor in await _listed(http, "/api/debtors"):
            own = text(debtor.get("debtorId"))
            listed = await _listed(http, f"/api/debtors/{_safe(own)}/companies")
            found |= {one.id: one for one in _companies(listed, own)}
        return list(found.values())
    return _companies(rows)


def _companies(rows: Sequence[Raw], debtor: str = "") -> list[Company]:
    found = [
        Company(
            text(row.get("companyId")) or text(row.get("id")),
            number(row.get("number")),
            text(row.get("name")),
            text(row.get("debtorId")) or debtor,
        )
        for row in rows
    ]
    return [one for one in found if one.id]


async def debtors(http: Http, found: Sequence[Company]) -> Mapping[str, str]:
    """Company id -> debtor's number."""
    rows = await _listed(http, "/api/debtors")
    numbers = {text(row.get("debtorId")): text(row.get("number")) for row in rows}
    return {one.id: numbers[one.debtor] for one in found if numbers.get(one.debtor)}


async def runs(http: Http, company: str, year: int) -> Runs:
    """The runs of a year."""
    found: list[Run] = []
    odd = 0
    for row in await _listed(http, f"/api/companies/{_safe(company)}/runs", {"year": year}):
        try:
            run = _run(row, year)
        except ValueError:
            odd += 1
            continue
        if run.year == year:
            found.append(run)
    return Runs(found, odd)


def _run(row: Raw, year: int) -> Run:
    own = text(row.get("payrollRunId")) or text(row.get("runId")) or text(row.get("id"))
    if not own:
        raise ValueError("a run without id")
    # The spec calls the periods integers with the format of a moment (6): anything but a number is not understood.
    first, last = number(row.get("periodStart")), number(row.get("periodEnd"))
    return Run(
        id=own,
        number=number(row.get("number")),
        year=int(number(row.get("year")) or year),
        first=int(first or last),
        last=int(last or first),
        description=text(row.get("description")),
        made_at=text(row.get("createdAt")),
        locked=flag(row.get("locked", row.get("isLocked"))),
        type=text(row.get("type")),
    )


async def contents(http: Http, company: str, wanted: Sequence[Asked]) -> AsyncIterator[Content]:
    """The journals of these runs. What is wrong with one run does not stop the others."""
    home = f"/api/companies/{_safe(company)}/runs"
    for start in range(0, len(wanted), AT_ONCE):
        tasks: dict[str, Run] = {}
        for one in wanted[start : start + AT_ONCE]:
            run, path = one.run, f"{home}/{_safe(one.run.id)}/{JOURNALS[one.split]}"
            try:
                tasks[one.task or await task(http, path, {"year": run.year})] = run
            except (RecordRejected, TransientError) as error:
                yield Content(run, trouble=_own(error))
        async for task_id, made in files(http, list(tasks)):
            try:
                yield _content(tasks[task_id], made)
            except markup.Unreadable as error:
                yield Content(tasks[task_id], trouble=RecordRejected("nmbrs.journal_unreadable", words=str(error)))


def _own(error: VendorError) -> VendorError:
    """A trouble of one run. Raises it when it is not: a package that is busy or closed is so for all."""
    if isinstance(error, TransientError) and error.retry_after is not None:
        raise error
    return error


def _content(run: Run, made: bytes | VendorError) -> Content:
    if isinstance(made, VendorError):
        return Content(run, trouble=made)
    text = markup.decoded(made)
    if text.strip() and not markup.is_markup(text):
        return Content(run, trouble=TransientError("nmbrs.file_strange", words=text[:100]))
    return Content(run, text)


async def task(http: Http, path: str, query: Mapping[str, str | int]) -> str:
    """Begins the making of a file; gives the task's id. Raises RecordRejected when Nmbrs gives none."""
    body = await http.get(path, query)
    found: object = body
    while isinstance(found, Mapping):
        found = found.get("taskId") or found.get("data") or found.get("id")
    if not (task_id := text(found)):
        raise TransientError("nmbrs.task_missing")
    return task_id


async def files(http: Http, tasks: Sequence[str]) -> AsyncIterator[tuple[str, bytes | VendorError]]:
    """The file of each task as soon as it is made, or why there is none.

    Asks all in turn, with growing pauses; a task that Nmbrs does not know (yet) is asked for again. Raises
    TransientError with a time when Nmbrs wants to be left alone.
    """
    waiting, pause, until = list(tasks), FIRST_WAIT_S, time.monotonic() + PATIENCE_S
    while waiting:
        for one in list(waiting):
            made = await _file(http, one)
            if made is not None:
                waiting.remove(one)
                yield one, made
        if not waiting:
            return
        if time.monotonic() + pause > until:
            break
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_WAIT_S)
    for one in waiting:
        yield one, TransientError("nmbrs.not_ready", task=one)


async def _file(http: Http, task_id: str) -> bytes | VendorError | None:
    try:
        made = await http.collect(f"/api/documents/{_safe(task_id)}")
    except RecordRejected as error:
        return None if error.exchange is not None and error.exchange.status == 404 else error
    except TransientError as error:
        return _own(error)
    # A 200 that only says "Document is being processed" is no file either.
    return None if made is not None and made.strip().startswith(b'"') else made


async def kind(http: Http, company: str) -> str:
    """How a company pays, from its current period."""
    body = await http.get(f"/api/companies/{_safe(company)}/period")
    row = next(iter(_rows(body)), {})
    return period_kind(text(row.get("periodType"))) or period_kind(text(row.get("displayPeriod")))


async def cost_centres(http: Http, company: str) -> Mapping[str, str]:
    """Code -> words."""
    rows = await _listed(http, f"/api/companies/{_safe(company)}/costCenters")
    return {text(row.get("code")): text(row.get("description")) for row in rows if text(row.get("code"))}


def _safe(given: str) -> str:
    """An id (a UUID, dossier 6) that may stand in a path. Raises RecordRejected for one that is none."""
    if not _ID.fullmatch(given):
        raise RecordRejected("nmbrs.id_strange", words=given[:60])
    return given


TRANSPORT = Transport(companies, debtors, runs, contents, kind, cost_centres)
