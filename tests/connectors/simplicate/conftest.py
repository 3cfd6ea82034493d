"""A sandbox of Simplicate with a connection to it."""

from collections.abc import AsyncIterator

import pytest

from connectors.simplicate import CONNECTOR
from connectors.simplicate.sandbox import SimplicateSandbox
from hub.sdk.http import Http
from tests.connectors.support import connected

API = "/{domain}/api/v2"
SECRETS = {"authentication_key": "k" * 32, "authentication_secret": "s" * 32}


@pytest.fixture
def box() -> SimplicateSandbox:
    return SimplicateSandbox()


@pytest.fixture
async def http(box: SimplicateSandbox) -> AsyncIterator[Http]:
    async with connected(CONNECTOR, box, API, SECRETS, way=1, fields={"domain": "waterlinie"}) as client:
        yield client
