"""The clock that is passed to everything that needs the time."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Give the present moment, aware and in UTC."""

    def today(self) -> date:
        """Give the calendar date in Europe/Amsterdam."""

    async def sleep(self, seconds: float) -> None:
        """Return when that much time of this clock has passed."""


class SystemClock:
    """The time of the machine."""

    def now(self) -> datetime:
        """Give the present moment, aware and in UTC."""
        return datetime.now(UTC)

    def today(self) -> date:
        """Give the calendar date in Europe/Amsterdam."""
        return datetime.now(AMSTERDAM).date()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A time that stands still until it is advanced; who sleeps on it moves it on, so that nobody waits.

    With `sleep_advances=False` sleepers wait until somebody else advances the clock past their moment.
    """

    def __init__(self, start: datetime, *, sleep_advances: bool = True) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._now = start.astimezone(UTC)
        self._sleep_advances = sleep_advances
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Give the moment this clock was set to, in UTC."""
        return self._now

    def today(self) -> date:
        """Give the calendar date in Europe/Amsterdam at that moment."""
        return self._now.astimezone(AMSTERDAM).date()

    def advance(self, by: float | timedelta) -> None:
        """Move the time on by seconds or a timedelta (negative: back) and wake who slept until then."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        due = [sleeper for moment, sleeper in self._sleepers if moment <= self._now]
        self._sleepers = [(moment, sleeper) for moment, sleeper in self._sleepers if moment > self._now]
        for sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Let that much time of this clock pass."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        if self._sleep_advances:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), sleeper))
        await sleeper
