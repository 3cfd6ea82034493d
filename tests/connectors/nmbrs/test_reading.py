"""Reading over both APIs: what is read, what is read again, and what a complete list proves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from connectors.nmbrs import CONNECTOR, runs
from connectors.nmbrs.sandbox import NmbrsSandbox, line, payroll, transaction
from connectors.nmbrs.settings import NmbrsSettings
from hub.accounting.documents import Ignored
from hub.kit.json import dumps
from hub.sdk.connector import Page, Raw, Since, Whole
from hub.sdk.errors import ConfigError, TransientError
from tests.connectors.nmbrs.conftest import Connect

STREAM = CONNECTOR.sources["journals"]
TODAY = date(2026, 5, 4)
BOTH = pytest.mark.parametrize("way", ["key", "oauth"])


@dataclass
class Reader:
    """A combi that reads every night."""

    connect: Connect
    box: NmbrsSandbox
    way: str = "key"
    companies: tuple[str, ...] = ("1",)
    settings: NmbrsSettings = field(default_factory=lambda: NmbrsSettings(start_year=2026))
    start: date | None = None
    today: date = TODAY
    cursor: Any = None
    wholes: dict[str, Whole] = field(default_factory=dict)
    found: list[Raw] = field(default_factory=list)
    """What the last night read, also when it ended badly."""

    async def night(self, days: int = 0, *, thorough: bool = False) -> list[Raw]:
        """The records of a night's reading, `days` later; calls are counted anew."""
        self.today += timedelta(days=days)
        self.box.calls.clear()
        self.wholes, self.found = {}, []
        since = Since(self.cursor, self.start, self.companies, thorough, self.today)
        async with self.connect(self.way) as http:
            async for page in STREAM.read(http, since, self.settings):
                self._keep(page)
        return self.found

    def _keep(self, page: Page) -> None:
        self.found += page.records
        self.wholes |= {one.prefix: one for one in page.wholes}
        if page.cursor is not None:
            self.cursor = json.loads(dumps(page.cursor))

    @property
    def calls(self) -> int:
        return self.box.calls.total()

    def run(self, first: int, year: int = 2026, company: str = "1") -> dict[str, Any]:
        """The run of a company that starts and ends in a period."""
        own = {one["id"] for one in self.box.books["companies"].values() if str(one["number"]) == company}
        (found,) = [
            one
            for one in self.box.books["runs"].values()
            if one["company"] in own and (one["year"], one["first"], one["last"]) == (year, first, first)
        ]
        return dict(found) | {"same": found}


@pytest.fixture
def reader(connect: Connect, box: NmbrsSandbox) -> Reader:
    return Reader(connect, box)


def ids(found: Sequence[Raw]) -> list[str]:
    return [STREAM.key(one).partition(":")[2] for one in found]


def states(found: Sequence[Raw]) -> dict[str, str]:
    return {STREAM.key(one).partition(":")[2]: one["state"] for one in found}


@BOTH
async def test_the_runs_from_the_start_on_are_read(reader: Reader, way: str) -> None:
    reader.way = way
    found = states(await reader.night())
    assert found == {
        "2026:1-1:1": "journal", "2026:1-3:4": "journal", "2026:2-2:2": "journal", "2026:3-3:3": "journal",
        "2026:4-4:5": "unlocked",
    }  # fmt: skip
    reader.cursor, reader.settings = None, NmbrsSettings(start_year=2025, start_period=12)
    assert "2025:12-12:2" in states(await reader.night())
    assert "2025:11-11:1" not in states(await reader.night())


@BOTH
async def test_both_apis_tell_the_same_documents(connect: Connect, box: NmbrsSandbox, way: str) -> None:
    box.add_run(next(iter(box.books["companies"].values())), 2026, 5, 0, payroll("2026-05-31", "100"), description="")
    reader = Reader(connect, box, "key", ("1", "2", "3"))
    soap = {STREAM.key(one): STREAM.map(one, reader.settings) for one in await reader.night()}
    reader = Reader(connect, box, "oauth", ("1", "2", "3"))
    rest = {STREAM.key(one): STREAM.map(one, reader.settings) for one in await reader.night()}
    assert soap == rest
    assert {key: one.fingerprint() for key, one in soap.items() if not isinstance(one, Ignored)} == {
        key: one.fingerprint() for key, one in rest.items() if not isinstance(one, Ignored)
    }


