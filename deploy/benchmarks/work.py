"""The measured worker processes: one run from start to end, or a worker that sweeps and answers the bell."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from deploy.benchmarks import instant
from deploy.benchmarks.recording import Recorder
from hub import config as configuration
from hub.assembly import hub as assembled
from hub.engine import registry
from hub.engine.hub import Hub
from hub.engine.models import Combi
from hub.kit import log
from hub.kit.embedded import Services
from hub.sdk.manifest import RateLimit
from hub.worker import work

NO_LIMIT = RateLimit(per_minute=6_000_000, burst=1000)


def lift_limits() -> None:
    """The packages' real limits (60 calls a minute at Simplicate) would be all that is measured."""
    for connector in registry.all_connectors().values():
        registry.add(replace(connector, manifest=connector.manifest.model_copy(update={"rate_limit": NO_LIMIT})))


@asynccontextmanager
async def a_hub(**parts: Any) -> AsyncIterator[tuple[Hub, Services]]:
    """The hub of this process, on the services that run already."""
    config = configuration.load()
    log.set_up("console")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    services = Services(str(config.database_url), str(config.redis_url), config.data_dir)
    async with assembled(config, services, **parts) as hub:
        yield hub, services


async def one_run(combi_id: str, recording: str = "", trigger: str = "manual") -> None:
    """Runs a combi once; tells seconds, CPU seconds, peak memory and counts."""
    recorder = Recorder() if recording else None
    async with a_hub(**({"client": recorder.client} if recorder else {})) as (hub, _):
        async with hub.database.system() as session:
            combi = await session.get_one(Combi, UUID(combi_id))
            run = await hub.engine.start_run(session, combi, trigger=trigger)
        began, cpu = time.perf_counter(), time.process_time()
        run = await hub.engine.run_to_end(run.id, patience_s=3600)
        told = {
            "seconds": time.perf_counter() - began,
            "cpu_s": time.process_time() - cpu,
            "peak_mb": peak_mb(),
            "counts": run.counts,
            "outcome": run.outcome,
            "reason": run.reason,
        }
        if recorder is not None:
            recorder.keep(Path(recording))
    print(json.dumps(told), flush=True)


def peak_mb() -> float:
    """The most memory that this process held at any moment, in megabytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


async def be_a_worker() -> None:
    """A worker as `hub worker` is one, until killed."""
    async with a_hub() as (hub, services):
        print(json.dumps({"name": hub.engine.name}), flush=True)
        await work(hub, services.redis_url)


def main(what: str, *words: str) -> None:
    """`run COMBI [RECORDING] [TRIGGER]`, `instant COMBI INVOICES` on one core, or `worker`."""
    match what:
        case "run":
            lift_limits()
            asyncio.run(one_run(*words))
        case "instant":
            instant.register(int(words[1]))
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            asyncio.run(one_run(words[0]))
        case "worker":
            lift_limits()
            asyncio.run(be_a_worker())
        case _:
            raise SystemExit(f"unknown: {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])
