"""A bookkeeper at a browser: logged in, with combis that really ran between the sandboxes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
from redis.asyncio import Redis
from sqlalchemy import text

from connectors.nmbrs import sandbox as nmbrs
from hub import sandbox as sandboxes
from hub.config import Config
from hub.engine.engine import Engine
from hub.kit.database import Database
from hub.organisations.models import Role
from hub.sdk.sandbox import Sandbox
from tests.connections import house as building
from tests.connections.house import House, csrf_of, follow
from tests.connectors.support import NoLimit

OWNER = "owner@partner.nl"
STRANGER = "stranger@elsewhere.nl"
HOMES = {"myorganizationprofile:91c0de77aa10b2c4": "41207/3", "myorganizationprofile:5e20bb01cc93d7aa": "41207/4"}


@dataclass
class Office:
    """The hub, the packages' books, and browsers by who sits at them."""

    house: House
    boxes: Mapping[str, Sandbox]
    browser: httpx.AsyncClient
    csrf: str = ""
    others: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.house.hub.engine

    async def get(self, path: str, expected: int = 200) -> str:
        """A page as people read it."""
        answer = await self.browser.get(path)
        assert answer.status_code == expected, answer.text
        return unescape(answer.text)

    async def post(self, path: str, expected: int = 303, **form: Any) -> httpx.Response:
        """Send a form of ours."""
        answer = await self.browser.post(path, data={"csrf": self.csrf, **form})
        assert answer.status_code == expected, answer.text
        return answer

    async def somebody(self, email: str = STRANGER, role: Role | None = None) -> tuple[httpx.AsyncClient, str]:
        """Another browser, with its proof: a member with a role in this organisation, or of one of their own."""
        if role is None:
            await self.house.another_key(email)
        else:
            async with self.house.api() as api:
                made = await api.post("/v1/members", json={"email": email, "role": role.value})
                assert made.status_code in (200, 201), made.text
        browser = self.house.browser()
        self.others.append(browser)
        return browser, await self.house.log_in(browser, email)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a call to the API."""
        async with self.house.api() as api:
            answer = await api.request(method, f"/v1{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def combi(self) -> UUID:
        """Simplicate → Minox, installed and run once."""
        source = await self.linked(
            "simplicate", {"domain": "waterlinie"}, email="anna@waterlinie.example", password="zandbak"
        )
        number, home = next(iter(self.boxes["minox"].books["tenants"].items()))  # type: ignore[attr-defined]
        target = await self.linked("minox", {}, customer_number=number, user="MINOX", password=home["password"])
        settings = {"journal": "VERK", "administrations": HOMES}
        return await self._made("simplicate-minox", source, target, settings)

    async def payroll(self, **settings: Any) -> UUID:
        """Nmbrs → Minox, installed and run once."""
        source = (
            await self.call(
                "POST",
                "/connections",
                {"connector": "nmbrs", "fields": {"email": nmbrs.OWNER, "api_token": nmbrs.TOKEN}},
            )
        )["id"]
        number, home = next(iter(self.boxes["minox"].books["tenants"].items()))  # type: ignore[attr-defined]
        target = await self.linked("minox", {}, customer_number=number, user="MINOX", password=home["password"])
        chosen = {"administrations": {"1": "41207/3"}, "ignored_companies": ["2", "3", "4"], "start_year": 2026,
                  "start_period": 1, **settings}  # fmt: skip
        return await self._made("nmbrs-minox", source, target, chosen)

    async def linked(self, connector: str, fields: Mapping[str, str], **login: str) -> str:
        """A connection, by the package's own consent page."""
        made = await self.call("POST", "/connections", {"connector": connector, "fields": fields})
        async with self.house.browser() as browser:
            page = await follow(browser, made["authorization_url"])
            back = await browser.post(str(page.url), data={**login, "consent": "yes"})
            await follow(browser, back.headers["location"])
        assert (await self.call("GET", f"/connections/{made['id']}"))["status"] == "active"
        return str(made["id"])

    async def _made(self, recipe: str, source: str, target: str, settings: Mapping[str, Any]) -> UUID:
        asked = {"recipe": recipe, "source_connection_id": source, "target_connection_id": target}
        made = await self.call("POST", "/combis", {**asked, "settings": settings})
        await self.call("POST", f"/combis/{made['id']}/activate")
        await self.run(made["id"])
        return UUID(made["id"])

    async def run(self, combi_id: object) -> UUID:
        """A run to its end."""
        run = await self.call("POST", f"/combis/{combi_id}/runs", {})
        await self.engine.run_to_end(UUID(run["id"]))
        return UUID(run["id"])

    async def work(self) -> None:
        """Whatever a click asked for, to its end."""
        await self.engine.drain()

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Straight from the tables."""
        async with self.house.hub.database.system() as session:
            return list(await session.execute(text(query), values))

    async def item(self, number: str) -> Any:
        """A document's row by its number."""
        (row,) = await self.rows("SELECT * FROM item WHERE number = :number AND flow <> 'payments'", number=number)
        return row


@asynccontextmanager
async def office(config: Config, database: Database, redis: Redis, folder: Path) -> AsyncIterator[Office]:
    """Open it."""
    boxes = sandboxes.load()
    async with building.house(config, database, redis, folder, *sandboxes.mounts(boxes, "/sandbox")) as house:
        hub = house.hub
        house.clients._limiter = NoLimit()  # the packages' own pace is not what is tested here
        hub.engine = Engine(database, house.clock, house.clients, hub.doorbell)
        async with house.browser() as browser:
            opened = Office(house, boxes, browser)
            await house.log_in(browser, OWNER)
            opened.csrf = csrf_of(await browser.get("/"))
            try:
                yield opened
            finally:
                for other in opened.others:
                    await other.aclose()
