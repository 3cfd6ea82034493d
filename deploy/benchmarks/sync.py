"""What a first synchronisation and an idle run cost: calls, time beside a bare loop, the engine alone, and memory."""

import asyncio
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from deploy.benchmarks import instant
from deploy.benchmarks.recording import LOOPS
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Packages, Stage

IDLE_RUNS = 10


async def calls_and_speed(stage: Stage) -> list[Row]:
    """Calls per invoice and of an idle run, then rounds of the engine and the bare loop on the same books."""
    invoices = 1000
    packages = await stage.packages(invoices)
    (combi,) = await stage.combis(packages)
    recording = stage.folder / "calls.json"
    first = await _run(stage, packages, combi, recording)
    _whole(first, invoices)
    made = await packages.ask("/bench/calls")
    for _ in range(IDLE_RUNS):
        await _run(stage, packages, combi, trigger="schedule")
    idle = await packages.ask("/bench/calls")
    ours: list[dict[str, Any]] = []
    bare: dict[str, list[dict[str, Any]]] = {library: [] for library in LOOPS}
    for _ in range(1 if stage.quick else 3):
        await packages.ask("/bench/rewind")
        (again,) = await stage.combis(packages)
        told = await _run(stage, packages, again)
        _whole(told, invoices)
        ours.append(told)
        for library, told_all in bare.items():
            await packages.ask("/bench/rewind")
            child = await stage.child("recording", recording, library)
            told_all.append(await child.told())
            await child.end()
    await packages.child.end()
    rate = invoices / median(one["seconds"] for one in ours)
    flows = 3
    return [
        Row("calls per booked invoice, first sync", sum(made.values()) / invoices, "", "<=", 1.3,
            f"{sum(made.values())} calls for {invoices} invoices, 100 customers {dict(made)}"),
        Row("calls of an idle run, per flow", sum(idle.values()) / flows / IDLE_RUNS, "", "<=", 1,
            f"{dict(idle)} in {IDLE_RUNS} scheduled runs of {flows} flows, all invoices unpaid"),
        Row("invoices per second over HTTP", rate, "/s", note=f"worker CPU {_cpu(ours, invoices):.2f} ms an invoice"),
        *_beside(rate, ours, bare["httpx"], invoices, "httpx", 0.6),
        *_beside(rate, ours, bare["own client"], invoices, "own client", None),
    ]  # fmt: skip


def _beside(
    rate: float,
    ours: Sequence[Mapping[str, Any]],
    bare: Sequence[Mapping[str, Any]],
    invoices: int,
    library: str,
    aim: float | None,
) -> list[Row]:
    """The hub beside a bare loop on a library."""
    loop = invoices / median(one["seconds"] for one in bare)
    return [
        Row(f"bare asyncio + {library} loop, same calls", loop, "/s",
            note=f"{bare[0]['parallel']} at a time; CPU {_cpu(bare, invoices):.2f} ms an invoice"),
        Row(f"hub beside the bare {library} loop", rate / loop, "", ">=", aim),
        Row("the same in processor time", _cpu(bare, invoices) / _cpu(ours, invoices), "",
            note="what a busy machine changes least"),
    ]  # fmt: skip


async def engine_alone(stage: Stage) -> list[Row]:
    """The engine with packages that cost nothing; every commit is on disk."""
    invoices = 3000 if stage.quick else 20_000
    sides = [(name, "key", "bench", {"secret": "secret"}) for name in (instant.SOURCE, instant.TARGET)]
    settings = {"administrations": {instant.COMPANY: instant.ADMINISTRATION}, "note_failure": False}
    instant.register(0)
    combi = await stage.combi(instant.RECIPE, sides[0], sides[1], settings)
    before = stage.database_cpu_s()
    child = await stage.child("work", "instant", combi, invoices)
    told = await child.told()
    await child.end()
    await asyncio.sleep(1)
    database = stage.database_cpu_s() - before
    _whole(told, invoices)
    busy = told["cpu_s"] + database
    return [
        Row("invoices per second, engine alone", invoices / told["seconds"], "/s", ">=", 1000,
            f"{invoices} invoices; worker held to one core, {told['cpu_s'] / told['seconds']:.0%} of it used"),
        Row("the same, per second of processor time", invoices / busy, "/s", ">=", 1000,
            f"worker {1000 * told['cpu_s'] / invoices:.2f} + PostgreSQL {1000 * database / invoices:.2f} ms each"),
    ]  # fmt: skip


async def memory(stage: Stage) -> list[Row]:
    """Peak memory of a worker process at few and at many invoices."""
    few, many = (500, 5000) if stage.quick else (1000, 50_000)
    peaks, seconds = {}, {}
    for invoices in (few, many):
        packages = await stage.packages(invoices)
        (combi,) = await stage.combis(packages)
        told = await _run(stage, packages, combi)
        _whole(told, invoices)
        await packages.child.end()
        peaks[invoices], seconds[invoices] = told["peak_mb"], told["seconds"]
    return [
        Row(f"peak memory at {few:,} invoices", peaks[few], "MB", "<=", 200),
        Row(f"peak memory at {many:,} invoices", peaks[many], "MB", "<=", 200,
            f"{seconds[many]:.0f} s, {many / seconds[many]:.0f} invoices a second"),
        Row("growth of the peak", 100 * (peaks[many] / peaks[few] - 1), "%", "<=", 20),
    ]  # fmt: skip


async def _run(
    stage: Stage, packages: Packages, combi: Any, recording: Any = "", trigger: str = "manual"
) -> dict[str, Any]:
    child = await stage.child("work", "run", combi, recording, trigger, packages=packages)
    told = await child.told()
    await child.end()
    return told


def _whole(told: Mapping[str, Any], invoices: int) -> None:
    """A measurement of work that was not done is none."""
    booked = told["counts"].get("invoices", {}).get("booked", 0)
    if booked != invoices:
        raise RuntimeError(f"{booked} of {invoices} invoices were booked: {told}")


def _cpu(told: Sequence[Mapping[str, Any]], invoices: int) -> float:
    return 1000 * float(median(one["cpu_s"] for one in told)) / invoices
