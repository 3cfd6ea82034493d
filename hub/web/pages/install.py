"""Linking two packages, side by side."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.responses import RedirectResponse, Response

from hub.combis import topics
from hub.connections import connecting, installing
from hub.connections.clients import ConnectionClients
from hub.connections.models import ConnectionStatus, Installation, InstallLink
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine.hub import Hub, hub_of
from hub.kit import text
from hub.kit.problem import Problem
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations import repository as accounts
from hub.organisations.access import language_of
from hub.organisations.models import Role
from hub.sdk.errors import ConfigError
from hub.web import packages
from hub.web.pages.forms import BadForm, read_form, way_facts

router = APIRouter(include_in_schema=False)

Name = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9]{0,40}$")]


@router.get("/install/{source}/{target}")
async def install(source: Name, target: Name, request: Request) -> Response:
    """Both packages side by side, and what is still to be done; a draft's own installation goes on where it was."""
    hub = hub_of(request)
    if draft := installing.link_id_of(request.query_params.get("combi", "")):
        return RedirectResponse(f"/combis/{draft}/setup", 303)
    return await _install_page(hub, request, source, target)


@router.post("/install/{source}/{target}")
async def install_side(source: Name, target: Name, request: Request) -> Response:
    """Connect one side."""
    hub = hub_of(request)
    clients = cast(ConnectionClients, hub.clients)
    if not _possible(source, target):
        return html.message(request, 404, "web.no_such_pair")
    try:
        form, _ = await read_form(hub, request)
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
        response = await installing.consented(hub, request, installation.id)
    browsers.bind(hub, response, secret)
    return response


@router.post("/install/{source}/{target}/claim")
async def install_claim(source: Name, target: Name, request: Request) -> Response:
    """Add what this browser linked to the account that is logged in."""
    hub = hub_of(request)
    try:
        _, visitor = await read_form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    secret = browsers.binding(hub, request)
    if visitor is not None and secret is not None and visitor.role != Role.reader:
        begun = await installing.standing(hub, browsers.hashed(secret), source, target)
        if begun is not None:
            await installing.adopt(hub, begun.id, browsers.hashed(secret), visitor.user_id, visitor.organisation_id)
            await installing.complete(hub, begun.id)
    return RedirectResponse(f"/install/{source}/{target}", 303)


async def _install_page(
    hub: Hub,
    request: Request,
    source: str,
    target: str,
    *,
    problem: Problem | None = None,
    tried: str = "",
    given: Mapping[str, str] | None = None,
) -> Response:
    if not _possible(source, target):
        return html.message(request, 404, "web.no_such_pair")
    secret = browsers.binding(hub, request) or html.new_secret()
    visitor = await browsers.logged_in(hub, request)
    installation = await _current(hub, request, browsers.hashed(secret), source, target)
    connections = await installing.sides(hub, installation) if installation is not None else (None, None)
    owned = installation is not None and not await _provisional(hub, installation)
    shown = given or request.query_params
    partner = shown.get("partner", "")[:100]
    language = language_of(request)
    sides = [
        _side(side, name, connection, language, problem if tried == side else None)
        for side, name, connection in (("source", source, connections[0]), ("target", target, connections[1]))
    ]
    response = html.page(
        request,
        "install.html",
        problem.status if problem else 200,
        place="catalogue",
        sides=sides,
        next_side=next((side["side"] for side in sides if not side["who"]), ""),
        steps=_steps(source, target, language),
        install_path=f"/install/{source}/{target}",
        csrf=visitor.csrf if visitor else browsers.anonymous_csrf(secret),
        given={name: value for name, value in (given or {}).items() if name in _open_fields(source, target)},
        tried_way=(given or {}).get("auth", ""),
        email=shown.get("email", "")[:254] or (installation.email if installation is not None else ""),
        partner=partner,
        partner_name=await _partner_name(hub, installation, partner, source, target),
        notice=_notice(installation, language),
        claim_email=installation.claim_email if installation is not None and not owned else "",
        unclaimed=installation is not None and not owned and bool(sides[0]["who"]),
        combi_id=installation.combi_id if installation is not None else None,
    )
    browsers.bind(hub, response, secret)
    return response


def _side(side: str, name: str, connection: Any, language: str, problem: Problem | None) -> dict[str, Any]:
    """A package as the page shows it: how to get in, who is connected, and what went wrong just now."""
    manifest = registry.get(name).manifest
    return {
        "side": side,
        "name": name,
        "title": manifest.title,
        "ways": [{**way_facts(auth), "typed": auth.typed} for auth in manifest.auth],
        "who": _who(connection),
        "hints": packages.hints(name, language),
        "problem": packages.refusal(problem, manifest.title, language) if problem else "",
        "wrong": packages.wrong_fields(problem, manifest.title, language) if problem else {},
    }


def _steps(source: str, target: str, language: str) -> list[dict[str, str]]:
    recipe = recipes.get(installing.recipe_of(source, target))
    names = ["connect", *(topic.name for topic in topics.topics(recipe)), "check", "preview"]
    return [
        {"words": text.sentence(f"install.step.{name}", language), "href": "", "state": "" if number else "current"}
        for number, name in enumerate(names)
    ]


def _open_fields(source: str, target: str) -> set[str]:
    """The connect fields that are no secret: what was typed there is shown again."""
    ways = [auth for name in (source, target) for auth in registry.get(name).manifest.auth]
    return {f"fields.{one.name}" for auth in ways for one in auth.fields if not one.secret}


async def _partner_name(hub: Hub, installation: Installation | None, given: str, source: str, target: str) -> str:
    link_id = installation.install_link_id if installation is not None else installing.link_id_of(given)
    if link_id is None:
        return ""
    async with hub.database.system() as session:
        link = await session.get(InstallLink, link_id)
    return link.name if link is not None and (link.source, link.target) == (source, target) else ""


def _notice(installation: Installation | None, language: str) -> str:
    if installation is None or not installation.notice:
        return ""
    return text.sentence(installation.notice["key"], language, installation.notice["values"])


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
