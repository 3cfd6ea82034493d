"""The command line with production's waits cut down, so that a test sees in seconds what takes a minute.

Everything else is the program as it is: `python -m tests.kill.hasty worker`.
"""

from dataclasses import replace

from hub import cli
from hub.engine import context, deliver, registry, run

LEASE_S = 4
HEARTBEAT_S = 0.8
MARGIN_S = 2.0
SETTLE_S = 1.5


def hasten() -> None:
    """Leases, the look-up after a write, and our own rates towards the packages; in this process only."""
    run.LEASE_S, run.HEARTBEAT_S, context.MARGIN_S = LEASE_S, HEARTBEAT_S, MARGIN_S
    deliver.settle_s = lambda ctx, flow: SETTLE_S
    for shipped in list(registry.all_connectors().values()):
        rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
        registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))


if __name__ == "__main__":
    hasten()
    cli.main()
