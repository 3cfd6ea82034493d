"""Connections over HTTP, and the browser's way to a package's consent page and back."""

from typing import Annotated, cast
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import RedirectResponse

from hub.catalogue.path import PathId, unknown
from hub.connections import connecting, installing, oauth, recognition, repository, service
from hub.connections.clients import ConnectionClients
from hub.connections.models import Connection, ConnectionStatus
from hub.connections.oauth import Refused
from hub.connections.schemas import (
    ConnectionCheck,
    ConnectionCreate,
    ConnectionList,
    ConnectionOut,
    IdentityOut,
    ReauthorizeBody,
)
from hub.engine.hub import Hub, hub_of
from hub.kit import pagination
from hub.kit.database import after_commit
from hub.kit.pagination import Cursor, Limit
from hub.kit.problem import Problem
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations.access import HubRoute, Principal, Reader, TenantSession, Writer
from hub.organisations.service import audit
from hub.runs import sentences
from hub.sdk.errors import ConfigError, ReauthRequired, VendorError

router = APIRouter(prefix="/v1/connections", tags=["connections"], route_class=HubRoute)
browser_router = APIRouter(include_in_schema=False)
browser = browser_router
LARGEST_FORM = 64 * 1024

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The `ETag` the change is based on.")]


def clients_of(hub: Hub) -> ConnectionClients:
    """The hub's links, as what they are."""
    return cast(ConnectionClients, hub.clients)


@router.post("", status_code=201, operation_id="create_connection")
async def create_connection(
    asked: ConnectionCreate, request: Request, response: Response, caller: Writer
) -> ConnectionOut:
    """Connect a package. With keys it is tried at once; with OAuth the answer holds an address for the browser."""
    clients = clients_of(hub_of(request))
    wanted = connecting.wanted(asked.connector, asked.auth, asked.fields)
    url = None
    if wanted.auth.typed:
        key = f"{caller.organisation_id}/{asked.connector}"
        identity = await connecting.tried(clients, wanted, key, caller.language)
        async with clients.database.tenant(caller.organisation_id) as session:
            connection = await connecting.keep_key(session, clients, caller.organisation_id, wanted, identity)
            _note(session, clients, caller, "connection.created", connection)
    else:
        async with clients.database.tenant(caller.organisation_id) as session:
            return_url = await _allowed(session, clients, asked.return_url)
            connection = await connecting.start(session, clients, caller.organisation_id, wanted, return_url)
            url = _handed_out(clients, connection)
            _note(session, clients, caller, "connection.created", connection)
    response.headers["Location"] = f"/v1/connections/{connection.id}"
    return _out(connection, connection.id, response, caller, url)


@router.get("", operation_id="list_connections")
async def list_connections(
    caller: Reader, session: TenantSession, limit: Limit = 50, cursor: Cursor = None
) -> ConnectionList:
    """All connections that were not removed, the oldest first."""
    after = pagination.decode(cursor, 1)[0] if cursor else None
    if after is not None and not isinstance(after, UUID):
        pagination.decode("")
    rows = await repository.page(session, cast(UUID | None, after), limit + 1)
    more = pagination.encode([rows[limit - 1].id]) if len(rows) > limit else None
    return ConnectionList(data=[_out(row, row.id, None, caller) for row in rows[:limit]], next_cursor=more)


@router.get("/{connection_id}", operation_id="get_connection")
async def get_connection(
    connection_id: PathId, response: Response, caller: Reader, session: TenantSession
) -> ConnectionOut:
    """One connection. A removed one can still be read; its secrets are gone."""
    connection = await repository.holder(session, connection_id)
    if connection is None:
        raise unknown("connection")
    return _out(connection, connection_id, response, caller)


