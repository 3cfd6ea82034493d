"""Logging in by a mailed link, and out."""

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from hub.connections import installing
from hub.engine.hub import hub_of
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations import repository as accounts
from hub.organisations import service as organisations
from hub.organisations.access import language_of
from hub.web.pages.forms import BadForm, read_form

router = APIRouter(include_in_schema=False)


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
        form, visitor = await read_form(hub, request)
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
        await read_form(hub, request, anonymous=True)
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
    await browsers.log_in(hub, request, response, user.id, organisation_id)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    hub = hub_of(request)
    try:
        await read_form(hub, request)
    except BadForm:
        return html.message(request, 403, "web.bad_form")
    response = RedirectResponse("/login", 303)
    await browsers.log_out(hub, request, response)
    return response
