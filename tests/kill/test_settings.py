"""A worker whose settings are wrong says which one in a line and does not start."""

import asyncio
import base64
import sys

import pytest

from tests.kill.nursery import ROOT
from tests.kill.stage import Stage

WRONG = {
    "no address of a database": ("HUB_DATABASE_URL", "mysql://localhost/hub"),
    "nobody there for the database": ("HUB_DATABASE_URL", "postgresql://postgres@127.0.0.1:9/hub"),
    "no such database": ("HUB_DATABASE_URL", "{database}_absent"),
    "no address of a queue": ("HUB_REDIS_URL", "amqp://localhost"),
    "nobody there for the queue": ("HUB_REDIS_URL", "redis://127.0.0.1:9/0"),
    "no key": ("HUB_SECRET_KEYS", "test:geheim"),
    "another key": ("HUB_SECRET_KEYS", "other:" + base64.b64encode(bytes(32)).decode()),
    "another key under the same name": ("HUB_SECRET_KEYS", "test:" + base64.b64encode(bytes(32)).decode()),
    "an unknown name": ("HUB_DATABSE_URL", "postgresql://localhost/hub"),
}


@pytest.mark.parametrize("mistake", WRONG)
async def test_a_wrong_setting_is_named_in_one_line(stage: Stage, mistake: str) -> None:
    name, value = WRONG[mistake]
    database, _, rest = stage.environment["HUB_DATABASE_URL"].partition("?")
    environment = {**stage.environment, name: value.replace("{database}", database)}
    if "{database}" in value:
        environment[name] += f"?{rest}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub.cli", "worker",
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    (line,) = said.decode().strip().splitlines()
    assert name in line
    assert value not in line or "HUB_DATABSE" in name
    assert process.returncode == 2
