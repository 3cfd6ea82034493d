"""What exporting Minuba's invoices to eAccounting costs in calls: the first time, and when there is nothing to do."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
import uvicorn

from connectors.eaccounting.sandbox import SANDBOX as EACCOUNTING
from connectors.minuba.sandbox import SANDBOX as MINUBA
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Stage
from deploy.benchmarks.work import lift_limits
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.engine.hub import Hub
from hub.engine.models import Combi
from hub.sdk.sandbox import Sandbox

INVOICES, CUSTOMERS, ARTICLES = 1000, 100, 50
IDLE_RUNS = 10


async def calls_per_invoice(stage: Stage) -> list[Row]:
    """1,000 invoices of 100 new customers with 50 materials, half of which are articles in eAccounting."""
    minuba, books = MINUBA(), EACCOUNTING()
    books.switches["expires_in"] = minuba.switches["expires_in"] = 10 * 24 * 3600
    minuba.fill(INVOICES, CUSTOMERS, ARTICLES)
    for at in range(0, ARTICLES, 2):
        books.add_article(f"ART-{at:03d}")
    boxes: dict[str, Sandbox] = {"minuba": minuba, "eaccounting": books}
    lift_limits()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    async with served(boxes) as url:
        own = stage.hub.config.model_copy(update={"base_url": url})
        async with assembled(own, stage.services) as hub:
            combi = await _combi(stage, minuba, books)
            await run_combi(hub, combi)
            made = calls_of(boxes)
            for _ in range(IDLE_RUNS):
                await run_combi(hub, combi, "schedule")
            idle = calls_of(boxes)
    due = sum((one["totalInclVat"] for one in minuba.books["invoices"].values()), Decimal(0))
    stands = sum((one["TotalAmount"] for one in books.documents()), Decimal(0))
    if len(books.documents()) != INVOICES or stands != due:
        raise RuntimeError(f"{len(books.documents())} of {INVOICES} invoices stand there, {stands} of {due}")
    return [
        Row("calls per exported invoice, Minuba → eAccounting", sum(made.values()) / INVOICES, "", "<=", 1.3,
            f"{INVOICES} invoices, {CUSTOMERS} customers, {ARTICLES} articles {made}"),
        Row("calls of an idle run, the same pair, per flow", sum(idle.values()) / 2 / IDLE_RUNS, "", "<=", 1,
            note=f"{idle} in {IDLE_RUNS} scheduled runs of 2 flows"),
    ]  # fmt: skip


@asynccontextmanager
async def served(boxes: Mapping[str, Sandbox]) -> AsyncIterator[str]:
    """The sandboxes on a port of this process, which only counts calls and measures no time."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(runner.create_app(boxes), log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


async def _combi(stage: Stage, minuba: Any, books: Any) -> UUID:
    company = next(iter(books.books["companies"]))
    tokens = [dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)) for box in (minuba, books)]
    source = ("minuba", "oauth", minuba.books["account"]["id"], tokens[0])
    target = ("eaccounting", "oauth", company, tokens[1])
    return await stage.combi("minuba-eaccounting", source, target, {"administrations": {"account": company}})


async def run_combi(hub: Hub, combi_id: UUID, trigger: str = "manual") -> None:
    """A run to its end."""
    async with hub.database.system() as session:
        combi = await session.get_one(Combi, combi_id)
        run = await hub.engine.start_run(session, combi, trigger=trigger)
    await hub.engine.run_to_end(run.id, patience_s=600)


def calls_of(boxes: Mapping[str, Sandbox]) -> dict[str, int]:
    """By package; counted from here on anew."""
    told = {name: box.calls.total() for name, box in boxes.items()}
    for box in boxes.values():
        box.calls.clear()
    return told
