"""The runs of a combi, and one run: how it goes while it goes, and how it ended."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from markupsafe import escape
from starlette.responses import Response, StreamingResponse

from hub.catalogue.path import PathId, unknown
from hub.engine.models import Run
from hub.kit import text
from hub.kit.database import HubSession
from hub.organisations import html
from hub.runs import repository, service
from hub.runs.schemas import RunOut
from hub.statistics import repository as log_rows
from hub.statistics import service as figures
from hub.statistics import table
from hub.statistics.schemas import LogLine
from hub.web.pages.combis import combi_facts
from hub.web.pages.visit import Acting, PageRoute, Visit, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE = 25
LINES = 200
"""How many lines of a run's log its page shows, the newest first."""
LAST_LINE = 2**63 - 1
MOST_LINES = 50_000


@router.get("/combis/{combi_id}/runs")
async def runs(combi_id: PathId, visit: Visiting) -> Response:
    """The runs of a combi, the newest first."""
    before = _id(visit.request.query_params.get("before", ""))
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        found = await repository.runs(session, combi_id, before or repository.NEWEST, PAGE + 1)
    path = f"/combis/{combi_id}/runs"
    return visit.page(
        "runs.html",
        place="combis",
        combi=combi,
        tab="runs",
        runs=[service.run_out(run, visit.language) for run in found[:PAGE]],
        first=path if before else "",
        following=f"{path}?before={found[PAGE - 1].id}" if len(found) > PAGE else "",
    )


@router.get("/combis/{combi_id}/lines.csv")
async def lines_csv(combi_id: PathId, visit: Visiting) -> Response:
    """Every line of a combi's log, or of one run's, as a table for a spreadsheet."""
    run_id = _id(visit.request.query_params.get("run", ""))
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await service.combi_of(session, combi_id)
        rows = await log_rows.log(session, combi.id, LAST_LINE, MOST_LINES, level=None, run_id=run_id, q=None)
    columns = ("at", "level", "number", "sentence", "words", "key", "run_id", "item_id")
    return table.response(
        f"log-{combi_id}", columns, figures.log_rows([figures.log_line(r, visit.language) for r in rows])
    )


@router.get("/runs/{run_id}")
async def run(run_id: PathId, visit: Visiting) -> Response:
    """One run."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        found = await service.run_of(session, run_id)
        combi = await combi_facts(session, found.combi_id, visit.language)
        lines = await _lines(session, found, visit.language)
    facts = shown(service.run_out(found, visit.language), lines)
    return visit.page("run.html", place="combis", combi=combi, **facts)


@router.get("/runs/{run_id}/progress")
async def progress(run_id: PathId, visit: Visiting) -> Response:
    """What the page of a run shows while it goes: server-sent pieces of it."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        found = await service.run_of(session, run_id)
    headers = {**html.HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(_pieces(visit, found), media_type="text/event-stream", headers=headers)


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: PathId, sent: Acting) -> Response:
    """Stop at the next safe point."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await service.run_of(session, run_id)
        await repository.cancel(session, run_id)
    return go(f"/runs/{run_id}", "cancelled")


async def _pieces(visit: Visit, found: Run) -> AsyncIterator[str]:
    number, told = 0, ""
    async for seen in service.watch(visit.hub, visit.account.organisation_id, found.id):
        if seen is None:
            yield service.STILL_HERE
            continue
        lines: list[LogLine] = []
        if isinstance(seen, Run):
            now = service.run_out(seen, visit.language)
            async with visit.hub.database.tenant(visit.account.organisation_id) as session:
                lines = await _lines(session, seen, visit.language)
        else:
            now = service.run_out(found, visit.language).model_copy(update=dict(seen))
        piece = html.render(visit.request, "run_body.html", may_act=visit.may_act, **shown(now, lines))
        yield service.event(number := number + 1, "piece", piece)
        if now.status != told:
            told = now.status
            key = {"queued": "runs.waits", "running": "runs.goes"}.get(told, "")
            said = text.sentence(key, visit.language) if key else now.outcome.sentence if now.outcome else ""
            yield service.event(number := number + 1, "said", str(escape(said)))
        if isinstance(seen, Run):
            yield service.event(number + 1, "finished", "")


async def _lines(session: HubSession, run: Run, language: str) -> list[LogLine]:
    """The newest lines of a run's log, one more than are shown."""
    rows = await log_rows.log(session, run.combi_id, LAST_LINE, LINES + 1, level=None, run_id=run.id, q=None)
    return [figures.log_line(row, language) for row in rows]


def shown(run: RunOut, lines: Sequence[LogLine] = ()) -> dict[str, Any]:
    """A run with its lines and its counts per flow; how a document came to be booked is one figure here."""
    flows = []
    for flow, tally in run.counts.items():
        if flow == "calls" or not any(tally.values()):
            continue
        booked = sum(tally.get(kind, 0) for kind in ("booked", "update", "adopt"))
        wanting = sum(tally.get(kind, 0) for kind in ("finding", "rejected", "unknown"))
        flows.append((flow, tally.get("new", 0), booked, tally.get("ignored", 0), wanting))
    return {"run": run, "flows": flows, "lines": lines[:LINES], "more_lines": len(lines) > LINES}


def _id(written: str) -> UUID | None:
    try:
        return UUID(written) if written else None
    except ValueError:
        raise unknown("address") from None
