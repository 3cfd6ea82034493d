"""Combis over the API."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from hub.accounting.documents import Finding
from hub.combis import tasks
from hub.engine.engine import Choices
from hub.engine.models import Combi, Delivery, Item, ItemStatus, Mapping, Position
from hub.sdk.errors import ConfigError, ReauthRequired, TransientError
from hub.sdk.settings import Option
from tests.combis.stage import Stage, Tenant


def wish(tenant: Tenant, **facts: Any) -> dict[str, Any]:
    sides = {"source_connection_id": str(tenant.source), "target_connection_id": str(tenant.target)}
    return {"recipe": "simplicate-minox", **sides, **facts}


async def test_a_new_combi_is_a_draft_with_all_defaults_filled_in(ours: Tenant) -> None:
    made = await ours.api.post("/v1/combis", json=wish(ours, settings={"customers": "all"}))

    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["status"], body["schedule"], body["next_run_at"]) == ("draft", "every_15_minutes", None)
    assert (body["settings"]["customers"], body["settings"]["booking_date"]) == ("all", "invoice_date")
    assert body["flows"] == ["customers", "invoices", "payments"]
    assert body["source"]["name"] == "Waterlinie bij simplicate"
    read = await ours.api.get(made.headers["location"])
    assert (read.json(), read.headers["etag"]) == (body, '"1"')


async def test_an_unknown_setting_names_the_nearest_one(ours: Tenant) -> None:
    answer = await ours.api.post("/v1/combis", json=wish(ours, settings={"costumers": "all", "booking_date": "never"}))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {error["field"]: error for error in answer.json()["errors"]}
    assert errors["settings.costumers"]["code"] == "unknown_setting"
    assert "`customers`" in errors["settings.costumers"]["message"]
    assert "settings.booking_date" in errors


async def test_connections_must_be_ours_active_and_of_the_right_package(
    stage: Stage, ours: Tenant, theirs: Tenant
) -> None:
    sleeping = await stage.connection(ours.id, "minox", tenant="minox-2", status="needs_reauth")
    cases = [
        ({"source_connection_id": str(theirs.source)}, "source_connection_id", "unknown_connection"),
        ({"source_connection_id": str(ours.target)}, "source_connection_id", "wrong_connector"),
        ({"target_connection_id": str(sleeping)}, "target_connection_id", "connection_not_active"),
        ({"recipe": "simplicate-mnox"}, "recipe", "unknown_recipe"),
    ]
    for facts, field, code in cases:
        answer = await ours.api.post("/v1/combis", json=wish(ours, **facts))
        assert answer.status_code == 422
        assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]


async def test_a_patch_merges_settings_and_moves_no_position(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours, settings={"administrations": {"a": "3"}, "customers": "all"})
    await stage.put(
        Position(
            organisation_id=ours.id,
            combi_id=combi.id,
            stream="invoices",
            cursor={"page": 7},
            moved_at=stage.clock.now(),
        )
    )

    answer = await ours.api.patch(
        f"/v1/combis/{combi.id}",
        json={"settings": {"administrations": {"b": "4"}, "customers": None}, "schedule": "hourly", "name": "Onze"},
    )

    body = answer.json()
    assert answer.status_code == 200, body
    assert body["settings"]["administrations"] == {"a": "3", "b": "4"}
    assert (body["settings"]["customers"], body["settings_version"]) == ("invoiced", 2)
    assert (body["schedule"], body["name"], answer.headers["etag"]) == ("hourly", "Onze", '"2"')
    assert (await stage.get(Position, (combi.id, "invoices"))).cursor == {"page": 7}


async def test_a_patch_on_an_old_version_changes_nothing(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)

    first = await ours.api.patch(f"/v1/combis/{combi.id}", json={"name": "A"}, headers={"If-Match": '"1"'})
    second = await ours.api.patch(f"/v1/combis/{combi.id}", json={"name": "B"}, headers={"If-Match": '"1"'})

    assert (first.status_code, second.status_code) == (200, 412)
    assert (await ours.api.get(f"/v1/combis/{combi.id}")).json()["name"] == "A"


async def test_relinking_to_another_company_asks_for_confirmation(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    other = str(await stage.connection(ours.id, "minox", tenant="minox-2"))

    refused = await ours.api.patch(f"/v1/combis/{combi.id}", json={"target_connection_id": other})
    done = await ours.api.patch(
        f"/v1/combis/{combi.id}", json={"target_connection_id": other, "confirm_other_administration": True}
    )

    assert [error["code"] for error in refused.json()["errors"]] == ["other_administration"]
    assert (refused.status_code, done.status_code) == (422, 200)
    assert done.json()["target"]["connection_id"] == other


async def test_activating_is_refused_with_findings_and_then_plans_the_next_slot(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours, status="draft", slot=None)
    stage.engine.findings = [Finding(key="journal_unknown", values={"journal": "x"}, field="journal")]

    refused = await ours.api.post(f"/v1/combis/{combi.id}/activate")
    stage.engine.findings = []
    done = await ours.api.post(f"/v1/combis/{combi.id}/activate")
    paused = await ours.api.post(f"/v1/combis/{combi.id}/pause")

    assert (refused.status_code, refused.json()["code"]) == (422, "not_ready")
    assert refused.json()["findings"][0]["key"] == "journal_unknown"
    assert (refused.json()["errors"][0]["field"], done.json()["status"]) == ("settings.journal", "active")
    assert stage.clock.now().isoformat() < done.json()["next_run_at"]
    assert (paused.json()["status"], paused.json()["next_run_at"]) == ("paused", None)


async def test_a_deleted_combi_is_gone_and_its_deliveries_stay(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    item = stage.item(combi, "F1")
    delivery = stage.delivery(item)
    await stage.put(item, delivery)

    answer = await ours.api.delete(f"/v1/combis/{combi.id}")

    assert answer.status_code == 204
    for path in ("", "/items", "/log", "/runs"):
        assert (await ours.api.get(f"/v1/combis/{combi.id}{path}")).status_code == 404, path
    assert (await ours.api.get(f"/v1/items/{item.id}")).status_code == 404
    assert (await ours.api.get("/v1/combis")).json()["data"] == []
    stage.clock.advance(timedelta(minutes=2))
    assert await tasks.remove_rest(stage.hub) == 1
    assert await stage.get(Item, item.id) is None
    assert await stage.get(Delivery, delivery.id) is not None


async def test_the_list_shows_what_needs_a_human(stage: Stage, ours: Tenant, theirs: Tenant) -> None:
    quiet, loud = await stage.combi(ours), await stage.combi(ours)
    await stage.combi(theirs)
    done = stage.run(quiet, finished_at=stage.clock.now(), outcome=2000)
    await stage.put(done, stage.item(loud, "F1", status=ItemStatus.finding), stage.item(loud, "F2"))

    first = (await ours.api.get("/v1/combis?limit=1")).json()
    second = (await ours.api.get(f"/v1/combis?limit=1&cursor={first['next_cursor']}")).json()

    assert [row["id"] for row in first["data"] + second["data"]] == [str(loud.id), str(quiet.id)]
    assert second["next_cursor"] is None
    assert (first["data"][0]["counts"]["finding"], first["data"][0]["needs_attention"]) == (1, True)
    assert (second["data"][0]["last_run"]["outcome"], second["data"][0]["last_run"]["good"]) == (2000, True)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TransientError("package_unreachable", words="502 Bad Gateway", retry_after=30), 502, "package_unavailable"),
        (ReauthRequired("access_refused", words="token revoked"), 409, "needs_reauth"),
        (ConfigError("no_rights", field="journal", words="Geen rechten"), 422, "setting_wrong"),
    ],
)
async def test_an_error_of_a_package_keeps_its_own_words(
    stage: Stage, ours: Tenant, error: Any, status: int, code: str
) -> None:
    combi = await stage.combi(ours)
    stage.engine.choices = error

    answer = await ours.api.get(f"/v1/combis/{combi.id}/options/journal")

    assert (answer.status_code, answer.json()["code"], answer.json()["key"]) == (status, code, error.key)
    assert answer.json()["detail"] == error.words
    assert answer.headers["content-type"] == "application/problem+json"


async def test_options_give_live_choices_and_their_left_hand_side(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    stage.engine.choices = Choices([Option("3", "Waterlelie Advies B.V.")], [Option("p1", "Advies")])

    answer = (await ours.api.get(f"/v1/combis/{combi.id}/options/administrations")).json()
    stage.engine.choices = KeyError("flows")
    unknown = await ours.api.get(f"/v1/combis/{combi.id}/options/flows")

    assert answer["options"] == [{"value": "3", "label": "Waterlelie Advies B.V."}]
    assert answer["keys"] == [{"value": "p1", "label": "Advies"}]
    assert unknown.status_code == 404


async def test_a_mapping_table_is_replaced_as_a_whole(stage: Stage, ours: Tenant) -> None:
    combi = await stage.combi(ours)
    place = f"/v1/combis/{combi.id}/mappings/ledger_accounts"

    first = [{"source": "A", "target": "0100"}, {"source": "B", "target": "8000"}]
    await ours.api.put(place, json={"entries": first})
    done = await ours.api.put(place, json={"entries": [{"source": "B", "target": "8010"}]})
    doubled = await ours.api.put(
        place, json={"entries": [{"source": "B", "target": "1"}, {"source": "B", "target": "2"}]}
    )

    assert done.status_code == 200, done.text
    assert (await ours.api.get(place)).json()["entries"] == [{"source": "B", "target": "8010"}]
    assert (doubled.status_code, doubled.json()["errors"][0]["field"]) == (422, "entries.1.source")
    assert (await ours.api.get(f"/v1/combis/{combi.id}/mappings/nonsense")).status_code == 404
    assert (await stage.get(Combi, combi.id)).settings_version == 3
    async with stage.hub.database.system() as session:
        assert len((await session.exec(select(Mapping))).all()) == 1


async def test_ids_that_are_no_ids_are_unknown(ours: Tenant) -> None:
    for place in ("/v1/combis/1", f"/v1/combis/{uuid4()}", "/v1/runs/../x", "/v1/items/%00"):
        answer = await ours.api.get(place)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


def test_merge_patches_follow_rfc_7396() -> None:
    from hub.combis.service import merge

    assert merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2], "e": {"f": None}}) == {
        "a": {"c": 2}, "d": [2], "e": {},
    }  # fmt: skip
