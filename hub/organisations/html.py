"""Pages for browsers: templates in the visitor's language, behind a policy that allows nothing from elsewhere."""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

import hub
from hub.engine import words
from hub.engine.hub import hub_of
from hub.kit import text
from hub.organisations.access import language_of
from hub.organisations.browser import LoggedIn

TEMPLATES = Path(hub.__file__).parent / "web" / "templates"
STATIC = Path(hub.__file__).parent / "web" / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; font-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_ISO_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


@cache
def static(name: str) -> str:
    """The address of a file of ours, which changes with its contents."""
    mark = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={mark}"


def _spoken(write: Callable[..., str]) -> Callable[..., str]:
    """A filter that writes a value in the page's language."""

    @jinja2.pass_context
    def filtered(context: jinja2.runtime.Context, value: Any, *more: Any) -> str:
        return write(value, *more, context["language"]) if value is not None else ""

    return filtered


@jinja2.pass_context
def _relative(context: jinja2.runtime.Context, moment: datetime) -> str:
    return text.relative(moment, context["now"], context["language"])


def _money(value: Decimal | str, currency: str, language: str) -> str:
    return text.money(Decimal(value), currency, language)


def _short(value: date, language: str) -> str:
    return text.short_day(value, language)


def _day(value: date | str) -> date:
    """A day that may have been stored as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def _label(value: str, language: str) -> str:
    """What a package calls a booking; some call it by its day."""
    return text.short_day(date.fromisoformat(value), language) if _ISO_DAY.fullmatch(value) else value


@jinja2.pass_context
def _said(context: jinja2.runtime.Context, finding: Any) -> str:
    """The sentence of a finding, stored or ready."""
    facts = finding if isinstance(finding, Mapping) else finding.model_dump()
    if "sentence" in facts:
        return str(facts["sentence"])
    return words.sentence_of(facts["key"], facts.get("values") or {}, context["language"])


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    environment.filters |= {
        "written": _spoken(text.written),
        "amount": _spoken(lambda value, language: text.amount(Decimal(value), language)),
        "whole": _spoken(text.whole),
        "money": _spoken(_money),
        "short": _spoken(_short),
        "label": _spoken(_label),
        "month": _spoken(text.month),
        "lasted": _spoken(text.lasted),
        "percentage": _spoken(text.percentage),
        "clock": text.clock,
        "relative": _relative,
        "said": _said,
        "day": _day,
        "exact": Decimal,
    }
    return environment


def render(request: Request, template: str, **facts: Any) -> str:
    """A template filled in; `t(key, **values)` is a sentence in the visitor's language inside it.

    `account` is who is logged in (None: nobody), `place` the entry of the menu it belongs under, `now` the moment.
    """
    language = language_of(request)

    def t(key: str, **values: object) -> str:
        return text.sentence(key, language, values)

    account: LoggedIn | None = getattr(request.state, "visitor", None)
    given = {"account": account, "place": "", "path": request.url.path, "now": hub_of(request).clock.now(), **facts}
    return _environment().get_template(template).render(t=t, known=text.known, language=language, **given)


def page(request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """A page; see `render`."""
    return HTMLResponse(render(request, template, **facts), status, HEADERS)


def message(request: Request, status: int, key: str, **values: object) -> HTMLResponse:
    """A page that says one thing."""
    return page(request, "message.html", status, key=key, values={"package": "", "words": "", **values})


def new_secret() -> str:
    """A secret for a cookie."""
    return secrets.token_urlsafe(32)
