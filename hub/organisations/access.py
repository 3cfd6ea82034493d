"""Who calls the API and what they may: keys and sessions, scopes, call rates and repeated requests."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.engine.hub import Hub, hub_of
from hub.kit.database import Database, HubSession
from hub.kit.problem import Problem
from hub.kit.text import LANGUAGES
from hub.organisations import browser, repository
from hub.organisations.models import ApiKey, IdempotentCall, Role

SCOPES = ("read", "write", "admin")
ROLE_SCOPES = {
    Role.owner: frozenset(SCOPES),
    Role.member: frozenset(("read", "write")),
    Role.reader: frozenset(("read",)),
}
DEFAULT_PER_MINUTE = 600
REMEMBERED_S = 5.0
"""How long a key is taken as known without asking the database: a revoked key stops working by then."""
USED_EVERY_S = 60.0
KEPT = timedelta(hours=24)
"""How long the answer to an `Idempotency-Key` is kept."""
_WITHOUT_VALKEY_S = 5.0
_SAFE = ("GET", "HEAD", "OPTIONS")

_log = structlog.get_logger(__name__)

bearer = HTTPBearer(auto_error=False, description="An API key, `hub_<prefix>_<secret>`.")


@dataclass(frozen=True)
class Principal:
    """Who calls, for which organisation, with which rights, and in which language sentences are wanted."""

    organisation_id: UUID
    user_id: UUID | None
    api_key_id: UUID | None
    scopes: frozenset[str]
    language: str = "nl"
    role: Role | None = None
    csrf: str = ""


@dataclass(frozen=True)
class _Known:
    """A key or a session as it was read."""

    principal: Principal
    hash: str
    expires_at: datetime | None
    rate_key: str
    per_minute: int
    read_at: float


@dataclass
class _Window:
    """What this process knows of one caller's minute: turns it holds and the estimate it got with them."""

    minute: int
    held: int = 0
    used: float = 0
    counted: dict[int, int] = field(default_factory=dict)
    """Turns by minute, for when there is no Valkey."""


