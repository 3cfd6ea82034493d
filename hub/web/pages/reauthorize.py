"""Giving consent again for a connection that stands."""

from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from hub.connections import connecting, oauth, repository, service
from hub.connections.clients import ConnectionClients
from hub.connections.facts import way_in
from hub.connections.models import Connection
from hub.engine import registry
from hub.engine.hub import Hub, hub_of
from hub.kit.problem import Problem
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations.access import language_of
from hub.organisations.browser import LoggedIn
from hub.organisations.models import Role
from hub.sdk.errors import ConfigError
from hub.web import packages
from hub.web.pages.forms import BadForm, read_form, way_facts

router = APIRouter(include_in_schema=False)


@router.get("/connections/{connection_id}/reauthorize")
async def reauthorize(connection_id: str, request: Request) -> Response:
    """Where the mail about a dead grant leads: a button for who is logged in."""
    hub = hub_of(request)
    visitor = await browsers.logged_in(hub, request)
    if visitor is None:
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    connection = await _own_connection(hub, visitor, connection_id)
    if connection is None:
        return html.message(request, 404, "web.not_found")
    return _reauthorize_page(request, visitor, connection)


@router.post("/connections/{connection_id}/reauthorize")
async def start_reauthorize(connection_id: str, request: Request) -> Response:
    """Go to the package's consent page for a connection, or take the keys that were typed anew.

    `auth` moves it to another of the package's ways in; the one of now works until the other does.
    """
    hub = hub_of(request)
    clients = cast(ConnectionClients, hub.clients)
    try:
        form, visitor = await read_form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    connection = await _own_connection(hub, visitor, connection_id) if visitor is not None else None
    if visitor is None or connection is None or visitor.role == Role.reader:
        return html.message(request, 404, "web.not_found")
    manifest = registry.get(connection.connector).manifest
    way = way_in(manifest, form.get("auth") or connection.auth)
    if way is None:
        return html.message(request, 404, "web.not_found")
    if way.kind != "oauth":
        return await _retyped(request, clients, visitor, connection, way.kind, form)
    secret = browsers.binding(hub, request) or html.new_secret()
    try:
        async with hub.database.system() as session:
            url = oauth.begin(clients, session, connection, browsers.hashed(secret), None)
    except ConfigError as error:
        return html.message(request, 503, f"finding.{error.key}", **error.values)
    response = html.page(request, "leave.html", url=url, package=service.title_of(connection.connector))
    browsers.bind(hub, response, secret)
    return response


def _reauthorize_page(
    request: Request,
    visitor: LoggedIn,
    connection: Connection,
    tried: str = "",
    form: dict[str, str] | None = None,
    problem: Problem | None = None,
) -> Response:
    manifest, language = registry.get(connection.connector).manifest, language_of(request)
    ways = sorted(manifest.auth, key=lambda way: way.kind != connection.auth)
    known = {f"fields.{name}": str(value) for name, value in connection.fields.items()}
    return html.page(
        request,
        "reauthorize.html",
        problem.status if problem else 200,
        may_act=visitor.role != Role.reader,
        connection=connection,
        package=manifest.title,
        ways=[way_facts(way) for way in ways],
        tried=tried,
        given={**known, **(form or {})},
        problem=packages.refusal(problem, manifest.title, language) if problem else "",
        wrong=packages.wrong_fields(problem, manifest.title, language) if problem else {},
    )


async def _retyped(
    request: Request,
    clients: ConnectionClients,
    visitor: LoggedIn,
    connection: Connection,
    way: str,
    form: dict[str, str],
) -> Response:
    """Keys typed anew for a connection that stands: tried first, then kept."""
    given = {name.removeprefix("fields."): value for name, value in form.items() if name.startswith("fields.")}
    try:
        asked = connecting.rewanted(connection, way, given)
        identity = await connecting.tried(clients, asked, str(connection.id), language_of(request))
        async with clients.database.tenant(visitor.organisation_id) as session:
            locked = await repository.locked(session, connection.id)
            if locked is None:
                return html.message(request, 404, "web.not_found")
            await connecting.renew_key(session, clients, locked, asked, identity)
    except Problem as problem:
        return _reauthorize_page(request, visitor, connection, way, form, problem)
    package = service.title_of(connection.connector)
    return html.message(request, 200, "connections.page.connected", package=package, who=identity.name)


async def _own_connection(hub: Hub, visitor: LoggedIn, written: str) -> Any:
    try:
        connection_id = UUID(written)
    except ValueError:
        return None
    async with hub.database.tenant(visitor.organisation_id) as session:
        connection = await repository.holder(session, connection_id)
    return connection if connecting.is_open(connection) else None