@router.delete("/{connection_id}", status_code=204, operation_id="delete_connection")
async def delete_connection(
    connection_id: PathId,
    request: Request,
    caller: Writer,
    session: TenantSession,
    force: Annotated[bool, Query(description="Also when combis use it; they then wait for another.")] = False,
    if_match: IfMatch = None,
) -> None:
    """Remove a connection and erase its secrets."""
    connection = await repository.locked(session, connection_id)
    if connection is None or connection.status == ConnectionStatus.revoked:
        raise unknown("connection")
    _same_version(connection, if_match)
    combis = await repository.combis_of(session, connection_id)
    if combis and not force:
        title = "Combis use this connection; remove them first, or repeat with ?force=true."
        raise Problem(409, "connection_in_use", title, combi_ids=[str(one) for one in combis])
    clients = clients_of(hub_of(request))
    if (ending := clients.end_session(connection)) is not None:
        after_commit(session, ending)
    await service.remove(session, clients.clock, connection)
    _note(session, clients, caller, "connection.removed", connection)


@router.post("/{connection_id}/check", operation_id="check_connection")
async def check_connection(connection_id: PathId, request: Request, caller: Reader) -> ConnectionCheck:
    """Ask the package, now, whether the connection works. `ok: false` comes with the findings."""
    clients = clients_of(hub_of(request))
    before = await _found(clients, caller, connection_id)
    failure: VendorError | None = None
    try:
        link = await clients.open(caller.organisation_id, connection_id)
        identity = await link.connector.identify(link.http)
        if not recognition.is_same(before, before.auth, identity):
            failure = ConfigError("other_company", known=link.tenant, found=identity.tenant)
    except VendorError as error:
        failure = error
        if isinstance(error, ReauthRequired):
            await clients.died(caller.organisation_id, connection_id, error.finding())
    after = await _found(clients, caller, connection_id)
    findings = [sentences.finding(failure.finding(), caller.language)] if failure else []
    return ConnectionCheck(
        ok=failure is None, status=ConnectionStatus(after.status).value, identity=_identity(after), findings=findings
    )


@router.post("/{connection_id}/reauthorize", operation_id="reauthorize_connection")
async def reauthorize_connection(
    connection_id: PathId, request: Request, response: Response, caller: Writer, asked: ReauthorizeBody | None = None
) -> ConnectionOut:
    """Ask for consent again: id, combis and history stay. It must be the same company's consent.

    `auth` moves the connection to another of the package's ways in; the old one works until the new one does.
    """
    clients = clients_of(hub_of(request))
    asked = asked or ReauthorizeBody()
    found = await _found(clients, caller, connection_id)
    if found.status == ConnectionStatus.revoked:
        raise unknown("connection")
    wanted = identity = url = None
    way = asked.auth or found.auth
    if way != "oauth" or way != found.auth:
        wanted = connecting.rewanted(found, way, asked.fields)
    if wanted is not None and wanted.auth.typed:
        identity = await connecting.tried(clients, wanted, str(found.id), caller.language)
    async with clients.database.tenant(caller.organisation_id) as session:
        connection = await repository.locked(session, found.id)
        if connection is None or connection.status == ConnectionStatus.revoked:
            raise unknown("connection")
        if wanted is not None and identity is not None:
            await connecting.renew_key(session, clients, connection, wanted, identity)
        else:
            if asked.return_url is not None:
                connection.return_url = await _allowed(session, clients, asked.return_url)
            url = _handed_out(clients, connection)
            service.changed(connection, clients.clock)
        _note(session, clients, caller, "connection.reauthorize", connection)
    return _out(connection, connection_id, response, caller, url)


@browser_router.get("/connect/{token}")
async def connect(token: str, request: Request) -> Response:
    """Bind this browser to the trip, then send it to the package's consent page."""
    hub = hub_of(request)
    clients = clients_of(hub)
    secret = browsers.binding(hub, request) or html.new_secret()
    try:
        url = await oauth.depart(clients, token[:200], browsers.hashed(secret))
    except Refused as refusal:
        return _refused_page(request, refusal)
    except ConfigError as error:
        return html.message(request, 503, f"finding.{error.key}", **error.values)
    response = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    browsers.bind(hub, response, secret)
    return response


