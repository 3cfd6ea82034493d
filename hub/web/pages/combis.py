"""My combis, the page of one combi, and what can be started or stopped there."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import RowMapping
from starlette.responses import Response

from hub.catalogue.path import PathId, unknown
from hub.combis import repository, service
from hub.engine import recipe as recipes
from hub.engine.models import CombiStatus
from hub.kit.database import HubSession
from hub.kit.problem import Problem
from hub.runs import repository as run_rows
from hub.runs import service as runs
from hub.runs.schemas import RunIn
from hub.web.pages.visit import Acting, PageRoute, Sent, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

MOST = 100
"""How many combis one page shows."""
RECENT = 5


@router.get("/")
async def home(visit: Visiting) -> Response:
    """My combis."""
    before = run_rows.NEWEST
    if after := visit.request.query_params.get("after"):
        before = _id(after)
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        rows = await repository.page(session, before, MOST + 1, None)
    more = rows[MOST - 1]["id"] if len(rows) > MOST else None
    combis = [facts_of(row, visit.language) for row in rows[:MOST]]
    return visit.page("combis.html", place="combis", combis=combis, more=more)


@router.get("/combis/{combi_id}")
async def combi(combi_id: PathId, visit: Visiting) -> Response:
    """One combi: how it stands, what it did last and what it needs."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        shown = await combi_facts(session, combi_id, visit.language)
        tally = await run_rows.tally(session, combi_id)
        recent = await run_rows.runs(session, combi_id, run_rows.NEWEST, RECENT)
    flows: dict[str, dict[str, int]] = {}
    for row in tally:
        flows.setdefault(row["flow"], {})[row["status"]] = row["documents"]
    return visit.page(
        "combi.html",
        place="combis",
        combi=shown,
        tab="overview",
        flows=flows,
        runs=[runs.run_out(run, visit.language) for run in recent],
    )


@router.post("/combis/{combi_id}/run")
async def synchronise(combi_id: PathId, sent: Acting) -> Response:
    """Synchronise now; who asks while a run is going on is brought to that one."""
    mode = "preview" if sent.form.get("mode") == "preview" else "write"
    return await started(sent, combi_id, RunIn(mode=mode))


@router.post("/combis/{combi_id}/pause")
async def pause(combi_id: PathId, sent: Acting) -> Response:
    """Stop until somebody switches it on again."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await service.pause(session, sent.hub, await runs.combi_of(session, combi_id, lock=True))
        sent.note(session, "combi.paused", combi_id)
    return go(f"/combis/{combi_id}", "paused")


@router.post("/combis/{combi_id}/activate")
async def activate(combi_id: PathId, sent: Acting) -> Response:
    """Switch on, once everything was checked against the live packages."""
    organisation = sent.account.organisation_id
    async with sent.hub.database.tenant(organisation) as session:
        await runs.combi_of(session, combi_id)
    await service.complete(sent.hub, organisation, combi_id)
    findings = await sent.hub.engine.check_settings(organisation, combi_id)
    async with sent.hub.database.tenant(organisation) as session:
        locked = await runs.combi_of(session, combi_id, lock=True)
        await service.activate(sent.hub, locked, findings, sent.language)
        sent.note(session, "combi.switched_on", combi_id)
    return go(f"/combis/{combi_id}", "activated")


async def started(sent: Sent, combi_id: UUID, asked: RunIn) -> Response:
    """On to the page of the run that was asked for, or of the one that is going on."""
    try:
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            run = await runs.start(session, sent.hub, combi_id, asked)
    except Problem as problem:
        if problem.code != "already_running":
            raise
        return go(f"/runs/{problem.members['run_id']}", "already_running")
    return go(f"/runs/{run.id}")


async def run_soon(sent: Sent, combi_id: UUID) -> None:
    """A run after a decision about documents; a combi that is busy or stands still takes them along later."""
    with suppress(Problem):
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            found = await runs.combi_of(session, combi_id)
            if found.status == CombiStatus.active:
                await runs.start(session, sent.hub, combi_id, RunIn())


async def combi_facts(session: HubSession, combi_id: UUID, language: str) -> dict[str, Any]:
    """What the head of a combi's pages shows. Raises the 404 problem."""
    row = await repository.row(session, combi_id)
    if row is None:
        raise unknown("combi")
    return facts_of(row, language)


def facts_of(row: RowMapping, language: str) -> dict[str, Any]:
    """A combi's row as the templates show it."""
    facts = service.row_facts(row, language)
    try:
        recipe = recipes.get(facts["recipe"])
        flows = recipe.flows + ((recipes.SALARIES,) if facts["side"] else ())
    except KeyError:
        flows = ()
    wanting = sum(facts["counts"][status] for status in run_rows.WANTING)
    return {
        **facts,
        "path": f"/combis/{facts['id']}",
        "flows": flows,
        "payroll": "journals" in flows,
        "wanting": wanting,
        "wanting_more": any(facts["counts"][status] >= repository.MOST for status in run_rows.WANTING),
        "going_on": row["going_on"],
        "draft": facts["status"] == CombiStatus.draft,
    }


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("address") from None
