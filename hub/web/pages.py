"""The pages for browsers: logging in, and linking two packages."""

from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl, quote
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, RedirectResponse, Response

from hub.connections import connecting, installing, oauth, repository, service
from hub.connections.clients import ConnectionClients
from hub.connections.facts import way_in
from hub.connections.models import Connection, ConnectionStatus, Installation, InstallLink
from hub.engine import registry
from hub.engine.hub import Hub, hub_of
from hub.kit.problem import Problem
from hub.kit.text import register
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations import repository as accounts
from hub.organisations import service as organisations
from hub.organisations.access import language_of
from hub.organisations.browser import LoggedIn
from hub.organisations.models import Role
from hub.sdk.errors import ConfigError
from hub.sdk.manifest import Auth

register(Path(__file__).parent / "strings")

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parent / "static"
LARGEST_FORM = 64 * 1024

Name = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9]{0,40}$")]


class BadForm(Exception):
    """A form that did not come from our page in this browser."""


@router.get("/static/app.css")
async def stylesheet() -> Response:
    """The one style sheet."""
    return FileResponse(STATIC / "app.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/")
async def home(request: Request) -> Response:
    """Who is logged in."""
    hub = hub_of(request)
    visitor = await browsers.logged_in(hub, request)
    if visitor is None:
        return RedirectResponse("/login", 303)
    return html.page(request, "home.html", visitor=visitor, csrf=visitor.csrf)


@router.get("/login")
async def login(request: Request) -> Response:
    """Ask for an address."""
    hub = hub_of(request)
    secret = browsers.binding(hub, request) or html.new_secret()
    going_on = organisations.own_path(request.query_params.get("next", "/"))
    response = html.page(request, "login.html", csrf=browsers.anonymous_csrf(secret), next_page=going_on)
    browsers.bind(hub, response, secret)
    return response


@router.post("/login")
async def ask_login(request: Request) -> Response:
    """Mail a link. The answer is the same for every address."""
    hub = hub_of(request)
    try:
        form, visitor = await _form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    email = organisations.email_of(form.get("email", ""))
    installation_id = None
    if visitor is None and (pair := form.get("next", "").split("/"))[1:2] == ["install"] and len(pair) == 4:
        secret = browsers.binding(hub, request) or ""
        begun = await installing.standing(hub, browsers.hashed(secret), pair[2], pair[3])
        installation_id = begun.id if begun is not None else None
    response = html.message(request, 200, "web.login_mailed")
    if email is not None:
        # After the answer, so that its time tells nothing about who has an account.
        response.background = BackgroundTask(
            organisations.ask_login,
            hub.database,
            hub.clock,
            hub.mailer,
            hub.config,
            email,
            language_of(request),
            place=request.client.host if request.client else "",
            next_page=form.get("next", "/"),
            installation_id=installation_id,
        )
    return response


@router.get("/login/{token}")
async def login_button(token: str, request: Request) -> Response:
    """A button. Looking at the link uses nothing up: mail scanners look too."""
    hub = hub_of(request)
    secret = browsers.binding(hub, request) or html.new_secret()
    response = html.page(request, "confirm.html", token=token[:100], csrf=browsers.anonymous_csrf(secret))
    browsers.bind(hub, response, secret)
    return response


@router.post("/login/{token}")
async def use_login(token: str, request: Request) -> Response:
    """Log in, and take along what this browser was installing."""
    hub = hub_of(request)
    try:
        await _form(hub, request, anonymous=True)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    async with hub.database.system() as session:
        link = await organisations.usable_link(session, hub.clock, token[:100])
        if link is not None:
            link.used_at = hub.clock.now()
    if link is None:
        return html.message(request, 410, "web.login_unusable")
    async with hub.database.system() as session:
        user = await organisations.user_for(session, hub.clock, link.email, language_of(request))
    secret = browsers.binding(hub, request)
    adopted = None
    if link.installation_id is not None:
        adopted = await installing.adopt(
            hub, link.installation_id, browsers.hashed(secret) if secret else None, user.id
        )
    async with hub.database.system() as session:
        places = await accounts.memberships_of(session, user.id)
        if places:
            organisation_id = adopted or places[0].organisation_id
        else:
            organisation_id = (await organisations.found_organisation(session, hub.clock, user.email, user)).id
    if adopted is not None and link.installation_id is not None:
        await installing.complete(hub, link.installation_id)
    response = RedirectResponse(link.next_page, 303, {"Cache-Control": "no-store"})
    await browsers.log_in(hub, response, user.id, organisation_id)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    hub = hub_of(request)
    try:
        await _form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    response = RedirectResponse("/login", 303)
    await browsers.log_out(hub, request, response)
    return response


