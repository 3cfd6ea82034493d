"""A worker whose settings are wrong says which one in a line and does not start."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator

import pytest

from hub.kit.embedded import Services
from tests.kill.nursery import ROOT, Nursery, Worker
from tests.kill.stage import a_stage

WRONG = {
    "no address of a database": ("HUB_DATABASE_URL", "mysql://localhost/hub"),
    "nobody there for the database": ("HUB_DATABASE_URL", "postgresql://postgres:geheim@127.0.0.1:9/hub"),
    "no such database": ("HUB_DATABASE_URL", "{database}"),
    "no address of a queue": ("HUB_REDIS_URL", "amqp://localhost"),
    "nobody there for the queue": ("HUB_REDIS_URL", "redis://:geheim@127.0.0.1:9/0"),
    "no key": ("HUB_SECRET_KEYS", "test:geheim"),
    "another key": ("HUB_SECRET_KEYS", "other:" + base64.b64encode(bytes(32)).decode()),
    "another key under the same name": ("HUB_SECRET_KEYS", "test:" + base64.b64encode(bytes(32)).decode()),
    "an unknown name": ("HUB_DATABSE_URL", "postgresql://localhost/hub"),
}


@pytest.fixture(scope="module")
async def workers(
    services: Services, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Worker]]:
    """A worker per mistake, all at the same time; the secrets of two connections are stored."""
    async with a_stage(services, nursery, tmp_path_factory.mktemp("settings")) as stage:
        absent = stage.environment["HUB_DATABASE_URL"].replace("?", "_absent?")
        yield {
            mistake: await stage.worker(**{name: absent if value == "{database}" else value})
            for mistake, (name, value) in WRONG.items()
        }


@pytest.mark.parametrize("mistake", WRONG)
async def test_a_wrong_setting_is_named_in_one_line(workers: dict[str, Worker], mistake: str) -> None:
    worker = workers[mistake]
    code = await worker.ended(30)
    (line,) = worker.said().strip().splitlines()
    print(line)  # noqa: T201
    assert WRONG[mistake][0] in line
    assert "geheim" not in line
    assert code == 2


async def test_the_command_itself_ends_with_code_2() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub.cli", "worker",
        cwd=ROOT, env={"HUB_WORKERS": "3"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert said == b""
    (line,) = complained.decode().strip().splitlines()
    assert "HUB_WORKERS" in line
    assert process.returncode == 2
