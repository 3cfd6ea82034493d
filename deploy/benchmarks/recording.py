"""The calls of a run, written down as they were made, and a bare loop that makes the same calls and keeps no books."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from hub.sdk import network as wire
from hub.sdk.http import new_client

LOOPS: Mapping[str, Callable[[], Any]] = {
    "httpx": lambda: httpx.AsyncClient(timeout=30, trust_env=False),
    "own client": lambda: new_client(timeout_s=30),
}
"""With what the bare loop can be made: the library that was asked for, and what the hub itself calls with."""

_KEPT = ("authorization", "authentication-key", "authentication-secret", "content-type", "accept")


@dataclass
class Call:
    """One call; `begin` and `end` are seconds on one clock."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: str
    """Base64."""
    begin: float
    end: float = 0


class Recorder(wire.Network):
    """A network that writes down what goes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.client = new_client(self)

    async def call(self, call: wire.Call, timeout_s: float) -> wire.Heard:
        """Sends it on."""
        headers = {name.lower(): value for name, value in call.headers.items() if name.lower() in _KEPT}
        content = base64.b64encode(call.content or b"").decode()
        made = Call(call.method, call.url, headers, content, time.perf_counter())
        self.calls.append(made)
        heard = await super().call(call, timeout_s)
        made.end = time.perf_counter()
        return heard

    def keep(self, path: Path) -> None:
        """Stores the calls."""
        path.write_text(json.dumps([asdict(call) for call in self.calls]))


def stretches(calls: Sequence[Call]) -> list[tuple[int, list[Call]]]:
    """The calls in order, in stretches of (how many at the same time, calls).

    What ran alone runs alone. Neighbouring stretches that ran side by side are one: the loop waits for no commit.
    """
    found: list[tuple[int, list[Call]]] = []
    busy: list[float] = []
    for call in sorted(calls, key=lambda one: one.begin):
        busy = [end for end in busy if end > call.begin]
        if not busy:
            found.append((1, []))
        busy.append(call.end)
        width, held = found[-1]
        held.append(call)
        found[-1] = (max(width, len(busy)), held)
    joined: list[tuple[int, list[Call]]] = []
    for width, held in found:
        if width > 1 and joined and joined[-1][0] > 1:
            joined[-1] = (max(width, joined[-1][0]), joined[-1][1] + held)
        else:
            joined.append((width, held))
    return joined


async def replay(recorded: str, library: str) -> dict[str, float]:
    """Makes the calls again with one of `LOOPS`, reads every answer as JSON, and keeps nothing."""
    plan = stretches([Call(**one) for one in json.loads(recorded)])
    failed = 0
    async with LOOPS[library]() as client:
        began, cpu = time.perf_counter(), time.process_time()
        for width, calls in plan:
            waiting = iter(calls)

            async def lane(waiting: "object" = waiting) -> None:
                nonlocal failed
                for call in waiting:  # type: ignore[attr-defined]
                    content = base64.b64decode(call.content)
                    answer = await client.request(call.method, call.url, headers=call.headers, content=content)
                    failed += answer.status_code >= 500 or (answer.content != b"" and answer.json() is None)

            await asyncio.gather(*(lane() for _ in range(width)))
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": seconds, "cpu_s": cpu_s, "calls": sum(len(calls) for _, calls in plan), "failed": failed,
            "parallel": max(width for width, _ in plan)}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(replay(Path(sys.argv[1]).read_text(), sys.argv[2]))), flush=True)
