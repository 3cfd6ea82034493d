"""A run is marked once, after its booking, and only where the customer wants it."""

from typing import Any

import pytest

from connectors.loket.sandbox import EXPORTED, READY, LoketSandbox
from connectors.loket.settings import LoketSettings
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.loket.conftest import STREAM, Reader, source_id


@pytest.fixture
async def run(box: LoketSandbox) -> Any:
    return box.month(box.add_administration(), 2026, 3)


async def tell(http: Http, run: Any, **chosen: Any) -> None:
    """The hook, over the raw record as it is stored."""
    reader = Reader(http)
    await reader.read()
    assert STREAM.acknowledge is not None
    settings = LoketSettings(loket_mark=True, **chosen) if chosen != {"off": True} else LoketSettings()
    await STREAM.acknowledge(http, reader.raws[source_id(run)], "memoriaal 2026-0917", settings)


async def test_nothing_is_marked_unless_it_is_wanted(box: LoketSandbox, http: Http, run: Any) -> None:
    await tell(http, run, off=True)
    assert (run["status"], box.books["audit"]) == (READY, [])


@pytest.mark.parametrize("answer", ["content", "empty", "204"])
async def test_a_booked_run_is_marked_with_where_it_was_booked(
    box: LoketSandbox, http: Http, run: Any, answer: str
) -> None:
    box.switches["mark_answer"] = answer
    await tell(http, run, loket_application="31")
    assert run["status"] == EXPORTED
    assert [(one["message"], one["exportedTo"]) for one in box.books["audit"]] == [
        ("Geboekt als memoriaal 2026-0917", {"key": 31})
    ]


@pytest.mark.parametrize("twice", [409, 200])
async def test_it_is_marked_once_however_often_it_is_told(box: LoketSandbox, http: Http, run: Any, twice: int) -> None:
    box.switches["mark_twice"] = twice
    for _ in range(3):
        await tell(http, run)
    assert len(box.books["audit"]) == 1


@pytest.mark.parametrize("fault", ["lost", "error"])
async def test_a_lost_answer_is_looked_up_and_not_marked_twice(
    box: LoketSandbox, http: Http, run: Any, fault: Any
) -> None:
    box.switches["mark_twice"] = 200
    box.fault(fault, method="PATCH")
    with pytest.raises(OutcomeUnknown):
        await tell(http, run)
    await tell(http, run)
    assert len(box.books["audit"]) == 1


async def test_a_missing_right_is_told_and_changes_nothing(box: LoketSandbox, http: Http, run: Any) -> None:
    box.switches["rights"].remove("Exporteren journaalrun")
    with pytest.raises(RecordRejected) as said:
        await tell(http, run)
    assert said.value.key == "loket.no_right_mark"
    assert run["status"] == READY


async def test_a_client_that_may_not_read_one_run_marks_all_the_same(box: LoketSandbox, http: Http, run: Any) -> None:
    box.switches["no_activities"] = ["GetJournalRunByJournalRunId"]
    await tell(http, run)
    assert (run["status"], len(box.books["audit"])) == (EXPORTED, 1)


async def test_a_refusal_names_the_run(box: LoketSandbox, http: Http, run: Any) -> None:
    box.switches["application_needed"] = True
    with pytest.raises(RecordRejected) as said:
        await tell(http, run)
    assert (said.value.key, said.value.values["run"]) == ("loket.not_marked", "2026-03 run 1")
