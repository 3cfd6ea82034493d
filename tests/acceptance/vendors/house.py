"""What the vendors' servers have in common: a place on a port, bad days, and a record of all calls."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

HTML = "<!DOCTYPE html><html><body><h1>Er is iets misgegaan</h1><p>Probeer het later nog eens.</p></body></html>"


@dataclass
class Fault:
    """A bad day: `kind` befalls the next `times` calls that match, after the first `skip` of them.

    `lost`: done, but the line drops before the answer. `500_after`: done, answered by 500. `drop`: not done, the line
    drops. `500`, `429`, `401`, `html`: not done, answered so.
    """

    kind: str
    method: str = "(GET|POST|PUT|PATCH|DELETE)"
    path: str = ""
    times: int = 1
    skip: int = 0


@dataclass
class Call:
    """One call as it was answered; status 0 means that the line was dropped."""

    at: float
    method: str
    path: str
    status: int
    fault: str


@dataclass
class World:
    """One company's place at a vendor, with the vendor's habits there in `habits`."""

    habits: dict[str, Any]
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    sick_until: float = 0.0

    def habit(self, name: str, otherwise: Any = None) -> Any:
        """How this vendor does it."""
        return self.habits.get(name, otherwise)

    def fault_for(self, method: str, path: str) -> str:
        """What befalls this call; nothing mostly."""
        if time.monotonic() < self.sick_until:
            return "drop"
        for fault in self.faults:
            if fault.times > 0 and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault.kind
        return ""

    def count(self, method: str, path: str) -> int:
        """How often it was called so."""
        return sum(1 for call in self.calls if re.fullmatch(method, call.method) and re.search(path, call.path))


class Dump(json.JSONEncoder):
    """Money becomes a JSON number with two decimals."""

    def default(self, o: Any) -> Any:
        """Decimals only."""
        return float(o) if isinstance(o, Decimal) else super().default(o)


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; `...` is an empty body."""
    if content is ...:
        return Response(b"", status, dict(headers or {}))
    return Response(json.dumps(content, cls=Dump), status, dict(headers or {}), "application/json")


class Vendor:
    """An ASGI application of a vendor: finds the world of a call, lets the faults happen, and keeps the record."""

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        raise NotImplementedError

    def world_of(self, request: Request) -> World | None:
        """Whose place is called, if the address says so."""
        raise NotImplementedError

    async def handle(self, request: Request) -> Response:
        """The vendor's own answer."""
        raise NotImplementedError

    def too_many(self, world: World) -> Response | None:
        """An answer when the world's limit is reached."""
        return None

    def faulty(self, kind: str) -> Response:
        """An answer that says no more than its status."""
        status = 200 if kind == "html" else int(kind.removesuffix("_after"))
        retry = {"retry-after": "2"} if status == 429 else None
        return HTMLResponse(HTML, status, retry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        await request.body()
        world = self.world_of(request)
        method, path = request.method, request.url.path
        kind = world.fault_for(method, path) if world else ""
        if kind in ("", "lost", "500_after"):
            response = (self.too_many(world) if world else None) or await self.handle(request)
            if kind and response.status_code >= 300:
                kind = ""
            if kind == "500_after":
                response = self.faulty(kind)
        elif kind != "drop":
            response = self.faulty(kind)
        dropped = kind in ("lost", "drop")
        if world:
            world.calls.append(Call(time.monotonic(), method, path, 0 if dropped else response.status_code, kind))
        if dropped:
            getattr(send, "__self__").transport.abort()  # noqa: B009 - uvicorn's own cycle, not part of ASGI
            return
        await response(scope, receive, send)


class Street:
    """All vendors on one port of this machine, served by a thread; it can close and open again."""

    def __init__(self, houses: Mapping[str, Vendor]) -> None:
        self.houses = dict(houses)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a call to the house its first segment names."""
        if scope["type"] == "lifespan":
            return
        name = scope["path"].split("/")[1]
        house = self.houses.get(name)
        if house is None:
            await Response("no such house", 404)(scope, receive, send)
            return
        await house({**scope, "path": scope["path"][len(name) + 1 :] or "/"}, receive, send)

    def open(self) -> None:
        """Serve."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self(scope, receive, send)

        self._server = uvicorn.Server(
            uvicorn.Config(
                app, port=self.port, log_level="critical", access_log=False, lifespan="off", proxy_headers=False
            )
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)  # type: ignore[union-attr]
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def close(self) -> None:
        """Refuse every call from now on."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
