"""Minuba's consent in a real browser: its answer is posted from another site, and the browser is known all the same."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from shutil import which

import pytest
import uvicorn
from playwright.async_api import async_playwright
from starlette.types import ASGIApp

from connectors.minuba.sandbox import MinubaSandbox
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine.hub import Hub
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.organisations.service import create_api_key
from hub.sdk.http import new_browser

CHROMIUM = which("chromium") or which("google-chrome") or ""


@dataclass
class Sites:
    """The hub on 127.0.0.1, Minuba on localhost: two sites to a browser."""

    hub: Hub
    url: str


@pytest.fixture
async def sites(config: Config, services: Services, database: Database, clean: None) -> AsyncIterator[Sites]:
    box = MinubaSandbox()
    box.seed()
    ports = [_free_port(), _free_port()]
    minuba = f"http://localhost:{ports[1]}"
    places = {"API": f"{minuba}/api/1", "AUTHORIZE": f"{minuba}/oauth2/authorize", "TOKEN": f"{minuba}/oauth2/token"}
    client = {"client_id": "hub", "client_secret": "geheim"}
    own = config.model_copy(
        update={
            "sandbox": False,
            "base_url": f"http://127.0.0.1:{ports[0]}",
            "endpoints": {"minuba": places},
            "oauth": {"minuba": client},
        }
    )
    async with assembled(own, services) as hub:
        servers = [await _served(create_app(hub), ports[0]), await _served(box.app, ports[1])]
        yield Sites(hub, own.base_url)
        for server, task in servers:
            server.should_exit = server.force_exit = True
            await task


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _served(app: ASGIApp, port: int) -> tuple[uvicorn.Server, asyncio.Task[None]]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, host="127.0.0.1", log_level="critical", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)
    return server, task


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
async def test_the_posted_answer_reaches_the_browser_that_began(sites: Sites) -> None:
    key = await create_api_key(sites.hub.database, sites.hub.clock, "jan@molenaar.example")
    api = new_browser(sites.url, {"Authorization": f"Bearer {key}"})
    made = (await api.post("/v1/connections", json={"connector": "minuba", "fields": {}})).json()
    async with async_playwright() as player:
        chromium = await player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await chromium.new_page()
        await page.goto(made["authorization_url"])
        await page.click("button[value=yes]")
        await page.wait_for_url(f"{sites.url}/oauth/callback*")
        shown = await page.inner_text("body")
        await chromium.close()
    found = (await api.get(f"/v1/connections/{made['id']}")).json()
    await api.aclose()

    assert found["status"] == "active", shown
    assert "Minuba" in shown
