"""The load on a web server: callers that each ask again as soon as they have their answer, over plain sockets."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

CALLERS = 8
WARM_S = 1.0


async def caller(port: int, asks: Sequence[bytes], first: int, until: float, took: list[tuple[float, float]]) -> None:
    """Asks in turn. Raises RuntimeError for any answer but 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    at = first
    while (began := time.perf_counter()) < until:
        writer.write(asks[at % len(asks)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length.partition(b":")[2]))
        took.append((began, time.perf_counter() - began))
        at += CALLERS
    writer.close()


async def load(port: int, key: str, seconds: float, paths: Sequence[str]) -> dict[str, float]:
    """Requests per second and the 99th percentile in milliseconds, after warming up."""
    asks = [f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode() for path in paths]
    took: list[tuple[float, float]] = []
    start = time.perf_counter() + WARM_S
    await asyncio.gather(*(caller(port, asks, one, start + seconds, took) for one in range(CALLERS)))
    measured = sorted(spent for began, spent in took if began >= start)
    return {"rate": len(measured) / seconds, "p99_ms": 1000 * measured[int(0.99 * len(measured))]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]))), flush=True)
