"""The process that keeps one embedded server running for as long as anybody uses it.

It is started as a script of its own (standard library only, so that it starts in an instant) and leaves no trace that
could block a later start, because everything it claims is a file lock that the kernel releases:

- `users.lock`: every user holds it shared; who can take it exclusively knows that nobody uses the server any more;
- `supervisor.lock`: held by the one supervisor.

The server dies with its supervisor (on Linux), and a supervisor that died is started again by any user.
"""

import ctypes
import fcntl
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.1
START_PATIENCE_SECONDS = 1.0
STOP_PATIENCE_SECONDS = 15.0
RAPID_DEATH_SECONDS = 3.0
MAX_RAPID_DEATHS = 5

INITDB_OPTIONS = (
    *("-U", "postgres", "--auth=trust", "--encoding=UTF8"),
    *("--locale-provider=builtin", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
)

SERVER_USER = "pgserver"
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
AGAIN_SECONDS = 0.5
"""What made the files fail is given so long to pass."""


class CannotStart(Exception):
    """The server cannot be started; `str()` is one line for the operator."""


class Postgres:
    """How PostgreSQL is made, started and stopped."""

    process_name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, the files are left clean
    sockets = (POSTGRES_SOCKET, f"{POSTGRES_SOCKET}.lock")

    def __init__(self, folder: Path, run: Path, binaries: Path, durable: bool) -> None:
        self._cluster = folder / "cluster"
        self._run, self._binaries, self._durable = run, binaries, durable
        self.owner = self._server_user() if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Make the database cluster, completely or not at all, and clear what a killed server left."""
        if self.owner is not None:
            _open_way(self._binaries.parent, self.owner[0])
            _open_way(self._cluster.parent, self.owner[0])
        if not self._cluster.exists():
            self._initialise()
        # PostgreSQL refuses to start when this names a living process, also when that is another program by now.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def command(self) -> list[str]:
        """Give the command line of the server."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._run),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_parallel_workers_per_gather": "0",
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self._cluster), *settings]

    def _initialise(self) -> None:
        fresh = self._cluster.with_name("cluster.new")
        for tries_left in (2, 1, 0):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            if self.owner is not None:
                os.chown(fresh, *self.owner)
            made = subprocess.run(  # noqa: S603 - our own binary
                [str(self._binaries / "initdb"), "-D", str(fresh), *INITDB_OPTIONS],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                **_as_user(self.owner),
            )
            if made.returncode == 0:
                break
            # Seen about once in a hundred starts on a crowded machine, and never twice in a row.
            if not tries_left:
                said = [line for line in made.stderr.splitlines() if line.strip()]
                raise CannotStart(f"PostgreSQL could not make its files: {'; '.join(said[-3:])}")
            time.sleep(AGAIN_SECONDS)
        os.sync()
        fresh.rename(self._cluster)

    def _server_user(self) -> tuple[int, int]:
        """Choose who runs PostgreSQL, which refuses to run as root: the owner of its files, or a user for it alone."""
        if self._cluster.exists():
            status = self._cluster.stat()
            return status.st_uid, status.st_gid
        for name in (SERVER_USER, "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                if name == SERVER_USER and _add_user(name):
                    entry = pwd.getpwnam(name)
                else:
                    continue
            return entry.pw_uid, entry.pw_gid
        raise CannotStart(f"PostgreSQL does not run as root and there is no user for it; run: useradd {SERVER_USER}")


class Valkey:
    """How Valkey is started and stopped."""

    process_name = "valkey-server"
    stop_signal = signal.SIGTERM
    sockets = (VALKEY_SOCKET,)
    owner = None

    def __init__(self, folder: Path, run: Path, binaries: Path, durable: bool) -> None:
        self._data = folder / "data"
        self._run, self._binaries, self._durable = run, binaries, durable
        self._starts = 0

    def prepare(self) -> None:
        """Make the folder; a snapshot that stopped the server twice is put aside, for it holds nothing but hints."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._starts += 1
        snapshot = self._data / "dump.rdb"
        if self._starts > 2 and snapshot.exists():
            snapshot.replace(snapshot.with_name("dump.damaged.rdb"))

    def command(self) -> list[str]:
        """Give the command line of the server."""
        options = {
            "port": "0",
            "unixsocket": str(self._run / VALKEY_SOCKET),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "save": "300 1" if self._durable else "",
            "appendonly": "no",
            "stop-writes-on-bgsave-error": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(self._binaries / "valkey-server"), *words]


class Supervisor:
    """Starts a server, starts it again when it dies, and stops it when nobody uses it any more."""

    def __init__(self, server: Postgres | Valkey, folder: Path, run: Path) -> None:
        self._server, self._folder, self._run = server, folder, run
        self._pid_file = folder / "server.pid"
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self, users: int) -> None:
        """Run until nobody holds `users.lock`; returns with that lock taken and the server stopped."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        rapid_deaths = 0
        try:
            while not self._stopping:
                self._start()
                started = time.monotonic()
                while not self._stopping and self._alive():
                    if _lock(users, fcntl.LOCK_EX):
                        return
                    time.sleep(POLL_SECONDS)
                rapid_deaths = rapid_deaths + 1 if time.monotonic() - started < RAPID_DEATH_SECONDS else 0
                if rapid_deaths >= MAX_RAPID_DEATHS:
                    raise CannotStart(f"{self._server.process_name} does not stay up: {self._log_tail()}")
                time.sleep(POLL_SECONDS * rapid_deaths)
        finally:
            self._stop()

    def _start(self) -> None:
        self._end_leftover()
        _private_folder(self._run, self._server.owner)
        for name in self._server.sockets:
            (self._run / name).unlink(missing_ok=True)
        self._server.prepare()
        self._process = subprocess.Popen(  # noqa: S603 - our own binary
            self._server.command(),
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            preexec_fn=_die_with_parent(self._server.stop_signal),  # noqa: PLW1509 - one thread, nothing shared
            **_as_user(self._server.owner),
        )
        self._pid_file.write_text(str(self._process.pid))

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._server.stop_signal)
            try:
                self._process.wait(STOP_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                try:
                    self._process.wait(STOP_PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
        self._pid_file.unlink(missing_ok=True)
        shutil.rmtree(self._run, ignore_errors=True)

    def _end_leftover(self) -> None:
        """End a server whose supervisor was killed; on Linux it is already ending."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        for number in (self._server.stop_signal, signal.SIGQUIT, signal.SIGKILL):
            deadline = time.monotonic() + STOP_PATIENCE_SECONDS / 2
            if _process_name(pid) != self._server.process_name:
                break
            os.kill(pid, number)
            while time.monotonic() < deadline and _process_name(pid) == self._server.process_name:
                time.sleep(POLL_SECONDS / 2)
        self._pid_file.unlink(missing_ok=True)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _log_tail(self) -> str:
        try:
            lines = (self._folder / "log").read_text(errors="replace").splitlines()
        except OSError:
            return "no log"
        telling = [line for line in lines[-40:] if "FATAL" in line or "rror" in line]
        return (telling or lines or ["no log"])[-1].strip()


def main(arguments: str) -> int:
    """Supervise one server as the JSON arguments say, in the background; the caller returns at once."""
    given = json.loads(arguments)
    if os.fork():
        return 0
    folder, run = Path(given["folder"]), Path(given["run"])
    claim = os.open(folder / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not _lock(claim, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return 0
        time.sleep(POLL_SECONDS / 5)
    failure = folder / "failed"
    failure.unlink(missing_ok=True)
    users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    kinds: dict[str, type[Postgres] | type[Valkey]] = {"postgres": Postgres, "valkey": Valkey}
    try:
        server = kinds[given["kind"]](folder, run, Path(given["binaries"]), given["durable"])
        Supervisor(server, folder, run).keep(users)
    except (CannotStart, OSError) as error:
        failure.write_text(str(error))
        return 1
    return 0


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _as_user(owner: tuple[int, int] | None) -> dict[str, Any]:
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    if owner is None:
        return {"env": environment}
    return {"env": environment, "user": owner[0], "group": owner[1], "extra_groups": []}


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    set_death_signal = 1
    parent = os.getpid()

    def ask() -> None:
        prctl(set_death_signal, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _private_folder(path: Path, owner: tuple[int, int] | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    allowed = {os.geteuid()} | ({owner[0]} if owner else set())
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in allowed:
        raise CannotStart(f"{path} belongs to another user; remove it or choose another HUB_DATA_DIR")
    path.chmod(0o700)
    if owner is not None:
        os.chown(path, *owner)


def _open_way(path: Path, user: int) -> None:
    """Let the server's user pass through (not list) the folders above, and read the program's own files."""
    for folder in (path, *path.parents):
        status = folder.stat()
        if status.st_uid != user and not status.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
    if (path / "bin").is_dir():
        libraries = path.parent.with_name(f"{path.parent.name}.libs")
        for top in (path, libraries):
            for entry in (top, *top.rglob("*")):
                _readable(entry)


def _readable(entry: Path) -> None:
    if entry.is_symlink() or not entry.exists():
        return
    mode = stat.S_IMODE(entry.stat().st_mode)
    wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
    if wanted != mode:
        entry.chmod(wanted)


def _add_user(name: str) -> bool:
    try:
        added = subprocess.run(  # noqa: S603 - constant words
            ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", name],  # noqa: S607 - where it is differs
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    # Another process may have added it in the same moment.
    return added.returncode in (0, 9)


def _process_name(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return None
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        shown = subprocess.run(  # noqa: S603 - constant words
            ["ps", "-o", "comm=", "-p", str(pid)],  # noqa: S607 - where it is differs
            capture_output=True,
            text=True,
            check=False,
        )
        return Path(shown.stdout.strip()).name or None
    name, _, rest = state.partition("(")[2].rpartition(")")
    return None if rest.split()[0] == "Z" else name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
