"""A sandbox of Nmbrs, connections to it over both APIs, and a whole hub around it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest
import stamina

from connectors.nmbrs import CONNECTOR, rest
from connectors.nmbrs.sandbox import OWNER, SUBSCRIPTION, TOKEN, NmbrsSandbox
from hub.config import Config
from hub.kit.embedded import Services
from hub.sdk.http import Http
from tests.connectors.nmbrs.stage import Office, an_office
from tests.connectors.support import connected


class Connect(Protocol):
    """Opens a connection over `key` (SOAP) or `oauth` (REST)."""

    def __call__(self, way: str, **facts: Any) -> AbstractAsyncContextManager[Http]: ...


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Repeated reads follow at once, and files are asked for without long pauses."""
    monkeypatch.setattr(rest, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(rest, "LONGEST_WAIT_S", 0.05)
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not made is given up at once."""
    monkeypatch.setattr(rest, "PATIENCE_S", 0.0)


@pytest.fixture
def box() -> NmbrsSandbox:
    made = NmbrsSandbox()
    made.seed()
    made.switches["tasks_pending"] = 1
    return made


@pytest.fixture
def connect(box: NmbrsSandbox) -> Connect:
    def opened(way: str, **facts: Any) -> AbstractAsyncContextManager[Http]:
        if way == "key":
            facts.setdefault("fields", {"email": OWNER, "tenant": "vandermeulen"})
            return connected(CONNECTOR, box, "", {"api_token": TOKEN}, **facts)
        secrets = {"access_token": box.grant()[0], "subscription_key": SUBSCRIPTION}
        return connected(CONNECTOR, box, "", secrets, way=1, **facts)

    return opened


@pytest.fixture
async def office(
    clean: None, database: object, config: Config, services: Services, box: NmbrsSandbox
) -> AsyncIterator[Office]:
    async with an_office(config, services, box) as made:
        yield made
