"""A nursery of workers: the program as it is, loaded once, forked for each worker, with production's waits cut down.

It reads a line of JSON per worker wanted (`environment`, `output`) and answers with its process id; later, when the
worker has ended, with its id and exit code.
"""

import importlib
import json
import os
import select
import sys
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hub import cli
from hub.engine import context, points, protocol, registry, run, verdicts
from hub.worker import work

LEASE_S = 3
HEARTBEAT_S = 0.6
MARGIN_S = 1.5
SETTLE_S = 1.5
WINDOW_S = 1.5
IN_OTHER_HANDS = timedelta(seconds=1)
SWEEP_S = 0.5


def hasten() -> None:
    """Leases, the look-up after a write, and our own rates towards the packages; in this process only."""
    run.LEASE_S, run.HEARTBEAT_S, context.MARGIN_S = LEASE_S, HEARTBEAT_S, MARGIN_S
    verdicts.settle_s = lambda ctx, flow: SETTLE_S
    verdicts.IN_OTHER_HANDS, protocol.WINDOW_S = IN_OTHER_HANDS, WINDOW_S
    work.__kwdefaults__ = {**(work.__kwdefaults__ or {}), "sweep_s": SWEEP_S}
    for shipped in list(registry.all_connectors().values()):
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))


def bear(wanted: dict[str, Any]) -> int:
    """Forks `hub worker`; gives its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        log = os.open(wanted["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(wanted["environment"])
        importlib.reload(points)
        sys.argv = ["hub", "worker"]
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Bears workers until nobody wants any more."""
    hasten()
    pending = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            received = os.read(0, 65536)
            if not received:
                return
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                print(json.dumps({"born": bear(json.loads(line))}), flush=True)  # noqa: T201
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            print(json.dumps({"dead": pid, "code": os.waitstatus_to_exitcode(status)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