@router.get("/install/{source}/{target}")
async def install(source: Name, target: Name, request: Request) -> Response:
    """Both packages side by side, and what is still to be done."""
    hub = hub_of(request)
    return await _install_page(hub, request, source, target)


@router.post("/install/{source}/{target}")
async def install_side(source: Name, target: Name, request: Request) -> Response:
    """Connect one side."""
    hub = hub_of(request)
    clients = cast(ConnectionClients, hub.clients)
    if not _possible(source, target):
        return html.message(request, 404, "web.no_such_pair")
    try:
        form, _ = await _form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    side = form.get("side")
    if side not in ("source", "target"):
        return html.message(request, 400, "web.bad_form")
    given = {name.removeprefix("fields."): value for name, value in form.items() if name.startswith("fields.")}
    secret = browsers.binding(hub, request) or html.new_secret()
    browser = browsers.hashed(secret)
    try:
        asked = connecting.wanted(source if side == "source" else target, form.get("auth"), given)
        installation = await _current(hub, request, browser, source, target)
        if installation is None:
            email, partner = form.get("email", ""), form.get("partner", "")
            installation = await installing.begin(hub, request, browser, source, target, email, partner)
        url = await installing.connect(hub, clients, installation, side, asked)
    except Problem as problem:
        return await _install_page(hub, request, source, target, problem=problem, tried=side, given=form)
    except ConfigError as error:
        return html.message(request, 503, f"finding.{error.key}", **error.values)
    response: Response
    if url:
        # A page in between: a form's own redirect to another site is what the page's policy forbids.
        response = html.page(request, "leave.html", url=url, package=asked.connector.manifest.title)
    else:
        response = await installing.consented(hub, installation.id)
    browsers.bind(hub, response, secret)
    return response


@router.post("/install/{source}/{target}/claim")
async def install_claim(source: Name, target: Name, request: Request) -> Response:
    """Add what this browser linked to the account that is logged in."""
    hub = hub_of(request)
    try:
        _, visitor = await _form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    secret = browsers.binding(hub, request)
    if visitor is not None and secret is not None and visitor.role != Role.reader:
        begun = await installing.standing(hub, browsers.hashed(secret), source, target)
        if begun is not None:
            await installing.adopt(hub, begun.id, browsers.hashed(secret), visitor.user_id, visitor.organisation_id)
            await installing.complete(hub, begun.id)
    return RedirectResponse(f"/install/{source}/{target}", 303)


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
    """Go to the package's consent page for a connection, or take the keys that were typed anew."""
    hub = hub_of(request)
    clients = cast(ConnectionClients, hub.clients)
    try:
        form, visitor = await _form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    connection = await _own_connection(hub, visitor, connection_id) if visitor is not None else None
    if visitor is None or connection is None or visitor.role == Role.reader:
        return html.message(request, 404, "web.not_found")
    if connection.auth != "oauth":
        return await _retyped(request, clients, visitor, connection, form)
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
    request: Request, visitor: LoggedIn, connection: Connection, problem: Problem | None = None
) -> Response:
    way = way_in(registry.get(connection.connector).manifest, connection.auth)
    return html.page(
        request,
        "reauthorize.html",
        problem.status if problem else 200,
        connection=connection,
        package=service.title_of(connection.connector),
        fields=_way(way)["fields"] if way is not None and way.typed else [],
        problem=" ".join([problem.title, *(error["message"] for error in problem.errors)]) if problem else "",
        csrf=visitor.csrf,
    )


async def _retyped(
    request: Request, clients: ConnectionClients, visitor: LoggedIn, connection: Connection, form: dict[str, str]
) -> Response:
    """Keys typed anew for a connection that stands: tried first, then kept."""
    given = {name.removeprefix("fields."): value for name, value in form.items() if name.startswith("fields.")}
    try:
        asked = connecting.rewanted(connection, connection.auth, given)
        identity = await connecting.tried(clients, asked, str(connection.id), language_of(request))
        async with clients.database.tenant(visitor.organisation_id) as session:
            locked = await repository.locked(session, connection.id)
            if locked is None:
                return html.message(request, 404, "web.not_found")
            await connecting.renew_key(session, clients, locked, asked, identity)
    except Problem as problem:
        return _reauthorize_page(request, visitor, connection, problem)
    package = service.title_of(connection.connector)
    return html.message(request, 200, "connections.page.connected", package=package, who=identity.name)


