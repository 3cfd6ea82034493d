"""The embedded servers: shared, restarted, stopped by the last user, and never in the way of the next start."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.config import Config
from hub.kit import supervisor
from hub.kit.embedded import Services, ServicesError, services

PROJECT = Path(__file__).parents[2]

OWNER = """
import asyncio, json, sys
from pathlib import Path
from hub.config import Config
from hub.kit import supervisor
from hub.kit.embedded import services

async def main():
    async with services(Config.model_construct(data_dir=Path(sys.argv[1])), durable=False) as running:
        print(json.dumps([running.postgres_pid(), running.valkey_pid()]), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture
def own_config(tmp_path: Path) -> Config:
    """A data folder of this test alone."""
    return Config.model_construct(data_dir=tmp_path / "data")


@asynccontextmanager
async def another_process(config: Config) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[int]]]:
    """Another process that uses the same data folder until its standard input ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        OWNER,
        str(config.data_dir),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        yield process, json.loads(line)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


async def answer(running: Services) -> list[str]:
    """Speak to both servers."""
    async with await psycopg.AsyncConnection.connect(running.database_url) as connection:
        row = await (await connection.execute("select current_database()")).fetchone()
    client = Redis.from_url(running.redis_url)
    pong = await client.ping()
    await client.aclose()
    assert row is not None
    return [row[0], "pong" if pong else ""]


async def becomes(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def supervisor_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_given_addresses_are_used_as_they_are_and_nothing_is_started(tmp_path: Path) -> None:
    config = Config.model_construct(
        data_dir=tmp_path / "data", database_url="postgresql://db/hub", redis_url="redis://queue"
    )
    async with services(config) as given:
        assert (given.database_url, given.redis_url) == ("postgresql://db/hub", "redis://queue")
        assert given.postgres_pid() is None
    assert not (tmp_path / "data").exists()


async def test_data_survives_and_nothing_keeps_running(own_config: Config) -> None:
    async with services(own_config) as running:
        pids = [running.postgres_pid(), running.valkey_pid()]
        async with await psycopg.AsyncConnection.connect(running.database_url) as connection:
            await connection.execute("create table kept as select 42 as answer")
    assert None not in pids
    assert not any(alive(pid) for pid in pids if pid)
    async with services(own_config) as running, await psycopg.AsyncConnection.connect(running.database_url) as again:
        assert await (await again.execute("select answer from kept")).fetchone() == (42,)


async def test_processes_share_the_servers_and_the_last_one_stops_them(own_config: Config) -> None:
    async with another_process(own_config) as (_, pids):
        async with services(own_config, durable=False) as running:
            assert [running.postgres_pid(), running.valkey_pid()] == pids
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


async def test_a_dozen_users_may_come_at_once(own_config: Config) -> None:
    async with AsyncExitStack() as stack:
        users = [stack.enter_async_context(services(own_config, durable=False)) for _ in range(12)]
        running = await asyncio.gather(*users)
        assert await answer(running[0]) == ["hub", "pong"]
        assert len({one.postgres_pid() for one in running}) == 1


async def test_a_killed_user_leaves_nothing_behind(own_config: Config) -> None:
    async with another_process(own_config) as (process, pids):
        process.kill()
        await process.wait()
        await becomes(lambda: not any(alive(pid) for pid in pids))
    async with services(own_config, durable=False) as running:
        assert await answer(running) == ["hub", "pong"]


async def test_a_server_that_dies_is_started_again(own_config: Config) -> None:
    async with services(own_config, durable=False) as running:
        before = [running.postgres_pid(), running.valkey_pid()]
        for pid in before:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        await becomes(
            lambda: running.postgres_pid() not in (None, before[0]) and running.valkey_pid() not in (None, before[1])
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await answer(running) == ["hub", "pong"]
                    break
                except (psycopg.OperationalError, RedisError, OSError):
                    await asyncio.sleep(0.1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_servers_come_back_when_everything_but_their_user_was_killed(own_config: Config) -> None:
    async with services(own_config, durable=False) as running:
        before = [running.postgres_pid(), running.valkey_pid()]
        for pid in before:
            assert pid is not None
            os.kill(supervisor_of(pid), signal.SIGKILL)
        await becomes(
            lambda: running.postgres_pid() not in (None, before[0]) and running.valkey_pid() not in (None, before[1])
        )
        async with services(own_config, durable=False) as again:
            assert await answer(again) == ["hub", "pong"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_nothing_keeps_running_when_users_and_supervisors_were_killed(own_config: Config) -> None:
    async with another_process(own_config) as (process, pids):
        supervisors = [supervisor_of(pid) for pid in pids]
        process.kill()
        for supervisor in supervisors:
            os.kill(supervisor, signal.SIGKILL)
        await becomes(lambda: not any(alive(pid) for pid in pids))


async def test_files_of_a_crash_do_not_block_the_start(own_config: Config) -> None:
    async with services(own_config, durable=False):
        pass
    cluster = own_config.data_dir / "postgres" / "cluster"
    owner = cluster.stat().st_uid if os.geteuid() == 0 else None
    # A process id that lives and is another program's of the same user, as after a restart of the machine.
    other = await asyncio.create_subprocess_exec("sleep", "60", user=owner)
    (cluster / "postmaster.pid").write_text(f"{other.pid}\n{cluster}\n1\n5432\n\n\n\nready\n")
    for kind, name in (("postgres", ".s.PGSQL.5432"), ("postgres", ".s.PGSQL.5432.lock"), ("valkey", "valkey.sock")):
        (own_config.data_dir / kind / "run").mkdir(mode=0o700, exist_ok=True)
        (own_config.data_dir / kind / "run" / name).write_text(f"{other.pid}\n")
        (own_config.data_dir / kind / "server.pid").write_text(str(other.pid))
    (own_config.data_dir / "postgres" / "cluster.new").mkdir()
    (own_config.data_dir / "valkey" / "data" / "dump.rdb").write_bytes(b"damaged")
    async with services(own_config, durable=False) as running:
        assert await answer(running) == ["hub", "pong"]
    assert other.returncode is None
    other.kill()
    await other.wait()


@pytest.mark.parametrize("name", ["d" * 150, "met spatie, komma en é"])
async def test_a_long_or_odd_data_folder_works(tmp_path: Path, name: str) -> None:
    config = Config.model_construct(data_dir=tmp_path / name)
    async with services(config, durable=False) as running:
        assert await answer(running) == ["hub", "pong"]
    async with services(config, durable=False) as running:
        assert await answer(running) == ["hub", "pong"]


async def test_a_data_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServicesError, match=r"^HUB_DATA_DIR cannot be used") as raised:
        async with services(Config.model_construct(data_dir=tmp_path / "file")):
            pass
    assert "\n" not in str(raised.value)


async def test_a_server_that_cannot_start_is_told_in_one_line(own_config: Config) -> None:
    async with services(own_config, durable=False):
        pass
    (own_config.data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServicesError, match="postgres cannot start") as raised:
        async with services(own_config, durable=False):
            pass
    assert "HUB_DATABASE_URL" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_files_that_cannot_be_made_are_tried_again_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program = tmp_path / "bin" / "initdb"
    program.parent.mkdir()
    tries = tmp_path / "tries"
    program.write_text(
        f"""#!/bin/sh
        echo again >> {tries}
        ls "$2" | grep -q . && echo "the folder is not empty" >&2 && exit 2
        echo 18 > "$2/PG_VERSION"
        [ "$(wc -l < {tries})" -gt {failures} ] || {{ echo "no room: $(wc -l < {tries})" >&2; exit 1; }}
        """
    )
    program.chmod(0o755)
    server = supervisor.Postgres(tmp_path, tmp_path / "run", program.parent, durable=False)
    if failures < 3:
        server.prepare()
        assert (tmp_path / "cluster" / "PG_VERSION").read_text() == "18\n"
    else:
        with pytest.raises(supervisor.CannotStart, match="no room: 3"):
            server.prepare()
        assert not (tmp_path / "cluster").exists()
    assert len(tries.read_text().splitlines()) == min(failures + 1, 3)
