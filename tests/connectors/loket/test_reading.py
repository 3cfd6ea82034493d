"""Runs are read once, told apart by payroll run, and asked again only where something can have changed."""

from datetime import date
from typing import Any

import pytest

from connectors.loket import CONNECTOR
from connectors.loket.sandbox import EXPORTED, FAILED, NOTHING, QUEUED, READY, REMOVED, LoketSandbox, correction
from hub.accounting.documents import Ignored, JournalEntry
from hub.sdk.connector import Since
from hub.sdk.errors import ConfigError, Malformed, TransientError
from hub.sdk.http import Http
from tests.connectors.loket.conftest import STREAM, Reader, source_id
from tests.connectors.support import FixedCredentials, connected


async def test_a_first_read_gives_every_payroll_run_once(box: LoketSandbox, reader: Reader) -> None:
    box.seed()
    found = await reader.read()
    assert len(found) == len(set(found)) == len(box.books["payroll_runs"])


async def test_an_idle_night_is_one_call_per_administration(box: LoketSandbox, reader: Reader) -> None:
    box.fill(3, years=10)
    reader.companies = tuple(box.books["administrations"])
    assert len(await reader.read()) == 360
    box.calls.clear()
    assert await reader.read() == []
    assert box.calls.total() == 3


async def test_a_new_run_costs_its_results_only(box: LoketSandbox, reader: Reader) -> None:
    box.fill(1, years=3)
    (home,) = box.books["administrations"].values()
    reader.companies = (home["id"],)
    await reader.read()
    new = box.month(home, 2027, 1)
    box.calls.clear()
    assert await reader.read() == [source_id(new)]
    assert box.calls.total() == 2


async def test_a_run_made_anew_is_the_same_document(box: LoketSandbox, reader: Reader) -> None:
    run = box.month(box.add_administration(), 2026, 3)
    await reader.read()
    before = reader.mapped(source_id(run))
    again = box.again(run)
    assert again["id"] != run["id"]
    assert await reader.read() == [source_id(run)]
    assert reader.mapped(source_id(run)).fingerprint() == before.fingerprint()  # type: ignore[union-attr]
    assert reader.standing() == {source_id(run)}


async def test_a_run_made_anew_with_other_amounts_is_a_change(box: LoketSandbox, reader: Reader) -> None:
    run = box.month(box.add_administration(), 2026, 3)
    await reader.read()
    before = reader.mapped(source_id(run))
    box.again(run, *correction())
    await reader.read()
    after = reader.mapped(source_id(run))
    assert isinstance(before, JournalEntry)
    assert isinstance(after, JournalEntry)
    assert after.source_id == before.source_id
    assert after.fingerprint() != before.fingerprint()


async def test_a_run_that_is_taken_back_does_not_stand_any_more(box: LoketSandbox, reader: Reader) -> None:
    home = box.add_administration()
    kept, run = box.month(home, 2026, 2), box.month(home, 2026, 3)
    await reader.read()
    assert reader.standing() == {source_id(kept), source_id(run)}
    box.undo(run)
    assert await reader.read() == []
    assert reader.standing() == {source_id(kept)}
    told = [whole for page in reader.pages for whole in page.wholes if whole.prefix == source_id(run)]
    assert [(one.source_ids, one.again_after_s) for one in told] == [(frozenset(), 0)]
    assert await reader.read(thorough=True) == [source_id(kept)], "what does not stand is shown no more"
    again = box.journalise(box.books["payroll_runs"][run["payrollRun"]])
    assert await reader.read() == [source_id(again)]


async def test_while_a_new_run_is_being_made_nothing_has_vanished(box: LoketSandbox, reader: Reader) -> None:
    run = box.month(box.add_administration(), 2026, 3)
    await reader.read()
    box.again(run, status=QUEUED)
    await reader.read()
    assert reader.standing() == {source_id(run)}


async def test_two_administrations_prove_only_their_own(box: LoketSandbox, reader: Reader) -> None:
    one, other = box.add_administration(), box.add_administration(name="Stagiairs")
    box.month(one, 2026, 1)
    box.month(other, 2026, 1)
    reader.companies = (one["id"],)
    await reader.read()
    assert [whole.prefix for page in reader.pages for whole in page.wholes] == [f"{one['id']}/"]


async def test_a_correction_in_the_same_period_is_a_document_of_its_own(box: LoketSandbox, reader: Reader) -> None:
    home = box.add_administration()
    first, second = box.month(home, 2026, 9), box.month(home, 2026, 9, *correction())
    await reader.read()
    one, other = reader.mapped(source_id(first)), reader.mapped(source_id(second))
    assert isinstance(one, JournalEntry)
    assert isinstance(other, JournalEntry)
    assert (one.description, other.description) == (
        "Loonjournaal 2026-09 run 1",
        "Loonjournaal 2026-09 run 2 correctie",
    )


