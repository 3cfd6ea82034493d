"""The log of a combi: its documents with filters, one document's story, and what a human decides about them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from hub.catalogue.path import PathId, unknown
from hub.engine import items
from hub.engine import recipe as recipes
from hub.engine.choosing import NOT_CHOSEN
from hub.engine.models import Item, ItemStatus
from hub.kit.database import HubSession
from hub.kit.problem import Problem
from hub.organisations.service import own_path
from hub.runs import repository, service
from hub.runs.schemas import HistoryOut, ItemOut, ResolveIn
from hub.statistics import table
from hub.web.pages.combis import combi_facts, run_soon
from hub.web.pages.visit import Acting, PageRoute, Sent, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE = 50
MOST_ROWS = 50_000
"""How many documents a CSV holds."""
BATCH = 5000
_ENDS = {"payments": "source", recipes.SALARIES: "side"}
"""Where a flow's documents go, unless that is the target."""
ACTIONS = ("retry", "skip", "exists", "absent")


@dataclass(frozen=True)
class Filter:
    """Which documents are asked for, as it stands in the address."""

    status: str = ""
    flow: str = ""
    first: date | None = None
    last: date | None = None
    q: str = ""
    wrong: tuple[str, ...] = field(default=())
    """Fields that cannot be read."""

    def query(self, **more: str) -> str:
        """As the tail of an address."""
        pairs = {"status": self.status, "flow": self.flow, "q": self.q, **more}
        days = {"from": self.first.isoformat() if self.first else "", "to": self.last.isoformat() if self.last else ""}
        found = {name: value for name, value in {**pairs, **days}.items() if value}
        return f"?{urlencode(found)}" if found else ""

    @property
    def arguments(self) -> dict[str, Any]:
        """As the repository takes it."""
        statuses = repository.WANTING if self.status == "wanting" else [self.status] if self.status else []
        return {
            "statuses": [str(one) for one in statuses],
            "flow": self.flow or None,
            "first": self.first,
            "last": self.last,
            "q": self.q or None,
        }


@router.get("/combis/{combi_id}/log")
async def log(combi_id: PathId, visit: Visiting) -> Response:
    """The documents of a combi, the newest first."""
    wanted = filter_of(visit.request)
    before = visit.request.query_params.get("before", "")
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        rows, more = await repository.item_rows(
            session, combi_id, _id(before) if before else None, PAGE, **wanted.arguments
        )
    path = f"/combis/{combi_id}/log"
    return visit.page(
        "log.html",
        place="combis",
        combi=combi,
        tab="documents",
        wanted=wanted,
        filtered=bool(wanted.query()),
        statuses=["wanting", *(one.value for one in ItemStatus)],
        documents=[document_facts(row) for row in rows],
        first=f"{path}{wanted.query()}" if before else "",
        following=f"{path}{wanted.query(before=str(more))}" if more else "",
        csv=f"{path}.csv{wanted.query()}",
        back=f"{path}{wanted.query(before=before)}",
    )


@router.get("/combis/{combi_id}/log.csv")
async def log_csv(combi_id: PathId, visit: Visiting) -> Response:
    """The same documents as a table for a spreadsheet."""
    wanted = filter_of(visit.request)
    rows: list[dict[str, Any]] = []
    before = None
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await service.combi_of(session, combi_id)
        while len(rows) < MOST_ROWS:
            found, before = await repository.item_rows(session, combi_id, before, BATCH, **wanted.arguments)
            rows += [document_facts(row) for row in found]
            if before is None:
                break
    columns = ("flow", "number", "date", "customer", "amount", "currency", "administration", "status", "booked_as",
               "reference", "source_id", "id")  # fmt: skip
    return table.response(f"documents-{combi.id}", columns, _cells(rows[:MOST_ROWS]))


