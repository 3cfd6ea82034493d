"""The worker process: sweeps for due combis, rings and answers the bell, and does the hub's small regular chores."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hub.combis.tasks import remove_rest
from hub.connections import installing
from hub.engine.hub import Hub
from hub.engine.queue import answer_bell
from hub.notifications import tasks
from hub.organisations import service as organisations

_log = structlog.get_logger(__name__)

JOBS = 20
"""Runs in hand at the same time, per process."""
SWEEP_S = 2.0


async def work(hub: Hub, redis_url: str, *, sweep_s: float = SWEEP_S, jobs: int = JOBS) -> None:
    """Works until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(answer_bell(redis_url, hub.engine.drain, jobs=jobs))
        group.create_task(_sweep(hub, sweep_s, jobs))
        group.create_task(_every(3600, hub.engine.maintain))
        group.create_task(_every(5, lambda: tasks.deliver_due(hub)))
        group.create_task(_every(60, lambda: tasks.digest(hub)))
        group.create_task(_every(60, lambda: remove_rest(hub)))
        group.create_task(_every(3600, lambda: organisations.sweep(hub.database, hub.clock)))
        group.create_task(_every(3600, lambda: installing.sweep(hub)))


async def _sweep(hub: Hub, seconds: float, jobs: int) -> None:
    """Finds what is due and rings for it; with a broken bell the work is done right here."""
    here: set[asyncio.Task[int]] = set()
    while True:
        try:
            due = await hub.engine.sweep()
            if due and not await hub.doorbell.ring(min(due, jobs)):
                here = {task for task in here if not task.done()}
                here |= {asyncio.create_task(hub.engine.drain()) for _ in range(min(due, jobs) - len(here))}
        except (SQLAlchemyError, OSError):
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
