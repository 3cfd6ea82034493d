"""The only module that knows arq: a doorbell that says "there is work", and the workers that answer it.

Jobs carry nothing but a hint; rows are the truth. Losing Redis costs seconds: every worker also looks for due rows by
itself. What arq does badly is kept away: no pickle, no job ids with a meaning, no results kept, no schedules of its
own, no retries, and a worker that dies with Redis is started again.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

from hub.kit import json

_log = structlog.get_logger(__name__)
logging.getLogger("arq").setLevel(logging.ERROR)

QUEUE = "hub:bell"
SILENCE_S = 10
"""How long Redis may take to answer before it is taken to be lost."""


class Doorbell(Protocol):
    """Wakes workers."""

    async def ring(self, times: int = 1) -> bool:
        """Ask for `times` workers to look for work. Never raises; False: the bell is broken, look by yourself."""


def _pack(value: dict[str, Any]) -> bytes:
    return json.dumps({name: part for name, part in value.items() if not isinstance(part, BaseException)}).encode()


class ArqBell:
    """Rings through Redis."""

    def __init__(self, redis_url: str) -> None:
        self._pool = ArqRedis.from_url(redis_url, socket_timeout=3, socket_connect_timeout=3)
        self._pool.job_serializer = _pack
        self._pool.job_deserializer = json.loads
        self._pool.default_queue_name = QUEUE

    async def ring(self, times: int = 1) -> bool:
        """See `Doorbell.ring`."""
        try:
            for _ in range(times):
                await self._pool.enqueue_job("answer", _expires=60)
        except (RedisError, OSError) as error:
            _log.warning("bell_broken", error=str(error))
            return False
        return True

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.aclose()


async def answer_bell(redis_url: str, wake: Callable[[], None]) -> None:
    """Answers rings with `wake`, which returns at once, for ever; starts again when Redis went away. Cancel to stop."""

    async def answer(ctx: dict[Any, Any], *_: Any, **__: Any) -> None:  # noqa: ARG001 - the form arq calls
        wake()

    while True:
        worker: Worker | None = None
        try:
            pool = ArqRedis.from_url(redis_url, socket_timeout=SILENCE_S, socket_connect_timeout=SILENCE_S)
            pool.job_serializer, pool.job_deserializer = _pack, json.loads
            worker = Worker(
                [func(answer, name="answer", timeout=SILENCE_S, max_tries=1, keep_result=0)],
                queue_name=QUEUE,
                redis_pool=pool,
                handle_signals=False,
                poll_delay=0.1,
                keep_result=0,
                retry_jobs=False,
                health_check_interval=30,
                job_serializer=_pack,
                job_deserializer=json.loads,
                log_results=False,
            )
            await worker.async_run()
        except asyncio.CancelledError:
            raise
        except (RedisError, OSError, RuntimeError) as error:
            _log.warning("bell_lost", error=str(error))
        finally:
            if worker is not None:
                await _closed(worker)
        await asyncio.sleep(1)


async def _closed(worker: Worker) -> None:
    """Ends a worker whose Redis may be gone already."""
    try:
        async with asyncio.timeout(5):
            await worker.close()
    except (RedisError, OSError, TimeoutError, AttributeError):
        _log.info("bell_closed_hard")
