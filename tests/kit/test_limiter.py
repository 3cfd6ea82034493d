"""Turns on a foreign API are shared by all workers, and a pause holds for all of them."""

import time

import pytest
from redis.asyncio import Redis

from hub.kit import limiter
from hub.kit.embedded import Services
from hub.kit.limiter import NotNow, Turns


@pytest.fixture
async def workers(services: Services, redis: Redis) -> list[Turns]:
    """Two workers with connections of their own, on an empty Valkey."""
    await redis.flushall()
    return [Turns(Redis.from_url(services.redis_url)) for _ in range(2)]


async def test_two_workers_share_one_burst(workers: list[Turns], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    for number in range(5):
        await workers[number % 2].turn("minox:1", per_minute=1, burst=5)
    for worker in workers:
        with pytest.raises(NotNow) as told:
            await worker.turn("minox:1", per_minute=1, burst=5)
        assert 0 < told.value.seconds <= 60


async def test_one_connection_does_not_slow_another(workers: list[Turns], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    await workers[0].turn("minox:1", per_minute=1, burst=1)
    with pytest.raises(NotNow):
        await workers[0].turn("minox:1", per_minute=1, burst=1)
    await workers[0].turn("minox:2", per_minute=1, burst=1)


async def test_a_pause_holds_for_every_worker_and_a_shorter_one_does_not_end_it(workers: list[Turns]) -> None:
    await workers[0].pause("minox:1", 120)
    await workers[1].pause("minox:1", 1)
    for worker in workers:
        with pytest.raises(NotNow) as told:
            await worker.turn("minox:1", per_minute=6000, burst=100)
        assert 100 < told.value.seconds <= 120


async def test_a_short_wait_is_waited_out(workers: list[Turns]) -> None:
    began = time.monotonic()
    for _ in range(3):
        await workers[0].turn("minox:1", per_minute=600, burst=1)
    assert time.monotonic() - began >= 0.18


async def test_without_valkey_each_worker_keeps_to_the_rate_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    alone = Turns(Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2))
    await alone.turn("minox:1", per_minute=1, burst=5)
    with pytest.raises(NotNow):
        await alone.turn("minox:1", per_minute=1, burst=5)
    await alone.pause("minox:2", 60)
    with pytest.raises(NotNow):
        await alone.turn("minox:2", per_minute=6000, burst=5)
