"""The packages' own process: both sandboxes on a port of their own, without limits, with invoices to be booked."""

import json
import pickle
import socket
import sys
from collections import deque
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.minox.sandbox import SANDBOX as MINOX
from connectors.simplicate.sandbox import SANDBOX as SIMPLICATE
from hub import sandbox as runner

NO_LIMIT = 6_000_000
FIRST_TENANT = 50_000
"""Minox customers are numbered from here; each has one administration, number 1."""


def tenants(count: int) -> list[str]:
    """The Minox tenants of so many combis."""
    return [str(FIRST_TENANT + at) for at in range(count)]


def main(invoices: int, customers: int, combis: int) -> None:
    """Serves until killed. Prints one line of JSON: the port and the access tokens by tenant."""
    simplicate, minox = SIMPLICATE(), MINOX()
    simplicate.switches |= {"rate_per_minute": NO_LIMIT, "any_domain": True}
    minox.switches |= {"rate_per_minute": NO_LIMIT, "rate_burst": NO_LIMIT, "access_life_s": 10 * 24 * 3600}
    simplicate.fill(invoices, customers)
    tokens = {}
    for tenant in tenants(combis):
        minox.add_administration(1, f"Administratie {tenant}", tenant)
        tokens[tenant] = minox.grant(tenant)
    boxes: dict[str, Any] = {"simplicate": simplicate, "minox": minox}
    start = {name: pickle.dumps(box.state()) for name, box in boxes.items()} if combis == 1 else {}

    async def rewind(_: Request) -> Response:
        for name, books in start.items():
            boxes[name].__dict__.update(pickle.loads(books))  # noqa: S301 - our own, of a moment ago
            boxes[name].calls.clear()
        return Response(status_code=204)

    async def calls(_: Request) -> Response:
        told = JSONResponse({name: box.calls.total() for name, box in boxes.items()})
        for box in boxes.values():
            box.calls.clear()
        return told

    async def add(request: Request) -> Response:
        wanted = int(request.query_params["count"])
        owner = next(one for one in simplicate.books["organizations"].values() if one["email"])
        for _ in range(wanted):
            simplicate.add_invoice(organization=owner)
        return Response(status_code=204)

    app = runner.create_app(boxes)
    app.router.routes[:0] = [Route("/bench/rewind", rewind, methods=["POST"]), Route("/bench/calls", calls),
                             Route("/bench/add", add, methods=["POST"])]  # fmt: skip
    for box in boxes.values():
        box.log = deque(maxlen=1)
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY).
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        print(json.dumps({"port": listening.getsockname()[1], "tokens": tokens}), flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listening])


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
