"""A whole hub in this process, beside a package with an OAuth server of its own, used by browsers with cookies."""

import asyncio
import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx2 as httpx
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from hub.app import create_app
from hub.config import Config, SecretKey
from hub.connections.clients import ConnectionClients
from hub.engine import registry
from hub.engine.hub import Hub
from hub.engine.models import Combi
from hub.kit.clock import FakeClock
from hub.kit.database import Database
from hub.kit.ids import new_id
from hub.kit.limiter import Turns
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.organisations.service import create_api_key
from hub.sdk.connector import Connector, Identity
from hub.sdk.http import Http, new_client
from hub.sdk.manifest import Manifest
from hub.sdk.settings import Settings

BASE = "http://hub.test"
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SIGNED = {"Authorization": "Bearer {access_token}"}


def manifest(name: str = "vend", **oauth: Any) -> Manifest:
    """A package with a consent page and, besides, plain keys."""
    domain = {"name": "domain", "pattern": "^[a-z0-9-]{1,40}$", "strip": ["https://", "/", ".vend.nl"]}
    return Manifest.model_validate(
        {
            "name": name,
            "title": "Vend",
            "docs": "https://vend.example",
            "auth": [
                {"kind": "oauth", "fields": [domain], "headers": SIGNED, "oauth": oauth},
                {
                    "kind": "key",
                    "fields": [domain, {"name": "access_token", "pattern": "^[\\x21-\\x7e]{8,}$", "secret": True}],
                    "headers": SIGNED,
                },
            ],
            "endpoints": {
                "API": "https://{domain}.vend.nl/api",
                "AUTHORIZE": "https://login.vend.nl/oauth/authorize",
                "TOKEN": "https://login.vend.nl/oauth/token",
            },
            "rate_limit": {"per_minute": 600_000, "burst": 1000},
        }
    )


async def identify(http: Http) -> Identity:
    """Who the token is of."""
    me = await http.get("/me")
    return Identity(me["tenant"], me["name"], me.get("email", ""), me.get("user", ""))


def connector(name: str = "vend", **oauth: Any) -> Connector:
    """The package's connector."""
    return Connector(manifest=manifest(name, **oauth), settings=Settings, identify=identify)


@dataclass
class Vendor:
    """The package itself. `person` is who sits at the consent page."""

    person: dict[str, str] = field(
        default_factory=lambda: {"tenant": "t1", "name": "Waterlinie BV", "email": "eva@waterlinie.nl"}
    )
    consent: bool = True
    life: object = 3600
    extra: dict[str, Any] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    token_fault: Response | None = None
    api_fault: Response | None = None
    slow_s: float = 0
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    access: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh: dict[str, dict[str, str]] = field(default_factory=dict)
    token_calls: list[dict[str, str]] = field(default_factory=list)
    api_calls: int = 0
    form_post: bool = False
    made: int = 0

    def app(self) -> Starlette:
        """As ASGI."""
        return Starlette(
            routes=[
                Route("/oauth/authorize", self.authorize),
                Route("/oauth/token", self.token, methods=["POST"]),
                Route("/{domain}/api/me", self.me),
            ]
        )

    async def authorize(self, request: Request) -> Response:
        """Consent at once, or refusal."""
        query = dict(request.query_params)
        self.made += 1
        code = f"code-{self.made}"
        self.codes[code] = {**query, "person": dict(self.person)}
        answer = {"state": query["state"], **({"code": code} if self.consent else {"error": "access_denied"})}
        if self.form_post:
            return HTMLResponse(f"<form action='{query['redirect_uri']}' method=post>{urlencode(answer)}</form>")
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        """Codes and refresh tokens, each used once."""
        body = await request.body()
        sent = await request.json() if body[:1] == b"{" else {k: v[0] for k, v in parse_qs(body.decode()).items()}
        self.token_calls.append(sent)
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.token_fault is not None:
            return self.token_fault
        if (sent.get("client_id"), sent.get("client_secret")) != ("hub-vend", "sandbox-secret"):
            return JSONResponse({"error": "invalid_client"}, 401)
        if sent["grant_type"] == "refresh_token":
            person = self.refresh.pop(sent.get("refresh_token", ""), None)
        else:
            asked = self.codes.pop(sent.get("code", ""), None)
            person = asked["person"] if asked and self._proven(asked, sent) else None
        if person is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self.issue(person))

    def issue(self, person: dict[str, str]) -> dict[str, Any]:
        """A pair of tokens."""
        self.made += 1
        access, refresh = f"access-token-{self.made}", f"refresh-token-{self.made}"
        self.access[access], self.refresh[refresh] = person, person
        answer = {"access_token": access, "refresh_token": refresh, "expires_in": self.life, **self.extra}
        return {name: value for name, value in answer.items() if name not in self.omit and value is not None}

    async def me(self, request: Request) -> Response:
        """The person behind a token."""
        self.api_calls += 1
        if self.api_fault is not None:
            return self.api_fault
        person = await self.person_of(request.headers.get("authorization", "").removeprefix("Bearer "))
        return JSONResponse(person) if person else JSONResponse({"error": "no"}, 401)

    async def person_of(self, token: str) -> dict[str, str] | None:
        """Whose token it is."""
        return self.access.get(token)

    @staticmethod
    def _proven(asked: dict[str, Any], sent: dict[str, str]) -> bool:
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        return asked.get("code_challenge") == challenge and asked["redirect_uri"] == sent.get("redirect_uri")


