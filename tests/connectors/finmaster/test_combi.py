"""Loket.nl to FinMaster through the whole engine: each payroll journal once, by key or by file."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from connectors.loket.sandbox import EXPORTED, correction
from hub.config import Config
from hub.kit.embedded import Services
from tests.connectors.finmaster.conftest import HOME
from tests.connectors.finmaster.stage import Pair, a_pair, by_file, by_key, unhurried

MONTH = {
    "1700": Decimal("-8123.60"),
    "1710": Decimal("-15830.47"),
    "1720": Decimal("-1860.08"),
    "1730": Decimal("-1652.04"),
    "4000": Decimal("20650.50"),
    "4010": Decimal("1652.04"),
    "4050": Decimal("3923.60"),
    "4100": Decimal("1240.05"),
}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with unhurried():
        yield


@pytest.fixture
async def pair(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Pair]:
    async with a_pair(config, services) as made:
        yield made


def times(month: dict[str, Decimal], many: int) -> dict[str, Decimal]:
    return {account: amount * many for account, amount in month.items()}


async def test_each_run_is_booked_once(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 8)
    pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair))
    assert (await pair.run())["outcome"]["name"] == "written"
    assert pair.finmaster.balance() == times(MONTH, 2)
    assert {number: one["status"] for number, one in (await pair.items()).items()} == {
        "2026-08 run 1": "booked",
        "2026-09 run 2": "booked",
    }
    assert [one["boekdatum"] for one in pair.finmaster.entries()] == ["2026-08-31", "2026-09-30"]
    await pair.run()
    assert len(pair.finmaster.entries()) == 2


@pytest.mark.parametrize("fault", ["lost", "error", "refused", "busy"])
async def test_a_bad_answer_books_nothing_twice_and_loses_nothing(pair: Pair, fault: Any) -> None:
    for period in range(1, 5):
        pair.loket.month(pair.home, 2026, period)
    pair.finmaster.switches["lag_s"] = 3
    await pair.make(await by_key(pair))
    pair.finmaster.fault(fault, method="POST", times=3, seconds=2)
    await pair.run()
    await pair.run()
    assert pair.finmaster.balance() == times(MONTH, 4)


async def test_a_token_that_ends_half_way_is_renewed_and_nothing_is_lost(pair: Pair) -> None:
    for period in range(1, 5):
        pair.loket.month(pair.home, 2026, period)
    await pair.make(await by_key(pair))
    pair.loket.switches["unauthorised_call"] = 3
    await pair.run()
    assert pair.finmaster.balance() == times(MONTH, 4)


async def test_a_run_made_anew_with_the_same_amounts_is_left_alone(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair))
    await pair.run()
    pair.loket.again(run)
    await pair.run()
    assert pair.finmaster.balance() == MONTH
    assert (await pair.items())["2026-09 run 1"]["status"] == "booked"


async def test_a_run_made_anew_with_other_amounts_is_asked_about(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair))
    await pair.run()
    pair.loket.again(run, *correction())
    await pair.run()
    assert pair.finmaster.balance() == MONTH
    assert (await pair.items())["2026-09 run 1"]["status"] == "changed"
    assert await pair.findings("2026-09 run 1") == ["change_by_hand"], "FinMaster lets nobody correct by 'retry'"


async def test_a_run_that_is_taken_back_is_told(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair))
    await pair.run()
    pair.loket.undo(run)
    await pair.run()
    assert await pair.findings("2026-09 run 1") == ["vanished_to_correct_by_hand"]
    assert pair.finmaster.balance() == MONTH
    pair.loket.journalise(pair.loket.books["payroll_runs"][run["payrollRun"]])
    await pair.run()
    assert (await pair.items())["2026-09 run 1"]["status"] == "booked"
    assert pair.finmaster.balance() == MONTH


async def test_all_missing_accounts_and_cost_centres_are_named_at_once(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    place = pair.finmaster.books["administrations"][HOME]
    del place["accounts"]["4100"]
    place["accounts"]["4050"]["geblokkeerd"] = True
    del place["centres"]["BAK"]
    await pair.make(await by_key(pair))
    await pair.run()
    assert await pair.findings("2026-09 run 1") == ["accounts_unknown", "cost_centres_unknown"]
    assert pair.finmaster.entries() == []


async def test_transposing_books_on_the_other_chart(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    pair.finmaster.reset()
    pair.finmaster.add_administration()
    await pair.make(await by_key(pair), account_mode="transpose")
    await pair.run()
    assert await pair.findings("2026-09 run 1") == ["accounts_not_in_table"]
    table = {
        "4000": "40100", "4010": "40150", "4050": "40300", "4100": "40400", "1700": "15200", "1710": "15100",
        "1720": "15300", "1730": "15400",
    }  # fmt: skip
    entries = [{"source": source, "target": target} for source, target in table.items()]
    filled = await pair.api.put(f"{pair.place}/mappings/ledger_accounts", json={"entries": entries})
    assert filled.status_code == 200, filled.text
    await pair.run()
    assert pair.finmaster.balance() == dict(sorted((table[account], amount) for account, amount in MONTH.items()))


async def test_a_closed_period_is_said_and_not_touched(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    pair.finmaster.close(pair.finmaster.books["administrations"][HOME], 2026, 9)
    await pair.make(await by_key(pair))
    await pair.run()
    assert await pair.findings("2026-09 run 1") == ["finmaster.period_closed"]
    assert pair.finmaster.entries() == []


async def test_a_run_is_marked_once_after_it_was_booked(pair: Pair) -> None:
    runs = [pair.loket.month(pair.home, 2026, period) for period in (8, 9)]
    await pair.make(await by_key(pair), loket_mark=True)
    pair.loket.fault("lost", method="PATCH")
    await pair.run()
    await pair.run()
    assert [run["status"] for run in runs] == [EXPORTED, EXPORTED]
    assert len(pair.loket.books["audit"]) == 2
    assert sorted(one["message"].split()[-1] for one in pair.loket.books["audit"]) == ["2026-0001", "2026-0002"]
    found = await pair.items()
    assert [(one["status"], one["amount"]) for one in found.values()] == [("booked", "27466.19")] * 2
    await pair.run()  # Reads them as exported.
    for one in (await pair.items()).values():
        shown = (await pair.api.get(f"/v1/items/{one['id']}")).json()
        assert (shown["status"], shown["findings"]) == ("booked", [])
        assert sum(Decimal(line["debit"]) for line in shown["posting"]) == Decimal("27466.19")
    assert pair.finmaster.balance() == times(MONTH, 2)


async def test_nothing_is_marked_while_the_booking_does_not_stand(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    pair.finmaster.close(pair.finmaster.books["administrations"][HOME], 2026, 9)
    await pair.make(await by_key(pair), loket_mark=True)
    await pair.run()
    assert (run["status"], pair.loket.books["audit"]) == (4, [])


async def test_a_missing_right_to_mark_leaves_the_booking_and_is_told(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    pair.loket.switches["rights"].remove("Exporteren journaalrun")
    await pair.make(await by_key(pair), loket_mark=True)
    await pair.run()
    await pair.run()
    log = (await pair.api.get(f"{pair.place}/log?limit=200")).json()["data"]
    assert [one["key"] for one in log].count("loket.no_right_mark") == 1
    assert pair.finmaster.balance() == MONTH


async def test_after_all_was_lost_nothing_is_booked_again(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    target = await by_key(pair)
    await pair.make(target)
    await pair.run()
    await pair.api.delete(pair.place)
    async with pair.hub.database.system() as session:
        await session.execute(text("TRUNCATE delivery CASCADE"))
    await pair.make(target)
    await pair.run()
    assert pair.finmaster.balance() == MONTH


async def test_one_run_is_chosen_by_hand_and_the_others_are_listed(pair: Pair) -> None:
    runs = [pair.loket.month(pair.home, 2026, period) for period in (7, 8, 9)]
    await pair.make(await by_key(pair), selection="chosen")
    await pair.run()
    assert {one["status"] for one in (await pair.items()).values()} == {"ignored"}
    assert pair.finmaster.entries() == []
    await pair.run(documents=[f"{pair.home['id']}/{runs[1]['payrollRun']}"])
    assert [one["boekdatum"] for one in pair.finmaster.entries()] == ["2026-08-31"]


async def test_the_chosen_employer_leaves_the_others_out(pair: Pair) -> None:
    other = pair.loket.add_employer("Molen Dijk B.V.")
    pair.loket.month(pair.loket.add_administration(other, "Molen maand"), 2026, 9)
    pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair), loket_employer=pair.home["employer"])
    checked = (await pair.api.post(f"{pair.place}/check")).json()
    assert [one["key"] for one in checked["findings"]] == []
    await pair.run()
    assert pair.finmaster.balance() == MONTH


async def made(pair: Pair) -> list[dict[str, Any]]:
    answer = await pair.api.post(f"{pair.place}/batches")
    assert answer.status_code == 201, answer.text
    return list(answer.json()["data"])


async def fetched(pair: Pair, batch: dict[str, Any], form: str) -> bytes:
    answer = await pair.api.get(f"{pair.place}/batches/{batch['id']}/{form}")
    assert answer.status_code == 200, answer.text
    return answer.content


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode()), delimiter=";"))


async def test_by_file_each_entry_is_in_one_numbered_file_once(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 8)
    await pair.make(await by_file(pair), finmaster_journal="90")
    await pair.run()
    assert sum(pair.finmaster.calls.values()) == 0
    assert (await pair.api.get(f"{pair.place}/batches")).json() == {"data": [], "waiting": 1}
    (first,) = await made(pair)
    assert (first["number"], first["documents"], first["total"], first["formats"]) == (1, 1, "27466.19", ["csv", "xaf"])
    assert await made(pair) == []
    before = {form: await fetched(pair, first, form) for form in ("csv", "xaf")}

    pair.loket.month(pair.home, 2026, 9)
    await pair.api.patch(pair.place, json={"settings": {"finmaster_separator": "tab"}})
    await pair.run()
    (second,) = await made(pair)
    assert second["number"] == 2
    assert {form: await fetched(pair, first, form) for form in before} == before
    found = rows(before["csv"]) + rows((await fetched(pair, second, "csv")).replace(b"\t", b";"))
    assert len({one["referentie"] for one in found}) == 2
    debit = sum(Decimal(one["debet"].replace(",", ".") or 0) for one in found)
    credit = sum(Decimal(one["credit"].replace(",", ".") or 0) for one in found)
    assert debit == credit == Decimal("54932.38")
    listed = (await pair.api.get(f"{pair.place}/batches")).json()
    assert ([one["number"] for one in listed["data"]], listed["waiting"]) == ([2, 1], 0)


async def test_several_who_ask_at_once_get_each_entry_in_one_file(pair: Pair) -> None:
    for period in range(1, 6):
        pair.loket.month(pair.home, 2026, period)
    await pair.make(await by_file(pair), finmaster_journal="90")
    await pair.run()
    answers = await asyncio.gather(*(made(pair) for _ in range(4)))
    assert sorted(one["documents"] for batches in answers for one in batches) == [5]
    assert (await pair.api.get(f"{pair.place}/batches")).json()["waiting"] == 0


async def test_two_fiscal_years_are_two_files(pair: Pair) -> None:
    pair.loket.month(pair.home, 2025, 12)
    pair.loket.month(pair.home, 2026, 1)
    await pair.make(await by_file(pair), start="2025-12-01", finmaster_journal="90")
    await pair.run()
    assert [(one["number"], one["year"]) for one in await made(pair)] == [(1, 2025), (2, 2026)]


async def test_a_combi_made_anew_puts_nothing_in_a_second_file(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    target = await by_file(pair)
    await pair.make(target, finmaster_journal="90")
    await pair.run()
    assert len(await made(pair)) == 1
    await pair.api.delete(pair.place)
    await pair.make(target, finmaster_journal="90")
    await pair.run()
    assert await made(pair) == []
    assert len((await pair.api.get(f"{pair.place}/batches")).json()["data"]) == 1


async def test_what_was_booked_by_key_is_in_no_file(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_key(pair))
    await pair.run()
    assert await made(pair) == []


async def test_from_file_to_key_nothing_is_booked_again(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_file(pair), finmaster_journal="90")
    await pair.run()
    await by_key(pair)
    await pair.run()
    assert pair.finmaster.entries() == []


async def test_what_a_human_entered_by_hand_meanwhile_goes_into_no_file(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_file(pair), finmaster_journal="90")
    await pair.run()
    pair.loket.again(run, *correction())
    await pair.run()
    changed = (await pair.items())["2026-09 run 1"]
    assert changed["status"] == "changed"
    answer = await pair.api.post(
        f"/v1/items/{changed['id']}/resolve", json={"outcome": "exists", "target_ref": "met de hand"}
    )
    assert answer.status_code == 200, answer.text
    await pair.run()
    assert (await pair.items())["2026-09 run 1"]["status"] == "booked"
    assert (await pair.api.get(f"{pair.place}/batches")).json()["waiting"] == 0
    assert await made(pair) == []


async def test_a_file_marks_no_run(pair: Pair) -> None:
    run = pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_file(pair), finmaster_journal="90", loket_mark=True)
    await pair.run()
    assert (run["status"], pair.loket.books["audit"]) == (4, [])


async def test_a_format_that_is_not_there_is_not_found(pair: Pair) -> None:
    pair.loket.month(pair.home, 2026, 9)
    await pair.make(await by_file(pair), finmaster_journal="90")
    await pair.run()
    (batch,) = await made(pair)
    assert (await pair.api.get(f"{pair.place}/batches/{batch['id']}/pdf")).status_code == 404
