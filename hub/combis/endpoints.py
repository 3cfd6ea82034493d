"""Combis over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic_core import to_json

from hub.catalogue.path import PathId, unknown
from hub.combis import repository, service
from hub.combis.schemas import (
    CheckOut,
    ChoicesOut,
    CombiIn,
    CombiList,
    CombiOut,
    CombiPatch,
    MappingEntry,
    MappingIn,
    MappingOut,
    OptionOut,
    PreviewDocument,
    PreviewIn,
    PreviewOut,
    Suggestion,
)
from hub.engine.engine import WARNINGS
from hub.engine.hub import hub_of
from hub.engine.models import Combi, CombiStatus
from hub.kit import pagination
from hub.kit.database import HubSession
from hub.kit.pagination import Cursor, Limit
from hub.kit.problem import Problem
from hub.organisations.access import HubRoute, Principal, Reader, TenantSession, Writer
from hub.runs import sentences
from hub.runs.repository import NEWEST
from hub.runs.service import amount, combi_of, posting_out
from hub.sdk.errors import VendorError

router = APIRouter(prefix="/v1/combis", tags=["combis"], route_class=HubRoute)

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The `ETag` the change is based on.")]


@router.post("", status_code=201, operation_id="create_combi")
async def create_combi(
    asked: CombiIn, request: Request, response: Response, caller: Writer, session: TenantSession
) -> CombiOut:
    """Make a draft."""
    combi = await service.create(session, hub_of(request), caller.organisation_id, asked)
    response.headers["Location"] = f"/v1/combis/{combi.id}"
    return await _answer(session, combi, response, caller)


@router.get("", operation_id="list_combis", response_model=CombiList)
async def list_combis(
    caller: Reader,
    session: TenantSession,
    status: Annotated[CombiStatus | None, Query(description="Only combis of this status.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """All combis, the newest first."""
    before = pagination.decode(cursor, 1)[0] if cursor else NEWEST
    if not isinstance(before, UUID):
        pagination.decode("")
    rows = await repository.page(session, UUID(str(before)), limit + 1, status)
    more = pagination.encode([rows[limit - 1]["id"]]) if len(rows) > limit else None
    data = [service.row_facts(row, caller.language) for row in rows[:limit]]
    return Response(to_json({"data": data, "next_cursor": more}), media_type="application/json")


@router.get("/{combi_id}", operation_id="get_combi")
async def get_combi(combi_id: PathId, response: Response, caller: Reader, session: TenantSession) -> CombiOut:
    """One combi with its settings in force."""
    return await _answer(session, await combi_of(session, combi_id), response, caller)


@router.patch("/{combi_id}", operation_id="change_combi")
async def change_combi(
    combi_id: PathId,
    asked: CombiPatch,
    request: Request,
    response: Response,
    caller: Writer,
    session: TenantSession,
    if_match: IfMatch = None,
) -> CombiOut:
    """Change answers, the schedule, the start date or the accounts."""
    combi = await _locked(session, combi_id, if_match)
    await service.change(session, hub_of(request), combi, asked)
    await session.flush()
    return await _answer(session, combi, response, caller)


@router.delete("/{combi_id}", status_code=204, operation_id="delete_combi")
async def delete_combi(
    combi_id: PathId,
    request: Request,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
    if_match: IfMatch = None,
) -> None:
    """Remove the combi. What was booked stays known, so that installing it again books nothing twice."""
    combi = await _locked(session, combi_id, if_match)
    await service.remove(session, hub_of(request), combi)


@router.get("/{combi_id}/options/{field}", operation_id="list_options")
async def list_options(combi_id: PathId, field: str, request: Request, caller: Reader) -> ChoicesOut:
    """Live choices of a settings field, asked of the package itself."""
    await _there(request, caller, combi_id)
    try:
        found = await hub_of(request).engine.options(caller.organisation_id, combi_id, field)
    except KeyError:
        raise unknown("field with choices") from None
    return ChoicesOut(
        field=field,
        options=[OptionOut(value=one.value, label=one.label) for one in found.options],
        keys=None if found.keys is None else [OptionOut(value=one.value, label=one.label) for one in found.keys],
    )


@router.post("/{combi_id}/check", operation_id="check_combi")
async def check_combi(combi_id: PathId, request: Request, caller: Reader) -> CheckOut:
    """Everything that would go wrong, held against the live packages."""
    await _there(request, caller, combi_id)
    found = await hub_of(request).engine.check(caller.organisation_id, combi_id)
    good = all(one.key in WARNINGS for one in found)
    return CheckOut(ok=good, findings=[sentences.finding(one, caller.language) for one in found])


@router.post("/{combi_id}/preview", operation_id="preview_combi")
async def preview_combi(
    combi_id: PathId, request: Request, caller: Reader, asked: PreviewIn | None = None
) -> PreviewOut:
    """What would be booked, line by line; nothing is written."""
    await _there(request, caller, combi_id)
    limit = (asked or PreviewIn()).limit
    found = await hub_of(request).engine.preview(caller.organisation_id, combi_id, limit=limit)
    documents = [_previewed(one, caller.language) for one in found.documents]
    return PreviewOut(documents=documents, complete=found.complete)


@router.post("/{combi_id}/activate", operation_id="activate_combi")
async def activate_combi(
    combi_id: PathId, request: Request, response: Response, caller: Writer, if_match: IfMatch = None
) -> CombiOut:
    """Start the schedule. 422 with findings when a setting, an account or a consent keeps all of it from working."""
    hub = hub_of(request)
    await _there(request, caller, combi_id)
    await service.complete(hub, caller.organisation_id, combi_id)
    findings = await hub.engine.check_settings(caller.organisation_id, combi_id)
    async with hub.database.tenant(caller.organisation_id) as session:
        combi = await _locked(session, combi_id, if_match)
        await service.activate(hub, combi, findings, caller.language)
        await session.flush()
        return await _answer(session, combi, response, caller)


@router.post("/{combi_id}/pause", operation_id="pause_combi")
async def pause_combi(
    combi_id: PathId,
    request: Request,
    response: Response,
    caller: Writer,
    session: TenantSession,
    if_match: IfMatch = None,
) -> CombiOut:
    """Stop until a human activates it again."""
    combi = await _locked(session, combi_id, if_match)
    await service.pause(session, hub_of(request), combi)
    await session.flush()
    return await _answer(session, combi, response, caller)


@router.get("/{combi_id}/mappings/{table}", operation_id="get_mapping")
async def get_mapping(combi_id: PathId, table: str, request: Request, response: Response, caller: Reader) -> MappingOut:
    """A mapping table with suggestions for what is not in it."""
    hub = hub_of(request)
    service.known_table(table)
    async with hub.database.tenant(caller.organisation_id) as session:
        combi = await combi_of(session, combi_id)
        entries = await _entries(session, combi, table)
    _tag(response, combi)
    mapped = {entry.source for entry in entries}
    try:
        found = await hub.engine.suggest(caller.organisation_id, combi_id, table)
    except VendorError:  # the entries can be shown and changed while a package is away
        found = []
    suggestions = [
        Suggestion(
            source=one.source,
            source_label=one.source_label,
            target=one.target,
            origin=one.origin,
            known=one.known,
        )
        for one in found
        if one.origin == "table" or one.source not in mapped
    ]
    return MappingOut(table=table, entries=entries, suggestions=suggestions)


@router.put("/{combi_id}/mappings/{table}", operation_id="put_mapping")
async def put_mapping(
    combi_id: PathId,
    table: str,
    asked: MappingIn,
    request: Request,
    response: Response,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
    if_match: IfMatch = None,
) -> MappingOut:
    """Replace a mapping table; parked documents are tried again under it."""
    service.known_table(table)
    combi = await _locked(session, combi_id, if_match)
    await service.replace_mapping(session, hub_of(request), combi, table, asked.entries)
    await session.flush()
    _tag(response, combi)
    return MappingOut(table=table, entries=await _entries(session, combi, table), suggestions=[])


async def _entries(session: HubSession, combi: Combi, table: str) -> list[MappingEntry]:
    found = await repository.mapping(session, combi.id, table)
    return [MappingEntry(source=entry.source, target=entry.target) for entry in found]


async def _answer(session: HubSession, combi: Combi, response: Response, caller: Principal) -> CombiOut:
    _tag(response, combi)
    return await service.shown(session, combi, caller.language)


def _tag(response: Response, combi: Combi) -> None:
    response.headers["ETag"] = f'"{combi.version}"'


async def _locked(session: HubSession, combi_id: UUID, if_match: str | None) -> Combi:
    """A combi for changing. Raises 404, and 412 when it changed since the caller read it."""
    combi = await combi_of(session, combi_id, lock=True)
    if if_match is not None:
        tags = {tag.strip() for tag in if_match.split(",")}
        if "*" not in tags and f'"{combi.version}"' not in tags:
            raise Problem(412, "changed_meanwhile", "The combi changed meanwhile.", "Read it again.")
    return combi


async def _there(request: Request, caller: Principal, combi_id: UUID) -> None:
    """Returns when there is such a combi; holds no connection while the packages are asked."""
    async with hub_of(request).database.tenant(caller.organisation_id) as session:
        await combi_of(session, combi_id)


def _previewed(document: Any, language: str) -> PreviewDocument:
    plain = document.model_dump(
        include={"flow", "source_id", "number", "date", "party", "currency", "administration", "action"}
    )
    return PreviewDocument(
        **plain,
        amount=amount(document.amount),
        posting=[posting_out(line) for line in document.posting],
        findings=[sentences.finding(one, language) for one in document.findings],
    )