@dataclass
class House:
    """The hub, the package, and one organisation with a key."""

    hub: Hub
    clients: ConnectionClients
    vendor: Vendor
    clock: FakeClock
    app: Any
    key: str
    mail: Path

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """A browser with its own cookies; it follows no redirect by itself."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE, headers=headers)

    def api(self, key: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client of the API."""
        return self.browser(Authorization=f"Bearer {key or self.key}", **headers)

    async def another_key(self, email: str) -> str:
        """A key of another organisation."""
        return await create_api_key(self.hub.database, self.clock, email)

    async def pending(self, **body: Any) -> dict[str, Any]:
        """A connection that waits for consent."""
        async with self.api() as api:
            answer = await api.post("/v1/connections", json={"connector": "vend", "fields": {"domain": "acme"}, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def connected(self, **body: Any) -> UUID:
        """A connection that is active."""
        made = await self.pending(**body)
        async with self.browser() as browser:
            end = await follow(browser, made["authorization_url"])
        assert end.status_code < 400, end.text
        return UUID(made["id"])

    async def connection(self, connection_id: object) -> dict[str, Any]:
        """As the API shows it."""
        async with self.api() as api:
            return dict((await api.get(f"/v1/connections/{connection_id}")).json())

    async def organisation(self) -> UUID:
        """The organisation of the key."""
        from hub.organisations import repository

        async with self.hub.database.system() as session:
            row = await repository.api_key(session, self.key.split("_")[1])
        assert row is not None
        return row.organisation_id

    async def combi(self, source: UUID, target: UUID, status: str = "active") -> UUID:
        """A combi between two connections."""
        combi_id, now = new_id(self.clock), self.clock.now()
        async with self.hub.database.tenant(await self.organisation()) as session:
            session.add(
                Combi(
                    id=combi_id,
                    organisation_id=await self.organisation(),
                    recipe="simplicate-minox",
                    source_connection_id=source,
                    target_connection_id=target,
                    schedule="hourly",
                    status=status,
                    created_at=now,
                    updated_at=now,
                )
            )
        return combi_id

    async def combi_status(self, combi_id: UUID) -> str:
        """Where a combi stands."""
        async with self.hub.database.system() as session:
            return str((await session.get_one(Combi, combi_id, populate_existing=True)).status)

    async def log_in(self, browser: httpx.AsyncClient, email: str) -> str:
        """Log a browser in by mail; gives the proof that its forms carry."""
        csrf = csrf_of(await browser.get("/login"))
        await browser.post("/login", data={"email": email, "csrf": csrf, "next": "/"})
        link = urlsplit(self.links()[-1]).path
        csrf = csrf_of(await browser.get(link))
        answer = await browser.post(link, data={"csrf": csrf})
        assert answer.status_code == 303, answer.text
        return csrf_of(await browser.get("/"))

    def links(self) -> list[str]:
        """The login links that were mailed."""
        return [found for _, mail in self.mails() for found in re.findall(r"http://hub\.test/login/\S+", mail)]

    def mails(self) -> list[tuple[str, str]]:
        """Receiver and text of the mails that were sent, the oldest first."""
        found = []
        for path in sorted(self.mail.glob("*.eml")):
            parsed = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
            found.append((str(parsed["To"]), str(parsed.get_content())))
        return found


def csrf_of(answer: httpx.Response) -> str:
    """The proof inside a page's first form."""
    found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
    assert found, answer.text
    return found.group(1)


async def follow(browser: httpx.AsyncClient, url: str, *, at_most: int = 10) -> httpx.Response:
    """Go where a browser is sent, as far as it stays in this world; a posted form is posted."""
    answer = await browser.get(url)
    for _ in range(at_most):
        if answer.is_redirect:
            target = answer.headers["location"]
            if urlsplit(target).netloc not in ("", "hub.test"):
                return answer
            answer = await browser.get(target)
        elif form := re.match(r"<form action='([^']+)' method=post>(.*)</form>", answer.text):
            # As a browser does it: a cross-site post brings no Lax cookie along.
            kept = httpx.Cookies(browser.cookies)
            browser.cookies.clear()
            fields = {k: v[0] for k, v in parse_qs(form.group(2).replace("&amp;", "&")).items()}
            answer = await browser.post(form.group(1), data=fields)
            browser.cookies = kept
        else:
            return answer
    raise AssertionError(f"no end to the redirects at {answer.url}")


@asynccontextmanager
async def house(
    config: Config, database: Database, redis: Redis, folder: Path, *extra: Any, **facts: Any
) -> AsyncIterator[House]:
    """Build it. `facts` replace settings of the hub."""
    config = config.model_copy(
        update={
            "base_url": BASE,
            "data_dir": folder,
            "oauth": {},
            "endpoints": {},
            "smtp_url": None,
            "sandbox": True,
            "secret_keys": [SecretKey("test", bytes(range(32)))],
            **facts,
        }
    )
    vendor, clock = Vendor(), FakeClock(START)
    registry.add(connector())
    keys, limiter, mailer = KeyRing(config.secret_keys), Turns(redis), Mailer(config, clock)
    outer = Starlette()
    client = new_client(httpx.ASGITransport(outer))
    clients = ConnectionClients(config, database, clock, keys, limiter, mailer, client)
    hub = Hub(config, database, redis, clock, keys, mailer, limiter, Bell(), clients, None)  # type: ignore[arg-type]
    outer.router.routes[:] = [Mount("/sandbox/vend", vendor.app()), *extra, Mount("/", create_app(hub))]
    key = await create_api_key(database, clock, "owner@partner.nl")
    try:
        yield House(hub, clients, vendor, clock, outer, key, folder / "mail")
    finally:
        await client.aclose()


class Bell:
    """Rings for nobody."""

    async def ring(self, times: int = 1) -> None:
        """Nothing."""
