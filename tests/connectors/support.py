"""A connection to a sandbox in this process: credentials that never change and a limiter that never waits."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx

from hub.connections.facts import sandboxed
from hub.sdk.connector import Connector
from hub.sdk.errors import ReauthRequired
from hub.sdk.http import Http, new_client
from hub.sdk.sandbox import Sandbox


class FixedCredentials:
    """The same secrets for ever; `renewed` gives `fresh` once, or says that the grant is dead."""

    def __init__(self, secrets: Mapping[str, str], fresh: Mapping[str, str] | None = None) -> None:
        self.secrets = secrets
        self.fresh = fresh

    async def current(self) -> Mapping[str, str]:
        return self.secrets

    async def renewed(self, stale: Mapping[str, str]) -> Mapping[str, str]:
        if self.fresh is None:
            raise ReauthRequired("grant_dead")
        self.secrets, self.fresh = self.fresh, None
        return self.secrets


class NoLimit:
    """Takes no turns; remembers the pauses it was asked for."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def turn(self, key: str, per_minute: float, burst: int) -> None:
        return None

    async def pause(self, key: str, seconds: float) -> None:
        self.pauses.append(seconds)


class InProcess(httpx.ASGITransport):
    """An answer that stops half-way is a broken connection, as it is on a real wire."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AssertionError as error:
            raise httpx.RemoteProtocolError("the answer stopped half-way", request=request) from error


@asynccontextmanager
async def connected(
    connector: Connector,
    sandbox: Sandbox,
    api: str,
    secrets: Mapping[str, str],
    *,
    way: int = 0,
    fields: Mapping[str, str] | None = None,
    credentials: Any = None,
    oauth_client: Mapping[str, str] | None = None,
    limiter: NoLimit | None = None,
) -> AsyncIterator[Http]:
    """An `Http` of a connector on its sandbox. `api` is the path of the API base, `way` the manifest's auth."""
    endpoints = {name: sandboxed(template, "http://sandbox") for name, template in connector.manifest.endpoints.items()}
    client = new_client(InProcess(app=sandbox.app))
    try:
        yield Http(
            client,
            connector.manifest,
            connector.manifest.auth[way],
            credentials or FixedCredentials(secrets),
            limiter or NoLimit(),
            connection="test",
            endpoints={**endpoints, "API": f"http://sandbox{api}"},
            fields=fields or {},
            oauth_client=oauth_client,
            refusal=connector.refusal,
        )
    finally:
        await client.aclose()
