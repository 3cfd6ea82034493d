"""Runs and their progress over the API."""

import asyncio
import json
from datetime import timedelta

from hub.engine.models import Run
from tests.combis.stage import Stage, Tenant


async def test_synchronise_now_is_accepted_once_and_then_names_the_running_run(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    period = {"from": "2026-01-01", "to": "2026-03-31"}

    first = await ours.api.post(f"/v1/combis/{combi.id}/runs", json={"period": period, "scope": "everything"})
    second = await ours.api.post(f"/v1/combis/{combi.id}/runs")

    assert first.status_code == 202, first.text
    assert (first.json()["status"], first.json()["period"]) == ("queued", period)
    assert (second.status_code, second.json()["code"]) == (409, "already_running")
    assert second.json()["run_id"] == first.json()["id"]
    assert stage.bell.rang == 1
    assert (await ours.api.get(first.headers["location"])).json() == first.json()


async def test_a_draft_can_be_previewed_but_not_booked(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours, status="draft")

    refused = await ours.api.post(f"/v1/combis/{combi.id}/runs", json={})
    preview = await ours.api.post(f"/v1/combis/{combi.id}/runs", json={"mode": "preview"})
    backwards = await ours.api.post(
        f"/v1/combis/{combi.id}/runs", json={"period": {"from": "2026-03-01", "to": "2026-01-01"}}
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "not_active")
    assert (preview.status_code, backwards.status_code) == (202, 422)


async def test_an_ended_run_says_how_and_what_to_do_in_the_callers_language(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    run = stage.run(
        combi,
        finished_at=stage.clock.now(),
        outcome=4010,
        reason={"key": "access_refused", "values": {"package": "Minox", "words": "token revoked"}},
        counts={"invoices": {"booked": 3}},
    )
    await stage.put(run)

    english = (await ours.api.get(f"/v1/runs/{run.id}")).json()
    dutch = (await ours.api.get(f"/v1/runs/{run.id}", headers={"Accept-Language": "nl"})).json()

    assert (english["status"], english["outcome"]["code"], english["outcome"]["good"]) == ("finished", 4010, False)
    assert english["outcome"]["sentence"] != dutch["outcome"]["sentence"]
    assert (english["reason"]["words"], english["reason"]["values"]) == ("token revoked", {"package": "Minox"})
    assert english["counts"] == {"invoices": {"booked": 3}}


async def test_runs_are_listed_newest_first_in_pages(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    rows = [stage.run(combi, finished_at=stage.clock.now(), outcome=2040) for _ in range(3)]
    await stage.put(*rows)

    first = (await ours.api.get(f"/v1/combis/{combi.id}/runs?limit=2")).json()
    rest = (await ours.api.get(f"/v1/combis/{combi.id}/runs?limit=2&cursor={first['next_cursor']}")).json()

    assert [run["id"] for run in first["data"] + rest["data"]] == [str(row.id) for row in reversed(rows)]
    assert rest["next_cursor"] is None
    assert (await ours.api.get(f"/v1/combis/{combi.id}/runs?cursor=nonsense")).json()["code"] == "bad_cursor"


async def test_cancelling_asks_a_run_to_stop(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    run = stage.run(combi)
    await stage.put(run)

    answer = await ours.api.post(f"/v1/runs/{run.id}/cancel")

    assert (answer.status_code, answer.json()["cancelled"]) == (202, True)


async def test_progress_is_told_when_it_changes_and_ends_with_the_run(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    run = stage.run(combi)
    await stage.put(run)

    async def work() -> None:
        await asyncio.sleep(0.8)
        async with stage.hub.database.system() as session:
            row = await session.get_one(Run, run.id)
            row.counts = {"invoices": {"booked": 2}}
        await asyncio.sleep(0.8)
        async with stage.hub.database.system() as session:
            row = await session.get_one(Run, run.id)
            row.finished_at, row.outcome = stage.clock.now() + timedelta(seconds=2), 2000

    working = asyncio.create_task(work())
    answer = await ours.api.get(f"/v1/runs/{run.id}/events", headers={"Last-Event-ID": "nonsense"})
    await working

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in answer.text.strip().split("\n\n")]
    assert [event["event"] for event in events] == ["progress", "progress", "finished"]
    assert json.loads(events[1]["data"])["counts"] == {"invoices": {"booked": 2}}
    assert json.loads(events[2]["data"])["outcome"]["code"] == 2000


async def test_the_events_of_an_ended_run_end_at_once(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    run = stage.run(combi, finished_at=stage.clock.now(), outcome=2040)
    await stage.put(run)

    answer = await ours.api.get(f"/v1/runs/{run.id}/events")

    assert answer.text.count("event: ") == answer.text.count("event: finished") == 1
