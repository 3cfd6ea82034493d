"""Pages for browsers: templates in the visitor's language, behind a policy that allows nothing from elsewhere."""

import secrets
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

import hub
from hub.kit import text
from hub.organisations.access import language_of

TEMPLATES = Path(hub.__file__).parent / "web" / "templates"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )


def page(request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """A page; `t(key, **values)` is a sentence in the visitor's language inside the template."""
    language = language_of(request)

    def t(key: str, **values: object) -> str:
        return text.sentence(key, language, values)

    body = _environment().get_template(template).render(t=t, known=text.known, language=language, **facts)
    return HTMLResponse(body, status, HEADERS)


def message(request: Request, status: int, key: str, **values: object) -> HTMLResponse:
    """A page that says one thing."""
    return page(request, "message.html", status, key=key, values={"package": "", "words": "", **values})


def new_secret() -> str:
    """A secret for a cookie."""
    return secrets.token_urlsafe(32)
