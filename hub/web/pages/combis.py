"""My combis: where somebody who logged in begins."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from hub.engine.hub import hub_of
from hub.organisations import browser as browsers
from hub.organisations import html

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> Response:
    """Who is logged in."""
    hub = hub_of(request)
    visitor = await browsers.logged_in(hub, request)
    if visitor is None:
        return RedirectResponse("/login", 303)
    return html.page(request, "home.html", visitor=visitor, csrf=visitor.csrf)
