"""Turn-taking of all workers on one foreign API: a token bucket and a pause per connection, kept in Valkey."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

# KEYS: bucket, pause. ARGV: tokens per second, burst, turns wanted, and how many more may be taken while the bucket is
# more than half full. Gives the turns taken, those taken besides, and the seconds to the next.
_TAKE = """
local now = redis.call('TIME'); now = now[1] + now[2] / 1e6
local pause = tonumber(redis.call('GET', KEYS[2]) or '0')
if pause > now then return {0, 0, tostring(pause - now)} end
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 't', 'n')
local tokens = tonumber(state[2] or burst)
tokens = math.min(burst, tokens + (now - tonumber(state[1] or now)) * rate)
local taken = math.min(tonumber(ARGV[3]), math.floor(tokens))
local more = math.max(0, math.min(tonumber(ARGV[4]), math.floor(tokens - taken - burst / 2)))
tokens = tokens - taken - more
redis.call('HSET', KEYS[1], 't', tostring(now), 'n', tostring(tokens))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 60)
return {taken, more, tostring((1 - tokens) / rate)}
"""

PATIENCE_S = 5.0
"""How long a worker sleeps for its turn; a longer wait gives the worker back."""


SILENCE_S = 3.0
"""How long Valkey may take to answer."""
HANDFUL = 8
KEPT_S = 0.1
"""Who calls on and on takes a handful of turns with each question and uses them within so long. They are out of the
bucket, so together all workers make at most as many calls more than the limit as it allows in that time."""


class NotNow(Exception):
    """The turn comes later than a worker waits for; `seconds` says when."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in {seconds:.1f} s")
        self.seconds = seconds


@dataclass
class _Queue:
    """Who wants a turn on one connection now; one of them asks for all."""

    waiting: list[asyncio.Future[float]] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked_at: float = float("-inf")
    kept: int = 0
    """Turns that were taken in advance at `asked_at` (monotonic)."""

    def take(self) -> bool:
        """Uses a turn that was taken in advance; False when there is none."""
        if not self.kept or time.monotonic() - self.asked_at > KEPT_S:
            return False
        self.kept -= 1
        return True


class Turns:
    """All workers' turns. Without Valkey each process keeps to the rate by itself.

    `redis` needs no time-outs of its own: they cost a task for every command.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._local: dict[str, float] = {}
        self._queues: dict[str, _Queue] = {}

    async def turn(self, key: str, per_minute: float, burst: int) -> None:
        """Returns when a call may be made. Raises NotNow when that is not soon."""
        waited = 0.0
        while True:
            wait = await self._ask(key, per_minute / 60, burst)
            if wait <= 0:
                return
            if waited + wait > PATIENCE_S:
                raise NotNow(wait)
            waited += wait
            await asyncio.sleep(wait)

    async def pause(self, key: str, seconds: float) -> None:
        """Nobody gets a turn for so long; a longer pause that stands already is kept."""
        until = time.time() + seconds
        self._local[key] = max(self._local.get(key, 0.0), until)
        self._queues.pop(key, None)
        try:
            async with asyncio.timeout(SILENCE_S):
                standing = float(await self._redis.get(f"pause:{key}") or 0)
                if until > standing:
                    await self._redis.set(f"pause:{key}", repr(until), px=max(int(seconds * 1000), 1))
        except (RedisError, OSError):
            _log.warning("limiter_without_valkey")

    async def aclose(self) -> None:
        """Let go of Valkey."""
        await self._redis.aclose()

    async def _ask(self, key: str, rate: float, burst: int) -> float:
        """Seconds to wait; the turn is taken when it is 0. Those who ask while an answer is on its way ask together."""
        queue = self._queues.setdefault(key, _Queue())
        if queue.take():
            return 0.0
        mine: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        queue.waiting.append(mine)
        try:
            async with queue.asking:
                if not mine.done():
                    await self._ask_for_all(queue, key, rate, burst)
            return mine.result()
        finally:
            # Who was broken off gets no turn.
            mine.cancel()

    async def _ask_for_all(self, queue: _Queue, key: str, rate: float, burst: int) -> None:
        waiting, queue.waiting = [one for one in queue.waiting if not one.done()], []
        before, queue.asked_at = queue.asked_at, time.monotonic()
        more = HANDFUL if queue.asked_at - before < KEPT_S else 0
        try:
            async with asyncio.timeout(SILENCE_S):
                keys, wanted = [f"turns:{key}", f"pause:{key}"], [rate, burst, len(waiting), more]
                taken, queue.kept, wait = await self._take(keys=keys, args=wanted)
            answers = [0.0] * taken + [float(wait)] * (len(waiting) - taken)
        except (RedisError, OSError):
            answers = [self._ask_here(key, rate) for _ in waiting]
        except BaseException:
            queue.waiting[:0] = waiting
            raise
        for one, answer in zip(waiting, answers, strict=True):
            if not one.done():
                one.set_result(answer)

    def _ask_here(self, key: str, rate: float) -> float:
        now = time.time()
        free_at = self._local.get(key, 0.0)
        if free_at > now:
            return free_at - now
        self._local[key] = now + 1 / rate
        return 0
