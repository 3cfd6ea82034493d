"""File batches over HTTP: for targets that take documents as files."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from hub.batches import service
from hub.batches.schemas import BatchList
from hub.catalogue.path import PathId
from hub.engine.hub import hub_of
from hub.organisations.access import HubRoute, Reader, TenantSession, Writer

router = APIRouter(prefix="/v1/combis/{combi_id}/batches", tags=["batches"], route_class=HubRoute)
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("", operation_id="list_batches")
async def list_batches(
    combi_id: PathId,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
) -> BatchList:
    """The files made so far, the newest first, and how many documents wait for the next one."""
    return await service.listed(session, combi_id)


@router.post("", status_code=201, operation_id="make_batches")
async def make_batches(
    combi_id: PathId,
    request: Request,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write makes them
) -> BatchList:
    """Put every booked document that is in no file yet into a new one, per administration and fiscal year.

    Each document is in one file, once. Nothing waits: an empty list.
    """
    return await service.make(session, hub_of(request), combi_id)


@router.get("/{batch_id}/{form}", operation_id="get_batch_file", response_class=Response, responses=_FILE)
async def get_batch_file(
    combi_id: PathId,
    batch_id: PathId,
    form: Annotated[str, Path(description="One of the batch's `formats`, such as `csv` or `xaf`.")],
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read fetches them
) -> Response:
    """The file, the same at every call."""
    found = await service.file(session, combi_id, batch_id, form)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"', "Cache-Control": "no-store"}
    return Response(found.content, media_type=found.media_type, headers=headers)
