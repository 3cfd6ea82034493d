"""The mapping tables of a combi: the source's words beside the target's, with suggestions and marks."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from hub.catalogue.path import PathId
from hub.combis import repository, service
from hub.combis.schemas import MappingEntry
from hub.engine.mapping import TABLES
from hub.engine.settings import leading_code
from hub.kit.problem import FieldError, Problem
from hub.organisations.service import own_path
from hub.runs.service import combi_of
from hub.sdk.errors import VendorError
from hub.web.pages.combis import combi_facts, run_soon
from hub.web.pages.forms import Form
from hub.web.pages.visit import Acting, PageRoute, Sent, Visit, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

EMPTY_ROWS = 3
_LISTS = {"ledger_accounts": repository.accounts, "cost_centres": repository.cost_centres}
"""What the target was last seen to have, by the table that leads to it; nobody waits for a package to see a table."""


@router.get("/combis/{combi_id}/mappings/{table}")
async def mapping(combi_id: PathId, table: str, visit: Visiting) -> Response:
    """One table."""
    return await _page(visit, combi_id, table)


@router.post("/combis/{combi_id}/mappings/{table}")
async def save(combi_id: PathId, table: str, sent: Acting) -> Response:
    """The whole table as it stands on the page; lines without an account are left out."""
    rows = _rows(sent.form)
    service.known_table(table)
    try:
        entries = [MappingEntry(source=source, target=target) for source, target in rows if source and target]
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            combi = await combi_of(session, combi_id, lock=True)
            await service.replace_mapping(session, sent.hub, combi, table, entries)
            sent.note(session, "combi.mapped", combi_id, table=table)
    except ValueError:
        return await _page(sent, combi_id, table, tried=rows, wrong="too_long")
    except Problem as problem:
        if problem.status != 422:
            raise
        return await _page(sent, combi_id, table, tried=rows, wrong=_code(problem.errors))
    await run_soon(sent, combi_id)
    return go(f"/combis/{combi_id}/mappings/{table}", "mapped")


@router.post("/combis/{combi_id}/mappings/{table}/one")
async def add(combi_id: PathId, table: str, sent: Acting) -> Response:
    """One line more: the remedy for every document that waits for it."""
    source, target = sent.form.get("source", "").strip(), sent.form.get("target", "").strip()
    if not 0 < len(source) <= 300 or not 0 < len(target) <= 300:
        return await _page(sent, combi_id, table, tried=[(source[:300], target[:300])], wrong="incomplete")
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_of(session, combi_id, lock=True)
        accounts = await repository.accounts(session, combi.target_connection_id)
        if table == "ledger_accounts" and accounts and _account(target) not in {row["number"] for row in accounts}:
            wrong = "unknown"
        else:
            wrong = ""
            await service.map_one(session, sent.hub, combi, table, MappingEntry(source=source, target=target))
            sent.note(session, "combi.mapped", combi_id, source=source, target=target)
    if wrong:
        return await _page(sent, combi_id, table, tried=[(source, target)], wrong=wrong)
    await run_soon(sent, combi_id)
    return go(own_path(sent.form.get("back", f"/combis/{combi_id}/mappings/{table}")), "mapped")


@router.post("/combis/{combi_id}/mappings/{table}/refresh")
async def refresh(combi_id: PathId, table: str, sent: Acting) -> Response:
    """Read the target's lists anew: what was just added there can be chosen."""
    service.known_table(table)
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await combi_of(session, combi_id)
    await sent.hub.engine.refresh_master(sent.account.organisation_id, combi_id)
    return go(f"/combis/{combi_id}/mappings/{table}", "lists_read")


async def _page(
    visit: Visit | Sent,
    combi_id: Any,
    table: str,
    tried: Sequence[tuple[str, str]] = (),
    wrong: str = "",
) -> Response:
    service.known_table(table)
    organisation = visit.account.organisation_id
    async with visit.hub.database.tenant(organisation) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        entries = await repository.mapping(session, combi_id, table)
        target = combi["target"]["connection_id"]
        right = await _LISTS[table](session, target) if table in _LISTS else ()
        read_at = await repository.master_read_at(session, target) if table in _LISTS else None
    try:
        found = await visit.hub.engine.suggest(organisation, combi_id, table, stored=True)
    except VendorError:  # the table can be shown and changed while a package is away
        found = []
    known = {row["number"] for row in right}
    choices = [(row["number"], " ".join(filter(None, (row["number"], row["name"])))) for row in right]
    rows = {entry.source: _row(entry.source, entry.target, "own", known) for entry in entries}
    for one in found:
        rows.setdefault(one.source, _row(one.source, one.target, one.origin, known))
        rows[one.source] = {**rows[one.source], "label": one.source_label or one.source}
    if asked := visit.request.query_params.get("source", "")[:300]:
        rows.setdefault(asked, _row(asked, "", "none", known))
    for source, target in tried:
        rows[source] = _row(source, target, "own", known)
    first = [rows.pop(asked)] if asked in rows else []
    return visit.page(
        "mapping.html",
        422 if wrong else 200,
        place="combis",
        combi=combi,
        tab="edit",
        table=table,
        tables=TABLES,
        rows=[*first, *sorted(rows.values(), key=lambda row: (row["mark"] == "good", row["source"]))],
        choices=choices,
        read_at=read_at,
        empty_rows=range(EMPTY_ROWS),
        wrong=wrong,
    )


def _row(source: str, target: str, origin: str, known: set[str]) -> Mapping[str, str]:
    """A line with its mark: `good` it stands in the chart, `bad` it does not, `warn` nothing is chosen."""
    if not target:
        mark = "warn"
    elif known and _account(target) not in known:
        mark = "bad"
    else:
        mark = "good" if origin == "own" else "info"
    return {"source": source, "label": source, "target": target, "origin": origin, "mark": mark}


def _account(target: str) -> str:
    return leading_code(target) or target


def _rows(form: Form) -> list[tuple[str, str]]:
    """The lines of the page, in its order."""
    sources, targets = form.all_of("source"), form.all_of("target")
    return [(source.strip(), target.strip()) for source, target in zip(sources, targets, strict=False)]


def _code(errors: Sequence[FieldError]) -> str:
    return errors[0]["code"] if errors else "incomplete"