async def _install_page(
    hub: Hub,
    request: Request,
    source: str,
    target: str,
    *,
    problem: Problem | None = None,
    tried: str = "",
    given: dict[str, str] | None = None,
) -> Response:
    if not _possible(source, target):
        return html.message(request, 404, "web.no_such_pair")
    secret = browsers.binding(hub, request) or html.new_secret()
    visitor = await browsers.logged_in(hub, request)
    installation = await _current(hub, request, browsers.hashed(secret), source, target)
    connections = await installing.sides(hub, installation) if installation is not None else (None, None)
    wrong = {error["field"]: error["message"] for error in problem.errors} if problem else {}
    sides = [
        {
            "side": side,
            "name": name,
            "title": registry.get(name).manifest.title,
            "ways": [_way(auth) for auth in registry.get(name).manifest.auth],
            "who": _who(connection),
            "problem": (problem.title if problem and tried == side else ""),
            "wrong": wrong if tried == side else {},
        }
        for side, name, connection in (("source", source, connections[0]), ("target", target, connections[1]))
    ]
    owned = installation is not None and not await _provisional(hub, installation)
    response = html.page(
        request,
        "install.html",
        problem.status if problem else 200,
        sides=sides,
        path=f"/install/{source}/{target}",
        csrf=visitor.csrf if visitor else browsers.anonymous_csrf(secret),
        visitor=visitor,
        given={name: value for name, value in (given or {}).items() if name in ("fields.domain",)},
        email=(given or request.query_params).get("email", "")[:254],
        partner=(given or request.query_params).get("partner", "")[:100],
        claim_email=installation.claim_email if installation is not None and not owned else "",
        unclaimed=installation is not None and not owned and connections[0] is not None and bool(_who(connections[0])),
        combi_id=installation.combi_id if installation is not None else None,
        going_on=await _return_url(hub, installation),
    )
    browsers.bind(hub, response, secret)
    return response


def _way(auth: Auth) -> dict[str, Any]:
    return {"kind": auth.kind, "fields": [(one.name, one.secret, one.example, one.optional) for one in auth.fields]}


def _who(connection: Any) -> str:
    if connection is None or connection.status != ConnectionStatus.active:
        return ""
    identity = connection.identity
    return " · ".join(filter(None, (identity.get("name", ""), identity.get("email", "")))) or str(connection.connector)


def _possible(source: str, target: str) -> bool:
    try:
        installing.recipe_of(source, target)
    except KeyError:
        return False
    return True


async def _current(hub: Hub, request: Request, browser: str, source: str, target: str) -> Installation | None:
    """This browser's unfinished installation; one that belongs to an organisation is shown to its members only."""
    begun = await installing.standing(hub, browser, source, target)
    if begun is None or await _provisional(hub, begun):
        return begun
    visitor = await browsers.logged_in(hub, request)
    return begun if visitor is not None and visitor.organisation_id == begun.owner_organisation_id else None


async def _provisional(hub: Hub, installation: Installation) -> bool:
    async with hub.database.system() as session:
        return await accounts.is_provisional(session, installation.owner_organisation_id)


async def _return_url(hub: Hub, installation: Installation | None) -> str:
    if installation is None or installation.install_link_id is None or installation.combi_id is None:
        return ""
    async with hub.database.system() as session:
        link = await session.get(InstallLink, installation.install_link_id)
    return link.return_url if link is not None else ""


async def _own_connection(hub: Hub, visitor: LoggedIn, written: str) -> Any:
    try:
        connection_id = UUID(written)
    except ValueError:
        return None
    async with hub.database.tenant(visitor.organisation_id) as session:
        connection = await repository.holder(session, connection_id)
    return connection if connecting.is_open(connection) else None


async def _form(hub: Hub, request: Request, *, anonymous: bool = False) -> tuple[dict[str, str], LoggedIn | None]:
    """The fields of one of our own forms, and who sent it. Raises BadForm without proof that the form is ours."""
    size = request.headers.get("content-length", "")
    if not size.isdecimal() or int(size) > LARGEST_FORM:
        raise BadForm
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    visitor = None if anonymous else await browsers.logged_in(hub, request)
    secret = browsers.binding(hub, request)
    expected = visitor.csrf if visitor else (browsers.anonymous_csrf(secret) if secret else "")
    if not expected or not browsers.same(form.get("csrf", ""), expected):
        raise BadForm
    return form, visitor
