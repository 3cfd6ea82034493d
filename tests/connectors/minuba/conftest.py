"""A sandbox of Minuba with a connection to it."""

from collections.abc import AsyncIterator

import pytest

from connectors.minuba import CONNECTOR
from connectors.minuba.sandbox import MinubaSandbox
from hub.sdk.http import Http
from tests.connectors.support import connected

API = "/api/1"


@pytest.fixture
def box() -> MinubaSandbox:
    return MinubaSandbox()


@pytest.fixture
async def http(box: MinubaSandbox) -> AsyncIterator[Http]:
    access, refresh = box.grant()
    async with connected(CONNECTOR, box, API, {"access_token": access, "refresh_token": refresh}) as client:
        yield client
