"""Browsers: the cookies that tell them apart, who is logged in, and proof that a form is ours."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from hub.engine.hub import Hub
from hub.organisations import repository
from hub.organisations.models import BrowserSession, Role

SESSION_LIFE = timedelta(days=14)
BINDING_LIFE = timedelta(days=1)
LANGUAGE_LIFE = timedelta(days=365)
LANGUAGE_COOKIE = "hub_language"


@dataclass(frozen=True)
class LoggedIn:
    """A browser's session that is valid now."""

    id: str
    user_id: UUID
    organisation_id: UUID
    role: Role
    csrf: str
    email: str
    language: str = ""
    """What the user chose; empty: what the browser asks for."""
    wanting: int = 0
    """How many documents of the organisation need a human, counted up to `repository.COUNTED`."""


def hashed(secret: str) -> str:
    """What is stored of a cookie."""
    return hashlib.sha256(secret.encode()).hexdigest()


def binding(hub: Hub, request: Request) -> str | None:
    """The secret of this browser's binding cookie, if it has one of ours."""
    value = request.cookies.get(_name(hub, "hub_browser"), "")
    return value if len(value) == 43 and value.isascii() else None


def bind(hub: Hub, response: Response, secret: str | None) -> str:
    """Set the binding cookie, with a new secret when there is none; gives the secret."""
    secret = secret or secrets.token_urlsafe(32)
    _set(hub, response, "hub_browser", secret, BINDING_LIFE)
    return secret


def anonymous_csrf(secret: str) -> str:
    """What forms carry while nobody is logged in: only who can read the page of this very browser knows it."""
    return hashlib.sha256(b"csrf:" + secret.encode()).hexdigest()


async def logged_in(hub: Hub, request: Request) -> LoggedIn | None:
    """The session of this browser; None when it has none that is valid. Asked once per request."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = await _session(hub, request)
    found: LoggedIn | None = request.state.visitor
    return found


async def _session(hub: Hub, request: Request) -> LoggedIn | None:
    value = request.cookies.get(_name(hub, "hub_session"), "")
    if len(value) != 43 or not value.isascii():
        return None
    async with hub.database.system() as session:
        row = await repository.browser_session(session, hashed(value), hub.clock.now())
    if row is None:
        return None
    return LoggedIn(
        row["id"],
        row["user_id"],
        row["current_organisation_id"],
        Role(row["role"]),
        row["csrf"],
        row["email"],
        row["language"],
        row["wanting"],
    )


async def log_in(hub: Hub, request: Request, response: Response, user_id: UUID, organisation_id: UUID) -> None:
    """Log this browser in, in a new session."""
    secret = secrets.token_urlsafe(32)
    now = hub.clock.now()
    row = BrowserSession(
        id=hashed(secret),
        user_id=user_id,
        current_organisation_id=organisation_id,
        csrf=secrets.token_urlsafe(32),
        agent=request.headers.get("user-agent", "")[:300],
        created_at=now,
        expires_at=now + SESSION_LIFE,
    )
    async with hub.database.system() as session:
        session.add(row)
    _set(hub, response, "hub_session", secret, SESSION_LIFE)


def speak(hub: Hub, response: Response, language: str) -> None:
    """Remember the language that was chosen in this browser, for pages that nobody is logged in to."""
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=int(LANGUAGE_LIFE.total_seconds()),
        path="/",
        secure=_secure(hub),
        httponly=True,
        samesite="lax",
    )


async def log_out(hub: Hub, request: Request, response: Response) -> None:
    """End this browser's session."""
    current = await logged_in(hub, request)
    if current is not None:
        async with hub.database.system() as session:
            await repository.revoke_session(session, current.id, hub.clock.now())
    response.delete_cookie(_name(hub, "hub_session"), path="/", secure=_secure(hub), httponly=True, samesite="lax")


def _secure(hub: Hub) -> bool:
    return hub.config.base_url.startswith("https://")


def _name(hub: Hub, name: str) -> str:
    return f"__Host-{name}" if _secure(hub) else name


def _set(hub: Hub, response: Response, name: str, value: str, life: timedelta) -> None:
    response.set_cookie(
        _name(hub, name),
        value,
        max_age=int(life.total_seconds()),
        path="/",
        secure=_secure(hub),
        httponly=True,
        samesite="lax",
    )


def same(given: str, expected: str) -> bool:
    """Compare secrets without telling how far they agree."""
    return secrets.compare_digest(given.encode(), expected.encode())
