"""A whole hub with its sandboxes and worker on a port of its own, and customers in real browsers."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from hub import sandbox as sandboxes
from hub.app import create_app
from hub.assembly import hub as assembled
from hub.config import Config, SecretKey
from hub.connections.facts import sandboxed
from hub.engine import registry
from hub.engine.hub import Hub
from hub.kit.embedded import Services
from hub.organisations import repository as accounts
from hub.organisations.service import create_api_key
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
    """The hub, the packages' own books, and what browsers should not have asked for or complained about."""

    hub: Hub
    boxes: Mapping[str, Sandbox]
    base: str
    mail: Path
    browser: Browser
    strangers: list[str] = field(default_factory=list)
    """What our pages asked of anybody but the hub itself, and what went anywhere but to the hub and the packages."""
    used: set[str] = field(default_factory=set)
    """Login links that were followed."""
    complaints: list[str] = field(default_factory=list)
    """What the browsers' consoles said about our pages' policy and scripts."""

    async def visitor(self, **facts: Any) -> Page:
        """Somebody new, with a browser of their own."""
        context = await self.browser.new_context(**{"base_url": self.base, "locale": "nl-NL", **facts})
        context.set_default_timeout(PATIENCE_S * 1000)
        self._listen(context)
        return await context.new_page()

    def _listen(self, context: BrowserContext) -> None:
        context.on("request", self._requested)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))

    def _requested(self, request: Request) -> None:
        ours = request.url.startswith(f"{self.base}/")
        package = request.url.startswith(f"{self.base.replace('127.0.0.1', ELSEWHERE)}/sandbox/")
        if not ours and not (package and request.is_navigation_request()) and not self._from_package(request):
            self.strangers.append(request.url)

    def _from_package(self, request: Request) -> bool:
        """Whether one of the packages' own pages asked for it: that is no business of ours."""
        return not request.is_navigation_request() and f"//{ELSEWHERE}:" in request.frame.url

    def _said(self, said: ConsoleMessage) -> None:
        words = said.text
        if "Content Security Policy" in words or (said.type == "error" and "Failed to load resource" not in words):
            self.complaints.append(f"{said.type}: {words}")

    async def log_in(self, page: Page, email: str, organisation: str | None = None) -> None:
        """Logs in by mail; who has no account gets one, in an organisation of their own or in the one that is named."""
        async with self.hub.database.system() as session:
            known = await accounts.user_by_email(session, email)
        if known is None or organisation:
            await create_api_key(self.hub.database, self.hub.clock, email, organisation)
        await page.goto("/login")
        await page.locator("input[name=email]").fill(email)
        await page.locator("main form button").click()
        await self.follow_mail(page)
        await expect(page.locator(".who-name")).to_have_text(email)

    async def follow_mail(self, page: Page) -> None:
        """Opens the login link that comes by mail, and presses its button."""
        await until(lambda: set(self.links()) > self.used)
        (link,) = set(self.links()) - self.used
        self.used.add(link)
        await page.goto(link)
        await page.locator("main form button").click()

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
    async with generous(), assembled(config, services) as hub:
        app = create_app(hub)
        app.router.routes.extend(sandboxes.mounts(boxes, "/sandbox"))
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve())
        worker = asyncio.create_task(work(hub, services.redis_url, sweep_s=0.5))
        try:
            await until(lambda: server.started)
            yield Stage(hub, boxes, base, folder / "mail", browser)
        finally:
            server.should_exit = True
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
            await serving


@asynccontextmanager
async def generous() -> AsyncIterator[None]:
    """Packages that grant more calls a minute than the real ones do, so that no test waits out of politeness."""
    shipped = registry.all_connectors()
    for one in shipped.values():
        rate = one.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 1000})
        registry.add(replace(one, manifest=one.manifest.model_copy(update={"rate_limit": rate})))
    try:
        yield
    finally:
        for one in shipped.values():
            registry.add(one)


async def until(holds: Callable[[], bool]) -> None:
    """Waits for something that happens elsewhere. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)


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
