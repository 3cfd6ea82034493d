"""Bookings land in Minox once, are found again after a lost answer, and are read back to the cent."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.minox import CONNECTOR, batches, invoices, unclear
from connectors.minox.sandbox import MinoxSandbox
from connectors.minox.settings import MinoxSettings
from hub.accounting.chart import Master
from hub.sdk.connector import Existing, File, Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected, TransientError, VendorError
from hub.sdk.http import Http
from tests.connectors.minox.conftest import HIGH, HOME, LOW, Connect, key, sale

KEY = key("invoice:1")
UUID = str(KEY.uuid)


@pytest.fixture
def payload(master: Master, settings: MinoxSettings) -> Payload:
    return invoices.encode(sale(("8000", "1200.00", "252.00", HIGH)), master, settings)


@pytest.fixture
def credit(master: Master, settings: MinoxSettings) -> Payload:
    return invoices.encode(sale(("8000", "-100.00", "-21.00", HIGH), number="F2026-0150"), master, settings)


async def test_a_booking_stands_once_and_says_what_it_is(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    receipt = await batches.write(http, payload, KEY)
    assert (receipt.ref, receipt.label, receipt.total) == (UUID, "VERK 20260143", Decimal("1452.00"))
    assert receipt.open_item == "10000/20260143"
    assert list(box.batches()) == [UUID]
    item = box.receivable(10000, 20260143)
    assert item is not None
    assert item["total"] == Decimal("1452.00")


async def test_a_credit_note_swaps_sides_and_reads_back_negative(
    box: MinoxSandbox, http: Http, credit: Payload
) -> None:
    receipt = await batches.write(http, credit, KEY)
    assert receipt.total == Decimal("-121.00")
    assert all(line["debit"] >= 0 and line["credit"] >= 0 for line in box.batches()[UUID])


@pytest.mark.parametrize("answer", ["lines", "first", "empty", "object", "warning"])
@pytest.mark.parametrize("dates", ["rfc3339", "plain"])
@pytest.mark.parametrize("numbers", ["number", "text"])
@pytest.mark.parametrize("vat_lines", [False, True])
async def test_every_form_of_answer_is_understood(
    box: MinoxSandbox, http: Http, payload: Payload, credit: Payload, answer: str, dates: str, numbers: str,
    vat_lines: bool,
) -> None:  # fmt: skip
    box.switches |= {"put_answer": answer, "dates": dates, "numbers": numbers, "vat_lines": vat_lines}
    receipt = await batches.write(http, payload, KEY)
    assert receipt.total == (None if answer == "empty" else Decimal("1452.00"))
    assert bool(receipt.warnings) == (answer == "warning")
    found = await batches.find(http, KEY, payload)
    assert found is not None
    assert found.total == Decimal("1452.00")
    assert receipt.fingerprint in ("", found.fingerprint)
    other = await batches.write(http, credit, key("invoice:2"))
    assert other.total == Decimal("-121.00")


@pytest.mark.parametrize("missing", ["404", "empty"])
async def test_what_was_never_put_is_provably_absent(
    box: MinoxSandbox, http: Http, payload: Payload, missing: str
) -> None:
    box.switches["batch_missing"] = missing
    assert await batches.find(http, KEY, payload) is None


@pytest.mark.parametrize("kind", ["lost", "error", "html", "malformed", "refused"])
async def test_a_lost_answer_is_unknown_and_can_be_looked_up(
    box: MinoxSandbox, http: Http, payload: Payload, kind: Any
) -> None:
    box.fault(kind, method="PUT")
    with pytest.raises(OutcomeUnknown):
        await batches.write(http, payload, KEY)
    landed = kind in ("lost", "error")
    found = await batches.find(http, KEY, payload)
    assert (found is not None) == landed
    again = await batches.write(http, payload, KEY)
    assert again.total == Decimal("1452.00")
    assert len(box.batches()) == 1


async def test_busy_means_that_nothing_happened(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    box.fault("busy", method="PUT", seconds=120)
    with pytest.raises(TransientError) as busy:
        await batches.write(http, payload, KEY)
    assert busy.value.retry_after is not None
    assert not box.batches()


async def test_a_dead_token_is_renewed_once(box: MinoxSandbox, connect: Connect, payload: Payload) -> None:
    from tests.connectors.support import FixedCredentials

    credentials = FixedCredentials({"access_token": "dead"}, {"access_token": box.grant()[0]})
    async with connect(credentials=credentials) as http:
        await batches.write(http, payload, KEY)
    assert len(box.batches()) == 1


async def test_a_refusal_shows_minoxs_own_words(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    box.administration(HOME)["closed_until"] = "2026-03-31"
    with pytest.raises(RecordRejected) as refused:
        await batches.write(http, payload, KEY)
    assert refused.value.words == "De periode van 2026-03-12 is afgesloten"
    assert not box.batches()


async def test_net_amounts_in_a_gross_administration_are_refused_and_gross_ones_land(
    box: MinoxSandbox, http: Http, master: Master, payload: Payload
) -> None:
    box.administration(HOME)["vat_entry"] = "gross"
    with pytest.raises(RecordRejected):
        await batches.write(http, payload, KEY)
    booking = sale(("8000", "1200.00", "252.00", HIGH))
    gross = invoices.encode(booking, master, MinoxSettings(vat_entry="gross"))
    assert (await batches.write(http, gross, KEY)).total == Decimal("1452.00")
    assert box.batches()[UUID][1]["vat"]["amount"] == Decimal("252.00")


@pytest.mark.parametrize("landed", [True, False])
async def test_a_success_that_speaks_of_errors_is_looked_at(
    box: MinoxSandbox, http: Http, payload: Payload, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    if landed:
        await batches.write(http, payload, KEY)

    async def answered(*_: object, **__: object) -> object:
        return [{"message_code": "X1", "message_type": "error", "message": "Dagboek geblokkeerd"}]

    monkeypatch.setattr(http, "write", answered)
    if landed:
        receipt = await batches.write(http, payload, KEY)
        assert receipt.warnings == ("Dagboek geblokkeerd",)
        assert receipt.total == Decimal("1452.00")
    else:
        with pytest.raises(RecordRejected, match="Dagboek geblokkeerd"):
            await batches.write(http, payload, KEY)


async def test_an_update_replaces_our_batch_and_no_other(
    box: MinoxSandbox, http: Http, payload: Payload, master: Master, settings: MinoxSettings
) -> None:
    first = await batches.write(http, payload, KEY)
    changed = invoices.encode(
        sale(("8000", "1000.00", "210.00", HIGH), ("8010", "10.00", "0.90", LOW)), master, settings
    )
    stands = await batches.find(http, KEY, changed)
    assert stands is not None
    assert stands.fingerprint == first.fingerprint
    receipt = await batches.update(http, changed, KEY, first.ref)
    assert receipt.total == Decimal("1220.90")
    assert len(box.batches()) == 1
    with pytest.raises(RecordRejected) as refused:
        await batches.update(http, changed, KEY, str(key("other").uuid))
    assert refused.value.key == "minox.not_our_batch"


async def test_hands_that_changed_a_booking_show_in_its_fingerprint(
    box: MinoxSandbox, http: Http, payload: Payload
) -> None:
    first = await batches.write(http, payload, KEY)
    box.batches()[UUID][1]["account"] = {"id": "8010", "scheme": "MINOX", "type": "ledger_account"}
    stands = await batches.find(http, KEY, payload)
    assert stands is not None
    assert stands.fingerprint != first.fingerprint


async def test_a_bare_word_after_a_put_is_looked_at_and_refuses_nothing(
    box: MinoxSandbox, http: Http, payload: Payload, credit: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.switches["put_answer"] = "text"
    receipt = await batches.write(http, payload, KEY)
    assert (receipt.total, receipt.warnings) == (Decimal("1452.00"), ("Verwerkt",))
    monkeypatch.setattr(unclear, "READ_BACK_S", (0.0,))
    box.switches["batch_lag_s"] = 60
    with pytest.raises(OutcomeUnknown):
        await batches.write(http, credit, key("invoice:2"))
    assert str(key("invoice:2").uuid) in box.batches()


async def test_a_document_is_hung_on_a_batch_that_does_not_show_itself_yet(
    box: MinoxSandbox, http: Http, payload: Payload
) -> None:
    await batches.write(http, payload, KEY)
    box.switches["batch_lag_s"] = 60
    await batches.attach(http, payload, UUID, File("F2026-0143.pdf", b"%PDF-1.4 example"))
    assert UUID in box.administration(HOME)["documents"]


async def test_a_document_is_hung_on_once(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    await batches.write(http, payload, KEY)
    file = File("F2026-0143.pdf", b"%PDF-1.4 example")
    await batches.attach(http, payload, UUID, file)
    await batches.attach(http, payload, UUID, file)
    assert box.administration(HOME)["documents"][UUID]["size"] == len(file.content)
    assert sum(count for call, count in box.calls.items() if call.endswith("/blob")) == 1


def by_hand(number: int, total: str, day: str = "2026-03-12", journal: str = "VERK", side: str = "debit") -> list[Any]:
    """What a user booked: a debtor's line and its counterpart."""
    common = {"journal": {"id": journal}, "document_date": day, "invoice_number": number, "description": "Hand"}
    sides = {"debit": Decimal(total), "credit": 0} if side == "debit" else {"debit": 0, "credit": Decimal(total)}
    other = {"debit": sides["credit"], "credit": sides["debit"]}
    return [
        common | sides | {"account": {"id": "10000", "scheme": "MINOX", "type": "customer"}},
        common | other | {"account": {"id": "1100", "scheme": "MINOX", "type": "ledger_account"}},
    ]


