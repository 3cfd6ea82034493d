"""Trips to a consent page and back."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text
from starlette.responses import HTMLResponse, JSONResponse

from hub.connections import vault
from hub.connections.models import Connection
from hub.engine import registry
from tests.connections.house import House, connector, follow


async def test_consent_makes_a_connection_active_and_shows_who_it_is(house: House) -> None:
    made = await house.pending()
    assert made["status"] == "pending"
    assert made["authorization_url"].startswith("http://hub.test/connect/")
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert end.status_code == 200
    assert "eva@waterlinie.nl" in end.text
    shown = await house.connection(made["id"])
    assert shown["status"] == "active"
    assert shown["identity"] == {"tenant": "t1", "name": "Waterlinie BV", "email": "eva@waterlinie.nl", "user": ""}
    assert shown["authorization_url"] is None


async def test_the_vendor_is_asked_with_state_pkce_and_our_exact_address(house: House) -> None:
    made = await house.pending()
    async with house.browser() as browser:
        first = await browser.get(made["authorization_url"], headers={"Host": "evil.example"})
    query = parse_qs(urlsplit(first.headers["location"]).query)
    assert query["redirect_uri"] == ["http://hub.test/oauth/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["state"][0]) >= 43
    assert query["client_id"] == ["hub-vend"]


async def test_an_address_is_used_once(house: House) -> None:
    made = await house.pending()
    async with house.browser() as browser, house.browser() as other:
        assert (await browser.get(made["authorization_url"])).status_code == 303
        assert (await other.get(made["authorization_url"])).status_code == 404


async def test_an_address_expires(house: House) -> None:
    made = await house.pending()
    house.clock.advance(timedelta(hours=1, seconds=1))
    async with house.browser() as browser:
        assert (await browser.get(made["authorization_url"])).status_code == 410


async def back(house: House) -> tuple[str, str]:
    """A pending connection's id, and the callback address its vendor sends a browser to, unused."""
    made = await house.pending()
    async with house.browser() as browser:
        vendor = await browser.get(made["authorization_url"])
        answer = await browser.get(vendor.headers["location"])
        cookie = browser.cookies["hub_browser"]
    house.cookie = cookie  # type: ignore[attr-defined]
    return made["id"], answer.headers["location"]


async def test_another_browser_cannot_bring_the_answer(house: House) -> None:
    made, callback = await back(house)
    async with house.browser() as other:
        answer = await other.get(callback)
        assert answer.status_code == 400
        assert "Waterlinie" not in answer.text
        await other.get("/login")
        assert (await other.get(callback)).status_code == 400
    assert (await house.connection(made))["status"] == "pending"
    assert house.vendor.token_calls == []


async def test_a_state_works_once(house: House) -> None:
    made, callback = await back(house)
    async with house.browser() as browser:
        browser.cookies.set("hub_browser", house.cookie)  # type: ignore[attr-defined]
        assert (await browser.get(callback)).status_code == 200
        house.vendor.codes[parse_qs(urlsplit(callback).query)["code"][0]] = {"person": {}}
        assert (await browser.get(callback)).status_code == 400
    assert (await house.connection(made))["status"] == "active"
    assert len(house.vendor.token_calls) == 1


async def test_a_state_expires_within_ten_minutes(house: House) -> None:
    made, callback = await back(house)
    house.clock.advance(timedelta(minutes=10, seconds=1))
    async with house.browser() as browser:
        browser.cookies.set("hub_browser", house.cookie)  # type: ignore[attr-defined]
        assert (await browser.get(callback)).status_code == 400
    assert (await house.connection(made))["status"] == "pending"


@pytest.mark.parametrize(
    "query", ["", "?state=", "?state=x&code=y", "?code=y", "?state=%00&code=y", "?state=" + "a" * 5000]
)
async def test_a_made_up_answer_gets_nowhere(house: House, query: str) -> None:
    async with house.browser() as browser:
        await browser.get("/login")
        answer = await browser.get(f"/oauth/callback{query}")
    assert answer.status_code == 400
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_refused_consent_says_so_and_changes_nothing(house: House) -> None:
    house.vendor.consent = False
    made = await house.pending()
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert "geweigerd" in end.text
    assert (await house.connection(made["id"]))["status"] == "pending"


async def test_an_answer_that_is_posted_arrives_without_cookies_and_still_works(house: House) -> None:
    registry.add(connector(response_mode="form_post"))
    house.vendor.form_post = True
    connection = await house.connected()
    assert (await house.connection(connection))["status"] == "active"


@pytest.mark.parametrize(
    ("extra", "omit", "good"),
    [
        ({"expires_in": "3600"}, (), True),
        ({"expires_in": "soon"}, (), True),
        ({}, ("expires_in",), True),
        ({}, ("refresh_token",), False),
        ({}, ("access_token",), False),
    ],
)
async def test_token_answers_are_read_tolerantly_but_not_blindly(
    house: House, extra: dict[str, str], omit: tuple[str, ...], good: bool
) -> None:
    house.vendor.extra, house.vendor.omit = extra, omit
    made = await house.pending()
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert end.status_code == (200 if good else 502)
    assert (await house.connection(made["id"]))["status"] == ("active" if good else "pending")


async def test_a_missing_refresh_token_is_fine_where_the_manifest_says_so(house: House) -> None:
    registry.add(connector(refresh="none"))
    house.vendor.omit = ("refresh_token",)
    assert (await house.connection(await house.connected()))["status"] == "active"


