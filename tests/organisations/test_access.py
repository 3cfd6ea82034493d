"""Keys, sessions, scopes and call rates."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from starlette.requests import Request

from hub.organisations.access import Access, access_of, language_of
from hub.organisations.models import Role
from hub.organisations.service import create_api_key, join, user_for
from tests.connections.house import House


def forget(house: House) -> None:
    """Let the few seconds pass in which a process takes a key as known."""
    access_of(house.hub).known.clear()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer hub",
        "Bearer hub__",
        "Bearer hub_000000000000_ff",
        "Basic aHVi",
        "Bearer é",
        "x" * 9000,
    ],
)
async def test_without_a_right_key_the_answer_is_401(house: House, header: str) -> None:
    async with house.browser() as api:
        answer = await api.get("/v1/connections", headers={"Authorization": header.encode()} if header else {})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_right_prefix_with_a_wrong_secret_is_401(house: House) -> None:
    async with house.api(house.key[:-1] + ("0" if house.key[-1] != "0" else "1")) as api:
        assert (await api.get("/v1/connections")).json()["code"] == "key_unknown"


async def test_a_key_is_made_shown_once_used_and_revoked(house: House) -> None:
    async with house.api() as api:
        made = (await api.post("/v1/api-keys", json={"name": "shop", "scopes": ["read"]})).json()
        assert made["key"].startswith(f"hub_{made['prefix']}_")
        listed = (await api.get("/v1/api-keys")).text
        assert made["key"] not in listed
        assert made["id"] in listed
    async with house.api(made["key"]) as shop:
        assert (await shop.get("/v1/connections")).status_code == 200
        refused = await shop.post("/v1/connections", json={"connector": "vend", "fields": {"domain": "acme"}})
        assert (refused.status_code, refused.json()["required_scope"]) == (403, "write")
        assert (await shop.get("/v1/api-keys")).status_code == 403
    async with house.api() as api:
        assert (await api.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
        assert (await api.delete(f"/v1/api-keys/{made['id']}")).status_code == 404
    forget(house)
    async with house.api(made["key"]) as shop:
        assert (await shop.get("/v1/connections")).json()["code"] == "key_revoked"


async def test_a_key_cannot_make_a_stronger_one(house: House) -> None:
    admin = await create_api_key(house.hub.database, house.clock, "owner@partner.nl", scopes=("admin",))
    async with house.api(admin) as api:
        answer = await api.post("/v1/api-keys", json={"scopes": ["write"]})
    assert answer.status_code == 422


async def test_an_expired_key_is_401_at_once(house: House) -> None:
    ends = house.clock.now() + timedelta(hours=1)
    async with house.api() as api:
        made = (await api.post("/v1/api-keys", json={"expires_at": ends.isoformat()})).json()
    async with house.api(made["key"]) as api:
        assert (await api.get("/v1/connections")).status_code == 200
        house.clock.advance(3600)
        assert (await api.get("/v1/connections")).json()["code"] == "key_expired"


async def test_keys_are_stored_as_hashes(house: House) -> None:
    async with house.hub.database.system() as session:
        rows = [row[0] for row in await session.execute(text("SELECT apikey::text FROM apikey"))]
    assert rows
    assert not any(house.key.split("_")[2] in row for row in rows)


async def test_the_last_use_of_a_key_is_noted_behind_the_request(house: House) -> None:
    async with house.api() as api:
        for _ in range(3):
            await api.get("/v1/connections")
        await asyncio.gather(*access_of(house.hub).tasks)
        assert (await api.get("/v1/api-keys")).json()["data"][0]["last_used_at"] is not None


async def test_a_key_has_its_calls_per_minute_and_is_told(house: House) -> None:
    key = await create_api_key(house.hub.database, house.clock, "owner@partner.nl", per_minute=5)
    async with house.api(key) as api:
        answers = [await api.get("/v1/connections") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert answers[0].headers["ratelimit-limit"] == "5"
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0", "0"]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].json()["code"] == "too_many_requests"
        house.clock.advance(120)
        assert (await api.get("/v1/connections")).status_code == 200
    async with house.api() as api:
        assert (await api.get("/v1/connections")).status_code == 200


async def test_two_processes_share_a_keys_minute(redis: Redis, clean: None) -> None:
    one, two = Access(), Access()
    turns = [(await access.turn(redis, "k", 10, 600.0))[0] for access in (one, two) * 10]
    assert sum(turns) == 10


async def test_without_valkey_each_process_keeps_count_itself(house: House) -> None:
    access, dead = Access(), Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    turns = [(await access.turn(dead, "k", 10, 600.0))[0] for _ in range(15)]
    assert sum(turns) == 10
    await dead.aclose()


async def test_a_known_key_costs_no_look_up(house: House) -> None:
    async with house.api() as api:
        await api.get("/v1/recipes")
        async with house.hub.database.system() as session:
            await session.execute(text("UPDATE apikey SET hash = 'changed'"))
        assert (await api.get("/v1/recipes")).status_code == 200
        forget(house)
        assert (await api.get("/v1/recipes")).status_code == 401


async def test_members_are_invited_changed_and_removed_but_the_last_owner_stays(house: House) -> None:
    async with house.api() as api:
        made = await api.post("/v1/members", json={"email": " Anna@Kantoor.NL ", "role": "reader"})
        assert (made.status_code, made.json()["email"]) == (201, "anna@kantoor.nl")
        assert house.mails()[-1][0] == "anna@kantoor.nl"
        rows = (await api.get("/v1/members")).json()["data"]
        owner = next(row for row in rows if row["role"] == "owner")
        for change in ({"role": "reader"}, {"role": "member"}):
            assert (await api.patch(f"/v1/members/{owner['id']}", json=change)).status_code == 409
        assert (await api.delete(f"/v1/members/{owner['id']}")).json()["code"] == "last_owner"
        assert (await api.patch(f"/v1/members/{made.json()['id']}", json={"role": "owner"})).json()["role"] == "owner"
        assert (await api.delete(f"/v1/members/{owner['id']}")).status_code == 204
        bad = await api.post("/v1/members", json={"email": "anna@x, eve@y"})
        assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "email")
        actions = [row["action"] for row in (await api.get("/v1/audit-log")).json()["data"]]
        assert actions[:3] == ["member.removed", "member.changed", "member.invited"]


async def test_the_audit_log_cannot_be_changed(house: House) -> None:
    for statement in ("UPDATE auditentry SET action = 'x'", "DELETE FROM auditentry"):
        with pytest.raises(Exception, match="append-only"):
            async with house.hub.database.system() as session:
                await session.execute(text(statement))


async def test_another_organisations_keys_and_members_are_404(house: House) -> None:
    async with house.api() as api:
        member = (await api.get("/v1/members")).json()["data"][0]["id"]
        key = (await api.get("/v1/api-keys")).json()["data"][0]["id"]
    stranger = await house.another_key("stranger@elsewhere.nl")
    async with house.api(stranger) as api:
        assert (await api.patch(f"/v1/members/{member}", json={"role": "owner"})).status_code == 404
        assert (await api.delete(f"/v1/members/{member}")).status_code == 404
        assert (await api.delete(f"/v1/api-keys/{key}")).status_code == 404
        assert member not in (await api.get("/v1/members")).text


async def test_a_users_second_organisation_is_made_by_name(house: House) -> None:
    names = [
        await create_api_key(house.hub.database, house.clock, "Owner@Partner.nl", organisation)
        for organisation in (None, "Kantoor", "Kantoor", "Ander")
    ]
    owned = set()
    async with house.hub.database.system() as session:
        for key in names:
            found = await session.execute(
                text("SELECT organisation_id FROM apikey WHERE prefix = :p"), {"p": key.split("_")[1]}
            )
            owned.add(found.scalar_one())
    assert len(owned) == 3
    assert await house.organisation() in owned
    with pytest.raises(ValueError, match="not an e-mail address"):
        await create_api_key(house.hub.database, house.clock, "nobody")
    with pytest.raises(ValueError, match="no scope"):
        await create_api_key(house.hub.database, house.clock, "a@b.nl", None, ("root",))


async def test_an_answer_that_is_kept_for_repetition_is_sealed(house: House) -> None:
    async with house.api(**{"Idempotency-Key": "once"}) as api:
        one, two = [(await api.post("/v1/api-keys", json={})).json() for _ in range(2)]
    assert one["key"] == two["key"]
    async with house.hub.database.system() as session:
        body = (await session.execute(text("SELECT body FROM idempotentcall"))).scalar_one()
    assert one["key"].encode() not in bytes(body)
    house.clock.advance(timedelta(hours=25))
    async with house.api(**{"Idempotency-Key": "once"}) as api:
        assert (await api.post("/v1/api-keys", json={})).json()["key"] != one["key"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "nl"),
        ("en", "en"),
        ("en-GB,en;q=0.9,nl;q=0.8", "en"),
        ("nl;q=0.5,en;q=0.4", "nl"),
        ("de", "nl"),
        (";q=x", "nl"),
    ],
)
def test_the_language_that_is_liked_best_is_spoken(header: str, language: str) -> None:
    assert language_of(Request({"type": "http", "headers": [(b"accept-language", header.encode())]})) == language


async def test_a_reader_in_a_browser_changes_nothing(house: House) -> None:
    organisation: UUID = await house.organisation()
    async with house.hub.database.system() as session:
        user = await user_for(session, house.clock, "reader@partner.nl")
        join(session, house.clock, organisation, user.id, Role.reader)
    async with house.browser() as browser:
        csrf = await house.log_in(browser, "reader@partner.nl")
        assert (await browser.get("/v1/connections")).status_code == 200
        body = {"connector": "vend", "fields": {"domain": "acme"}}
        assert (await browser.post("/v1/connections", json=body)).json()["code"] == "csrf"
        answer = await browser.post("/v1/connections", json=body, headers={"X-CSRF-Token": csrf})
        assert answer.json()["code"] == "scope_missing"
        assert (await browser.get(f"/v1/connections/{uuid4()}")).status_code == 404
