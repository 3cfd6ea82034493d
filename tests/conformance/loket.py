"""Loket.nl for the conformance kit."""

from connectors.loket import CONNECTOR
from connectors.loket.sandbox import LoketSandbox
from tests.conformance.adapter import Adapter, Reading


def _sandbox() -> LoketSandbox:
    box = LoketSandbox()
    box.seed()
    box.switches["page_size"] = 3
    return box


def _ids(box: LoketSandbox) -> set[str]:
    return {f"{one['administration']}/{one['payrollRun']}" for one in box.books["runs"].values()}


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/v2",
    secrets=lambda box: dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)),
    reads={"journals": Reading("/journalruns", _ids)},
)