@browser_router.post("/oauth/callback")
async def callback_form(request: Request) -> Response:
    """The answer of a package that posts it. A cross-site post comes without our cookie, so the browser is asked to
    come back by itself: that is a navigation, and brings the cookie along (SameSite=Lax)."""
    size = request.headers.get("content-length", "")
    if not size.isdecimal() or int(size) > LARGEST_FORM:
        return html.message(request, 400, "connections.page.state_invalid")
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    kept = [(name, form[name]) for name in ("state", "code", "error") if name in form]
    return RedirectResponse(f"{oauth.CALLBACK}?{urlencode(kept)}", 303, {"Cache-Control": "no-store"})


@browser_router.get("/oauth/callback")
async def callback(request: Request) -> Response:
    """The end of the trip: the package's answer, taken from the browser that began it."""
    hub = hub_of(request)
    clients = clients_of(hub)
    secret = browsers.binding(hub, request)
    answer = {name: value[:4000] for name, value in request.query_params.items()}
    try:
        done = await oauth.arrive(clients, answer, browsers.hashed(secret) if secret else None)
    except Refused as refusal:
        if refusal.installation_id is not None:
            return await installing.refused(hub, refusal.installation_id, refusal)
        return _refused_page(request, refusal)
    except ConfigError as error:
        return html.message(request, 503, f"finding.{error.key}", **error.values)
    if done.installation_id is not None:
        return await installing.consented(
            hub, request, done.installation_id, (done.connection.connector, done.asked_id)
        )
    if done.return_url:
        url = oauth.returning(done.return_url, done.asked_id, str(done.connection.status))
        return RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    package = service.title_of(done.connection.connector)
    who = str(done.connection.identity.get("email") or done.connection.identity.get("name") or "")
    return html.message(request, 200, "connections.page.connected", package=package, who=who)


def _refused_page(request: Request, refusal: Refused) -> Response:
    return html.message(request, refusal.status, refusal.sentence, **refusal.values)


def _handed_out(clients: ConnectionClients, connection: Connection) -> str:
    try:
        return oauth.hand_out(clients, connection)
    except ConfigError as error:
        variable = error.values.get("variable", "")
        raise Problem(503, error.key, f"The operator has to set {variable} first.", variable=variable) from error


async def _allowed(session: TenantSession, clients: ConnectionClients, url: str | None) -> str:
    if url and oauth.allowed_return(url, clients.config.base_url, await connecting.return_origins(session)):
        return url
    return ""


async def _found(clients: ConnectionClients, caller: Principal, connection_id: UUID) -> Connection:
    async with clients.database.tenant(caller.organisation_id) as session:
        connection = await repository.holder(session, connection_id)
    if connection is None:
        raise unknown("connection")
    return connection


def _note(
    session: TenantSession, clients: ConnectionClients, caller: Principal, action: str, connection: Connection
) -> None:
    audit(
        session,
        clients.clock,
        caller.organisation_id,
        action,
        connection.id,
        user_id=caller.user_id,
        api_key_id=caller.api_key_id,
        connector=connection.connector,
    )


def _same_version(connection: Connection, if_match: str | None) -> None:
    if if_match is not None and if_match.strip() not in ("*", f'"{connection.version}"'):
        raise Problem(412, "changed_meanwhile", "This was changed since you read it; read it again.")


def _identity(connection: Connection) -> IdentityOut | None:
    return IdentityOut(**connection.identity) if connection.identity.get("tenant") else None


def _out(
    connection: Connection, asked_id: UUID, response: Response | None, caller: Principal, url: str | None = None
) -> ConnectionOut:
    """A connection as it is shown, under the id it was asked by."""
    if response is not None:
        response.headers["ETag"] = f'"{connection.version}"'
    return ConnectionOut.model_validate(
        {
            "id": asked_id,
            "connector": connection.connector,
            "auth": connection.auth,
            "status": connection.status,
            "fields": connection.fields,
            "identity": _identity(connection),
            "reason": sentences.finding(connection.reason, caller.language) if connection.reason else None,
            "authorization_url": url,
            "return_url": connection.return_url or None,
            "created_at": connection.created_at,
            "updated_at": connection.updated_at,
        }
    )
