"""Documents over the API."""

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from hub.engine.models import Item, ItemStatus
from hub.runs import repository
from tests.combis.stage import Stage, Tenant


async def test_documents_are_listed_newest_first_with_exact_amounts(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    first = stage.item(combi, "F1", amount=Decimal("-1452.5"))
    second = stage.item(combi, "F2", amount=Decimal("0.1234"), date=None)
    third = stage.item(combi, "F3", amount=None, findings=[{"key": "x"}], status=ItemStatus.finding)
    await stage.put(first, second, third)

    answer = await ours.api.get(f"/v1/combis/{combi.id}/items")
    page = (await ours.api.get(f"/v1/combis/{combi.id}/items?limit=2")).json()
    rest = (await ours.api.get(f"/v1/combis/{combi.id}/items?limit=2&cursor={page['next_cursor']}")).json()

    rows = answer.json()["data"]
    assert [row["number"] for row in rows] == ["F3", "F2", "F1"]
    assert [row["amount"] for row in rows] == [None, "0.1234", "-1452.50"]
    assert (rows[0]["findings"], rows[0]["updated_at"]) == (1, "2026-11-20T10:00:00.000000Z")
    assert (rows[1]["date"], rows[2]["date"], answer.json()["next_cursor"]) == (None, "2026-11-03", None)
    assert page["data"] + rest["data"] == rows
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=finding", ["F4"]),
        ("status=finding&status=booked", ["F4", "F3", "F1"]),
        ("flow=customers", ["F2"]),
        ("from=2026-11-04", ["F3"]),
        ("to=2026-11-04&status=booked", ["F1"]),
        ("q=HOEKJE", ["F4", "F3", "F1"]),
        ("q='", ["F4", "F3", "F1"]),
        ("q=f3", ["F3"]),
        ("q=%25", []),
    ],
)
async def test_documents_are_filtered(stage: Stage, ours: Tenant, query: str, found: list[str]) -> None:
    combi = await stage.combi(ours)
    await stage.put(
        stage.item(combi, "F1"),
        stage.item(combi, "F2", flow="customers", party="Waterlinie", status=ItemStatus.ignored),
        stage.item(combi, "F3", date=date(2026, 11, 5)),
        stage.item(combi, "F4", status=ItemStatus.finding),
    )

    answer = await ours.api.get(f"/v1/combis/{combi.id}/items?{query}")

    assert [row["number"] for row in answer.json()["data"]] == found


async def test_text_that_cannot_be_stored_is_refused(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    for answer in (
        await ours.api.get(f"/v1/combis/{combi.id}/items?q=a%00b"),
        await ours.api.get(f"/v1/combis/{combi.id}/log?q=%00"),
        await ours.api.post("/v1/api-keys", json={"name": "a\0b"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_search_goes_on_where_it_stopped_looking(
    stage: Stage, ours: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "SCAN", 3)
    combi = await stage.combi(ours)
    await stage.put(stage.item(combi, "NEEDLE"), *(stage.item(combi, f"F{n}") for n in range(7)))
    cursor, found, asked = "", [], 0

    while cursor is not None and asked < 10:
        page = (await ours.api.get(f"/v1/combis/{combi.id}/items?q=needle{cursor}")).json()
        found += page["data"]
        cursor, asked = page["next_cursor"] and f"&cursor={page['next_cursor']}", asked + 1

    assert ([row["number"] for row in found], asked) == (["NEEDLE"], 3)


async def test_a_document_shows_its_findings_booking_and_history(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1", findings=[{"key": "account_unknown", "values": {"account": "8999", "words": "nee"}}])
    delivery = stage.delivery(item)
    item.delivery_id = delivery.id
    await stage.put(delivery, item)
    await stage.put(
        stage.line(combi, "item.booked", item_id=item.id, values={"number": "F1"}),
        stage.line(combi, "finding.refused", item_id=item.id, level="warning", evidence={"status": 422}),
    )

    body = (await ours.api.get(f"/v1/items/{item.id}")).json()

    assert (body["amount"], body["booking"]["label"], body["booking"]["total"]) == ("121.00", "VERK F1", "121.00")
    assert (body["findings"][0]["key"], body["findings"][0]["words"]) == ("account_unknown", "nee")
    assert [line["key"] for line in body["history"]] == ["item.booked", "finding.refused"]
    assert body["history"][1]["evidence"] == {"status": 422}


async def test_a_parked_document_can_be_retried_skipped_and_resolved(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    parked, unwanted, lost = (stage.item(combi, f"F{n}", status=ItemStatus.finding) for n in range(3))
    await stage.put(parked, unwanted, lost)

    retried = await ours.api.post(f"/v1/items/{parked.id}/retry")
    skipped = await ours.api.post(f"/v1/items/{unwanted.id}/skip", json={"reason": "dubbel"})
    resolved = await ours.api.post(f"/v1/items/{lost.id}/resolve", json={"outcome": "absent"})

    assert (retried.json()["status"], skipped.json()["status"]) == ("waiting", "skipped"), retried.text
    assert resolved.json()["status"] == "waiting"
    assert skipped.json()["history"][-1]["key"] == "item.skipped"


async def test_a_booked_document_refuses_what_would_double_it(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1")
    await stage.put(item)

    for action, body in (("retry", None), ("skip", {}), ("resolve", {"outcome": "absent"})):
        answer = await ours.api.post(f"/v1/items/{item.id}/{action}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed"), action
    assert (await stage.get(Item, item.id)).status == ItemStatus.booked


async def test_resolving_needs_a_reference_for_what_exists_and_only_then(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1", status=ItemStatus.unknown)
    await stage.put(item)

    for body in ({"outcome": "exists"}, {"outcome": "absent", "target_ref": "1"}, {"outcome": "perhaps"}):
        assert (await ours.api.post(f"/v1/items/{item.id}/resolve", json=body)).status_code == 422


async def test_many_documents_are_retried_at_once_by_status_finding_or_id(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    a = stage.item(combi, "A", status=ItemStatus.finding, findings=[{"key": "account_unknown"}])
    b = stage.item(combi, "B", status=ItemStatus.rejected, findings=[{"key": "refused"}])
    c = stage.item(combi, "C")
    await stage.put(a, b, c)
    place = f"/v1/combis/{combi.id}/items/retry"

    by_finding = (await ours.api.post(place, json={"finding": "account_unknown"})).json()
    by_id = (await ours.api.post(place, json={"ids": [str(b.id), str(c.id), str(uuid4())]})).json()

    assert by_finding == {"retried": 1, "refused": 0, "more": False}
    assert by_id == {"retried": 1, "refused": 1, "more": False}
    assert (await ours.api.post(place, json={})).status_code == 422
    assert [(await stage.get(Item, one.id)).status for one in (a, b, c)] == ["waiting", "waiting", "booked"]


async def test_retrying_an_unknown_outcome_looks_it_up_and_never_simply_sends(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1", status=ItemStatus.unknown)
    await stage.put(item)

    answer = await ours.api.post(f"/v1/items/{item.id}/retry")

    assert (answer.status_code, answer.json()["status"]) == (200, "unknown")
