"""What every page behind the login shares: who may come in, proof that a form is ours, and errors as pages."""

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from hub.combis import errors
from hub.engine.hub import Hub, hub_of
from hub.kit.database import HubSession
from hub.kit.problem import Problem, on_http_exception, unstorable
from hub.kit.text import known, sentence
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations.access import language_of
from hub.organisations.browser import LoggedIn
from hub.organisations.models import Role
from hub.organisations.service import audit
from hub.sdk.errors import VendorError
from hub.web.pages.forms import BadForm, Form, read_form

_log = structlog.get_logger(__name__)


_IN_ENGLISH = frozenset(("invalid", "not_active", "changed_meanwhile"))
"""Problems whose details are for programmers."""


class NobodyHere(Exception):
    """The page is for who is logged in."""


class Elsewhere(Exception):
    """What is asked for stands on another page of ours: `str()` is its path."""


class PageRoute(APIRoute):
    """A route of a page: what it may not show, cannot find or is refused becomes a page too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except NobodyHere:
                page = _own_page(request)
                return RedirectResponse(f"/login?next={quote(page)}" if page != "/" else "/login", 303)
            except Elsewhere as place:
                return RedirectResponse(str(place), 303)
            except BadForm:
                return html.message(request, 403, "web.bad_form")
            except RequestValidationError:
                return html.message(request, 404, "web.not_found")
            except VendorError as error:
                return problem_page(request, errors.problem(error, language_of(request)))
            except Problem as problem:
                return problem_page(request, problem)
            except Exception as error:
                if (refused := unstorable(error)) is not None:
                    return problem_page(request, refused)
                reference = secrets.token_hex(8)
                _log.exception("page_failed", reference=reference, exc_info=error)
                return html.message(request, 500, "common.unexpected", reference=reference)

        return handler


def install(app: FastAPI) -> None:
    """Make an address that does not exist a page for browsers; the API keeps its problem documents."""
    app.add_exception_handler(404, _on_missing)


async def _on_missing(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return await on_http_exception(request, error)
    await browsers.logged_in(hub_of(request), request)
    return html.message(request, 404, "web.not_found")


def _own_page(request: Request) -> str:
    """Where to go on after logging in: a page that can be looked at."""
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def problem_page(request: Request, problem: Problem) -> Response:
    """A problem as a page in the visitor's language; what is not there and what is another's look the same."""
    if problem.status == 404:
        return html.message(request, 404, "web.not_found")
    key = f"web.problem.{problem.code}"
    language = language_of(request)
    details = [] if problem.code in _IN_ENGLISH else [problem.detail or ""]
    for error in problem.errors:
        wrong = f"install.wrong.{error['code']}"
        plain = wrong if known(wrong) else "install.wrong.value"
        details.append(sentence(plain, language, {"package": ""}) if problem.code == "invalid" else error["message"])
    return html.page(
        request,
        "problem.html",
        problem.status,
        key=key if known(key) else "",
        said=problem.title,
        details=[one for one in details if one and one != problem.title],
    )


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is logged in."""

    hub: Hub
    request: Request
    account: LoggedIn
    language: str

    @property
    def may_act(self) -> bool:
        """Readers look only."""
        return self.account.role != Role.reader

    @property
    def may_manage(self) -> bool:
        """Owners alone remove things for good."""
        return self.account.role == Role.owner

    def page(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A page that knows what its reader may do. `done` tells what the form before it did."""
        told = f"web.done.{self.request.query_params.get('done', '')}"
        count = self.request.query_params.get("count", "")
        return html.page(
            self.request,
            template,
            status,
            may_act=self.may_act,
            may_manage=self.may_manage,
            done=told if known(told) else "",
            done_count=int(count) if count.isascii() and count.isdecimal() and len(count) < 7 else 0,
            **facts,
        )


@dataclass(frozen=True)
class Sent(Visit):
    """A form of ours that somebody sent who may act."""

    form: Form

    def note(self, session: HubSession, action: str, subject: object, **facts: Any) -> None:
        """Keep who did this in the audit log; it commits together with the deed."""
        account = self.account
        audit(session, self.hub.clock, account.organisation_id, action, subject, user_id=account.user_id, **facts)


async def _visit(request: Request) -> Visit:
    hub = hub_of(request)
    account = await browsers.logged_in(hub, request)
    if account is None:
        raise NobodyHere
    return Visit(hub, request, account, language_of(request))


async def _sent(request: Request) -> Sent:
    hub = hub_of(request)
    if await browsers.logged_in(hub, request) is None:
        raise NobodyHere
    form, account = await read_form(hub, request)
    assert account is not None  # noqa: S101 - somebody is logged in
    sent = Sent(hub, request, account, language_of(request), form)
    if not sent.may_act:
        raise Problem(403, "reader_only", "You may look at this, not change it.")
    return sent


async def _sent_by_owner(sent: Annotated[Sent, Depends(_sent)]) -> Sent:
    if not sent.may_manage:
        raise Problem(403, "owner_only", "Only an owner may do this.")
    return sent


Visiting = Annotated[Visit, Depends(_visit)]
"""Somebody looks at a page."""
Acting = Annotated[Sent, Depends(_sent)]
"""Somebody who may act sent a form."""
Managing = Annotated[Sent, Depends(_sent_by_owner)]
"""An owner sent a form."""


def go(path: str, done: str = "", count: int = 0) -> Response:
    """On to a page of ours after a form; `done` names what was done."""
    query = "&".join([*([f"done={done}"] if done else []), *([f"count={count}"] if count else [])])
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{query}" if query else path, 303)
