"""Measures everything, or what `--only` names, and prints one table."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from deploy.benchmarks import api, crowd, drafts, loket, nmbrs, report, sync
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Stage, set_up

MEASUREMENTS: Mapping[str, Callable[[Stage], Awaitable[list[Row]]]] = {
    "calls": sync.calls_and_speed,
    "drafts": drafts.calls_per_invoice,
    "nmbrs": nmbrs.calls_per_journal,
    "loket": loket.calls_per_journal,
    "night": loket.night,
    "engine": sync.engine_alone,
    "memory": sync.memory,
    "crowd": crowd.same_slot,
    "api": api.lists,
}


async def measure(names: list[str], *, quick: bool) -> list[Row]:
    """The figures, in order."""
    rows: list[Row] = []
    async with set_up(quick) as stage:
        for name in names:
            began = time.monotonic()
            rows += await MEASUREMENTS[name](stage)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="deploy/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, under two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), metavar="NAME")
    chosen = parser.parse_args()
    began = time.monotonic()
    rows = asyncio.run(measure(chosen.only, quick=chosen.quick))
    seconds = time.monotonic() - began
    report.show(rows, seconds, quick=chosen.quick)
    if chosen.json:
        report.keep(chosen.json, rows, seconds, quick=chosen.quick)


if __name__ == "__main__":
    main()
