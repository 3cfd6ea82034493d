"""Turn-taking of all workers on one foreign API: a token bucket and a pause per connection, kept in Valkey."""

import asyncio
import time

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

# KEYS: bucket, pause. ARGV: tokens per second, burst. Gives the seconds to wait; the turn is taken when it is 0.
_TURN = """
local now = redis.call('TIME'); now = now[1] + now[2] / 1e6
local pause = tonumber(redis.call('GET', KEYS[2]) or '0')
if pause > now then return tostring(pause - now) end
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 't', 'n')
local tokens = tonumber(state[2] or burst)
tokens = math.min(burst, tokens + (now - tonumber(state[1] or now)) * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 't', tostring(now), 'n', tostring(tokens))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 60)
return tostring(wait)
"""

PATIENCE_S = 5.0
"""How long a worker sleeps for its turn; a longer wait gives the worker back."""


class NotNow(Exception):
    """The turn comes later than a worker waits for; `seconds` says when."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in {seconds:.1f} s")
        self.seconds = seconds


class Turns:
    """All workers' turns. Without Valkey each process keeps to the rate by itself."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_TURN)
        self._local: dict[str, float] = {}

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
        try:
            standing = float(await self._redis.get(f"pause:{key}") or 0)
            if until > standing:
                await self._redis.set(f"pause:{key}", repr(until), px=max(int(seconds * 1000), 1))
        except (RedisError, OSError):
            _log.warning("limiter_without_valkey")

    async def _ask(self, key: str, rate: float, burst: int) -> float:
        try:
            return float(await self._script(keys=[f"turns:{key}", f"pause:{key}"], args=[rate, burst]))
        except (RedisError, OSError):
            return self._ask_here(key, rate)

    def _ask_here(self, key: str, rate: float) -> float:
        now = time.time()
        free_at = self._local.get(key, 0.0)
        if free_at > now:
            return free_at - now
        self._local[key] = now + 1 / rate
        return 0
