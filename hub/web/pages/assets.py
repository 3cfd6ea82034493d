"""The files beside the pages: style, script and mark, all our own or kept with us."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from hub.organisations import html
from hub.organisations.html import STATIC

router = APIRouter(include_in_schema=False)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"
"""For an address that carries the mark of its contents."""


@router.get("/static/{name}")
async def asset(name: str, request: Request) -> Response:
    """One file."""
    path = STATIC / name
    if path.parent != STATIC or path.suffix not in TYPES or not path.is_file():
        return html.message(request, 404, "web.not_found")
    caching = FOR_EVER if "v" in request.query_params else "max-age=3600"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
