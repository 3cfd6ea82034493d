"""Journal entries as vouchers: per fiscal year, never changed, reversed when wrong. Looks into the books."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.eaccounting import CONNECTOR, journals
from connectors.eaccounting.sandbox import SCOPES, EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.booking import EntryBooking
from hub.accounting.chart import Master
from hub.kit import json
from hub.sdk.connector import Existing, Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import HOME, PAYROLL, Connect, EntryLine, key, payroll

GOLDEN = Path(__file__).parent / "golden"
KEY = key("company:1/run:2", "journals")
UNDO = replace(KEY, stream="journals.reversal")
TOTAL = Decimal("18562.40")
BOOKED = {account: Decimal(signed) for account, signed, _, _ in PAYROLL}


def encoded(booking: EntryBooking, master: Master) -> Payload:
    return dict(json.loads(json.dumps(journals.encode(booking, master, EaccountingSettings()))))


@pytest.fixture
def payload(master: Master) -> Payload:
    return encoded(payroll(), master)


def found(booking: EntryBooking, master: Master) -> list[str]:
    return [one.key for one in journals.validate(booking, master, EaccountingSettings())]


def test_a_payroll_journal_becomes_one_voucher(payload: Payload) -> None:
    assert payload["body"] == json.loads((GOLDEN / "voucher.json").read_text())
    assert (payload["total"], payload["text"]) == (TOTAL, "2026-02 run 2 Loonjournaal")


async def test_a_voucher_stands_once_and_says_what_it_is(box: EaccountingSandbox, http: Http, payload: Payload) -> None:
    receipt = await journals.write(http, payload, KEY)
    [stands] = box.vouchers()
    assert (receipt.ref, receipt.label, receipt.total) == (stands["Id"], "A1", TOTAL)
    assert box.posted() == BOOKED
    assert stands["VoucherText"] == f"2026-02 run 2 Loonjournaal #{KEY.mark}"
    items = {one["Id"]: one["ShortName"] for centre in box.company()["centres"].values() for one in centre["Items"]}
    assert [items.get(row.get("CostCenterItemId1")) for row in stands["Rows"]] == ["10", "20", None, None]


@pytest.mark.parametrize("answer", ["object", "empty", "id", "short"])
@pytest.mark.parametrize("search", ["supported", "refused", "ignored"])
@pytest.mark.parametrize("shown", [{}, {"voucher_rows": False}, {"dates": "datetime", "lists": "bare"}])
async def test_every_form_of_answer_and_search_is_understood(
    box: EaccountingSandbox, http: Http, payload: Payload, answer: str, search: str, shown: dict[str, Any]
) -> None:
    box.switches |= {"write_answer": answer, "voucher_filter": search, **shown}
    receipt = await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (receipt.ref, receipt.total, receipt.fingerprint) == (stands.ref, TOTAL, stands.fingerprint)
    assert await journals.find(http, UNDO, payload) is None
    assert len(box.vouchers()) == 1


async def test_a_lost_answer_is_found_on_whatever_page_it_stands(
    box: EaccountingSandbox, http: Http, payload: Payload
) -> None:
    box.switches |= {"page_cap": 1, "voucher_filter": "ignored"}
    for number in range(3):
        await journals.write(http, payload, replace(KEY, source_id=f"other {number}"))
    box.fault("lost", method="POST", path="/vouchers")
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert stands.total == TOTAL


async def test_a_change_is_the_opposite_and_the_entry_anew(
    box: EaccountingSandbox, http: Http, payload: Payload, master: Master
) -> None:
    first = await journals.write(http, payload, KEY)
    back = await journals.write(http, journals.reversal(payload, first, date(2026, 2, 28)), UNDO)
    assert (box.posted(), back.total) == ({}, TOTAL)
    assert box.vouchers()[1]["VoucherText"].startswith("Storno A1 2026-02 run 2")
    lines: tuple[EntryLine, ...] = (("4000", "100.01", "loon", ""), ("1740", "-100.01", "netto", ""))
    await journals.write(http, encoded(payroll(*lines), master), replace(KEY, version=2))
    assert box.posted() == {"4000": Decimal("100.01"), "1740": Decimal("-100.01")}


async def test_an_entry_goes_into_the_year_of_its_date_with_that_year_s_accounts(
    box: EaccountingSandbox, http: Http
) -> None:
    box.add_year("2024-07-01", "2024-12-31", chart={"4000": "Lonen", "1740": "Netto"})
    assert CONNECTOR.master is not None
    master = await CONNECTOR.master(http, HOME)
    lines: tuple[EntryLine, ...] = (("4000", "10.00", "", ""), ("1740", "-10.00", "", ""))
    await journals.write(http, encoded(payroll(*lines, day=date(2024, 12, 31)), master), KEY)
    assert box.vouchers()[0]["VoucherDate"] == "2024-12-31"
    assert found(payroll(day=date(2024, 12, 31)), master) == [
        "eaccounting.account_not_in_year",
        "eaccounting.account_not_in_year",
    ]
    assert found(payroll(day=date(2024, 6, 30)), master) == ["eaccounting.no_fiscal_year"]
    assert next((one.year, one.start) for one in master.fiscal_years or ()) == (2024, date(2024, 7, 1))


async def test_locked_years_and_periods_are_told_before_and_after(
    box: EaccountingSandbox, http: Http, payload: Payload
) -> None:
    box.company()["settings"]["AccountingLockedTo"] = "2026-02-28"
    assert CONNECTOR.master is not None
    assert found(payroll(), await CONNECTOR.master(http, HOME)) == ["eaccounting.locked_to"]
    with pytest.raises(RecordRejected) as refused:
        await journals.write(http, payload, KEY)
    assert refused.value.key == "eaccounting.period_locked"
    for year in box.company()["years"].values():
        year["IsLockedForAccounting"] = True
    box.company()["settings"]["AccountingLockedTo"] = None
    assert found(payroll(), await CONNECTOR.master(http, HOME)) == ["eaccounting.year_locked"]
    assert not box.vouchers()


def test_everything_that_is_wrong_is_told_at_once(master: Master) -> None:
    wrong = payroll(
        ("4321", "10.00", "", ""), ("4321", "5.00", "", ""), ("40A", "5.00", "", ""), ("4000", "10.00", "", "99"),
        ("1740", "-30.00", "", ""), currency="GBP",
    )  # fmt: skip
    assert found(wrong, master) == [
        "eaccounting.entry_other_currency", "eaccounting.account_unknown", "eaccounting.account_no_number",
        "eaccounting.cost_centre_unknown",
    ]  # fmt: skip
    with pytest.raises(RecordRejected) as refused:
        encoded(wrong, master)
    assert len(refused.value.findings) == 4


async def test_a_connection_without_the_bookkeeping_still_exports_invoices(
    box: EaccountingSandbox, connect: Connect
) -> None:
    assert CONNECTOR.master is not None
    async with connect({"access_token": box.grant(scopes=SCOPES[:3])[0]}) as http:
        master = await CONNECTOR.master(http, HOME)
    assert (master.accounts, master.fiscal_years, master.cost_centres) == (None, None, None)


async def test_the_choices_are_the_accounts_and_cost_centres(box: EaccountingSandbox, http: Http) -> None:
    accounts = await CONNECTOR.options["accounts"](http, {"flows": ["journals"]})
    assert [one.label for one in accounts][:2] == ["1100 Bank", "1710 Af te dragen loonheffing"]
    centres = await CONNECTOR.options["cost_centres"](http, {})
    assert [(one.value, one.label) for one in centres] == [("10", "10 Kantoor"), ("20", "20 Buitendienst")]
    box.company()["settings"]["UsesCostCenter"] = False
    assert CONNECTOR.master is not None
    assert (await CONNECTOR.master(http, HOME)).cost_centres == ()


async def test_long_words_are_cut_and_told(box: EaccountingSandbox, http: Http, master: Master) -> None:
    words = "Een omschrijving van een looncomponent die langer is dan vijftig tekens"
    lines: tuple[EntryLine, ...] = (("4000", "10.00", words, ""), ("1740", "-10.00", "netto", ""))
    receipt = await journals.write(http, encoded(payroll(*lines, description="x" * 1200), master), KEY)
    [stands] = box.vouchers()
    assert receipt.warnings == (f"{words} -> {stands['Rows'][0]['TransactionText']}",)
    assert len(stands["VoucherText"]) <= 1000
    assert stands["VoucherText"].endswith(f" #{KEY.mark}")


async def test_what_stands_there_is_listed(box: EaccountingSandbox, http: Http, payload: Payload) -> None:
    by_hand = {**payload["body"], "VoucherText": "Met de hand"}
    box._voucher(HOME, by_hand)
    box._voucher(HOME, {**by_hand, "VoucherDate": "2025-12-31"})
    await journals.write(http, payload, KEY)
    standing: list[Existing] = []
    async for page in journals.index(http, HOME, date(2026, 1, 1), EaccountingSettings()):
        standing += page
    assert sorted((one.label, one.mark, one.total, one.date) for one in standing) == [
        ("A1", "", TOTAL, date(2026, 2, 28)), ("A3", KEY.mark, None, date(2026, 2, 28)),
    ]  # fmt: skip