class Access:
    """What a process remembers about its callers."""

    def __init__(self) -> None:
        self.known: dict[str, _Known] = {}
        self.used: dict[UUID, float] = {}
        self.windows: dict[str, _Window] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.no_valkey_until = 0.0

    async def turn(self, redis: Redis, key: str, per_minute: int, now: float) -> tuple[bool, int, int]:
        """Whether a call may be made in this sliding minute; the calls that are left, and seconds to the next minute.

        Turns are fetched from Valkey by the handful, so most calls cost no trip.
        """
        minute, passed = int(now // 60), now % 60
        window = self.windows.get(key)
        if window is None:
            if len(self.windows) > 10_000:
                self.windows.clear()
            window = self.windows[key] = _Window(minute)
        if window.minute != minute:
            window.minute, window.held = minute, 0
        if window.held <= 0:
            batch = max(1, per_minute // 60)
            before, current = await self._take(redis, key, window, batch)
            window.used = before * (1 - passed / 60) + current
            window.held = max(0, min(batch, int(per_minute - (window.used - batch))))
        reset = max(1, int(60 - passed))
        if window.held <= 0:
            return False, 0, reset
        window.held -= 1
        return True, max(0, int(per_minute - window.used)) + window.held, reset

    async def _take(self, redis: Redis, key: str, window: _Window, batch: int) -> tuple[int, int]:
        if time.monotonic() >= self.no_valkey_until:
            try:
                async with redis.pipeline(transaction=False) as pipe:
                    pipe.get(f"rate:{key}:{window.minute - 1}")
                    pipe.incrby(f"rate:{key}:{window.minute}", batch)
                    pipe.expire(f"rate:{key}:{window.minute}", 180)
                    before, current, _ = await pipe.execute()
                return int(before or 0), int(current)
            except (RedisError, OSError):
                self.no_valkey_until = time.monotonic() + _WITHOUT_VALKEY_S
                _log.warning("rate_limit_without_valkey")
        counted = window.counted
        counted[window.minute] = counted.get(window.minute, 0) + batch
        for old in [minute for minute in counted if minute < window.minute - 1]:
            del counted[old]
        return counted.get(window.minute - 1, 0), counted[window.minute]

    def note_use(self, hub: Hub, key_id: UUID) -> None:
        """Write down that a key is in use, behind the request's back and once a minute at most."""
        now = time.monotonic()
        if now - self.used.get(key_id, -USED_EVERY_S) < USED_EVERY_S:
            return
        self.used[key_id] = now
        task = asyncio.create_task(_write_use(hub, key_id))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


_accesses: WeakKeyDictionary[Database, Access] = WeakKeyDictionary()


def access_of(hub: Hub) -> Access:
    """What this hub's process remembers."""
    found = _accesses.get(hub.database)
    if found is None:
        found = _accesses[hub.database] = Access()
    return found


async def principal(request: Request, _documented: Annotated[Any, Depends(bearer)] = None) -> Principal:
    """Who calls. Raises Problem 401 for a key or session that is unknown, expired or revoked, 429 when too often."""
    found: Principal | None = getattr(request.state, "principal", None)
    if found is not None:
        return found
    hub = hub_of(request)
    access = access_of(hub)
    header = request.headers.get("authorization", "")
    known = await (_by_key(hub, access, header) if header else _by_session(hub, request))
    await _rate(hub, access, request, known)
    if known.principal.api_key_id is not None:
        access.note_use(hub, known.principal.api_key_id)
    elif request.method not in _SAFE:
        given = request.headers.get("x-csrf-token", "")
        if not secrets.compare_digest(given.encode(), known.principal.csrf.encode()):
            raise Problem(403, "csrf", "The request lacks this session's X-CSRF-Token.")
    found = Principal(**{**vars(known.principal), "language": language_of(request)})
    request.state.principal = found
    return found


def require(scope: str) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Make a dependency that gives the caller when they hold a scope. Raises Problem 403 otherwise."""
    if scope not in SCOPES:
        raise ValueError(scope)

    async def allowed(caller: Annotated[Principal, Depends(principal)]) -> Principal:
        if scope not in caller.scopes:
            raise Problem(403, "scope_missing", f"This needs the scope `{scope}`.", required_scope=scope)
        return caller

    return allowed


Reader = Annotated[Principal, Depends(require("read"))]
Writer = Annotated[Principal, Depends(require("write"))]
Admin = Annotated[Principal, Depends(require("admin"))]


async def tenant_session(
    request: Request, caller: Annotated[Principal, Depends(principal)]
) -> AsyncIterator[HubSession]:
    """A session that sees the caller's organisation only."""
    async with hub_of(request).database.tenant(caller.organisation_id) as session:
        yield session


# Function scope: committed before the answer leaves, so nobody is told of what may still fail.
TenantSession = Annotated[HubSession, Depends(tenant_session, scope="function")]


def language_of(request: Request) -> str:
    """What the user who is logged in chose, else this browser, else the best liked of `Accept-Language`, else Dutch."""
    visitor: browser.LoggedIn | None = getattr(request.state, "visitor", None)
    for chosen in (visitor.language if visitor else "", request.cookies.get(browser.LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    best, liking = LANGUAGES[0], 0.0
    for part in request.headers.get("accept-language", "").split(",")[:20]:
        name, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.partition("=")[2] or 1)
        except ValueError:
            continue
        spoken = name.strip().lower().partition("-")[0]
        if spoken in LANGUAGES and weight > liking:
            best, liking = spoken, weight
    return best


def key_hash(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def _by_key(hub: Hub, access: Access, header: str) -> _Known:
    scheme, _, key = header.partition(" ")
    key = key.strip()
    parts = key.split("_", 2)
    if scheme.lower() != "bearer" or len(parts) != 3 or parts[0] != "hub" or not key.isascii() or len(key) > 200:
        raise _refused("key_unknown")
    prefix = parts[1]
    known = access.known.get(prefix)
    if known is None or time.monotonic() - known.read_at > REMEMBERED_S:
        async with hub.database.system() as session:
            row = await repository.api_key(session, prefix)
        if row is None or row.revoked_at is not None:
            access.known.pop(prefix, None)
            raise _refused("key_unknown" if row is None else "key_revoked")
        known = _known_key(row)
        if len(access.known) > 10_000:
            access.known.clear()
        access.known[prefix] = known
    if not secrets.compare_digest(known.hash, key_hash(key)):
        raise _refused("key_unknown")
    if known.expires_at is not None and known.expires_at <= hub.clock.now():
        raise _refused("key_expired")
    return known


def _known_key(row: ApiKey) -> _Known:
    caller = Principal(row.organisation_id, row.created_by, row.id, frozenset(row.scopes.split(",")))
    return _Known(caller, row.hash, row.expires_at, f"key:{row.id}", row.per_minute, time.monotonic())


async def _by_session(hub: Hub, request: Request) -> _Known:
    session = await browser.logged_in(hub, request)
    if session is None:
        raise _refused("unauthorised")
    caller = Principal(
        session.organisation_id,
        session.user_id,
        None,
        ROLE_SCOPES[session.role],
        role=session.role,
        csrf=session.csrf,
    )
    return _Known(caller, "", None, f"session:{session.id}", DEFAULT_PER_MINUTE, time.monotonic())


async def _rate(hub: Hub, access: Access, request: Request, known: _Known) -> None:
    now = hub.clock.now().timestamp()
    allowed, left, reset = await access.turn(hub.redis, known.rate_key, known.per_minute, now)
    headers = {
        "RateLimit-Limit": str(known.per_minute),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(reset),
    }
    if not allowed:
        headers["Retry-After"] = str(reset)
        raise Problem(429, "too_many_requests", "Too many requests with this key.", headers=headers)
    request.state.rate_headers = headers


async def _write_use(hub: Hub, key_id: UUID) -> None:
    try:
        async with hub.database.system() as session:
            await repository.key_used(session, key_id, hub.clock.now())
    except Exception:
        _log.warning("key_use_not_noted", exc_info=True)


_SENTENCES = {
    "unauthorised": "Say who you are: Authorization: Bearer <api key>.",
    "key_unknown": "This API key is not known.",
    "key_revoked": "This API key was revoked.",
    "key_expired": "This API key has expired.",
}


def _refused(code: str) -> Problem:
    return Problem(401, code, _SENTENCES[code], headers={"WWW-Authenticate": 'Bearer realm="hub"'})


class HubRoute(APIRoute):
    """A route of the API: repeats the answer of a POST whose `Idempotency-Key` was seen, and tells the call rate."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get("idempotency-key") if request.method == "POST" else None
            response = await (handle(request) if key is None else _once(request, key, handle))
            for name, value in getattr(request.state, "rate_headers", {}).items():
                response.headers.setdefault(name, value)
            return response

        return handler


async def _once(request: Request, key: str, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """Do a request once per key and organisation. What failed may be tried again: nothing of it was stored."""
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise Problem(400, "bad_idempotency_key", "Idempotency-Key has 1 to 255 printable characters.")
    caller = await principal(request)
    hub = hub_of(request)
    operation = f"{request.method} {request.url.path}"
    wanted = hashlib.sha256(request.url.query.encode() + b"\n" + await request.body()).hexdigest()
    async with hub.database.tenant(caller.organisation_id) as session:
        ours, standing = await repository.claim_call(
            session, caller.organisation_id, key, operation, wanted, hub.clock.now(), KEPT
        )
    context = f"idempotency/{caller.organisation_id}/{key}"
    if not ours:
        return _replayed(hub, standing, operation, wanted, context)
    try:
        response = await handle(request)
    except BaseException:
        await asyncio.shield(_release(hub, caller, key))
        raise
    body = getattr(response, "body", None)
    if response.status_code >= 400 or not isinstance(body, bytes):
        await _release(hub, caller, key)
        return response
    kept = {name: value for name, value in response.headers.items() if name in ("content-type", "location", "etag")}
    async with hub.database.tenant(caller.organisation_id) as session:
        sealed = hub.keys.seal(body, context)
        await repository.finish_call(session, caller.organisation_id, key, response.status_code, sealed, kept)
    return response


def _replayed(hub: Hub, standing: IdempotentCall | None, operation: str, wanted: str, context: str) -> Response:
    if standing is not None and (standing.operation, standing.request_hash) != (operation, wanted):
        raise Problem(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
    if standing is None or standing.status is None or standing.body is None:
        headers = {"Retry-After": "2"}
        raise Problem(
            409, "request_in_flight", "The first request with this Idempotency-Key has not ended.", headers=headers
        )
    return Response(
        hub.keys.open(standing.body, context), standing.status, {**standing.headers, "Idempotency-Replayed": "true"}
    )


async def _release(hub: Hub, caller: Principal, key: str) -> None:
    async with hub.database.tenant(caller.organisation_id) as session:
        await repository.release_call(session, caller.organisation_id, key)