@pytest.mark.parametrize("period_filter", [True, False])
@pytest.mark.parametrize("chosen", ["", "VERK"])
async def test_what_stands_there_is_listed_once_each_without_payments(
    box: MinoxSandbox, http: Http, payload: Payload, period_filter: bool, chosen: str
) -> None:
    box.switches["period_filter"] = period_filter
    await batches.write(http, payload, KEY)
    box.add_batch(HOME, "aaaaaaaa-0000-4000-8000-000000000001", by_hand(7, "60.50"))
    box.add_batch(HOME, "aaaaaaaa-0000-4000-8000-000000000002", by_hand(8, "10.00", "2025-12-31"))
    box.add_batch(HOME, "aaaaaaaa-0000-4000-8000-000000000003", by_hand(7, "60.50", journal="BANK", side="credit"))
    found: list[Existing] = []
    async for page in batches.index(http, HOME, date(2026, 1, 1), MinoxSettings(journal=chosen)):
        found += page
    assert sorted((one.number, one.total, one.date) for one in found) == [
        ("20260143", Decimal("1452.00"), date(2026, 3, 12)),
        ("7", Decimal("60.50"), date(2026, 3, 12)),
    ]
    assert {one.label for one in found} == {"VERK 20260143", "VERK 7"}
    assert {one.mark for one in found} == {UUID, "aaaaaaaa-0000-4000-8000-000000000001"}
    assert {one.open_item for one in found} == {"10000/20260143", "10000/7"}


async def test_a_malformed_administration_goes_nowhere(http: Http) -> None:
    assert CONNECTOR.master is not None
    for hostile in ("3", "41207/3/../4", "x/y", "", "41207/3?x=1"):
        with pytest.raises(VendorError) as refused:
            await CONNECTOR.master(http, hostile)
        assert refused.value.key == "minox.administration_unknown"
