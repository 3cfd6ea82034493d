"""The files beside the pages: style and script, all our own."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parents[1] / "static"


@router.get("/static/app.css")
async def stylesheet() -> Response:
    """The one style sheet."""
    return FileResponse(STATIC / "app.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"})
