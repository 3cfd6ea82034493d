"""e-Boekhouden.nl for the conformance kit."""

from connectors.eboekhouden import CONNECTOR
from connectors.eboekhouden.customers import code_of
from connectors.eboekhouden.mutations import entry_number
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from hub.accounting.booking import Booking
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Writing
from tests.connectors.eboekhouden.conftest import HIGH, debtor, key, payroll, sale


def _sandbox() -> EboekhoudenSandbox:
    box = EboekhoudenSandbox()
    box.seed()
    box.switches["page_cap"] = 3
    return box


def _sale(box: EboekhoudenSandbox) -> Booking:
    customer = str(next(iter(box.administration()["relations"])))
    return sale(("8000", "1200.00", "252.00", HIGH), customer=customer)


def _customer(_: EboekhoudenSandbox) -> Booking:
    return debtor("Houtwerf Noord B.V.", "administratie@houtwerf-noord.example")


def _mutations(box: EboekhoudenSandbox, _: Booking, own: Key) -> int:
    return sum(one["entryNumber"] == entry_number(own) for one in box.mutations())


def _relations(box: EboekhoudenSandbox, _: Booking, own: Key) -> int:
    return sum(one["code"] == code_of(own) for one in box.administration()["relations"].values())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/v1",
    secrets=lambda box: {"session_token": box.open()},
    types=lambda box: {"api_token": next(iter(box.administration()["tokens"]))},
    stand=lambda box: sum(len(books["mutations"]) for books in box.books["administrations"].values()),
    writes={
        "invoices": Writing("POST", "/mutation", _sale, lambda _: key("invoice:1"), _mutations),
        "journals": Writing("POST", "/mutation", lambda _: payroll(), lambda _: key("run:1", "journals"), _mutations),
        "customers": Writing("POST", "/relation", _customer, lambda _: key("organization:1", "customers"), _relations),
    },
)