@BOTH
async def test_an_idle_night_costs_one_call_per_company_and_year(reader: Reader, way: str) -> None:
    reader.way, reader.companies = way, ("1", "2", "3", "4")
    reader.settings = NmbrsSettings(start_year=2025)
    await reader.night()
    assert await reader.night() == []
    assert reader.calls == 8
    reader.settings = NmbrsSettings(start_year=2017)
    await reader.night()
    assert await reader.night() == []
    assert reader.calls == 8, "years before the last are looked at once a week"


async def test_every_journal_is_read_again_within_a_week(reader: Reader) -> None:
    await reader.night()
    calls: list[int] = []
    read: list[str] = []
    for _ in range(7):
        before = json.dumps(reader.cursor["years"]["1:2026"]["runs"])
        assert await reader.night(1) == []
        calls.append(reader.calls)
        after = reader.cursor["years"]["1:2026"]["runs"]
        read += [key for key, one in after.items() if one != json.loads(before)[key]]
    assert sorted(read) == ["1:2026:1-1:1", "1:2026:1-3:4", "1:2026:2-2:2", "1:2026:3-3:3"]
    assert sum(calls) == 7 + 4 + 1, "a list each night, each journal once, the companies once"


async def test_a_year_that_was_made_anew_is_noticed_within_days_and_then_read_whole(reader: Reader) -> None:
    await reader.night()
    reader.box.play("regenerated", reader.run(3))
    changed: list[str] = []
    for _ in range(7):
        found = await reader.night(1)
        changed += ids(found)
        if len(changed) == 4:
            break
    assert sorted(changed) == ["2026:1-1:1", "2026:1-3:4", "2026:2-2:2", "2026:3-3:3"]
    assert reader.today < TODAY + timedelta(days=7)


async def test_a_human_sees_at_once_that_a_year_was_made_anew(reader: Reader) -> None:
    await reader.night()
    reader.box.play("regenerated", reader.run(3))
    assert len(await reader.night(thorough=True)) == 4


@BOTH
async def test_an_unlocked_run_is_shown_and_read_once_it_is_locked(reader: Reader, way: str) -> None:
    reader.way = way
    first = await reader.night()
    (shown,) = [STREAM.map(one, reader.settings) for one in first if one["state"] == "unlocked"]
    assert isinstance(shown, Ignored)
    assert shown.reason.key == "nmbrs.not_locked"
    assert await reader.night() == []
    reader.box.play("locked", reader.run(4)["same"])
    assert states(await reader.night(1)) == {"2026:4-4:5": "journal"}


async def test_a_booked_run_that_is_unlocked_waits_and_is_read_when_it_is_locked_again(reader: Reader) -> None:
    await reader.night()
    run = reader.run(3)["same"]
    reader.box.play("unlocked", run)
    assert await reader.night(1) == []
    assert "1:2026:3-3:3" in reader.wholes["1:2026:"].source_ids
    run["transactions"][0]["lines"][0]["value"] = "1.00"
    reader.box.play("locked", run)
    assert ids(await reader.night(1)) == ["2026:3-3:3"]


@BOTH
async def test_unlocked_runs_too_when_that_is_chosen(reader: Reader, way: str) -> None:
    reader.way = way
    reader.settings = NmbrsSettings(start_year=2026, only_locked=False)
    assert states(await reader.night())["2026:4-4:5"] == "journal"
    assert await reader.night(0) == []
    reader.run(4)["same"]["transactions"][0]["lines"][0]["value"] = "1.00"
    assert ids(await reader.night(0)) == ["2026:4-4:5"], "it can change, so it is read every time"


async def test_a_merged_run_has_vanished_and_the_other_has_grown(reader: Reader) -> None:
    await reader.night()
    normal, correction = reader.run(3)["same"], next(r for r in reader.box.books["runs"].values() if r["type"] == "twk")
    for one in (normal, correction):
        reader.box.play("unlocked", one)
    await reader.night(1)
    reader.box.play("merged", normal, correction)
    found = await reader.night(1)
    assert ids(found) == ["2026:3-3:3"]
    proof = reader.wholes["1:2026:"]
    assert "1:2026:1-3:4" not in proof.source_ids
    assert proof.again_after_s == 0


