"""Worker processes, and the nursery that bears them."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Worker:
    """A worker process."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid = pid
        self.output = output
        self.started = time.monotonic()
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def signal(self, number: int) -> None:
        """Sends a signal; one that is dead already stays dead."""
        if not self.code.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self, patience_s: float = 30) -> int:
        """The exit code; below zero: the signal that killed it."""
        return await asyncio.wait_for(asyncio.shield(self.code), patience_s)

    async def kill(self) -> None:
        """SIGKILL, and its end is awaited."""
        self.signal(signal.SIGKILL)
        await self.ended()

    def said(self) -> str:
        """What it wrote."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class Nursery:
    """Asks for workers, one at a time, and hears of their ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._born: asyncio.Queue[int] = asyncio.Queue()
        self._workers: dict[int, Worker] = {}
        self._hearing = asyncio.create_task(self._hear())

    async def worker(self, environment: Mapping[str, str], output: Path) -> Worker:
        """A new worker with this environment."""
        async with self._turn:
            assert self._process.stdin is not None
            wanted = {"environment": dict(environment), "output": str(output)}
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            await self._process.stdin.drain()
            pid = await asyncio.wait_for(self._born.get(), 60)
            return self._workers.setdefault(pid, Worker(pid, output))

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            news = json.loads(line)
            if "born" in news:
                self._born.put_nowait(news["born"])
                continue
            worker = self._workers.setdefault(news["dead"], Worker(news["dead"], Path(os.devnull)))
            worker.code.set_result(news["code"])

    async def close(self) -> None:
        """Ends the nursery; workers that live are not touched."""
        self._hearing.cancel()
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def a_nursery() -> AsyncIterator[Nursery]:
    """A nursery."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kill.hasty",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    nursery = Nursery(process)
    try:
        yield nursery
    finally:
        await nursery.close()
