"""The hub as processes of its own, and a stranger who knows only its API and owns a browser."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2 as httpx

from tests.acceptance.vendors.eaccounting import Eaccounting
from tests.acceptance.vendors.eboekhouden import Eboekhouden
from tests.acceptance.vendors.house import Street
from tests.acceptance.vendors.minox import Minox
from tests.acceptance.vendors.minuba import Minuba
from tests.acceptance.vendors.simplicate import Simplicate

HOUSE = Path(__file__).parents[2]


class Processes:
    """`hub serve` and a `hub worker`, on embedded services in a folder of their own, against vendors on a street."""

    def __init__(self, folder: Path, street: Street) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.port = port
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
            "HUB_DATA_DIR": str(folder / "data"),
            "HUB_BASE_URL": self.url,
            "HUB_LOG_FORMAT": "json",
        }
        for name, house in street.houses.items():
            self.environment |= house.environment(f"{street.url}/{name}")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, *words: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", *words],
            env=self.environment,
            cwd=HOUSE,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def start(self, name: str, *words: str) -> None:
        """A process under a name; what it says goes to a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *words], env=self.environment, cwd=HOUSE, stdout=log, stderr=log
            )

    def open(self) -> None:
        """Serve and work; returns when the hub says that it is ready."""
        self.start("serve", "serve", "--port", str(self.port))
        until = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > until or self.running["serve"].poll() is not None:
                raise AssertionError((self.folder / "serve.log").read_text()[-3000:])
            time.sleep(0.2)
        self.start("worker", "worker")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait(10)

    def close(self) -> None:
        """End all, the server last."""
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def log(self) -> str:
        """All that the processes said."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


class Stranger:
    """Somebody with an API key and a browser, who has read api.md and nothing else."""

    def __init__(self, hub: Processes, key: str, language: str = "nl") -> None:
        self.api = httpx.Client(
            base_url=f"{hub.url}/v1",
            timeout=60,
            headers={"Authorization": f"Bearer {key}", "Accept-Language": language},
        )
        self.browser = httpx.Client(timeout=30)

    def call(self, method: str, path: str, body: Any = None, status: int | None = None, **more: Any) -> Any:
        """The JSON of a call, which must end as told (by default: well)."""
        answer = self.api.request(method, path, json=body, **more)
        good = answer.status_code == status if status else answer.is_success
        assert good, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def consent(self, url: str, login: dict[str, str]) -> httpx.Response:
        """Follows an address as a browser does, fills in the vendor's form, and gives the last page."""
        answer = self.browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                answer = self.browser.get(urljoin(str(answer.url), answer.headers["location"]))
            elif posted := re.search(r'<form[^>]* action="(http[^"]+)"', answer.text):
                # It posts itself to another site: a browser sends no SameSite=Lax cookie with that.
                hidden = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text)
                kept, self.browser.cookies = self.browser.cookies, httpx.Cookies()
                fields = {name: unescape(value) for name, value in hidden}
                answer = self.browser.post(unescape(posted[1]), data=fields)
                self.browser.cookies = kept
            elif "<form" in answer.text and any(f'name="{name}"' in answer.text for name in login):
                hidden = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text)
                buttons = re.findall(r'<button[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text)
                fields = {name: unescape(value) for name, value in [*hidden, *buttons]} | login
                answer = self.browser.post(str(answer.url), data=fields)
            else:
                break
        return answer

    def connect(self, connector: str, fields: dict[str, str], login: dict[str, str] | None = None) -> str:
        """A connection that is active at the end."""
        made = self.call("POST", "/connections", {"connector": connector, "fields": fields}, 201)
        if made["status"] == "pending":
            page = self.consent(made["authorization_url"], login or {})
            made = self.call("GET", f"/connections/{made['id']}")
            assert made["status"] == "active", f"{connector}: {made} {page.url} {page.text[:2000]}"
        return str(made["id"])

    def run(self, combi: str, patience_s: float = 120, **body: Any) -> Any:
        """A run that has ended."""
        until = time.monotonic() + patience_s
        while True:
            answer = self.api.post(f"/combis/{combi}/runs", json=body)
            if answer.status_code != 409 or time.monotonic() > until:
                break
            time.sleep(0.3)
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["id"], until - time.monotonic())

    def ended(self, run: str, patience_s: float = 120) -> Any:
        """A run when it has ended."""
        until = time.monotonic() + patience_s
        while (found := self.call("GET", f"/runs/{run}"))["status"] != "finished":
            assert time.monotonic() < until, found
            time.sleep(0.3)
        return found

    def all(self, path: str, **query: Any) -> list[Any]:
        """Every row of a list, page by page."""
        rows, cursor = [], None
        while True:
            page = self.call("GET", path, params={**query, "limit": 50, **({"cursor": cursor} if cursor else {})})
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows

    def items(self, combi: str, **query: Any) -> list[Any]:
        """All documents of a combi."""
        return self.all(f"/combis/{combi}/items", **query)


@dataclass
class Scene:
    """The hub, its vendors, and keys for whoever comes."""

    hub: Processes
    simplicate: Simplicate
    minox: Minox
    minuba: Minuba
    eaccounting: Eaccounting
    eboekhouden: Eboekhouden
    street: Street
    keys: list[str]

    def stranger(self, number: int = 0) -> Stranger:
        """Somebody of the first, second … organisation."""
        return Stranger(self.hub, self.keys[number])