async def test_two_live_runs_of_one_payroll_run_are_shown_and_not_booked(box: LoketSandbox, reader: Reader) -> None:
    run = box.month(box.add_administration(), 2026, 3)
    box.journalise(box.books["payroll_runs"][run["payrollRun"]], strict=False)
    await reader.read()
    with pytest.raises(Malformed) as shown:
        reader.mapped(source_id(run))
    assert [one.key for one in shown.value.findings] == ["loket.two_live_runs"]


async def test_without_its_id_a_payroll_run_is_known_by_its_number_in_the_year(
    box: LoketSandbox, reader: Reader
) -> None:
    box.switches["payroll_run_id"] = False
    run = box.month(box.add_administration(), 2026, 3)
    assert await reader.read() == [f"{run['administration']}/2026-1"]
    box.again(run)
    assert await reader.read() == [f"{run['administration']}/2026-1"]
    box.switches["payroll_run_id"] = True
    assert await reader.read() == [], "it keeps the id under which it was known"


async def test_without_anything_of_a_payroll_run_the_journal_run_is_the_document(
    box: LoketSandbox, reader: Reader
) -> None:
    box.switches["payroll_run_id"] = False
    run = box.month(box.add_administration(), 2026, 3)
    box.books["payroll_runs"][run["payrollRun"]]["sequenceNumberApproved"] = None
    assert await reader.read() == [f"{run['administration']}/{run['id']}"]


async def test_the_start_date_reads_the_years_it_needs(box: LoketSandbox, http: Http) -> None:
    home = box.add_administration()
    old, before, inside = box.month(home, 2024, 12), box.month(home, 2026, 2), box.month(home, 2026, 3)
    reader = Reader(http, date(2026, 3, 1))
    assert await reader.read() == [source_id(before), source_id(inside)]
    early = reader.mapped(source_id(before))
    assert isinstance(early, Ignored)
    assert early.reason.key == "loket.before_start"
    assert f"GET /v2/providers/employers/payrolladministrations/journalruns/{before['id']}/results" not in box.calls

    reader.start = date(2024, 1, 1)
    assert set(await reader.read()) == {source_id(old), source_id(before)}
    assert isinstance(reader.mapped(source_id(before)), JournalEntry)


async def test_a_start_that_moves_on_makes_nothing_vanish(box: LoketSandbox, http: Http) -> None:
    home = box.add_administration()
    runs = [box.month(home, 2025, 12), box.month(home, 2026, 1)]
    reader = Reader(http, date(2025, 1, 1))
    await reader.read()
    reader.start = date(2026, 1, 1)
    assert await reader.read() == []
    assert reader.standing() == {source_id(one) for one in runs}


@pytest.mark.parametrize("way", ["ignored", "refused", "hides"])
@pytest.mark.parametrize("order", ["works", "ignored", "refused"])
async def test_a_filter_or_order_that_does_not_work_hides_nothing(
    box: LoketSandbox, http: Http, way: str, order: str
) -> None:
    box.switches |= {"filter": way, "order": order}
    home = box.add_administration()
    for period in range(1, 4):
        box.month(home, 2025, period)
    kept = [box.month(home, 2026, period) for period in range(1, 4)]
    reader = Reader(http, date(2026, 1, 31))
    assert set(await reader.read()) == {source_id(one) for one in kept}
    new = box.month(home, 2026, 4)
    assert await reader.read() == [source_id(new)]
    assert reader.standing() == {source_id(one) for one in (*kept, new)}


async def test_a_sliced_read_goes_on_where_it_stopped(box: LoketSandbox, reader: Reader) -> None:
    home = box.add_administration()
    for period in range(1, 13):
        box.month(home, 2024, period)
        box.month(home, 2025, period)
    reader.companies = (home["id"],)
    assert len(await reader.read(pages=1)) == 20
    box.calls.clear()
    assert len(await reader.read()) == 4
    assert box.calls.total() == 5


async def test_a_thorough_round_over_several_slices_looks_at_everything_once(box: LoketSandbox, reader: Reader) -> None:
    home = box.add_administration()
    for period in range(1, 13):
        box.month(home, 2024, period)
        box.month(home, 2025, period)
    reader.companies = (home["id"],)
    await reader.read()
    first = await reader.read(pages=1, thorough=True)
    second = await reader.read(thorough=True)
    assert (len(first), len(second)) == (20, 4)
    assert len({*first, *second}) == 24
    assert await reader.read(thorough=True) == [], "the slice after the last one finds nothing left"


async def test_each_thorough_round_looks_again(box: LoketSandbox, reader: Reader) -> None:
    run = box.month(box.add_administration(), 2026, 1)
    await reader.read()
    for _ in range(2):
        assert await reader.read(thorough=True) == [source_id(run)]


