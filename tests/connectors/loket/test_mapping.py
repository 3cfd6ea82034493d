"""What a run with its lines comes to as a journal entry, and what is said of runs that cannot be read."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.loket.settings import LoketSettings
from hub.accounting.documents import Ignored, JournalEntry
from hub.kit import json
from hub.sdk.errors import Malformed
from tests.connectors.loket.conftest import STREAM

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = LoketSettings()
JOURNALS = ["month", "four_weeks_correction", "many_components"]


def raw(golden: str = "month") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{golden}.json").read_text(encoding="utf-8"))
    return found


def entry(record: dict[str, Any], **chosen: Any) -> JournalEntry:
    found = STREAM.map(record, LoketSettings(**chosen))
    assert isinstance(found, JournalEntry)
    return found


def wrongs(record: dict[str, Any]) -> list[str]:
    with pytest.raises(Malformed) as caught:
        STREAM.map(record, SETTINGS)
    return sorted(one.key.removeprefix("loket.") for one in caught.value.findings)


@pytest.mark.parametrize("name", JOURNALS)
def test_a_run_maps_to_its_golden_entry(name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.document.json").read_text(encoding="utf-8"))
    assert json.loads(entry(raw(name)).model_dump_json()) == expected


@pytest.mark.parametrize("name", JOURNALS)
def test_the_golden_entries_balance(name: str) -> None:
    sides = [side for line in entry(raw(name)).lines for side in line.sides]
    assert sum(debit for debit, _ in sides) == sum(credit for _, credit in sides) > 0


def test_the_dossiers_month_has_the_dossiers_totals() -> None:
    found = entry(raw())
    assert (found.number, found.amount, found.date.isoformat()) == ("2026-09 run 10", Decimal("27466.19"), "2026-09-30")
    assert found.lines[1].cost_centre is not None
    assert (found.lines[1].account, found.lines[1].cost_centre.id) == ("4000", "BAK")


def test_leading_zeros_stay() -> None:
    record = raw()
    record["lines"][0]["generalLedgerAccount"]["code"] = "0400"
    record["lines"][0]["costCenter"]["code"] = "01"
    line = entry(record).lines[0]
    assert line.cost_centre is not None
    assert (line.account, line.cost_centre.id) == ("0400", "01")


@pytest.mark.parametrize("spelt", [None, {}, {"key": 0, "code": "", "description": ""}, {"key": 0, "code": None}])
def test_every_way_to_say_no_cost_centre_is_none(spelt: Any) -> None:
    record = raw()
    record["lines"][0]["costCenter"] = spelt
    assert entry(record).lines[0].cost_centre is None


@pytest.mark.parametrize("spelt", [True, "true", 1, "True"])
def test_a_test_year_is_never_booked(spelt: Any) -> None:
    record = raw()
    record["run"]["payrollRun"]["payrollPeriod"]["testYear"] = spelt
    for runs in ("ready", "failed_too", "exported_too"):
        found = STREAM.map(record, LoketSettings(loket_runs=runs))
        assert isinstance(found, Ignored)
        assert found.reason.key == "loket.test_year"


@pytest.mark.parametrize(
    ("status", "booked_with"),
    [
        (4, {"ready", "failed_too", "exported_too"}),
        (5, set()),
        (6, {"failed_too", "exported_too"}),
        (7, {"exported_too"}),
    ],
)
def test_what_stands_ready_is_booked_and_the_rest_only_by_choice(status: int, booked_with: set[str]) -> None:
    record = raw()
    record["run"]["journalRunStatus"] = {"key": status, "value": ""}
    found = {
        runs: STREAM.map(record, LoketSettings(loket_runs=runs)) for runs in ("ready", "failed_too", "exported_too")
    }
    assert {runs for runs, one in found.items() if isinstance(one, JournalEntry)} == booked_with


def test_a_status_that_is_not_known_is_shown() -> None:
    record = raw()
    record["run"]["journalRunStatus"] = {"key": 12, "value": "Gepauzeerd"}
    assert wrongs(record) == ["status_unknown"]


def test_everything_that_cannot_be_read_is_told_at_once() -> None:
    record = raw()
    record["lines"][0]["debetAmount"] = "veel"
    record["lines"][3]["creditAmount"] = {"bedrag": 1}
    record["run"]["payrollRun"]["payrollPeriod"]["periodEndDate"] = None
    assert wrongs(record) == ["amount_unreadable", "amount_unreadable", "date_missing"]


def test_a_missing_side_is_nothing_and_a_missing_account_is_left_to_the_fallback() -> None:
    record = raw()
    del record["lines"][0]["creditAmount"]
    record["lines"][7]["debetAmount"] = None
    record["lines"][8]["generalLedgerAccount"] = None
    found = entry(record)
    assert found.amount == Decimal("27466.19")
    assert found.lines[8].account == ""


def test_cost_units_stand_in_the_description_or_are_left_out() -> None:
    record = raw("four_weeks_correction")
    with_unit = [line.description for line in entry(record).lines]
    without = [line.description for line in entry(record, loket_cost_units="leave_out").lines]
    assert ("Overwerk (01)" in with_unit, "Overwerk" in without) == (True, True)


def test_the_day_of_the_request_can_be_the_entrys() -> None:
    assert entry(raw(), loket_date="request_date").date.isoformat() == "2026-09-24"


def test_the_period_may_be_missing() -> None:
    record = raw()
    record["run"]["payrollRun"]["payrollPeriod"]["periodNumber"] = None
    found = entry(record)
    assert (found.year, found.period, found.number) == (2026, 9, "2026 run 10")


def test_four_weekly_periods_are_called_so() -> None:
    found = entry(raw("four_weeks_correction"))
    assert (found.number, found.period) == ("2026-P13 run 14", 13)
    assert found.description == "Loonjournaal 2026-P13 run 14 correctie"
