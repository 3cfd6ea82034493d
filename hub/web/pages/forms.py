"""Reading a form that one of our own pages sent, and who sent it."""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from hub.engine.hub import Hub
from hub.organisations import browser as browsers
from hub.organisations.browser import LoggedIn
from hub.sdk.manifest import Auth

LARGEST_FORM = 64 * 1024


class BadForm(Exception):
    """A form that did not come from our page in this browser."""


async def read_form(hub: Hub, request: Request, *, anonymous: bool = False) -> tuple[dict[str, str], LoggedIn | None]:
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


def way_facts(auth: Auth) -> dict[str, Any]:
    """One way into a package, as a template shows it."""
    return {"kind": auth.kind, "fields": [(one.name, one.secret, one.example) for one in auth.fields]}
