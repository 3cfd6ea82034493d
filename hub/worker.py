"""The worker process: sweeps for due combis, rings and answers the bell, and does the hub's small regular chores."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from hub.engine.hub import Hub
from hub.engine.queue import answer_bell
from hub.notifications import tasks

_log = structlog.get_logger(__name__)

JOBS = 20
"""Runs in hand at the same time, per process."""
SWEEP_S = 2.0
PATIENCE_S = 8.0
"""How long calls that are under way may take to end when the worker is asked to go."""


async def work(hub: Hub, redis_url: str, *, sweep_s: float = SWEEP_S, jobs: int = JOBS) -> None:
    """Works until cancelled; then leaves the runs in hand to other workers, between two calls when that comes soon."""
    hands = Hands(hub.engine.drain, jobs)
    hub.engine.resting = False
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(answer_bell(redis_url, hands.wake))
            group.create_task(_sweep(hub, hands, sweep_s, jobs))
            group.create_task(_every(3600, hub.engine.maintain))
            group.create_task(_every(5, lambda: tasks.deliver_due(hub)))
            group.create_task(_every(60, lambda: tasks.digest(hub)))
    finally:
        hub.engine.rest()
        await hands.rest(PATIENCE_S)


async def work_until_stopped(hub: Hub, redis_url: str) -> None:
    """Works until SIGTERM or SIGINT."""
    task = asyncio.create_task(work(hub, redis_url))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    _log.info("worker_stopped")


class Hands:
    """The tasks that work on runs: woken by the bell or the sweep, never more than so many at a time.

    They do not belong to whoever wakes them, so that no run is broken off when the bell is lost.
    """

    def __init__(self, drain: Callable[[], Awaitable[object]], most: int) -> None:
        self._drain = drain
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self, times: int = 1) -> None:
        """Looks for work with so many hands more, as far as there are hands."""
        for _ in range(min(times, self._most - len(self._tasks))):
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def rest(self, patience_s: float) -> None:
        """Returns when no hand works any more; those that take too long are broken off."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self) -> None:
        try:
            await self._drain()
        except Exception:
            # What was in hand is found again by its lease.
            _log.exception("work_failed")


async def _sweep(hub: Hub, hands: Hands, seconds: float, jobs: int) -> None:
    """Finds what is due, takes it in hand, and rings for other workers to help."""
    while True:
        try:
            due = min(await hub.engine.sweep(), jobs)
            if due:
                hands.wake(due)
                await hub.doorbell.ring(due)
        except Exception:
            _log.exception("sweep_failed")
        await asyncio.sleep(seconds)


async def _every(seconds: float, chore: Callable[[], Awaitable[object]]) -> None:
    """Does a chore again and again; its failure is told and does not stop the worker."""
    while True:
        try:
            await chore()
        except Exception:
            _log.exception("chore_failed")
        await asyncio.sleep(seconds)
