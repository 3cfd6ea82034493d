"""FinMaster's stand-in interface for the conformance kit."""

from connectors.finmaster import CONNECTOR
from connectors.finmaster.journals import reference
from connectors.finmaster.sandbox import DEMO_TOKEN, FinmasterSandbox
from hub.accounting.booking import Booking
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Writing
from tests.connectors.finmaster.conftest import BY_KEY, booking, key


def _sandbox() -> FinmasterSandbox:
    box = FinmasterSandbox()
    box.seed()
    return box


def _stands(box: FinmasterSandbox, _: Booking, own: Key) -> int:
    return sum(one["referentie"] == reference(own) for one in box.entries())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="",
    secrets=lambda _: {"token": DEMO_TOKEN},
    way=BY_KEY,
    types=lambda _: {"token": DEMO_TOKEN},
    linked_by=BY_KEY,
    stand=lambda box: len(box.entries()),
    writes={
        "journals": Writing("POST", "/memoriaalboekingen", lambda _: booking(), lambda _: key(), _stands),
    },
)