async def test_an_older_refresh_token_is_kept_where_a_consent_may_come_without_one(house: House) -> None:
    registry.add(connector(refresh_optional=True))
    connection = await house.connected()
    house.vendor.omit = ("refresh_token",)
    async with house.api() as api, house.browser() as browser:
        url = (await api.post(f"/v1/connections/{connection}/reauthorize")).json()["authorization_url"]
        assert (await follow(browser, url)).status_code == 200
    async with house.hub.database.system() as session:
        held = vault.opened(house.hub.keys, await session.get_one(Connection, connection))

    assert held["refresh_token"] in house.vendor.refresh
    assert held["access_token"] == list(house.vendor.access)[-1]


@pytest.mark.parametrize(
    "fault", [HTMLResponse("<h1>502</h1>", 502), HTMLResponse("<h1>login</h1>", 200), JSONResponse({"error": "x"}, 400)]
)
async def test_a_token_endpoint_that_fails_leaves_the_connection_pending(house: House, fault: HTMLResponse) -> None:
    house.vendor.token_fault = fault
    made = await house.pending()
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert end.status_code == 502
    assert (await house.connection(made["id"]))["status"] == "pending"


async def test_tokens_stand_nowhere_in_plain_text(house: House) -> None:
    await house.connected()
    assert house.vendor.access
    async with house.hub.database.system() as session:
        for table in ("connection", "oauthattempt", "auditentry", "idempotentcall"):
            for row in await session.execute(text(f"SELECT {table}::text FROM {table}")):
                assert "access-token-" not in row[0]
                assert b"access-token-".hex() not in row[0]


async def test_consent_anew_by_the_same_company_keeps_the_connection(house: House) -> None:
    connection = await house.connected()
    async with house.api() as api, house.browser() as browser:
        url = (await api.post(f"/v1/connections/{connection}/reauthorize")).json()["authorization_url"]
        assert (await follow(browser, url)).status_code == 200
    assert (await house.connection(connection))["id"] == str(connection)
    assert len(house.vendor.token_calls) == 2


async def test_consent_anew_by_another_company_is_refused_and_changes_nothing(house: House) -> None:
    connection = await house.connected()
    before = await house.connection(connection)
    house.vendor.person = {"tenant": "t2", "name": "Ander BV", "email": "x@ander.nl"}
    async with house.api() as api, house.browser() as browser:
        url = (await api.post(f"/v1/connections/{connection}/reauthorize")).json()["authorization_url"]
        refused = await follow(browser, url)
    assert refused.status_code == 409
    assert "Ander BV" in refused.text
    after = await house.connection(connection)
    assert after["identity"] == before["identity"]
    link = await house.clients.open(await house.organisation(), connection)
    assert (await link.connector.identify(link.http)).tenant == "t1"


async def test_the_same_company_twice_is_one_grant_under_two_ids(house: House) -> None:
    first, second = await house.connected(), await house.connected()
    assert first != second
    assert (await house.connection(second))["status"] == "active"
    async with house.api() as api:
        listed = (await api.get("/v1/connections")).json()["data"]
    assert [row["id"] for row in listed] == [str(first)]
    organisation = await house.organisation()
    links = [await house.clients.open(organisation, one) for one in (first, second)]
    assert {link.connection_id for link in links} == {first}
    # The newest grant counts for both.
    house.vendor.access = {f"access-token-{house.vendor.made}": house.vendor.person}
    for link in links:
        assert (await link.connector.identify(link.http)).tenant == "t1"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "http://hub.test@evil.example/",
        "http://hub.test.evil.example/",
        "http://hub.test:81/",
        "https://hub.test/",
        "http://hub.test\\@evil.example/",
        "http://hub.test/\nx",
    ],
)
async def test_a_hostile_return_address_is_ignored(house: House, url: str) -> None:
    made = await house.pending(return_url=url)
    assert made["return_url"] is None
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert end.status_code == 200


async def test_a_return_address_of_an_install_link_is_followed(house: House) -> None:
    async with house.api() as api:
        link = {"source": "simplicate", "target": "minox", "return_url": "https://partner.example/done"}
        assert (await api.post("/v1/install-links", json=link)).status_code == 201
    made = await house.pending(return_url="https://partner.example/back?x=1#top")
    async with house.browser() as browser:
        end = await follow(browser, made["authorization_url"])
    assert end.headers["location"] == (f"https://partner.example/back?x=1&connection_id={made['id']}&status=active#top")


async def test_without_a_client_of_ours_the_variable_is_named(house: House) -> None:
    object.__setattr__(house.clients.config, "sandbox", False)
    async with house.api() as api:
        answer = await api.post("/v1/connections", json={"connector": "vend", "fields": {"domain": "acme"}})
    assert answer.status_code == 503
    assert answer.json()["code"] == "oauth_client_missing"
    assert "HUB_OAUTH__VEND__CLIENT_ID" in answer.text


async def test_two_consents_of_one_company_at_once_become_one_grant(house: House) -> None:
    connections = await asyncio.gather(*(house.connected() for _ in range(4)))
    async with house.api() as api:
        assert len((await api.get("/v1/connections")).json()["data"]) == 1
    for connection in connections:
        assert (await house.connection(connection))["status"] == "active"
