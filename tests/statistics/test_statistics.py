"""The log, the statistics and the reconciliation over the API."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.engine.models import DeliveryState, ItemStatus, Standing
from hub.statistics import table
from tests.combis.stage import Stage, Tenant

CSV = {"Accept": "text/csv"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\N{BYTE ORDER MARK}"))))


async def test_every_period_is_there_with_zeros_where_nothing_happened(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    await stage.put(
        stage.item(combi, "F1", date=date(2026, 11, 3)),
        stage.item(combi, "F2", date=date(2026, 11, 3), amount=Decimal("0.10")),
        stage.item(combi, "F3", date=date(2026, 11, 5), amount=Decimal("-21.05")),
        stage.item(combi, "F4", date=date(2026, 11, 5), status=ItemStatus.finding),
        stage.item(combi, "F5", date=date(2026, 10, 31)),
    )

    answer = await ours.api.get(f"/v1/combis/{combi.id}/statistics?from=2026-11-02&to=2026-11-05")

    body = answer.json()
    booked = [next(g for g in period["groups"] if g["status"] == "booked") for period in body["periods"]]
    assert [period["start"] for period in body["periods"]] == [f"2026-11-0{day}" for day in (2, 3, 4, 5)]
    assert [(g["documents"], g["amount"]) for g in booked] == [(0, "0.00"), (2, "121.10"), (0, "0.00"), (1, "-21.05")]
    assert {(g["status"], g["amount"]) for g in body["totals"]} == {("booked", "100.05"), ("finding", "121.00")}
    assert body["human"] == {"documents": 4, "without_human": 3, "share": 0.75}


@pytest.mark.parametrize(
    ("interval", "starts"),
    [("week", ["2026-10-26", "2026-11-02"]), ("month", ["2026-10-01", "2026-11-01"])],
)
async def test_weeks_begin_on_monday_and_months_on_the_first(
    stage: Stage, ours: Tenant, interval: str, starts: list[str]
) -> None:
    combi = await stage.combi(ours)
    await stage.put(stage.item(combi, "F1", date=date(2026, 10, 30)), stage.item(combi, "F2", date=date(2026, 11, 4)))

    place = f"/v1/combis/{combi.id}/statistics?from=2026-10-28&to=2026-11-05&interval={interval}"
    periods = (await ours.api.get(place)).json()["periods"]

    assert [period["start"] for period in periods] == starts
    assert [period["groups"][0]["documents"] for period in periods] == [1, 1]


async def test_an_endless_range_is_refused(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    for query in (
        "from=1900-01-01",
        "from=2026-11-05&to=2026-11-04",
        "from=yesterday",
        "from=9999-12-01&to=9999-12-31",
    ):
        assert (await ours.api.get(f"/v1/combis/{combi.id}/statistics?{query}")).status_code == 422, query


async def test_durations_of_runs_and_their_outcomes_are_counted(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    for seconds in (1, 2, 9):
        start = stage.clock.now() - timedelta(minutes=1)
        run = stage.run(combi, started_at=start, finished_at=start + timedelta(seconds=seconds), outcome=2000)
        await stage.put(run)

    runs = (await ours.api.get(f"/v1/combis/{combi.id}/statistics")).json()["runs"]

    assert (runs["count"], runs["p50_s"], runs["by_outcome"]) == (3, 2.0, {"2000": 3})
    assert 2 < runs["p95_s"] <= 9


async def test_statistics_and_log_come_as_tables_that_run_no_formulas(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    await stage.put(stage.item(combi, "F1", amount=Decimal("-12.10")))
    await stage.put(stage.line(combi, "=HYPERLINK(1)", values={}))

    figures = await ours.api.get(f"/v1/combis/{combi.id}/statistics?from=2026-11-03&to=2026-11-03", headers=CSV)
    log = await ours.api.get(f"/v1/combis/{combi.id}/log", headers=CSV)

    assert figures.headers["content-type"].startswith("text/csv")
    assert [(row["documents"], row["amount"]) for row in rows(figures.text)] == [("1", "-12.10")]
    assert rows(log.text)[0]["key"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("words", ["=1+1", "+31 6", "-1", "@x", " =1", "\t=1", "\r\n=1"])
def test_words_that_look_like_a_formula_are_text(words: str) -> None:
    assert table.cell(words) == "'" + words
    assert table.cell(Decimal("-1.50")) == "-1.50"


async def test_the_log_is_filtered_and_paged(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    run = stage.run(combi)
    await stage.put(run)
    for number in range(3):
        await stage.put(stage.line(combi, "item.booked", values={"number": f"F{number}"}))
    await stage.put(stage.line(combi, "finding.refused", level="warning", run_id=run.id, values={"package": "Minox"}))
    place = f"/v1/combis/{combi.id}/log"

    first = (await ours.api.get(f"{place}?limit=3")).json()
    rest = (await ours.api.get(f"{place}?limit=3&cursor={first['next_cursor']}")).json()

    assert [len(first["data"]), len(rest["data"]), rest["next_cursor"]] == [3, 1, None]
    for query in ("level=warning", f"run={run.id}", "q=minox"):
        found = (await ours.api.get(f"{place}?{query}")).json()["data"]
        assert [line["key"] for line in found] == ["finding.refused"], query


async def test_the_reconciliation_names_every_difference(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    good, parked, other, gone, october = (
        stage.item(combi, "F1"),
        stage.item(combi, "F2", status=ItemStatus.finding),
        stage.item(combi, "F3", amount=Decimal("50")),
        stage.item(combi, "F4"),
        stage.item(combi, "F5", date=date(2026, 10, 31)),
    )
    for item, facts in (
        (good, {}),
        (other, {"total": Decimal("60")}),
        (gone, {"state": DeliveryState.gone}),
        (october, {}),
    ):
        delivery = stage.delivery(item, **facts)
        item.delivery_id = delivery.id
        await stage.put(delivery)
    stranger = Standing(
        organisation_id=ours.id, combi_id=combi.id, stream="invoices", administration="3", ref="by-hand",
        number="2026-9", date=date(2026, 11, 9), total=Decimal("10"),
    )  # fmt: skip
    await stage.put(good, parked, other, gone, october, stranger)

    body = (await ours.api.get(f"/v1/combis/{combi.id}/reconciliation?month=2026-11")).json()
    nowhere, minox = body["administrations"]

    assert (body["balanced"], nowhere["administration"], minox["administration"]) == (False, "", "minox:3")
    assert (nowhere["source"], nowhere["delivered"]) == ({"count": 1, "total": "121.00"}, {"count": 0, "total": "0.00"})
    assert (minox["source"], minox["delivered"]) == ({"count": 3, "total": "292.00"}, {"count": 2, "total": "181.00"})
    assert minox["present"] == {"count": 3, "total": "191.00"}
    found = {(one["kind"], one["number"], one["item_id"]) for a in body["administrations"] for one in a["differences"]}
    assert found == {
        ("not_delivered", "F2", str(parked.id)),
        ("amount", "F3", str(other.id)),
        ("gone", "F4", str(gone.id)),
        ("only_in_target", "2026-9", None),
    }
    csv_rows = rows((await ours.api.get(f"/v1/combis/{combi.id}/reconciliation?month=2026-11", headers=CSV)).text)
    assert [row["total"] for row in csv_rows if row["line"] == "source"] == ["121.00", "292.00"]
    for month in ("2026-13", "9999-12", "0000-01"):
        assert (await ours.api.get(f"/v1/combis/{combi.id}/reconciliation?month={month}")).status_code == 422


async def test_a_month_without_differences_is_balanced(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1")
    delivery = stage.delivery(item)
    item.delivery_id = delivery.id
    await stage.put(delivery, item)

    assert (await ours.api.get(f"/v1/combis/{combi.id}/reconciliation")).json()["balanced"] is True


async def test_health_and_metrics_need_no_key(stage: Stage, ours: Tenant) -> None:
    del ours.api.headers["Authorization"]

    live = await ours.api.get("/health/live")
    ready = await ours.api.get("/health/ready")
    metrics = await ours.api.get("/metrics")

    assert (live.status_code, ready.json()) == (
        200, {"status": "ok", "database": "ok", "redis": "ok", "migrations": "ok"},
    )  # fmt: skip
    assert 'hub_api_seconds_count{method="GET",route="/health/ready",status="200"}' in metrics.text
    assert live.headers["x-content-type-options"] == "nosniff"
    assert len(live.headers["x-request-id"]) == 16
