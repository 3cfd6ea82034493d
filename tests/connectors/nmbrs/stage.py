"""A whole hub with its API, Nmbrs on one side and Minox on the other, and a browser that gives consent."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2 as httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from connectors.minox.sandbox import MinoxSandbox, ledger_account
from connectors.nmbrs.sandbox import OWNER, TOKEN, NmbrsSandbox
from hub import sandbox as runner
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.organisations.service import create_api_key
from hub.sdk.http import new_client
from tests.engine.world import BrokenPipes, QuietBell, World, connect

NIGHT = datetime(2026, 5, 4, 1, 0, tzinfo=UTC)
BASE = "http://127.0.0.1:8000"
BOOKS = "41207/3"
CHART = ("4000", "4001", "4010", "4050", "4060", "4070", "4990", "1700", "1720", "1830", "2100")
KEYS = {"email": OWNER, "api_token": TOKEN}


@dataclass
class Office(World):
    """A hub that one organisation uses through its API."""

    nmbrs: NmbrsSandbox = field(default_factory=NmbrsSandbox)
    api: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    app: Any = None

    async def call(self, method: str, path: str, body: Any = None, status: int = 0) -> Any:
        """The JSON of a call to the API, which must end well or as told."""
        answer = await self.api.request(method, f"/v1{path}", json=body)
        good = answer.status_code == status if status else answer.is_success
        assert good, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def consent(self, url: str, email: str = OWNER) -> httpx.Response:
        """Follows an address as a browser does and gives consent at Nmbrs; the last page."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE) as browser:
            answer = await browser.get(url)
            for _ in range(10):
                if answer.is_redirect:
                    answer = await browser.get(answer.headers["location"])
                elif 'name="consent"' in answer.text:
                    answer = await browser.post(str(answer.url), data={"email": email, "consent": "yes"})
                else:
                    break
        return answer

    async def by_soap(self, **fields: str) -> dict[str, Any]:
        """A new connection by e-mail address and token."""
        made = await self.call("POST", "/connections", {"connector": "nmbrs", "fields": {**KEYS, **fields}}, 201)
        return dict(made)

    async def by_rest(self, email: str = OWNER) -> dict[str, Any]:
        """A new connection by consent."""
        made = await self.call("POST", "/connections", {"connector": "nmbrs", "auth": "oauth"}, 201)
        await self.consent(made["authorization_url"], email)
        return dict(await self.call("GET", f"/connections/{made['id']}"))

    async def combi_of(self, source: str, **settings: Any) -> UUID:
        """An active combi, made over the API, of company 1 into the administration."""
        chosen = {"administrations": {"1": BOOKS}, "start_year": 2026, "cost_centre_mode": "none", **settings}
        body = {
            "recipe": "nmbrs-minox", "source_connection_id": source, "target_connection_id": str(self.target),
            "settings": chosen,
        }  # fmt: skip
        made = await self.call("POST", "/combis", body, 201)
        await self.call("POST", f"/combis/{made['id']}/activate")
        return UUID(made["id"])

    def books(self) -> dict[str, Decimal]:
        """Debit less credit of every account in Minox."""
        return self.minox.posted(BOOKS)  # type: ignore[no-any-return]

    def entries(self) -> int:
        """How many entries stand in Minox."""
        return len(self.minox.batches(BOOKS))

    async def statuses(self, combi: UUID | None = None) -> dict[str, str]:
        """Number -> status of the journals."""
        return {one.number: str(one.status) for one in await self.items("journals", combi)}


@asynccontextmanager
async def an_office(
    config: Config, services: Services, box: NmbrsSandbox, others: Mapping[str, Any] | None = None
) -> AsyncIterator[Office]:
    """The hub at night, with Minox connected and its chart complete, and other sandboxes beside."""
    clock, minox = FakeClock(NIGHT), MinoxSandbox()
    box.now = minox.now = lambda: clock.now().timestamp()
    minox.books["tenants"]["41207"] = {"name": "Van der Meulen", "password": "meel", "administrations": {}}
    minox.add_administration(3, "Bakkerij Van der Meulen B.V.")
    for account in CHART:
        ledger = minox.administration(BOOKS)["ledger_accounts"]
        ledger[account] = ledger_account(int(account), f"Rekening {account}", None, account < "4")
    outer = Starlette()
    client = new_client(BrokenPipes(app=outer))
    for name in ("nmbrs", "minox", *(others or {})):
        shipped = registry.get(name)
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    config = config.model_copy(update={"base_url": BASE})
    try:
        async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
            mounts = runner.mounts({"nmbrs": box, "minox": minox, **(others or {})}, "/sandbox")
            outer.router.routes[:] = [*mounts, Mount("/", create_app(hub))]
            key = await create_api_key(hub.database, clock, "eva@vandermeulen.example")
            signed = {"Authorization": f"Bearer {key}"}
            transport = httpx.ASGITransport(outer)
            async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=signed) as api:
                organisation = await _organisation(hub)
                tokens = dict(zip(("access_token", "refresh_token"), minox.grant("41207"), strict=True))
                target = await connect(hub, organisation, "minox", "oauth", "41207", tokens)
                yield Office(hub, None, minox, organisation, target, target, clock, nmbrs=box, api=api, app=outer)
    finally:
        registry._extra.clear()


async def _organisation(hub: Any) -> UUID:
    from sqlalchemy import text

    async with hub.database.system() as session:
        return UUID(str((await session.execute(text("SELECT id FROM organisation"))).scalar_one()))
