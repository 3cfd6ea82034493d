"""Minuba for the conformance kit."""

from connectors.minuba import CONNECTOR
from connectors.minuba.sandbox import MinubaSandbox
from tests.conformance.adapter import Adapter, Reading


def _sandbox() -> MinubaSandbox:
    box = MinubaSandbox()
    box.seed()
    box.switches |= {"paging": "pages", "page_size": 3}
    return box


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/api/1",
    secrets=lambda box: dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)),
    reads={
        "invoices": Reading(
            "/Invoice", lambda box: {key for key, one in box.books["invoices"].items() if one["state"] != "draft"}
        ),
        "customers": Reading("/Client", lambda box: set(box.books["clients"])),
    },
)
