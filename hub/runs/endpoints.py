"""Runs and documents over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from hub.catalogue.path import PathId, unknown
from hub.engine.hub import hub_of
from hub.engine.models import ItemStatus
from hub.kit import pagination
from hub.kit.database import HubSession
from hub.kit.pagination import Cursor, Limit
from hub.organisations.access import HubRoute, Principal, Reader, TenantSession, Writer
from hub.runs import repository, service
from hub.runs.schemas import (
    BulkRetryIn,
    BulkRetryOut,
    ItemList,
    ItemOut,
    ResolveIn,
    RunIn,
    RunList,
    RunOut,
    SkipIn,
)

router = APIRouter(prefix="/v1", tags=["runs"], route_class=HubRoute)


@router.post("/combis/{combi_id}/runs", status_code=202, operation_id="start_run")
async def start_run(
    combi_id: PathId,
    request: Request,
    response: Response,
    caller: Writer,
    session: TenantSession,
    asked: RunIn | None = None,
) -> RunOut:
    """Synchronise now. 409 with `run_id` while a run is going on."""
    run = await service.start(session, hub_of(request), combi_id, asked or RunIn())
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return service.run_out(run, caller.language)


@router.get("/combis/{combi_id}/runs", operation_id="list_runs")
async def list_runs(
    combi_id: PathId, caller: Reader, session: TenantSession, limit: Limit = 50, cursor: Cursor = None
) -> RunList:
    """The runs of a combi, the newest first."""
    if not await repository.combi_exists(session, combi_id):
        raise unknown("combi")
    found = await repository.runs(session, combi_id, _before(cursor) or repository.NEWEST, limit + 1)
    more = pagination.encode([found[limit - 1].id]) if len(found) > limit else None
    return RunList(data=[service.run_out(run, caller.language) for run in found[:limit]], next_cursor=more)


@router.get("/runs/{run_id}", operation_id="get_run")
async def get_run(run_id: PathId, caller: Reader, session: TenantSession) -> RunOut:
    """One run: how it goes, or how it ended and what to do."""
    return service.run_out(await service.run_of(session, run_id), caller.language)


@router.post("/runs/{run_id}/cancel", status_code=202, operation_id="cancel_run")
async def cancel_run(run_id: PathId, caller: Writer, session: TenantSession) -> RunOut:
    """Stop a run at its next safe point; a finished one stays as it is."""
    run = await service.run_of(session, run_id)
    await repository.cancel(session, run_id)
    await session.refresh(run)
    return service.run_out(run, caller.language)


@router.get(
    "/runs/{run_id}/events",
    operation_id="follow_run",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow_run(run_id: PathId, request: Request, caller: Reader) -> StreamingResponse:
    """Server-sent progress: `progress` events with counts, one `finished` event with the run, then the end."""
    hub = hub_of(request)
    async with hub.database.tenant(caller.organisation_id) as session:
        await service.run_of(session, run_id)
    return StreamingResponse(
        service.events(hub, caller.organisation_id, run_id, caller.language),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/combis/{combi_id}/items", operation_id="list_items", response_model=ItemList)
async def list_items(
    combi_id: PathId,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
    status: Annotated[list[ItemStatus] | None, Query(description="One or more statuses.")] = None,
    flow: Annotated[str | None, Query(max_length=50)] = None,
    from_: Annotated[date | None, Query(alias="from", description="Document date, this day included.")] = None,
    to: Annotated[date | None, Query(description="Document date, this day included.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="In number, customer, source id or label.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Documents, the newest first. A filtered page may hold fewer than `limit` while there is more."""
    before = _before(cursor)
    rows, more = await repository.item_rows(
        session, combi_id, before, limit, statuses=status or (), flow=flow, first=from_, last=to, q=q
    )
    if not rows and before is None and not await repository.combi_exists(session, combi_id):
        raise unknown("combi")
    following = f'"{pagination.encode([more])}"' if more else "null"
    return Response(f'{{"data":[{",".join(rows)}],"next_cursor":{following}}}', media_type="application/json")


@router.get("/items/{item_id}", operation_id="get_item")
async def get_item(item_id: PathId, request: Request, caller: Reader) -> ItemOut:
    """One document with its findings, booking, posting and history."""
    hub = hub_of(request)
    async with hub.database.tenant(caller.organisation_id) as session:
        item = await service.item_of(session, item_id)
        shown = await service.item_out(session, item, caller.language)
    return shown.model_copy(update={"posting": await service.posting_of(hub, caller.organisation_id, item)})


@router.post("/items/{item_id}/retry", operation_id="retry_item")
async def retry_item(item_id: PathId, request: Request, caller: Writer, session: TenantSession) -> ItemOut:
    """Try again at the next run."""
    item = await service.item_of(session, item_id, lock=True)
    await service.retry(session, hub_of(request), item, caller.language)
    return await _after(session, item_id, caller)


@router.post("/items/{item_id}/skip", operation_id="skip_item")
async def skip_item(
    item_id: PathId, request: Request, caller: Writer, session: TenantSession, asked: SkipIn | None = None
) -> ItemOut:
    """Do not book this document."""
    item = await service.item_of(session, item_id, lock=True)
    await service.skip(session, hub_of(request), item, asked.reason if asked else "", caller.language)
    return await _after(session, item_id, caller)


@router.post("/items/{item_id}/resolve", operation_id="resolve_item")
async def resolve_item(
    item_id: PathId, asked: ResolveIn, request: Request, caller: Writer, session: TenantSession
) -> ItemOut:
    """Say what stands in the target: the document is there, or it is not."""
    item = await service.item_of(session, item_id, lock=True)
    await service.resolve(session, hub_of(request), item, asked, caller.language)
    return await _after(session, item_id, caller)


@router.post("/combis/{combi_id}/items/retry", operation_id="retry_items")
async def retry_items(
    combi_id: PathId,
    asked: BulkRetryIn,
    request: Request,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
) -> BulkRetryOut:
    """Try many documents again at the next run."""
    return await service.retry_many(session, hub_of(request), combi_id, asked)


async def _after(session: HubSession, item_id: UUID, caller: Principal) -> ItemOut:
    await session.flush()
    item = await service.item_of(session, item_id)
    await session.refresh(item)
    return await service.item_out(session, item, caller.language)


def _before(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    (before,) = pagination.decode(cursor, 1)
    if not isinstance(before, UUID):
        pagination.decode("")
    return before if isinstance(before, UUID) else None
