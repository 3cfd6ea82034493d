"""A hub with its worker, all sandboxes beside it, and a customer who knows the API and owns a browser."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2 as httpx

from hub.engine.hub import Hub
from hub.sdk.sandbox import Sandbox
from tests.matrix.package import Package

BASE = "http://hub.test"
INPUT = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
FORM = re.compile(r'<form\b(?:[^>]* action="([^"]*)")?[^>]*>')
PATIENCE_S = 120.0


@dataclass
class Town:
    """Where it all stands. `app` serves the API, the pages and the sandboxes."""

    hub: Hub
    app: Any
    boxes: Mapping[str, Sandbox]


class Customer:
    """One organisation's key, and a browser with cookies."""

    def __init__(self, town: Town, key: str) -> None:
        self.town = town
        headers = {"Authorization": f"Bearer {key}", "Accept-Language": "nl"}
        self._api = httpx.AsyncClient(transport=httpx.ASGITransport(town.app), base_url=BASE, headers=headers)
        self._browser = httpx.AsyncClient(transport=httpx.ASGITransport(town.app), base_url=BASE)

    async def close(self) -> None:
        """Closes both."""
        await self._api.aclose()
        await self._browser.aclose()

    async def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """The JSON of a call, which must end as told (by default: well)."""
        answer = await self._api.request(method, f"/v1{path}", json=body, timeout=60)
        good = answer.status_code == status if status else answer.is_success
        assert good, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def connect(self, connector: str, facts: Package) -> str:
        """An active connection, by what is typed or by the package's own consent pages."""
        made = await self.call("POST", "/connections", {"connector": connector, "fields": dict(facts.fields)}, 201)
        if made["status"] == "pending":
            page = await self.consent(made["authorization_url"], facts.login)
            made = await self.call("GET", f"/connections/{made['id']}")
            assert made["status"] == "active", f"{connector}: {made} {page.url} {page.text[:1000]}"
        return str(made["id"])

    async def consent(self, url: str, login: Mapping[str, str]) -> httpx.Response:
        """Follows an address as a browser does: redirects, forms that post themselves, and the consent page."""
        answer = await self._browser.get(url)
        for _ in range(12):
            form = FORM.search(answer.text)
            if answer.is_redirect:
                answer = await self._browser.get(urljoin(str(answer.url), answer.headers["location"]))
                continue
            if form is None or answer.status_code != 200 or 'name="csrf"' in answer.text:
                break
            here = str(answer.url)
            there = urljoin(here, unescape(form[1])) if form[1] else here
            fields = {name: unescape(value) for name, value in INPUT.findall(answer.text)}
            fields |= {name: value for name, value in login.items() if name in fields}
            asked = {"consent": "yes"} if 'name="consent"' in answer.text else {}
            answer = await self._posted(here, there, fields | asked)
        return answer

    async def _posted(self, here: str, there: str, fields: Mapping[str, str]) -> httpx.Response:
        """A post to another house brings no SameSite=Lax cookie along."""
        if _house(here) == _house(there):
            return await self._browser.post(there, data=fields)
        kept, self._browser.cookies = self._browser.cookies, httpx.Cookies()
        try:
            return await self._browser.post(there, data=fields)
        finally:
            self._browser.cookies = kept

    async def run(self, combi: str) -> Any:
        """A run that a worker worked to its end."""
        run = await self.call("POST", f"/combis/{combi}/runs", {}, 202)
        until = time.monotonic() + PATIENCE_S
        while run["status"] != "finished":
            assert time.monotonic() < until, run
            await asyncio.sleep(0.1)
            run = await self.call("GET", f"/runs/{run['id']}")
        return run

    async def items(self, combi: str) -> list[Any]:
        """All documents of a combi, each with its findings."""
        listed = (await self.call("GET", f"/combis/{combi}/items?limit=100"))["data"]
        return [await self.call("GET", f"/items/{one['id']}") for one in listed]


def _house(url: str) -> str:
    """Whose page it is: the hub's own, or a sandbox's."""
    parts = urlsplit(url).path.split("/")
    return parts[2] if parts[1] == "sandbox" else ""
