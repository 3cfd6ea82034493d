"""eAccounting for the conformance kit."""

from connectors.eaccounting import CONNECTOR
from connectors.eaccounting.sandbox import EaccountingSandbox
from hub.accounting.booking import Booking
from hub.sdk.connector import Key
from tests.conformance.adapter import Adapter, Writing
from tests.connectors.eaccounting.conftest import client, key, payroll, sale


def _sandbox() -> EaccountingSandbox:
    box = EaccountingSandbox()
    box.seed()
    box.switches["page_cap"] = 2
    return box


def _sale(box: EaccountingSandbox) -> Booking:
    return sale(customer=next(iter(box.company()["customers"])))


def _customer(_: EaccountingSandbox) -> Booking:
    return client(number="20777", name="Houtwerf Noord B.V.")


def _numbered(box: EaccountingSandbox, _: Booking, __: Key) -> int:
    return sum(one["CustomerNumber"] == "20777" for one in box.company()["customers"].values())


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=_sandbox,
    api="/v2",
    secrets=lambda box: {"access_token": box.grant()[0]},
    stand=lambda box: sum(len(books["drafts"]) for books in box.books["companies"].values()),
    writes={
        "invoices": Writing(
            "POST",
            "/customerinvoicedrafts",
            _sale,
            lambda _: key(),
            lambda box, _, own: len(box.bearing(own.mark)),
        ),
        "journals": Writing(
            "POST",
            "/vouchers",
            lambda _: payroll(),
            lambda _: key("company:1/run:2", "journals"),
            lambda box, _, own: sum(own.mark in one["VoucherText"] for one in box.vouchers()),
        ),
        "customers": Writing("POST", "/customers", _customer, lambda _: key("20777", "customers"), _numbered),
    },
)
