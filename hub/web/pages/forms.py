"""Reading a form that one of our own pages sent, and who sent it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from hub.engine.hub import Hub
from hub.organisations import browser as browsers
from hub.organisations.browser import LoggedIn
from hub.sdk.manifest import Auth

LARGEST_FORM = 1024 * 1024
"""A whole mapping table is one form."""
MOST_FIELDS = 12_000


class BadForm(Exception):
    """A form that did not come from our page in this browser."""


class Form(dict[str, str]):
    """The fields of a form, the last of each name; `all_of` gives every one."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def all_of(self, name: str) -> list[str]:
        """Every value of a name, in the order of the page."""
        return [value for one, value in self.pairs if one == name]


async def read_form(hub: Hub, request: Request, *, anonymous: bool = False) -> tuple[Form, LoggedIn | None]:
    """The fields of one of our own forms, and who sent it. Raises BadForm without proof that the form is ours."""
    size = request.headers.get("content-length", "")
    if not size.isdecimal() or int(size) > LARGEST_FORM:
        raise BadForm
    written = (await request.body()).decode("utf-8", "replace")
    try:
        form = Form(parse_qsl(written, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise BadForm from None
    visitor = None if anonymous else await browsers.logged_in(hub, request)
    secret = browsers.binding(hub, request)
    expected = visitor.csrf if visitor else (browsers.anonymous_csrf(secret) if secret else "")
    if not expected or not browsers.same(form.get("csrf", ""), expected):
        raise BadForm
    return form, visitor


def way_facts(auth: Auth) -> dict[str, Any]:
    """One way into a package, as a template shows it."""
    return {"kind": auth.kind, "fields": [(one.name, one.secret, one.example, one.optional) for one in auth.fields]}