async def test_a_run_that_comes_back_under_another_id_is_the_same_run(reader: Reader) -> None:
    before = {STREAM.key(one): STREAM.map(one, reader.settings) for one in await reader.night()}
    reader.box.play("returned", reader.run(3))
    (found,) = await reader.night(1)
    assert STREAM.map(found, reader.settings) == before[STREAM.key(found)]
    assert "1:2026:3-3:3" in reader.wholes["1:2026:"].source_ids


async def test_a_removed_run_is_proven_gone_and_an_emptied_year_only_later(reader: Reader) -> None:
    await reader.night()
    reader.box.play("removed", reader.run(3))
    await reader.night(1)
    assert "1:2026:3-3:3" not in reader.wholes["1:2026:"].source_ids
    reader.box.books["runs"].clear()
    await reader.night(1)
    assert reader.wholes["1:2026:"].source_ids == frozenset()
    assert reader.wholes["1:2026:"].again_after_s > 12 * 3600


@BOTH
async def test_a_journal_that_was_emptied_is_proven_gone_and_may_come_back(reader: Reader, way: str) -> None:
    reader.way = way
    await reader.night()
    run = reader.run(3)["same"]
    before = list(run["transactions"])
    reader.box.play("empty", run)
    assert "2026:3-3:3" not in ids(await reader.night(thorough=True))
    assert "1:2026:3-3:3" not in reader.wholes["1:2026:"].source_ids
    await reader.night(1)
    assert "1:2026:3-3:3" not in reader.wholes["1:2026:"].source_ids
    run["transactions"] = before
    assert states(await reader.night(thorough=True))["2026:3-3:3"] == "journal"
    assert "1:2026:3-3:3" in reader.wholes["1:2026:"].source_ids


async def test_several_transactions_of_a_run_are_documents_of_their_own(reader: Reader) -> None:
    await reader.night()
    run = reader.run(3)["same"]
    reader.box.play("two_transactions", run)
    assert ids(await reader.night(thorough=True))[-2:] == ["2026:3-3:3", "2026:3-3:3:t2"]
    assert "1:2026:3-3:3:t2" in reader.wholes["1:2026:"].source_ids
    run["transactions"].pop()
    await reader.night(thorough=True)
    assert "1:2026:3-3:3:t2" not in reader.wholes["1:2026:"].source_ids


@BOTH
async def test_a_run_without_journal_is_listed_and_booked_nothing(reader: Reader, way: str) -> None:
    reader.way = way
    reader.box.play("empty", reader.run(3)["same"])
    found = await reader.night()
    assert states(found)["2026:3-3:3"] == "empty"
    assert await reader.night() == []


async def test_runs_that_share_all_facts_are_told_apart_and_stay_so(reader: Reader) -> None:
    company = next(iter(reader.box.books["companies"].values()))
    for hour in (9, 11):
        reader.box.add_run(
            company, 2026, 5, 0, payroll("2026-05-31", f"{hour}00"), number=6, made_at=f"2026-05-20T{hour:02}:00:00"
        )
    found = await reader.night()
    assert ids(found)[-2:] == ["2026:5-5:6", "2026:5-5:6#2"]
    assert [STREAM.map(one, reader.settings).number for one in found[-2:]] == ["2026-05 run 6", "2026-05 run 6 (2)"]


async def test_the_same_run_id_over_two_companies_is_two_runs(reader: Reader) -> None:
    for run in reader.box.books["runs"].values():
        run["number"] = 1
    reader.companies = ("1", "2")
    found = [STREAM.key(one) for one in await reader.night()]
    assert {"1:2026:1-1:1", "2:2026:1-1:1"} <= set(found)
    assert len(found) == len(set(found))


@BOTH
async def test_december_looks_ahead(reader: Reader, way: str) -> None:
    reader.way = way
    company = next(iter(reader.box.books["companies"].values()))
    reader.box.add_run(company, 2027, 1, 0, payroll("2027-01-31", "9100"))
    reader.today = date(2026, 11, 30)
    await reader.night()
    assert "1:2027:" not in reader.wholes
    assert ids(await reader.night(1)) == ["2027:1-1:1"]
    await reader.night(31)
    assert {"1:2026:", "1:2027:"} <= set(reader.wholes)


