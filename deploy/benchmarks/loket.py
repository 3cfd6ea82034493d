"""What payroll journals of Loket.nl cost in FinMaster: calls per journal and idle night, and a night of many combis."""

import json
import logging
import socket
import sys
import time
from collections import deque
from typing import Any
from uuid import UUID

import structlog
import uvicorn
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.finmaster.sandbox import LOKET_CHART, FinmasterSandbox
from connectors.loket.sandbox import LoketSandbox
from deploy.benchmarks import crowd, drafts
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Packages, Stage
from deploy.benchmarks.work import lift_limits
from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.engine.schedule import Schedule
from hub.sdk.sandbox import Sandbox

LAST = 2026
IDLE_RUNS = 5
NIGHT_COMBIS = 2000
WINDOW_S = 3 * 3600
"""02:00–05:00."""
LONG = 10 * 24 * 3600


async def calls_per_journal(stage: Stage) -> list[Row]:
    """One monthly administration with 1, 3 and 10 years of history: the first synchronisation, then idle nights."""
    rows: list[Row] = []
    for years in (1, 3) if stage.quick else (1, 3, 10):
        rows += await _history(stage, years)
    return rows


async def _history(stage: Stage, years: int) -> list[Row]:
    loket, books = LoketSandbox(), FinmasterSandbox()
    loket.switches["expires_in"] = LONG
    loket.fill(1, years, last=LAST)
    books.add_administration("A", chart=LOKET_CHART, years=range(LAST - years + 1, LAST + 2))
    (home,) = loket.books["administrations"].values()
    boxes: dict[str, Sandbox] = {"loket": loket, "finmaster": books}
    lift_limits()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    async with drafts.served(boxes) as url:
        own = stage.hub.config.model_copy(update={"base_url": url})
        async with assembled(own, stage.services) as hub:
            tokens = dict(zip(("access_token", "refresh_token"), loket.grant(), strict=True))
            source = ("loket", "oauth", home["employer"], tokens)
            target = ("finmaster", "key", "A", {"token": books.books["administrations"]["A"]["token"]})
            combi = await stage.combi("loket-finmaster", source, target, {"administrations": {home["id"]: "A"}})
            await drafts.run_combi(hub, combi)
            made = drafts.calls_of(boxes)
            for _ in range(IDLE_RUNS):
                await drafts.run_combi(hub, combi, "schedule")
            idle = drafts.calls_of(boxes)
            loket.month(home, LAST + 1, 1)
            await drafts.run_combi(hub, combi, "schedule")
            new = drafts.calls_of(boxes)
    journals = 12 * years
    if len(books.entries("A")) != journals + 1:
        raise RuntimeError(f"{len(books.entries('A'))} of {journals + 1} journals were booked")
    pair = f"Loket.nl → FinMaster, {years} years of history"
    return [
        Row(f"calls per booked journal of the first sync, {pair}", sum(made.values()) / journals,
            note=f"{journals} journals {made}; each is read once, booked, and read back"),
        Row(f"calls of an idle night, {pair}", sum(idle.values()) / IDLE_RUNS, "", "<=", float(years),
            f"{idle} in {IDLE_RUNS} nights of one administration; aim one per administration and year"),
        Row(f"calls of a night with one new journal, {pair}", sum(new.values()), note=f"{new}"),
    ]  # fmt: skip


async def night(stage: Stage) -> list[Row]:
    """A night of fewer combis than asked for, on one worker, extrapolated openly: it is the rate that is measured.

    No limit of Loket.nl or FinMaster is published. Our own, 120 calls a minute per connection, is lifted here: a combi
    has connections of its own and makes a handful of calls a night, so that it would not be felt.
    """
    combis = 25 if stage.quick else 200
    child = await stage.child("loket", combis)
    told = await child.told()
    packages = Packages(child, told["port"], {})
    made = [await _combi(stage, *one) for one in told["combis"]]
    worker = await stage.child("work", "worker", packages=packages)
    await worker.told()
    rows: list[Row] = []
    for kind, journals in (("first night, nine months each", 9), ("one new journal each", 1), ("idle", 0)):
        if kind.startswith("one"):
            await packages.ask("/bench/month")
        before = worker.cpu_s()
        slot = await crowd.due(stage, made)
        began = time.monotonic()
        seconds = await crowd.drained(stage) - began
        await _all_booked(stage, slot, combis, journals)
        cpu = 1000 * (worker.cpu_s() - before) / combis
        whole = seconds * NIGHT_COMBIS / combis
        rate = f"{combis / seconds:.1f} a second, worker CPU {cpu:.0f} ms a run"
        note = f"{combis} combis took one worker {seconds:.1f} s ({rate}); times {NIGHT_COMBIS / combis:g}"
        name = f"a night of {NIGHT_COMBIS:,} payroll combis, {kind}: extrapolated"
        rows.append(Row(name, whole / 60, "min", "<=", WINDOW_S / 60, note))
    await worker.end()
    await child.end()
    return rows


async def _combi(stage: Stage, employer: str, administration: str, tokens: list[str], place: str, key: str) -> UUID:
    source = ("loket", "oauth", employer, dict(zip(("access_token", "refresh_token"), tokens, strict=True)))
    target = ("finmaster", "key", place, {"token": key})
    settings = {"administrations": {administration: place}}
    return await stage.combi("loket-finmaster", source, target, settings, Schedule.nightly)


async def _all_booked(stage: Stage, slot: Any, combis: int, journals: int) -> None:
    """A measurement of work that was not done is none."""
    async with stage.hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT count(*) FROM run WHERE slot = :slot AND outcome < 2060
                  AND coalesce((counts->'journals'->>'booked')::int, 0) = :journals"""
            ),
            {"slot": slot, "journals": journals},
        )
        done = int(found.scalar_one())
    if done != combis:
        raise RuntimeError(f"{combis - done} of {combis} runs did not do what was measured")


def main(combis: int) -> None:
    """Serves both packages until killed: an employer and an administration per combi, nine months to be booked."""
    loket, books = LoketSandbox(), FinmasterSandbox()
    loket.switches["expires_in"] = LONG
    books.fill(combis)
    made = []
    for at in range(combis):
        employer = loket.add_employer(f"Werkgever {at}")
        home = loket.add_administration(employer, f"Administratie {at}")
        for period in range(1, 10):
            loket.month(home, LAST, period)
        user = f"user{at}"
        loket.books["users"][user] = {"name": user, "email": "", "password": "", "sees": [employer["id"]]}
        place = f"A{at:05d}"
        key = books.books["administrations"][place]["token"]
        made.append((employer["id"], home["id"], loket.grant(user), place, key))

    async def month(_: Request) -> Response:
        for home in loket.books["administrations"].values():
            loket.month(home, LAST, 10)
        return Response(status_code=204)

    boxes: dict[str, Sandbox] = {"loket": loket, "finmaster": books}
    app = runner.create_app(boxes)
    app.router.routes[:0] = [Route("/bench/month", month, methods=["POST"])]
    for box in boxes.values():
        box.log = deque(maxlen=1)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        print(json.dumps({"port": listening.getsockname()[1], "combis": made}), flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))
