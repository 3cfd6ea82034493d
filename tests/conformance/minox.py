"""Minox for the conformance kit."""

from connectors.minox import CONNECTOR
from connectors.minox.customers import external_id
from connectors.minox.sandbox import MinoxSandbox
from hub.accounting.booking import Booking
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Writing
from tests.connectors.minox.conftest import HIGH, HOME, debtor, key, payroll, sale


def _sandbox() -> MinoxSandbox:
    box = MinoxSandbox()
    box.seed()
    box.ask_cost_centre(HOME, "4000", "4999")
    box.switches["page_size"] = 3
    return box


def _sale(box: MinoxSandbox) -> Booking:
    customer = str(box.customers_of()[0]["id"])
    return sale(("8000", "1200.00", "252.00", HIGH), customer=customer)


def _customer(box: MinoxSandbox) -> Booking:
    return debtor("Houtwerf Noord B.V.", "administratie@houtwerf-noord.example")


def _bearing(box: MinoxSandbox, _: Booking, own: Key) -> int:
    return sum(one.get("externalid") == external_id(own) for one in box.customers_of())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/api/1",
    secrets=lambda box: {"access_token": box.grant()[0]},
    oauth_client={"client_id": "hub", "client_secret": "client-secret-of-the-hub"},
    stand=lambda box: sum(len(box.batches(f"41207/{own}")) for own in box.books["tenants"]["41207"]["administrations"]),
    writes={
        "invoices": Writing(
            "PUT",
            "/transaction_line_batch/",
            _sale,
            lambda _: key("invoice:1"),
            lambda box, _, own: sum(ref == str(own.uuid) for ref in box.batches()),
        ),
        "journals": Writing(
            "PUT",
            "/transaction_line_batch/",
            lambda _: payroll(),
            lambda _: key("company:1/run:2", "journals"),
            lambda box, _, own: sum(ref == str(own.uuid) for ref in box.batches()),
        ),
        "customers": Writing("POST", "/customer", _customer, lambda _: key("organization:1", "customers"), _bearing),
    },
)
