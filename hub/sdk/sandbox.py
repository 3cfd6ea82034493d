"""What every sandbox shares: books that can be looked into, faults that can be switched on, consent pages, counters.

A sandbox is an ASGI application that behaves as the dossier says the package does. Three uses, one fake: tests, the
demo, and a partner's playground. Control lives under `/_sandbox` of each: `GET/PUT books`, `GET/PUT switches`,
`POST faults`, `GET calls`, `POST reset`. Tests in the same process use the object itself.
"""

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hub.kit import json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FaultKind = Literal["busy", "lost", "error", "slow", "expired", "html", "malformed", "refused"]
"""busy: 429, nothing happens. lost: it happens, the answer is a cut connection. error: it happens, the answer is 500.
refused: 500 and nothing happens. slow: a delay. expired: 401. html: a gateway's page. malformed: broken JSON."""


@dataclass
class Fault:
    """A fault for the next `times` matching calls, after letting `after` of them through."""

    kind: FaultKind
    method: str = "*"
    path: str = ""
    """A part of the path; empty: every path."""
    times: int = 1
    after: int = 0
    seconds: float = 1
    """How long `slow` takes and what `Retry-After` says for `busy`; 0: no header."""

    def matches(self, method: str, path: str) -> bool:
        """True when this call is the fault's; counts down."""
        if self.times <= 0 or self.method not in ("*", method) or self.path not in path:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with exact numbers."""
    return Response(json.dumps(body), status, headers, media_type="application/json")


async def json_body(request: Request) -> Any:
    """The request's JSON with exact numbers; None when it is not JSON."""
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


@dataclass
class Grant:
    """A consent given in a sandbox: who gave it and the tokens that hang on it."""

    user: str
    data: dict[str, Any] = field(default_factory=dict)
    redirect_uri: str = ""
    challenge: str = ""
    expires_at: float = 0


_FLEETING = ("app", "faults", "calls", "log", "now")


class Sandbox:
    """Base of a package's sandbox. A subclass fills `name`, `books`, `switches` and `routes()`."""

    name = ""
    switches: dict[str, Any]
    """Every behaviour the dossier marks unknown, by name, with our default."""
    books: dict[str, Any]
    """The package's own books, as plain JSON."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        """Calls by `METHOD /path`, control calls excluded."""
        self.log: deque[tuple[str, str, int]] = deque(maxlen=2000)
        """The last calls: method, path with query, status."""
        self.now: Callable[[], float] = time.time
        self.reset()
        self.app = Starlette(
            routes=[*self._control(), *self.routes()],
            middleware=[Middleware(_Faulty, sandbox=self)],
        )

    def reset(self) -> None:
        """Empty books, default switches, no faults, no counts. A subclass extends it."""
        self.faults.clear()
        self.calls.clear()
        self.log.clear()
        self.books = {}
        self.switches = {}

    def routes(self) -> list[BaseRoute]:
        """The package's own routes."""
        raise NotImplementedError

    def seed(self) -> None:
        """Books of a believable company, for the demo and the playground."""

    def state(self) -> dict[str, Any]:
        """Everything that the sandbox remembers, picklable; faults and counts excluded."""
        return {name: value for name, value in self.__dict__.items() if name not in _FLEETING}

    def fault(self, kind: FaultKind, **facts: Any) -> None:
        """Switch a fault on."""
        self.faults.append(Fault(kind, **facts))

    def busy_answer(self, seconds: float) -> Response:
        """The package's own 429."""
        return Response("", 429, {"Retry-After": str(int(seconds))} if seconds else None)

    def expired_answer(self) -> Response:
        """The package's own 401."""
        return Response("", 401)

    def error_answer(self) -> Response:
        """The package's own 500."""
        return json_response({"message": "Internal Server Error"}, 500)

    @staticmethod
    def token() -> str:
        """A fresh opaque token of 32 letters and digits."""
        return secrets.token_hex(16)

    def _control(self) -> list[BaseRoute]:
        async def books(request: Request) -> Response:
            if request.method == "PUT":
                self.books.update(await json_body(request) or {})
            return json_response(self.books)

        async def switches(request: Request) -> Response:
            if request.method == "PUT":
                wanted = await json_body(request) or {}
                if unknown := sorted(set(wanted) - set(self.switches)):
                    return json_response({"unknown_switches": unknown, "known": sorted(self.switches)}, 400)
                self.switches.update(wanted)
            return json_response(self.switches)

        async def faults(request: Request) -> Response:
            try:
                self.fault(**(await json_body(request) or {}))
            except TypeError as error:
                return json_response({"error": str(error)}, 400)
            return json_response({"faults": len(self.faults)})

        async def calls(_: Request) -> Response:
            return json_response({"calls": self.calls, "total": self.calls.total(), "log": list(self.log)})

        async def reset(request: Request) -> Response:
            self.reset()
            if request.query_params.get("seed"):
                self.seed()
            return json_response({"reset": True})

        return [
            Route("/_sandbox/books", books, methods=["GET", "PUT"]),
            Route("/_sandbox/switches", switches, methods=["GET", "PUT"]),
            Route("/_sandbox/faults", faults, methods=["POST"]),
            Route("/_sandbox/calls", calls),
            Route("/_sandbox/reset", reset, methods=["POST"]),
        ]