async def test_results_of_one_run_that_are_refused_hold_up_no_other(box: LoketSandbox, reader: Reader) -> None:
    home = box.add_administration()
    bad, good = box.month(home, 2026, 1), box.month(home, 2026, 2)
    lines = bad.pop("lines")
    bad["lines"] = []
    await reader.read()
    with pytest.raises(Malformed) as shown:
        reader.mapped(source_id(bad))
    assert [one.key for one in shown.value.findings] == ["loket.lines_missing"]
    assert isinstance(reader.mapped(source_id(good)), JournalEntry)
    bad["lines"] = lines
    assert await reader.read() == [source_id(bad)], "asked again until it has lines"
    assert isinstance(reader.mapped(source_id(bad)), JournalEntry)


async def test_an_administration_that_is_out_of_reach_is_named_after_the_others_were_read(
    box: LoketSandbox, reader: Reader
) -> None:
    home = box.add_administration()
    run = box.month(home, 2026, 1)
    reader.companies = ("11111111-1111-4111-9111-111111111111", home["id"])
    with pytest.raises(ConfigError) as said:
        await reader.read()
    assert said.value.key == "loket.administration_gone"
    assert list(reader.raws) == [source_id(run)]


async def test_an_administration_without_rights_is_named_after_the_others_were_read(
    box: LoketSandbox, reader: Reader
) -> None:
    shut, home = box.add_administration(name="Dicht"), box.add_administration()
    run = box.month(home, 2026, 1)
    box.switches["shut_administrations"] = [shut["id"]]
    reader.companies = (shut["id"], home["id"])
    with pytest.raises(ConfigError) as said:
        await reader.read()
    assert (said.value.key, said.value.values["administrations"]) == ("loket.administration_gone", shut["id"])
    assert list(reader.raws) == [source_id(run)]
    reader.companies = (shut["id"],)
    with pytest.raises(ConfigError) as said:
        await reader.read()
    assert said.value.key == "loket.no_rights", "nothing can be read: it is the user's rights"


@pytest.mark.parametrize("known", [True, False])
async def test_an_administration_without_runs_may_answer_not_found(
    box: LoketSandbox, reader: Reader, known: bool
) -> None:
    bare, home = box.add_administration(name="Nieuw"), box.add_administration()
    run = box.month(home, 2026, 1)
    box.switches["no_runs"] = 404
    reader.companies = (bare["id"], home["id"])
    if known:
        made = box.month(bare, 2026, 1)
        await reader.read()
        del box.books["runs"][made["id"]]
        with pytest.raises(ConfigError):
            await reader.read()
        return
    await reader.read()
    assert list(reader.raws) == [source_id(run)]


@pytest.mark.parametrize("status", [QUEUED, NOTHING, FAILED, REMOVED, EXPORTED])
async def test_runs_that_are_not_ready_are_listed_and_not_booked(
    box: LoketSandbox, reader: Reader, status: int
) -> None:
    run = box.month(box.add_administration(), 2026, 1, status=status)
    await reader.read()
    if status in (NOTHING, REMOVED):
        assert reader.raws == {}
    else:
        assert isinstance(reader.mapped(source_id(run)), Ignored)
    box.set_status(run, READY)
    assert await reader.read() == [source_id(run)]
    assert isinstance(reader.mapped(source_id(run)), JournalEntry)


SPELLINGS: list[dict[str, Any]] = [
    {"numbers": "text"},
    {"numbers": "comma"},
    {"absent": "omit"},
    {"envelope": "bare"},
    {"envelope": "object"},
    {"status_form": "key"},
    {"status_form": "value"},
    {"status_form": "text_key"},
    {"ids": "upper"},
    {"zone": "Z"},
    {"zone": "+01:00"},
    {"results_page": False},
    {"empty_pages": 1},
    {"page_size": 2},
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
async def test_every_plausible_spelling_means_the_same(box: LoketSandbox, http: Http, spelling: dict[str, Any]) -> None:
    box.seed()
    plain = Reader(http)
    await plain.read()
    box.switches |= spelling
    spelt = Reader(http)
    assert set(await spelt.read()) == set(plain.raws)
    for own in plain.raws:
        expected, found = plain.mapped(own), spelt.mapped(own)
        assert found == expected


async def test_a_listing_that_is_cut_short_is_not_taken_for_the_whole(box: LoketSandbox, reader: Reader) -> None:
    box.seed()
    box.fault("malformed", path="/journalruns", times=99, after=1)
    box.switches["page_size"] = 3
    with pytest.raises(TransientError):
        await reader.read()
    assert reader.standing() == set()


async def test_a_token_that_ends_half_way_is_renewed(box: LoketSandbox) -> None:
    box.seed()
    box.switches["unauthorised_call"] = 5
    access, _ = box.grant()
    credentials = FixedCredentials({"access_token": access}, fresh={"access_token": box.grant()[0]})
    async with connected(CONNECTOR, box, "/v2", {}, credentials=credentials) as http:
        found = [
            raw async for page in STREAM.read(http, Since(None, None), CONNECTOR.settings()) for raw in page.records
        ]
    assert len(found) == len(box.books["payroll_runs"])
