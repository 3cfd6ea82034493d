"""A whole hub with its sandboxes and worker on a port of its own, and customers in real browsers."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, expect

from hub import sandbox as sandboxes
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config, SecretKey
from hub.connections.facts import sandboxed
from hub.engine import registry
from hub.engine.hub import Hub
from hub.kit.embedded import Services
from hub.sdk.sandbox import Sandbox
from hub.worker import work

PATIENCE_S = 30
"""How long a page or a run may take on a machine that has much else to do."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
ELSEWHERE = "localhost"
"""The packages' consent pages live on another site than the hub: a browser keeps the hub's cookies from its posts."""

expect.set_options(timeout=PATIENCE_S * 1000)


def chromium() -> str | None:
    """Where a Chromium is; None when there is none."""
    found = [shutil.which(name) for name in (os.environ.get("HUB_TEST_CHROMIUM", ""), *NAMES) if name]
    return next(filter(None, found), None)


@dataclass
class Stage:
    """The hub, the packages' own books, and everything that browsers asked for and complained about."""

    hub: Hub
    boxes: Mapping[str, Sandbox]
    base: str
    mail: Path
    browser: Browser
    requested: set[str] = field(default_factory=set)
    """Scheme, host and port of everything that a page asked for."""
    complaints: list[str] = field(default_factory=list)
    """What the browsers' consoles said."""

    async def visitor(self, **facts: Any) -> Page:
        """Somebody new, with a browser of their own."""
        context = await self.browser.new_context(**{"base_url": self.base, "locale": "nl-NL", **facts})
        context.set_default_timeout(PATIENCE_S * 1000)
        self._listen(context)
        return await context.new_page()

    def _listen(self, context: BrowserContext) -> None:
        def asked(url: str) -> None:
            parts = urlsplit(url)
            self.requested.add(f"{parts.scheme}://{parts.netloc}")

        context.on("request", lambda request: asked(request.url))
        context.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))

    async def log_in(self, page: Page, email: str) -> None:
        """Logs in by mail."""
        before = len(self.links())
        await page.goto("/login")
        await page.locator("input[name=email]").fill(email)
        await page.locator("main form button").click()
        async with asyncio.timeout(PATIENCE_S):
            while len(self.links()) == before:
                await asyncio.sleep(0.05)
        await page.goto(self.links()[-1])
        await page.locator("main form button").click()
        await expect(page.locator(".who-name")).to_have_text(email)

    def links(self) -> list[str]:
        """The login links that were mailed, the oldest first."""
        return [found for _, mail in self.mails() for found in re.findall(rf"{re.escape(self.base)}/login/\S+", mail)]

    def mails(self) -> list[tuple[str, str]]:
        """Receiver and text of the mails that were sent, the oldest first."""
        found = []
        for path in sorted(self.mail.glob("*.eml")):
            parsed = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
            found.append((str(parsed["To"]), str(parsed.get_content())))
        return found


@asynccontextmanager
async def stage(config: Config, services: Services, browser: Browser, folder: Path) -> AsyncIterator[Stage]:
    """Build it on the running servers."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    boxes = sandboxes.load()
    config = config.model_copy(
        update={
            "base_url": base,
            "data_dir": folder,
            "oauth": {},
            "endpoints": {name: _consent_elsewhere(name, port) for name in boxes},
            "smtp_url": None,
            "sandbox": True,
            "secret_keys": [SecretKey("test", bytes(range(32)))],
        }
    )
    async with assembled(config, services) as hub:
        app = create_app(hub)
        app.router.routes.extend(sandboxes.mounts(boxes, "/sandbox"))
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve())
        worker = asyncio.create_task(work(hub, services.redis_url, sweep_s=0.5))
        try:
            while not server.started:
                await asyncio.sleep(0.02)
            yield Stage(hub, boxes, base, folder / "mail", browser)
        finally:
            server.should_exit = True
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
            await serving


def _consent_elsewhere(name: str, port: int) -> dict[str, str]:
    """A package's consent page under another host name than the hub's; its other addresses stay the sandbox's."""
    template = registry.get(name).manifest.endpoints.get("AUTHORIZE", "")
    base = f"http://{ELSEWHERE}:{port}/sandbox/{name}"
    return {"AUTHORIZE": sandboxed(template, base)} if template else {}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