@router.get("/documents/{item_id}")
async def document(item_id: PathId, visit: Visiting) -> Response:
    """The story of one document."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        item = await service.item_of(session, item_id)
        shown = await service.item_out(session, item, visit.language)
        combi = await combi_facts(session, item.combi_id, visit.language)
    return visit.page(
        "document.html",
        place="combis",
        combi=combi,
        item=shown,
        source=combi["target" if item.flow == "payments" else "source"],
        target=combi[_ENDS.get(item.flow, "target")] or combi["target"],
        story=_story(shown.history),
        chances=chances(shown),
        asked=_asked(shown),
        not_chosen=any(one.key == NOT_CHOSEN for one in shown.findings),
        postable=item.flow in ("invoices", "journals") and item.raw is not None,
    )


@router.get("/documents/{item_id}/posting")
async def posting(item_id: PathId, visit: Visiting) -> Response:
    """The journal lines of one document, as a piece of its page or as a page of its own."""
    organisation = visit.account.organisation_id
    async with visit.hub.database.tenant(organisation) as session:
        item = await service.item_of(session, item_id)
    found = await visit.hub.engine.preview_of(organisation, item.combi_id, item.flow, item.raw or {})
    facts: dict[str, Any] = {"item": item, "shown": found}
    if "hx-request" in visit.request.headers:
        return visit.page("posting_part.html", **facts)
    return visit.page("posting.html", place="combis", **facts)


@router.post("/documents/{item_id}/{action}")
async def act(item_id: PathId, action: str, sent: Acting) -> Response:
    """What a human decided about one document; who asks for another try gets it at once."""
    if action not in ACTIONS:
        raise unknown("address")
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        item = await service.item_of(session, item_id, lock=True)
        await decide(session, sent, item, action)
        sent.note(session, f"document.{action}", item_id, document=item.number or item.source_id)
        combi_id = item.combi_id
    if action in ("retry", "absent"):
        await run_soon(sent, combi_id)
    return go(f"/documents/{item_id}", f"document_{action}")


@router.post("/combis/{combi_id}/documents")
async def act_on_many(combi_id: PathId, sent: Acting) -> Response:
    """The same for many: what cannot be undone by another click is asked once more."""
    action = sent.form.get("action", "")
    ids = [found for one in sent.form.all_of("id") if (found := _id(one))]
    back = own_path(sent.form.get("back", ""))
    if action not in ACTIONS:
        raise unknown("address")
    if not ids:
        return go(back, "none_chosen")
    if action != "retry" and sent.form.get("sure") != "yes":
        return await ask_again(sent, combi_id, action, ids, back)
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        await service.combi_of(session, combi_id)
        done = await service.decide_many(
            session, sent.hub, combi_id, ids[: service.BULK], action, sent.form.get("reason", "")[:500]
        )
        if done:
            sent.note(session, f"document.{action}", combi_id, count=done)
    if done and action in ("retry", "absent"):
        await run_soon(sent, combi_id)
    return go(back, f"many_{action}" if done else "none_allowed", done)


async def ask_again(sent: Sent, combi_id: UUID, action: str, ids: Sequence[UUID], back: str) -> Response:
    """What cannot be undone by another click is asked once more, with all documents in sight."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, sent.language)
        found = await repository.of_ids(session, combi_id, ids[: service.BULK])
    return sent.page("sure.html", place="combis", combi=combi, action=action, documents=found, back=back)


async def decide(session: HubSession, sent: Sent, item: Item, action: str) -> None:
    """One decision about one document. Raises the 409 problem when it cannot be."""
    match action:
        case "retry":
            await service.retry(session, sent.hub, item, sent.language)
        case "skip":
            await service.skip(session, sent.hub, item, sent.form.get("reason", "")[:500], sent.language)
        case "exists":
            ref = sent.form.get("target_ref", "").strip()[:300] or items.named(item) or item.target_ref
            if not ref:
                raise Problem(422, "reference_missing", "Say under which number it stands there.")
            found = ResolveIn(outcome="exists", target_ref=ref)
            await service.resolve(session, sent.hub, item, found, sent.language)
        case _:
            await service.resolve(session, sent.hub, item, ResolveIn(outcome="absent"), sent.language)


def chances(item: ItemOut) -> list[str]:
    """What may be done with a document as it stands."""
    allowed = {
        "retry": items.RETRYABLE,
        "exists": items.RESOLVABLE,
        "absent": items.RESOLVABLE,
        "skip": items.SKIPPABLE,
    }
    stands = item.booking is not None and item.booking.state not in ("gone", "refused")
    found = [action for action in ACTIONS if item.status in allowed[action]]
    if stands and item.status != ItemStatus.changed:
        found = [action for action in found if action != "skip"]
    if item.status == ItemStatus.ignored and all(one.key not in items.ASKED_AGAIN for one in item.findings):
        found = [action for action in found if action != "retry"]
    return found


def _asked(item: ItemOut) -> str:
    """The booking in the target that a finding asks about."""
    return next((one.values["ref"] for one in item.findings if one.values.get("ref")), "")


def _story(lines: Sequence[HistoryOut]) -> list[tuple[HistoryOut, int, HistoryOut]]:
    """The lines, each told once however often it came again in a row: (first, how often, last)."""
    told: list[tuple[HistoryOut, int, HistoryOut]] = []
    for line in lines:
        if told and told[-1][0].sentence == line.sentence:
            first, times, _ = told.pop()
            told.append((first, times + 1, line))
        else:
            told.append((line, 1, line))
    return told


def document_facts(row: str) -> dict[str, Any]:
    """A document's row as the templates show it."""
    facts: dict[str, Any] = json.loads(row)
    facts["date"] = date.fromisoformat(facts["date"]) if facts["date"] else None
    facts["amount"] = Decimal(facts["amount"]) if facts["amount"] is not None else None
    return facts


def _cells(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    names = ("flow", "number", "date", "party", "amount", "currency", "administration", "status", "target_label",
             "target_ref", "source_id", "id")  # fmt: skip
    for row in rows:
        yield tuple(row[name] for name in names)


def filter_of(request: Request) -> Filter:
    """The filter in an address; what cannot be read is left out and named."""
    query = request.query_params
    status = query.get("status", "")
    wrong = [name for name in ("from", "to") if query.get(name) and _day(query[name]) is None]
    return Filter(
        status=status if status == "wanting" or status in set(ItemStatus) else "",
        flow=query.get("flow", "")[:50],
        first=_day(query.get("from", "")),
        last=_day(query.get("to", "")),
        q=query.get("q", "").strip()[:200],
        wrong=tuple(wrong),
    )


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("address") from None