class _Faulty:
    """Middleware: counts calls and plays the faults that are switched on."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], sandbox: Sandbox) -> None:
        self.app = app
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")[len(scope.get("root_path", "")) :] if scope["type"] == "http" else ""
        if scope["type"] != "http" or path.startswith("/_sandbox"):
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        self.sandbox.calls[f"{method} {path}"] += 1
        fault = next((one for one in self.sandbox.faults if one.matches(method, path)), None)
        status = await self._play(fault, scope, receive, send)
        self.sandbox.log.append((method, f"{path}?{scope['query_string'].decode()}".rstrip("?"), status))

    async def _play(self, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> int:
        instead = self._instead(fault) if fault else None
        if instead is not None:
            await instead(scope, receive, send)
            return instead.status_code
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind in ("lost", "error"):
            await self.app(scope, receive, _swallow)
            if fault.kind == "lost":
                await _cut(send)
                return 0
            await self.sandbox.error_answer()(scope, receive, send)
            return 500
        status = 0

        async def note(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self.app(scope, receive, note)
        return status

    def _instead(self, fault: Fault) -> Response | None:
        match fault.kind:
            case "busy":
                return self.sandbox.busy_answer(fault.seconds)
            case "expired":
                return self.sandbox.expired_answer()
            case "refused":
                return self.sandbox.error_answer()
            case "html":
                return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 200)
            case "malformed":
                return Response('{"data": [{"id": ', 200, media_type="application/json")
            case _:
                return None


async def _cut(send: Send) -> None:
    """An answer that stops half-way: the server then closes the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _swallow(_: MutableMapping[str, Any]) -> None:
    return None


_PAGE = """<!doctype html><html lang="nl"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>body{{font:16px system-ui;max-width:26rem;margin:4rem auto;
padding:0 1rem}}label{{display:block;margin:.8rem 0}}input{{display:block;width:100%;padding:.5rem;font:inherit}}
button{{padding:.6rem 1.2rem;font:inherit;margin:.8rem .6rem 0 0}}</style></head>
<body><p>Zandbak</p><h1>{title}</h1>{error}<form method="post">{fields}{buttons}</form></body></html>"""


def consent_page(title: str, fields: Mapping[str, tuple[str, str, str]], error: str = "") -> HTMLResponse:
    """A login-and-consent page: `fields` is name -> (label, type, value). Posts the fields and `consent` yes or no."""
    inputs = "".join(
        f'<label>{label}<input name="{name}" type="{kind}" value="{value}"></label>'
        for name, (label, kind, value) in fields.items()
    )
    buttons = (
        '<button name="consent" value="yes">Accepteren</button><button name="consent" value="no">Weigeren</button>'
    )
    shown = f'<p role="alert">{error}</p>' if error else ""
    return HTMLResponse(_PAGE.format(title=title, error=shown, fields=inputs, buttons=buttons))


def back_to(redirect_uri: str, **params: str) -> RedirectResponse:
    """The redirect back to the client."""
    joint = "&" if "?" in redirect_uri else "?"
    return RedirectResponse(f"{redirect_uri}{joint}{urlencode({k: v for k, v in params.items() if v})}", 302)
