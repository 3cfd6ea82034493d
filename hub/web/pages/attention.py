"""What needs a human, over all combis, by cause: one remedy for all documents that share it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import RowMapping
from starlette.responses import Response

from hub.catalogue.path import unknown
from hub.combis import repository as combi_rows
from hub.engine.mapping import TABLES
from hub.kit.database import HubSession
from hub.runs import repository, sentences, service
from hub.web.pages.combis import facts_of, run_soon
from hub.web.pages.documents import ACTIONS, ask_again
from hub.web.pages.visit import Acting, PageRoute, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SHOWN = 5
"""How many documents of a cause are named."""
MOST_COMBIS = 1000


@router.get("/attention")
async def attention(visit: Visiting) -> Response:
    """Everything that waits for somebody."""
    wanted = visit.request.query_params.get("combi", "")
    combi_id = _id(wanted) if wanted else None
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        rows = await combi_rows.page(session, repository.NEWEST, MOST_COMBIS, None)
        combis = {row["id"]: facts_of(row, visit.language) for row in rows if combi_id in (None, row["id"])}
        if combi_id is not None and combi_id not in combis:
            raise unknown("combi")
        found = await repository.causes(session, combi_id)
        causes = [_cause(row, combis[row["combi_id"]], visit.language) for row in found if row["combi_id"] in combis]
        accounts = await _accounts(session, causes)
    waiting = [one for one in combis.values() if one["reason"] or _needs_consent(one)]
    return visit.page(
        "attention.html",
        place="attention",
        waiting=waiting,
        causes=causes,
        accounts=accounts,
        only=combis.get(combi_id) if combi_id else None,
        here=f"/attention?combi={combi_id}" if combi_id else "/attention",
    )


@router.post("/attention")
async def act(sent: Acting) -> Response:
    """One decision for all documents of a cause."""
    form = sent.form
    combi_id, action = _id(form.get("combi", "")), form.get("action", "")
    if action not in ACTIONS:
        raise unknown("address")
    back = "/attention" if form.get("everybody") else f"/attention?combi={combi_id}"
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await service.combi_of(session, combi_id)
        why = _why(form.get("causes", ""))
        ids = await repository.of_cause(
            session, combi_id, form.get("status", ""), form.get("key", ""), why, service.BULK
        )
        if action == "retry":
            done = await service.decide_many(session, sent.hub, combi_id, ids, action)
            if done:
                sent.note(session, "document.retry", combi_id, count=done)
    if action != "retry" and ids:
        return await ask_again(sent, combi_id, action, ids, back)
    if not ids or not done:
        return go(back, "none_allowed")
    await run_soon(sent, combi_id)
    return go(back, "many_retry", done)


def _cause(row: RowMapping, combi: Mapping[str, Any], language: str) -> dict[str, Any]:
    finding = sentences.finding(row["finding"], language) if row["finding"] else None
    values = finding.values if finding else {}
    return {
        "combi": combi,
        "flow": row["flow"],
        "status": row["status"],
        "key": row["key"],
        "field": row["field"],
        "causes": json.dumps(row["causes"]),
        "finding": finding,
        "documents": row["documents"],
        # A sentence that names one document says too little of many.
        "exact": row["documents"] == 1 or set(values) <= set(repository.CAUSES),
        "examples": row["examples"][:SHOWN],
        "table": row["field"] if row["field"] in TABLES else "",
        "word": values.get("revenue_group") or values.get("wage_component") or values.get("account") or "",
        "named": bool(values.get("ref")),
    }


async def _accounts(session: HubSession, causes: list[dict[str, Any]]) -> dict[UUID, Any]:
    """The charts of accounts that the remedies choose from, by combi."""
    combis = {cause["combi"]["id"]: cause["combi"] for cause in causes if cause["table"] == "ledger_accounts"}
    return {
        combi_id: await combi_rows.accounts(session, combi["target"]["connection_id"])
        for combi_id, combi in combis.items()
    }


def _needs_consent(combi: Mapping[str, Any]) -> bool:
    sides = [combi[side] for side in ("source", "target", "side") if combi[side]]
    return any(side["status"] != "active" for side in sides) and not combi["draft"]


def _why(written: str) -> Mapping[str, Any]:
    try:
        why = json.loads(written)
    except ValueError:
        raise unknown("address") from None
    if not isinstance(why, dict):
        raise unknown("address")
    return why


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("address") from None
