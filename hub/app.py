"""The web application: routers, problem documents, headers and the request's place in logs and metrics."""

import re
import secrets
import sys
import time
from typing import Any

import yaml
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.batches.endpoints import router as batches
from hub.catalogue.description import rounded_off
from hub.catalogue.endpoints import router as catalogue
from hub.combis import errors
from hub.combis.endpoints import router as combis
from hub.connections.endpoints import browser_router as connections_browser
from hub.connections.endpoints import router as connections
from hub.engine.hub import Hub
from hub.kit import problem
from hub.kit.log import bound_contextvars
from hub.kit.metrics import API_SECONDS
from hub.notifications.endpoints import router as notifications
from hub.organisations.endpoints import router as organisations
from hub.runs.endpoints import router as runs
from hub.statistics.endpoints import health
from hub.statistics.endpoints import router as statistics
from hub.web.pages import router as pages
from hub.web.pages import visit

API = (catalogue, connections, combis, runs, batches, statistics, notifications, organisations)
TITLE = "Combihub"
VERSION = "1.0.0"
_DESCRIPTION = """A connector hub for Dutch bookkeeping: documents flow between business packages, never twice, never
lost. Amounts are decimal strings with the document's sign, dates are `YYYY-MM-DD`, moments are RFC 3339 in UTC. Errors
are RFC 9457 problem documents with a stable `code`."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
"""Sent on a public https address only."""


def create_app(hub: Hub | None = None) -> FastAPI:
    """The application of a running hub. Without one it only describes itself."""
    app = _App(
        title=TITLE,
        version=VERSION,
        description=_DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.hub = hub
    for router in (*API, connections_browser, pages, health):
        app.include_router(router)
    problem.install(app)
    errors.install(app)
    visit.install(app)
    app.add_middleware(Frame, https=bool(hub and hub.config.base_url.startswith("https://")))
    return app


def openapi() -> dict[str, Any]:
    """The description of the API, made without a running hub."""
    return create_app().openapi()


class _App(FastAPI):
    """FastAPI, with a description that also tells what holds for every operation."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if not self.openapi_schema:
            self.openapi_schema = rounded_off(super().openapi())
        return self.openapi_schema


class Frame:
    """Around each request: an id, a place in the log, security headers and the time it took."""

    def __init__(self, app: ASGIApp, https: bool = False) -> None:
        self._app = app
        self._headers = (*_HEADERS, _HSTS) if https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        began = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in self._headers if name not in present),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                API_SECONDS.labels(scope["method"], route, str(status)).observe(time.perf_counter() - began)


def _request_id(scope: Scope) -> str:
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


if __name__ == "__main__":
    sys.stdout.write(yaml.safe_dump(openapi(), sort_keys=False, allow_unicode=True, width=120))
