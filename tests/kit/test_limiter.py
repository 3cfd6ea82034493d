"""Turns on a foreign API are shared by all workers, and a pause holds for all of them."""

import asyncio
import time
from contextlib import suppress

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


async def test_many_who_ask_at_once_get_what_there_is_and_no_more(
    workers: list[Turns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    asked = [workers[number % 2].turn("minox:1", per_minute=1, burst=7) for number in range(40)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert told.count(None) == 7
    assert all(isinstance(one, NotNow) and 0 < one.seconds <= 60 for one in told if one is not None)


async def test_who_calls_on_and_on_asks_seldom_and_gets_no_more(
    workers: list[Turns], monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    got = [0, 0]

    async def on_and_on(number: int) -> None:
        with suppress(NotNow):
            while True:
                await workers[number].turn("minox:1", per_minute=60, burst=200)
                got[number] += 1

    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await asyncio.gather(on_and_on(0), on_and_on(1), on_and_on(0))
    asked = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    # The other half of the bucket is given out turn by turn; the last handful may have gone stale.
    assert 200 - 2 * limiter.HANDFUL <= sum(got) <= 202
    assert asked < 140


async def test_a_pause_takes_back_what_was_taken_in_advance(workers: list[Turns]) -> None:
    for _ in range(3):
        await workers[0].turn("minox:1", per_minute=6000, burst=200)
    await workers[0].pause("minox:1", 120)
    with pytest.raises(NotNow):
        await workers[0].turn("minox:1", per_minute=6000, burst=200)


async def test_who_is_broken_off_takes_no_turn_and_the_others_get_theirs(
    workers: list[Turns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    asked = [asyncio.create_task(workers[0].turn("minox:1", per_minute=1, burst=5)) for _ in range(8)]
    await asyncio.sleep(0)  # the first one's question is on its way, the others wait behind it
    for one in (asked[0], asked[2], asked[7]):
        one.cancel()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [told[at] for at in (1, 3, 4, 5, 6)].count(None) >= 4, told
    assert sum(one is None for one in told) <= 5


async def test_without_valkey_each_worker_keeps_to_the_rate_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "PATIENCE_S", 0.0)
    alone = Turns(Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2))
    await alone.turn("minox:1", per_minute=1, burst=5)
    with pytest.raises(NotNow):
        await alone.turn("minox:1", per_minute=1, burst=5)
    await alone.pause("minox:2", 60)
    with pytest.raises(NotNow):
        await alone.turn("minox:2", per_minute=6000, burst=5)