async def test_without_a_start_the_first_year_stays_what_it_was(reader: Reader) -> None:
    reader.settings = NmbrsSettings()
    assert all(one["year"] == 2026 for one in await reader.night())
    reader.today = date(2027, 2, 1)
    await reader.night()
    assert {"1:2026:", "1:2027:"} <= set(reader.wholes)


@BOTH
async def test_a_combi_s_start_date_is_that_of_the_period_s_last_day(reader: Reader, way: str) -> None:
    reader.way = way
    reader.settings, reader.start, reader.companies = NmbrsSettings(), date(2026, 3, 1), ("1", "2")
    found = await reader.night()
    wanted = ["1:2026:1-3:4", "1:2026:3-3:3", "1:2026:4-4:5", "2:2026:3-3:3"]
    assert sorted(STREAM.key(one) for one in found) == wanted


@BOTH
async def test_journals_per_cost_centre(reader: Reader, way: str) -> None:
    reader.way = way
    (first,) = [one for one in await reader.night() if one["first"] == 3]
    plain = STREAM.map(first, reader.settings)
    assert not isinstance(plain, Ignored)
    assert {one.cost_centre for one in plain.lines} == {None}
    reader.settings = NmbrsSettings(start_year=2026, split="cost_centre")
    assert await reader.night() == [], "what was read stays as it was read"
    reader.box.play("locked", reader.run(4)["same"])
    (new,) = await reader.night(1)
    found = STREAM.map(new, reader.settings)
    assert not isinstance(found, Ignored)
    assert {one.cost_centre.id if one.cost_centre else "" for one in found.lines} == {"", "010", "020"}


async def test_only_chosen_companies_are_asked_for(reader: Reader) -> None:
    reader.companies = ("2",)
    found = await reader.night()
    assert {one["company"] for one in found} == {"2"}
    reader.companies = ()
    assert {one["company"] for one in await reader.night()} == {"1", "3"}


async def test_a_chosen_company_that_cannot_be_seen_is_said(reader: Reader) -> None:
    reader.companies = ("1", "77")
    with pytest.raises(ConfigError) as gone:
        await reader.night()
    assert (gone.value.key, gone.value.field, gone.value.values["company"]) == (
        "nmbrs.company_gone",
        "administrations",
        "77",
    )


@BOTH
async def test_a_journal_that_cannot_be_read_is_shown_and_read_again(reader: Reader, way: str) -> None:
    reader.way = way
    for kind in ("truncated", "doctype", "external", "bomb"):
        reader.cursor, reader.box.switches["mangled"] = None, kind
        found = await reader.night()
        assert {one["state"] for one in found} == {"unreadable", "unlocked"}, kind
        assert len(found) == 5
    reader.box.switches["mangled"] = ""
    assert set(states(await reader.night()).values()) == {"journal"}


async def test_a_file_in_another_encoding_than_it_says_is_shown(reader: Reader) -> None:
    reader.way, reader.box.switches["mangled"] = "oauth", "latin"
    run = reader.run(3)["same"]
    run["transactions"].append(transaction("2026-03-31", line("4000", "1.00", "debit", "Café")))
    found = await reader.night()
    assert states(found)["2026:3-3:3"] == "unreadable"
    assert states(found)["2026:2-2:2"] == "journal"


@BOTH
async def test_one_journal_that_always_fails_does_not_stop_the_others(reader: Reader, way: str) -> None:
    reader.way = way
    run = reader.run(2)
    if way == "oauth":
        reader.box.switches["rest_faults"] = {f"/runs/{run['uuid']}/": "50001"}
    else:
        reader.box.switches["run_faults"] = {run["id"]: "9999"}
    found = states(await reader.night())
    assert found["2026:2-2:2"] == "unavailable"
    assert [key for key, state in found.items() if state == "journal"] == ["2026:1-1:1", "2026:1-3:4", "2026:3-3:3"]
    assert states(await reader.night(1)) == {"2026:2-2:2": "unavailable"}
    assert "1:2026:2-2:2" in reader.wholes["1:2026:"].source_ids
    reader.box.switches |= {"rest_faults": {}, "run_faults": {}}
    assert states(await reader.night(1)) == {"2026:2-2:2": "journal"}


