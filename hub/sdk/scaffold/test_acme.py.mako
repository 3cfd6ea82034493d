"""Acme's mapping, from a record as it sends it."""

from decimal import Decimal

import pytest

from connectors.acme import CONNECTOR
from connectors.acme.sandbox import AcmeSandbox
from hub.accounting.documents import Ignored, SalesInvoice
from hub.sdk.errors import Malformed

STREAM = CONNECTOR.sources["invoices"]
SETTINGS = CONNECTOR.settings()


@pytest.fixture
def box() -> AcmeSandbox:
    sandbox = AcmeSandbox()
    sandbox.seed()
    return sandbox


def test_an_invoice_keeps_its_number_and_totals(box: AcmeSandbox) -> None:
    made = STREAM.map(box.books["invoices"]["1"], SETTINGS)

    assert isinstance(made, SalesInvoice)
    assert (made.number, made.total_net, made.total_vat, made.total) == (
        "2026-0001",
        Decimal(100),
        Decimal(21),
        Decimal(121),
    )


def test_a_concept_is_not_booked(box: AcmeSandbox) -> None:
    assert isinstance(STREAM.map(box.books["invoices"]["4"], SETTINGS), Ignored)


def test_everything_that_is_wrong_is_told_at_once(box: AcmeSandbox) -> None:
    with pytest.raises(Malformed) as broken:
        STREAM.map({**box.books["invoices"]["1"], "total": "veel", "date": "ooit"}, SETTINGS)

    assert {one.key for one in broken.value.findings} == {"acme.amount_unreadable", "acme.date_unreadable"}
