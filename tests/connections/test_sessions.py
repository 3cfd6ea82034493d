"""Packages with sessions: a lasting token is traded for a session, once for all workers, and is itself never lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from hub.accounting.documents import Finding
from hub.config import Config
from hub.connections import repository, vault
from hub.engine import registry
from hub.kit.database import Database
from hub.sdk.connector import Connector
from hub.sdk.errors import ReauthRequired, TransientError
from hub.sdk.manifest import Manifest
from hub.sdk.settings import Settings
from tests.connections import house as building
from tests.connections.house import House, csrf_of, identify
from tests.connections.test_refresh import another_worker, opened, stored, who

TOKEN = "lasting-token-0001"


@dataclass
class Doorman:
    """A package that opens sessions."""

    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: "t1"})
    sessions: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    life: int = 3600
    fault: Response | None = None
    slow_s: float = 0

    def app(self) -> Starlette:
        """As ASGI."""
        return Starlette(
            routes=[
                Route("/v1/session", self.open, methods=["POST"]),
                Route("/v1/session", self.close, methods=["DELETE"]),
                Route("/v1/me", self.me),
            ]
        )

    async def open(self, request: Request) -> Response:
        """A session for a token that is known."""
        self.asked.append(await request.json())
        await asyncio.sleep(self.slow_s)
        if self.fault is not None:
            return self.fault
        company = self.tokens.get(self.asked[-1].get("accessToken", ""))
        if company is None:
            return JSONResponse({"code": "SECURITY_010", "title": "Not authenticated"}, 401)
        session = f"session-token-{len(self.asked)}"
        self.sessions[session] = company
        return JSONResponse({"token": session, "expiresIn": self.life})

    async def close(self, request: Request) -> Response:
        """The end of one."""
        self.ended.append(request.headers.get("authorization", ""))
        self.sessions.pop(self.ended[-1], None)
        return Response(status_code=204)

    async def me(self, request: Request) -> Response:
        """Whose session it is."""
        company = self.sessions.get(request.headers.get("authorization", ""))
        return JSONResponse({"tenant": company, "name": "Houtwerf"} if company else {}, 200 if company else 401)


@pytest.fixture
def doorman() -> Doorman:
    return Doorman()


@pytest.fixture
async def home(
    config: Config, database: Database, redis: Redis, clean: None, tmp_path: Path, doorman: Doorman
) -> AsyncIterator[House]:
    """The hub beside that package."""
    facts = Manifest.model_validate(
        {
            "name": "door",
            "title": "Door",
            "docs": "https://door.example",
            "auth": [
                {
                    "kind": "session",
                    "fields": [{"name": "api_token", "pattern": "^[\\x21-\\x7e]{8,}$", "secret": True}],
                    "headers": {"Authorization": "{session_token}"},
                    "session": {
                        "body": {"accessToken": "{api_token}", "source": "Hub"},
                        "dead_codes": ["TOKEN_ENDED"],
                        "end": "DELETE",
                    },
                }
            ],
            "endpoints": {"API": "https://api.door.nl/v1"},
            "rate_limit": {"per_minute": 600_000, "burst": 1000},
        }
    )
    registry.add(Connector(manifest=facts, settings=Settings, identify=identify))
    mount = Mount("/sandbox/door", doorman.app())
    async with building.house(config, database, redis, tmp_path, mount) as built:
        yield built


async def connected(house: House, token: str = TOKEN) -> UUID:
    async with house.api() as api:
        answer = await api.post("/v1/connections", json={"connector": "door", "fields": {"api_token": token}})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["auth"], answer.json()["status"]) == ("session", "active")
    return UUID(answer.json()["id"])


async def secrets(house: House, connection: UUID) -> dict[str, str]:
    async with house.hub.database.system() as session:
        row = await repository.get(session, connection)
        assert row is not None
        return vault.opened(house.clients.keys, row)


async def test_a_token_is_tried_before_it_is_kept(home: House, doorman: Doorman) -> None:
    connection = await connected(home)

    assert doorman.asked == [{"accessToken": TOKEN, "source": "Hub"}]
    assert await secrets(home, connection) == {"api_token": TOKEN}
    assert (await home.connection(connection))["identity"]["tenant"] == "t1"


async def test_the_token_is_never_shown(home: House) -> None:
    shown = await home.connection(await connected(home))

    assert TOKEN not in str(shown)
    assert shown["fields"] == {}


@pytest.mark.parametrize(
    "fault",
    [None, JSONResponse({"code": "TOKEN_ENDED"}, 400), JSONResponse({"code": "X"}, 400), Response(status_code=401)],
)
async def test_a_refused_token_is_not_kept(home: House, doorman: Doorman, fault: Response | None) -> None:
    doorman.fault = fault
    async with home.api() as api:
        wrong = {"connector": "door", "fields": {"api_token": "another-token"}}
        answer = await api.post("/v1/connections", json=wrong)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["fields.api_token"]


@pytest.mark.parametrize("fault", [HTMLResponse("<h1>Bad gateway</h1>", 502), HTMLResponse("<h1>No</h1>", 403)])
async def test_a_package_that_is_away_says_nothing_of_a_token(home: House, doorman: Doorman, fault: Response) -> None:
    doorman.fault = fault
    async with home.api() as api:
        answer = await api.post("/v1/connections", json={"connector": "door", "fields": {"api_token": TOKEN}})

    assert answer.status_code == 503


async def test_a_session_is_opened_once_and_used_until_near_its_end(home: House, doorman: Doorman) -> None:
    link = await opened(home, await connected(home))
    for seconds in (0, 1800, 1739):
        home.clock.advance(seconds)
        assert await who(link) == "t1"
    assert len(doorman.asked) == 2  # the trial's, and this one
    home.clock.advance(2)
    assert await who(link) == "t1"
    assert len(doorman.asked) == 3


@pytest.mark.parametrize("how", ["ended", "refused", "never opened"])
async def test_twenty_users_open_one_session(home: House, doorman: Doorman, how: str) -> None:
    connection = await connected(home)
    workers = [another_worker(home) for _ in range(4)]
    if how != "never opened":
        await who(await opened(home, connection))
    links = [await opened(home, connection, workers[number % 4]) for number in range(20)]
    if how == "refused":
        doorman.sessions.clear()
    if how == "ended":
        home.clock.advance(3590)
    before, doorman.slow_s = len(doorman.asked), 0.2

    assert await asyncio.gather(*map(who, links)) == ["t1"] * 20
    assert len(doorman.asked) == before + 1


async def test_the_lasting_token_outlives_every_session(home: House, doorman: Doorman) -> None:
    connection = await connected(home)
    for _ in range(3):
        await who(await opened(home, connection))
        doorman.sessions.clear()
        home.clock.advance(10)

    held = await secrets(home, connection)
    assert held["api_token"] == TOKEN
    assert held["session_token"].startswith("session-token-")


async def test_a_withdrawn_token_needs_a_human_and_a_new_one_brings_everything_back(
    home: House, doorman: Doorman
) -> None:
    connection = await connected(home)
    link = await opened(home, connection)
    await who(link)
    doorman.sessions.clear()
    doorman.tokens = {"another-token": "t1"}

    with pytest.raises(ReauthRequired):
        await who(link)
    shown = await home.connection(connection)
    assert (shown["status"], shown["reason"]["key"]) == ("needs_reauth", "lasting_token_refused")
    assert len(home.mails()) == 1
    async with home.api() as api:
        body = {"fields": {"api_token": "another-token"}}
        answer = await api.post(f"/v1/connections/{connection}/reauthorize", json=body)
    assert answer.json()["status"] == "active"
    assert await who(await opened(home, connection)) == "t1"


async def test_a_session_endpoint_in_trouble_is_no_dead_token_and_is_left_alone_for_a_while(
    home: House, doorman: Doorman
) -> None:
    connection = await connected(home)
    link = await opened(home, connection)
    await who(link)
    home.clock.advance(3700)
    before, doorman.fault = len(doorman.asked), HTMLResponse("<h1>Maintenance</h1>", 503)

    for _ in range(3):
        with pytest.raises(TransientError):
            await who(link)
    assert len(doorman.asked) == before + 1
    doorman.fault = None
    home.clock.advance(60)
    assert await who(link) == "t1"
    assert (await stored(home, connection))["status"] == "active"


async def test_a_session_that_is_refused_when_fresh_needs_a_human_and_does_not_loop(
    home: House, doorman: Doorman
) -> None:
    link = await opened(home, await connected(home))
    before, doorman.life = len(doorman.asked), 3600
    doorman.sessions = _Forgetful()

    with pytest.raises(ReauthRequired):
        await who(link)
    assert len(doorman.asked) <= before + 2


class _Forgetful(dict[str, str]):
    def __setitem__(self, key: str, value: str) -> None:
        return


async def test_a_removed_connection_ends_its_session(home: House, doorman: Doorman) -> None:
    connection = await connected(home)
    await who(await opened(home, connection))
    async with home.api() as api:
        assert (await api.delete(f"/v1/connections/{connection}")).status_code == 204

    assert doorman.ended == ["session-token-2"]


async def test_the_page_that_the_mail_leads_to_takes_a_new_token(home: House, doorman: Doorman) -> None:
    connection = await connected(home)
    await home.clients.died(await home.organisation(), connection, Finding(key="lasting_token_refused"))
    doorman.tokens = {"another-token": "t1", "a-strangers-token": "t2"}
    place = f"/connections/{connection}/reauthorize"
    async with home.browser() as browser:
        await home.log_in(browser, "owner@partner.nl")
        for token, status in (("wrong-token", 422), ("a-strangers-token", 409), ("another-token", 200)):
            csrf = csrf_of(await browser.get(place))
            answer = await browser.post(place, data={"csrf": csrf, "fields.api_token": token})
            assert answer.status_code == status, answer.text
            assert token not in answer.text

    assert (await home.connection(connection))["status"] == "active"
    assert (await secrets(home, connection))["api_token"] == "another-token"
