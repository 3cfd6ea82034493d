"""Connections over the API."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from starlette.responses import HTMLResponse

from tests.connections.house import House


async def make(house: House, **body: Any) -> Any:
    async with house.api() as api:
        return await api.post("/v1/connections", json={"connector": "vend", **body})


def keyed(token: str = "a-plain-key", domain: str = "acme") -> dict[str, Any]:  # noqa: S107
    return {"fields": {"domain": domain, "access_token": token}}


async def test_right_keys_make_an_active_connection_without_showing_them(house: House) -> None:
    house.vendor.access["a-plain-key"] = house.vendor.person
    answer = await make(house, **keyed())
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["auth"], made["fields"]) == ("active", "key", {"domain": "acme"})
    assert made["identity"]["tenant"] == "t1"
    assert answer.headers["location"] == f"/v1/connections/{made['id']}"
    async with house.api() as api:
        everything = [
            (await api.get(path)).text for path in ("/v1/connections", f"/v1/connections/{made['id']}", "/v1/audit-log")
        ]
    assert not any("a-plain-key" in text for text in [answer.text, *everything])


async def test_wrong_keys_are_a_problem_that_names_them_and_nothing_is_stored(house: House) -> None:
    answer = await make(house, **keyed())
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "credentials_refused"
    assert [error["field"] for error in answer.json()["errors"]] == ["fields.access_token"]
    async with house.api() as api:
        assert (await api.get("/v1/connections")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"fields": {}}, {"fields.domain"}),
        ({"fields": {"domain": "evil.example/#"}}, {"fields.domain"}),
        ({"fields": {"domain": "acme@evil"}}, {"fields.domain"}),
        ({"fields": {"domain": "acme\n" * 2}}, {"fields.domain"}),
        ({"fields": {"domain": "169.254.169.254"}}, {"fields.domain"}),
        ({"fields": {"domain": "acme", "nonsense": "x"}}, {"fields.nonsense"}),
        ({"auth": "key", "fields": {}}, {"fields.domain", "fields.access_token"}),
        ({"connector": "nobody"}, {"connector"}),
    ],
)
async def test_wrong_fields_are_named(house: House, body: dict[str, Any], fields: set[str]) -> None:
    answer = await make(house, **body)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == fields


@pytest.mark.parametrize("odd", ["sleutel-\u00e9", "a\u200bb", "a\r\nx: y", "a\x00b", "\U0001f600"])
async def test_a_secret_that_no_header_can_hold_is_named(house: House, odd: str) -> None:
    """Pasted from a mail or a document it may hold what looks like nothing."""
    answer = await make(house, **keyed(odd))
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["fields.access_token"]


@pytest.mark.parametrize("pasted", ["acme", " ACME ", "https://acme.vend.nl/", "Acme.vend.nl"])
async def test_what_people_paste_along_is_taken_off(house: House, pasted: str) -> None:
    answer = await make(house, fields={"domain": pasted})
    assert answer.json()["fields"] == {"domain": "acme"}


async def test_an_unreachable_package_is_a_503_and_not_a_wrong_key(house: House) -> None:
    house.vendor.api_fault = HTMLResponse("<h1>Bad gateway</h1>", 502)
    answer = await make(house, **keyed())
    assert (answer.status_code, answer.json()["code"]) == (503, "package_unreachable")


async def test_the_same_company_with_new_keys_is_the_same_connection(house: House) -> None:
    house.vendor.access.update({"a-plain-key": house.vendor.person, "another-key": house.vendor.person})
    one = (await make(house, **keyed())).json()
    two = (await make(house, **keyed("another-key"))).json()
    assert one["id"] == two["id"]


async def test_lists_go_on_where_the_last_page_ended(house: House) -> None:
    made = [(await house.pending())["id"] for _ in range(5)]
    seen, cursor = [], None
    async with house.api() as api:
        while True:
            answer = (
                await api.get("/v1/connections", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            ).json()
            seen += [row["id"] for row in answer["data"]]
            cursor = answer["next_cursor"]
            if cursor is None:
                break
    assert seen == made


async def test_a_connection_in_use_is_removed_by_force_only(house: House) -> None:
    connection = await house.connected()
    combi = await house.combi(connection, connection)
    async with house.api() as api:
        refused = await api.delete(f"/v1/connections/{connection}")
        assert refused.status_code == 409
        assert refused.json()["combi_ids"] == [str(combi)]
        assert (await api.delete(f"/v1/connections/{connection}?force=true")).status_code == 204
        assert (await api.get(f"/v1/connections/{connection}")).json()["status"] == "revoked"
        assert (await api.delete(f"/v1/connections/{connection}")).status_code == 404
    assert await house.combi_status(combi) == "attention"


async def test_a_change_on_an_old_version_is_refused(house: House) -> None:
    connection = await house.connected()
    async with house.api() as api:
        tag = (await api.get(f"/v1/connections/{connection}")).headers["etag"]
        old = await api.delete(f"/v1/connections/{connection}", headers={"If-Match": '"0"'})
        assert old.status_code == 412
        assert (await api.delete(f"/v1/connections/{connection}", headers={"If-Match": tag})).status_code == 204


async def test_a_check_asks_the_package_now(house: House) -> None:
    connection = await house.connected()
    async with house.api() as api:
        good = (await api.post(f"/v1/connections/{connection}/check")).json()
        assert (good["ok"], good["status"], good["findings"]) == (True, "active", [])
        house.vendor.access.clear()
        house.vendor.refresh.clear()
        bad = (await api.post(f"/v1/connections/{connection}/check", headers={"Accept-Language": "en"})).json()
    assert (bad["ok"], bad["status"]) == (False, "needs_reauth")
    assert "withdrawn" in bad["findings"][0]["sentence"]


async def test_new_keys_bring_a_key_based_connection_back(house: House) -> None:
    house.vendor.access["a-plain-key"] = house.vendor.person
    made = (await make(house, **keyed())).json()
    house.vendor.access = {"another-key": house.vendor.person}
    async with house.api() as api:
        await api.post(f"/v1/connections/{made['id']}/check")
        fields = {"fields": {"access_token": "another-key"}}
        back = await api.post(f"/v1/connections/{made['id']}/reauthorize", json=fields)
        assert (back.status_code, back.json()["status"]) == (200, "active")
        house.vendor.access["third-plain-key"] = {"tenant": "t9", "name": "X"}
        fields = {"fields": {"access_token": "third-plain-key"}}
        other = await api.post(f"/v1/connections/{made['id']}/reauthorize", json=fields)
        assert other.status_code == 409


@pytest.mark.parametrize("call", ["GET ", "DELETE ", "POST /check", "POST /reauthorize"])
async def test_a_foreign_a_malformed_and_an_unknown_id_look_the_same(house: House, call: str) -> None:
    connection = await house.connected()
    method, _, tail = call.partition(" ")
    stranger = await house.another_key("stranger@elsewhere.nl")
    answers = set()
    async with house.api(stranger) as api:
        for one in (str(connection), str(uuid4()), "not-an-id", "%00", "1;drop"):
            answer = await api.request(method, f"/v1/connections/{one}{tail}")
            answers.add((answer.status_code, answer.json()["code"]))
        assert (await api.get("/v1/connections")).json()["data"] == []
    assert answers == {(404, "not_found")}
    assert (await house.connection(connection))["status"] == "active"


async def test_the_database_itself_shows_nothing_of_another_organisation(house: House) -> None:
    connection = await house.connected()
    async with house.hub.database.tenant(uuid4()) as session:
        for table in ("connection", "apikey", "membership", "auditentry", "oauthattempt"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0, table
        changed = await session.execute(
            text("UPDATE connection SET status = 'revoked' WHERE id = :id RETURNING id"), {"id": connection}
        )
        assert changed.all() == []


@pytest.mark.parametrize("table", ['"user"', "loginlink", "browsersession", "installation", "organisation"])
async def test_what_belongs_to_nobody_is_closed_to_tenants(house: House, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with house.hub.database.tenant(uuid4()) as session:
            await session.execute(text(f"SELECT * FROM {table}"))


async def test_a_repeated_post_makes_one_connection(house: House) -> None:
    body = {"connector": "vend", "fields": {"domain": "acme"}}
    async with house.api(**{"Idempotency-Key": "k1"}) as api:
        answers = await asyncio.gather(*(api.post("/v1/connections", json=body) for _ in range(5)))
        done = [answer for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.json()["id"] for answer in done}) == 1
        again = await api.post("/v1/connections", json=body)
        assert again.json() == done[0].json()
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == done[0].headers["location"]
        other = await api.post("/v1/connections", json={**body, "fields": {"domain": "other"}})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert len((await api.get("/v1/connections")).json()["data"]) == 1
    stranger = await house.another_key("stranger@elsewhere.nl")
    async with house.api(stranger, **{"Idempotency-Key": "k1"}) as api:
        assert (await api.post("/v1/connections", json=body)).json()["id"] != done[0].json()["id"]


async def test_a_post_that_failed_may_be_repeated(house: House) -> None:
    async with house.api(**{"Idempotency-Key": "k2"}) as api:
        assert (await api.post("/v1/connections", json={"connector": "vend", **keyed()})).status_code == 422
        house.vendor.access["a-plain-key"] = house.vendor.person
        assert (await api.post("/v1/connections", json={"connector": "vend", **keyed()})).status_code == 201
