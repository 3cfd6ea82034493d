"""Journal entries land in Minox's memorial once, in the right fiscal year, and are read back to the cent."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.minox import CONNECTOR, journals
from connectors.minox.sandbox import MinoxSandbox
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import EntryBooking
from hub.accounting.chart import Journal, Master
from hub.kit import json
from hub.sdk.connector import Existing, Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.minox.conftest import HOME, PAYROLL, EntryLine, key, payroll

GOLDEN = Path(__file__).parent / "golden"
KEY = key("company:1/run:2", "journals")
UUID = str(KEY.uuid)
TOTAL = Decimal("18562.40")


@pytest.fixture
async def master(box: MinoxSandbox, http: Http) -> Master:
    box.ask_cost_centre(HOME, "4000", "4999")
    assert CONNECTOR.master is not None
    return await CONNECTOR.master(http, HOME)


@pytest.fixture
def payload(master: Master, settings: MinoxSettings) -> Payload:
    return journals.encode(payroll(), master, settings)


def found(booking: EntryBooking, master: Master, **chosen: Any) -> list[str]:
    return [one.key for one in journals.validate(booking, master, MinoxSettings(**chosen))]


def test_a_payroll_journal_becomes_its_lines(payload: Payload) -> None:
    assert json.loads(json.dumps(payload["lines"])) == json.loads((GOLDEN / "payroll_journal.json").read_text())
    assert (payload["total"], payload["fiscal_year"]) == (TOTAL, 2026)


async def test_an_entry_stands_once_and_says_what_it_is(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    receipt = await journals.write(http, payload, KEY)
    assert (receipt.ref, receipt.label, receipt.total, receipt.open_item) == (UUID, "MEMO 2026-02", TOTAL, "")
    assert box.posted() == {
        "4000": Decimal("18250.00"), "4999": Decimal("312.40"), "1720": Decimal("-5210.15"),
        "1740": Decimal("-13352.25"),
    }  # fmt: skip
    centres = [(line["cost_center"] or {}).get("id") for line in box.batches()[UUID]]
    assert centres == [10, 10, None, None]


@pytest.mark.parametrize("answer", ["lines", "first", "empty", "object", "warning"])
@pytest.mark.parametrize("numbers", ["number", "text"])
@pytest.mark.parametrize("dates", ["rfc3339", "plain"])
async def test_every_form_of_answer_tells_the_debit_total(
    box: MinoxSandbox, http: Http, payload: Payload, answer: str, numbers: str, dates: str
) -> None:
    box.switches |= {"put_answer": answer, "numbers": numbers, "dates": dates}
    receipt = await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (receipt.total, stands.total, receipt.fingerprint) == (TOTAL, TOTAL, stands.fingerprint)
    assert bool(receipt.warnings) == (answer == "warning")


async def test_an_entry_into_an_older_year_lands_in_that_year(
    box: MinoxSandbox, http: Http, master: Master, settings: MinoxSettings
) -> None:
    older = journals.encode(payroll(day=date(2025, 11, 30)), master, settings)
    await journals.write(http, older, KEY)
    assert {line["period"]["fiscal_year"] for line in box.batches()[UUID]} == {2025}


async def test_a_year_that_is_not_the_calendar_s_is_found_by_date(
    box: MinoxSandbox, http: Http, settings: MinoxSettings
) -> None:
    box.administration(HOME)["facts"]["fiscal_years"] = [
        {"fiscal_year": 2025, "number_of_periods": 13, "start_date": "2025-07-01", "end_date": "2026-06-30"}
    ]
    assert CONNECTOR.master is not None
    master = await CONNECTOR.master(http, HOME)
    lines = tuple((account, signed, words, "") for account, signed, words, _ in PAYROLL)
    assert journals.encode(payroll(*lines), master, settings)["fiscal_year"] == 2025
    assert found(payroll(*lines, day=date(2026, 7, 31)), master) == ["minox.fiscal_year_missing"]


def test_everything_that_is_wrong_is_told_at_once(box: MinoxSandbox, master: Master) -> None:
    lines: tuple[EntryLine, ...] = (
        ("4321", "10.00", "onbekend", ""),
        ("4321", "10.00", "nog eens", ""),
        ("8000", "10.00", "met btw", ""),
        ("4000", "10.00", "zonder kostenplaats", ""),
        ("4999", "10.00", "vreemde kostenplaats", "77"),
        ("1740", "-50.00", "netto", ""),
    )
    wrong = payroll(*lines, day=date(2027, 1, 31), currency="GBP")
    told = journals.validate(wrong, master, MinoxSettings(journal="LOON"))
    assert [one.key for one in told] == [
        "minox.fiscal_year_missing", "minox.journal_unknown", "minox.entry_other_currency", "minox.account_unknown",
        "minox.entry_account_with_vat", "minox.cost_centre_needed", "minox.cost_centre_unknown",
    ]  # fmt: skip
    assert told[3].values == {"account": "4321"}
    with pytest.raises(RecordRejected) as refused:
        journals.encode(wrong, master, MinoxSettings(journal="LOON"))
    assert list(refused.value.findings) == told


def test_the_memorial_is_chosen_by_itself_only_when_there_is_one(master: Master) -> None:
    assert found(payroll(), master) == []
    more = (*(master.journals or ()), Journal(id="LOON", name="Lonen", kind="general"))
    two = master.model_copy(update={"journals": more})
    assert found(payroll(), two) == ["minox.memorial_choose"]
    assert found(payroll(), two, journal="LOON") == []


async def test_the_choices_are_the_journals_that_fit(box: MinoxSandbox, http: Http) -> None:
    where = {"administration": HOME, "flows": ["journals"]}
    assert [one.value for one in await CONNECTOR.options["journals"](http, where)] == ["MEMO"]
    listed = [one.value for one in await CONNECTOR.options["accounts"](http, where)]
    assert listed == sorted(listed, key=lambda one: one.zfill(6))


async def test_a_cost_centre_is_left_out_where_the_account_takes_none(
    box: MinoxSandbox, http: Http, master: Master, settings: MinoxSettings
) -> None:
    booking = payroll(("4000", "10.00", "loon", "10"), ("1740", "-10.00", "netto", "10"))
    await journals.write(http, journals.encode(booking, master, settings), KEY)
    assert [line["cost_center"] for line in box.batches()[UUID]] == [{"id": 10}, None]


async def test_an_administration_without_cost_centres_takes_entries(
    box: MinoxSandbox, http: Http, settings: MinoxSettings
) -> None:
    box.administration(HOME)["cost_centres"] = {}
    box.fault("error", path="/never")
    assert CONNECTOR.master is not None
    master = await CONNECTOR.master(http, HOME)
    lines = tuple((account, signed, words, "") for account, signed, words, _ in PAYROLL)
    receipt = await journals.write(http, journals.encode(payroll(*lines), master, settings), KEY)
    assert receipt.total == TOTAL


async def test_a_change_updates_the_same_batch(
    box: MinoxSandbox, http: Http, payload: Payload, master: Master, settings: MinoxSettings
) -> None:
    first = await journals.write(http, payload, KEY)
    fewer = journals.encode(
        payroll(("4000", "100.00", "loon", "10"), ("1740", "-100.00", "netto", "")), master, settings
    )
    receipt = await journals.update(http, fewer, KEY, first.ref)
    assert (receipt.total, receipt.fingerprint != first.fingerprint) == (Decimal("100.00"), True)
    assert box.posted() == {"4000": Decimal("100.00"), "1740": Decimal("-100.00")}
    with pytest.raises(RecordRejected, match="not_our_batch"):
        await journals.update(http, fewer, KEY, str(key("other").uuid))


@pytest.mark.parametrize("change", ["account", "amount", "cost_centre", "day"])
async def test_hands_that_changed_an_entry_show_in_its_fingerprint(
    box: MinoxSandbox, http: Http, payload: Payload, change: str
) -> None:
    first = await journals.write(http, payload, KEY)
    line = box.batches()[UUID][0]
    line |= {
        "account": {"account": {"id": "4010", "scheme": "MINOX", "type": "ledger_account"}},
        "amount": {"debit": Decimal("18250.01")},
        "cost_centre": {"cost_center": None},
        "day": {"document_date": "2026-02-27"},
    }[change]
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert stands.fingerprint != first.fingerprint


async def test_a_closed_period_is_refused_with_what_to_look_at(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    box.administration(HOME)["closed_until"] = "2026-02-28"
    with pytest.raises(RecordRejected) as refused:
        await journals.write(http, payload, KEY)
    assert refused.value.key == "minox.entry_refused"
    assert refused.value.values == {"date": "2026-02-28", "year": "2026"}
    assert refused.value.words == "De periode van 2026-02-28 is afgesloten"
    assert refused.value.exchange is not None
    assert not box.batches()


async def test_a_lost_answer_is_looked_up_and_the_same_put_changes_nothing(
    box: MinoxSandbox, http: Http, payload: Payload
) -> None:
    box.fault("lost", method="PUT")
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert stands.total == TOTAL
    await journals.write(http, payload, KEY)
    assert list(box.batches()) == [UUID]


async def test_hundreds_of_lines_go_in_one_batch(
    box: MinoxSandbox, http: Http, master: Master, settings: MinoxSettings
) -> None:
    many = tuple(("4000", "10.01", f"loon {number}", "10") for number in range(600))
    receipt = await journals.write(
        http, journals.encode(payroll(*many, ("1740", "-6006.00", "", "")), master, settings), KEY
    )
    assert receipt.total == Decimal("6006.00")
    assert len(box.batches()[UUID]) == 601
    page = tuple(("1740", "1.00", "", "") for _ in range(9000))
    assert found(payroll(*page), master) == ["minox.too_many_lines"]


@pytest.mark.parametrize("period_filter", [True, False])
@pytest.mark.parametrize("page_size", [2, 200])
async def test_what_stands_there_is_listed_once_each(
    box: MinoxSandbox, http: Http, payload: Payload, settings: MinoxSettings, period_filter: bool, page_size: int
) -> None:
    box.switches |= {"period_filter": period_filter, "page_size": page_size}
    await journals.write(http, payload, KEY)
    other = "aaaaaaaa-0000-4000-8000-000000000001"
    ledger = {"scheme": "MINOX", "type": "ledger_account"}
    sides = ({"debit": Decimal("5.00"), "credit": 0}, {"debit": 0, "credit": Decimal("5.00")})
    for uuid, book, day in ((other, "MEMO", "2026-01-31"), ("b", "BANK", "2026-01-31"), ("c", "MEMO", "2025-12-31")):
        rows = [
            side | {"account": ledger | {"id": own}, "journal": {"id": book}, "document_date": day, "description": "x"}
            for own, side in zip(("4000", "1740"), sides, strict=True)
        ]
        box.add_batch(HOME, uuid, rows)
    standing: list[Existing] = []
    async for page in journals.index(http, HOME, date(2026, 1, 1), settings):
        standing += page
    assert {(one.ref, one.mark, one.date, one.total) for one in standing} == {
        (UUID, UUID, date(2026, 2, 28), TOTAL), (other, other, date(2026, 1, 31), Decimal("5.00")),
    }  # fmt: skip
    assert len(standing) == 2
