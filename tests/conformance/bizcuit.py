"""Bizcuit for the conformance kit."""

from connectors.bizcuit import CONNECTOR
from connectors.bizcuit.proposals import reference
from connectors.bizcuit.sandbox import BizcuitSandbox
from hub.accounting.booking import Booking
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Writing
from tests.connectors.bizcuit.batches import BY_OAUTH, booking, key


def _sandbox() -> BizcuitSandbox:
    box = BizcuitSandbox()
    box.seed()
    return box


def _stands(box: BizcuitSandbox, _: Booking, own: Key) -> int:
    return sum(one["clientReference"] == reference(own) for one in box.proposals())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="",
    secrets=lambda box: dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)),
    way=BY_OAUTH,
    writes={"salaries": Writing("POST", "/payment_proposals", lambda _: booking(), lambda _: key(), _stands)},
)
