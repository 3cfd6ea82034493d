"""The payroll journals of a combi: which were found, whether each was booked, and choosing one to be booked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from hub.batches import service as batches
from hub.catalogue.path import PathId, unknown
from hub.combis import service as combis
from hub.engine import settings as combi_settings
from hub.engine.choosing import NOT_CHOSEN
from hub.kit.problem import Problem
from hub.runs import repository, sentences, service
from hub.runs.schemas import RunIn
from hub.web.pages.combis import combi_facts, started
from hub.web.pages.visit import Acting, PageRoute, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

MOST = 500
"""How many journals of a year are shown."""


@router.get("/combis/{combi_id}/history")
async def history(combi_id: PathId, visit: Visiting) -> Response:
    """The journals of a year, the newest period first."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        if not combi["payroll"]:
            raise unknown("address")
        stored = await service.combi_of(session, combi_id)
        years = await repository.journal_years(session, combi_id)
        newest = _newest(years, visit.hub.clock.today().year)
        year = _year(visit.request.query_params.get("year", ""), newest)
        rows = await repository.journals(session, combi_id, year, MOST, undated=year == newest)
        try:
            files = await batches.listed(session, combi_id)
        except Problem:  # the target takes no files
            files = None
    chosen = combi_settings.parse(combis.recipe_of(stored), stored.settings).selection == "chosen"
    journals = [_facts(row, visit.language) for row in rows]
    return visit.page(
        "history.html",
        place="combis",
        combi=combi,
        tab="history",
        year=year,
        years=sorted({*years, year}, reverse=True),
        journals=journals,
        choosing=any(one["choosable"] for one in journals),
        by_hand=chosen,
        files=files,
    )


@router.post("/combis/{combi_id}/history")
async def book(combi_id: PathId, sent: Acting) -> Response:
    """Book the journals that were chosen, at once, with the run in sight."""
    ids = [_id(one) for one in sent.form.all_of("id")]
    if not ids:
        return go(f"/combis/{combi_id}/history", "none_chosen")
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await service.combi_of(session, combi_id)
        done = await service.decide_many(session, sent.hub, combi_id, ids[: service.BULK], "retry")
        if done:
            sent.note(session, "document.retry", combi_id, count=done)
    if not done:
        return go(f"/combis/{combi_id}/history", "none_allowed")
    return await started(sent, combi_id, RunIn())


@router.post("/combis/{combi_id}/files")
async def make_file(combi_id: PathId, sent: Acting) -> Response:
    """Put what waits into a file."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        made = await batches.make(session, sent.hub, combi_id)
        sent.note(session, "combi.filed", combi_id)
    return go(f"/combis/{combi_id}/history", "filed" if made.data else "nothing_to_file")


@router.get("/combis/{combi_id}/files/{batch_id}/{form}")
async def download(combi_id: PathId, batch_id: PathId, form: str, visit: Visiting) -> Response:
    """A file, the same each time."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        found = await batches.file(session, combi_id, batch_id, form)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"', "Cache-Control": "no-store"}
    return Response(found.content, media_type=found.media_type, headers=headers)


def _facts(row: Any, language: str) -> dict[str, Any]:
    found = [sentences.finding(one, language) for one in row["findings"]]
    waits = any(one.key == NOT_CHOSEN for one in found)
    return {
        **row,
        "findings": found,
        "choosable": waits or row["status"] in repository.WANTING,
        "not_chosen": waits,
    }


def _newest(years: Sequence[int], now: int) -> int:
    """The newest year that is no test year ahead of us; what has only such shows the nearest."""
    return max((one for one in years if one <= now), default=min(years, default=now))


def _year(asked: str, newest: int) -> int:
    """The year in the address, else the newest that has journals."""
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) == 4 else newest


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("address") from None