@BOTH
async def test_a_package_that_fails_every_journal_is_down(reader: Reader, way: str) -> None:
    reader.way = way
    if way == "oauth":
        reader.box.switches["rest_faults"] = {"/journals": "50001"}
    else:
        reader.box.switches["soap_faults"] = {"Journals_GetByRunCompany_v2": "9999"}
    with pytest.raises(TransientError):
        await reader.night()
    reader.box.switches |= {"rest_faults": {}, "soap_faults": {}}
    found = await reader.night()
    assert len([one for one in found if one["state"] == "journal"]) == 4


@BOTH
async def test_a_company_without_rights_does_not_stop_the_others(reader: Reader, way: str) -> None:
    reader.way, reader.companies = way, ("2", "1")
    (depot,) = [one for one in reader.box.books["companies"].values() if one["number"] == 2]
    if way == "oauth":
        reader.box.switches["rest_faults"] = {f"/companies/{depot['uuid']}/": "40303"}
    else:
        reader.box.switches["run_faults"] = {depot["id"]: "2004"}
    with pytest.raises(ConfigError) as refused:
        await reader.night()
    assert refused.value.key == "nmbrs.no_rights"
    assert {one["company"] for one in reader.found} == {"1"}
    assert len(reader.found) == 5


async def test_reading_that_stopped_goes_on_where_it_was(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LARGEST_PAGE", 1)
    reader.companies = ("1", "2", "3")
    async with reader.connect("key") as http:
        pages = STREAM.read(http, Since(None, None, reader.companies, False, TODAY), reader.settings)
        seen = 0
        async for page in pages:
            seen += len(page.records)
            reader.cursor = json.loads(dumps(page.cursor))
            if "1:2026" in page.cursor["done"]:
                break
        await pages.aclose()
    found = await reader.night()
    assert {one["company"] for one in found} == {"2", "3"}
    assert (seen, len(found)) == (5, 7)
    monkeypatch.setattr(runs, "TOGETHER_S", 0.0)
    await reader.night()
    assert set(reader.wholes) == {"1:2026:", "2:2026:", "3:2026:"}


async def test_a_file_that_was_not_ready_is_asked_for_under_its_task_and_then_begun_anew(
    reader: Reader, impatient: None
) -> None:
    reader.way = "oauth"
    reader.box.switches["tasks_pending"] = 2
    assert set(states(await reader.night()).values()) == {"unavailable", "unlocked"}
    tasks = len(reader.box.books["tasks"])
    await reader.night()
    assert len(reader.box.books["tasks"]) == tasks
    found = await reader.night()
    assert len(reader.box.books["tasks"]) == tasks * 2, "the old ones are not waited for any longer"
    assert set(states(found).values()) == {"unavailable"}
    for task in reader.box.books["tasks"].values():
        task["left"] = 0
    assert set(states(await reader.night()).values()) == {"journal"}
    assert len(reader.box.books["tasks"]) == tasks * 2


async def test_a_run_that_is_listed_twice_is_one_run(reader: Reader) -> None:
    plain = reader.box._runs
    reader.box._runs = lambda company, year: plain(company, year) * 2  # type: ignore[method-assign]
    assert len(ids(await reader.night())) == 5
    assert not any("#" in one for one in reader.wholes["1:2026:"].source_ids)


async def test_a_list_with_a_record_that_makes_no_sense_proves_nothing(reader: Reader) -> None:
    reader.run(3)["same"]["last"] = 99
    await reader.night()
    assert "1:2026:" not in reader.wholes


async def test_moving_to_the_other_api_reads_all_once_and_says_the_same(reader: Reader) -> None:
    before = {STREAM.key(one): STREAM.map(one, reader.settings) for one in await reader.night()}
    reader.way = "oauth"
    after = {STREAM.key(one): STREAM.map(one, reader.settings) for one in await reader.night()}
    assert after == {key: one for key, one in before.items() if key in after}
    assert await reader.night() == []
    assert reader.calls == 1
