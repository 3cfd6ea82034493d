"""schemathesis throws everything openapi.yaml allows, and much that it does not, at a hub that is really served."""

import asyncio
import os
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from hub.app import openapi
from hub.config import Config
from hub.kit.clock import SystemClock
from hub.kit.database import Database
from hub.kit.embedded import Services
from hub.organisations.service import create_api_key
from tests.contract.served import free_port

ROOT = Path(__file__).parent.parent.parent
STREAMS = {"run_events"}
"""Answers that last: not for a test that waits for their end."""


@pytest.fixture(scope="module")
async def served(services: Services, database: Database, config: Config) -> AsyncIterator[tuple[str, str]]:
    """The address of a served hub, and a key for it."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
        "HUB_DATABASE_URL": services.database_url,
        "HUB_REDIS_URL": services.redis_url,
        "HUB_DATA_DIR": str(config.data_dir),
        "HUB_BASE_URL": base,
        "HUB_SANDBOX": "1",
        "HUB_SECRET_KEYS": ",".join(f"{key.id}:{b64encode(key.value).decode()}" for key in config.secret_keys),
        "PYTHONPATH": str(ROOT),
    }
    hub = [sys.executable, "-m", "hub.cli"]
    key = await create_api_key(database, SystemClock(), "contract@combihub.example", per_minute=1_000_000)
    process = await asyncio.create_subprocess_exec(
        *hub, "serve", "--port", str(port), env=environment, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await asyncio.to_thread(_wait, f"{base}/health/live")
        yield base, key
    finally:
        process.terminate()
        await process.wait()


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            urlopen(url, timeout=2).close()  # noqa: S310 - our own hub
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")


SCHEMA = schemathesis.openapi.from_dict(openapi())
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations())
    if operation.definition.raw["operationId"] not in STREAMS
}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_as_described(name: str, served: tuple[str, str]) -> None:
    base, key = served

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS[name].as_strategy())
    def throw(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=base,
            headers={"Authorization": f"Bearer {key}"},
            checks=(not_a_server_error, content_type_conformance, response_schema_conformance),
            timeout=20,
        )

    throw()
