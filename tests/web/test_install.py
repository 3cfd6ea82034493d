"""Installations from a deep link, through the packages' own consent pages."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
from sqlalchemy import text

from hub.connections import installing
from hub.organisations import service as organisations
from tests.connections.house import House, csrf_of, follow

PATH = "/install/simplicate/minox"
EMAIL = "anna@waterlinie.example"


async def consent(browser: httpx.AsyncClient, page: httpx.Response, form: dict[str, str]) -> httpx.Response:
    """From the page that leaves for a package to where its consent ends."""
    found = re.search(r'id="leave" href="([^"]+)"', page.text)
    assert found, page.text
    vendor = unescape(found.group(1))
    assert (await browser.get(vendor)).status_code == 200
    back = await browser.post(vendor, data=form)
    assert back.is_redirect, back.text
    return await follow(browser, back.headers["location"])


async def source(browser: httpx.AsyncClient, path: str = PATH, domain: str = "waterlinie") -> httpx.Response:
    """Connect Simplicate."""
    csrf = csrf_of(await browser.get(path))
    form = {"csrf": csrf, "side": "source", "auth": "oauth", "fields.domain": domain}
    left = await browser.post(PATH, data=form)
    return await consent(browser, left, {"email": EMAIL, "password": "zandbak", "consent": "yes"})


async def target(house: House, browser: httpx.AsyncClient, books: Any) -> httpx.Response:
    """Connect Minox."""
    number, home = next(iter(books["minox"].books["tenants"].items()))
    csrf = csrf_of(await browser.get(PATH))
    left = await browser.post(PATH, data={"csrf": csrf, "side": "target", "auth": "oauth"})
    form = {"customer_number": number, "user": "MINOX", "password": home["password"], "consent": "yes"}
    return await consent(browser, left, form)


async def rows(house: House, query: str) -> list[Any]:
    async with house.hub.database.system() as session:
        return list(await session.execute(text(query)))


async def test_a_first_installation_makes_account_combi_and_login_from_consent_alone(house: House, books: Any) -> None:
    async with house.browser() as browser:
        page = await browser.get(f"{PATH}?email={EMAIL}&partner=nobody")
        assert "Simplicate" in page.text
        assert "Minox Online" in page.text
        connected = await source(browser)
        assert connected.url.path == PATH
        assert EMAIL in connected.text
        done = await target(house, browser, books)
        assert 'data-combi="' in done.text
        home = await browser.get("/")
        assert EMAIL in home.text
    assert await rows(house, f"""SELECT 1 FROM "user" WHERE email = '{EMAIL}'""")
    combis = await rows(house, "SELECT status, recipe, organisation_id FROM combi")
    assert [(row.status, row.recipe) for row in combis] == [("draft", "simplicate-minox")]
    owner = await rows(
        house,
        f"""SELECT m.organisation_id, m.role FROM membership m JOIN "user" u ON u.id = m.user_id
        WHERE u.email = '{EMAIL}'""",
    )
    assert [(row.organisation_id, row.role) for row in owner] == [(combis[0].organisation_id, "owner")]
    assert not await rows(house, "SELECT 1 FROM organisation WHERE provisional")


async def test_an_existing_account_is_never_entered_on_a_packages_word(house: House, books: Any) -> None:
    theirs = await house.another_key(EMAIL)
    async with house.browser() as browser:
        page = await source(browser)
        assert EMAIL in page.text
        assert "gemaild" in page.text
        await target(house, browser, books)
        assert (await browser.get("/")).headers["location"] == "/login"
        async with house.api(theirs) as api:
            assert (await api.get("/v1/connections")).json()["data"] == []
        assert not await rows(house, "SELECT 1 FROM combi")
        # The same person, in the same browser, opens the link from the mail.
        link = urlsplit(house.links()[-1]).path
        done = await browser.post(link, data={"csrf": csrf_of(await browser.get(link))})
        assert done.headers["location"] == PATH
        assert 'data-combi="' in (await browser.get(PATH)).text
    async with house.api(theirs) as api:
        listed = (await api.get("/v1/connections")).json()["data"]
        assert {row["connector"] for row in listed} == {"simplicate", "minox"}
        for row in listed:
            assert (await api.post(f"/v1/connections/{row['id']}/check")).json()["ok"] is True


async def test_a_login_in_another_browser_does_not_take_a_strangers_connection_along(house: House) -> None:
    theirs = await house.another_key(EMAIL)
    async with house.browser() as attacker, house.browser() as victim:
        await source(attacker)
        link = urlsplit(house.links()[-1]).path
        done = await victim.post(link, data={"csrf": csrf_of(await victim.get(link))})
        assert done.status_code == 303
        assert (await attacker.get("/")).headers["location"] == "/login"
    async with house.api(theirs) as api:
        assert (await api.get("/v1/connections")).json()["data"] == []


async def test_somebody_who_is_logged_in_installs_into_their_own_organisation(house: House, books: Any) -> None:
    async with house.browser() as browser:
        await house.log_in(browser, "owner@partner.nl")
        await source(browser)
        await target(house, browser, books)
    async with house.api() as api:
        assert len((await api.get("/v1/combis")).json()["data"]) == 1
    assert not await rows(house, f"""SELECT 1 FROM "user" WHERE email = '{EMAIL}'""")


async def test_a_login_with_an_unclaimed_installation_can_take_it_along_by_a_button(house: House) -> None:
    await house.another_key(EMAIL)
    async with house.browser() as browser:
        await source(browser)
        await house.log_in(browser, "owner@partner.nl")
        page = await browser.get(PATH)
        assert f"{PATH}/claim" in page.text
        await browser.post(f"{PATH}/claim", data={"csrf": csrf_of(page)})
    async with house.api() as api:
        assert [row["connector"] for row in (await api.get("/v1/connections")).json()["data"]] == ["simplicate"]


async def test_a_hostile_domain_is_refused_on_the_page(house: House) -> None:
    async with house.browser() as browser:
        csrf = csrf_of(await browser.get(PATH))
        form = {"csrf": csrf, "side": "source", "auth": "oauth", "fields.domain": "evil.example/<script>"}
        answer = await browser.post(PATH, data=form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert not await rows(house, "SELECT 1 FROM connection")


async def test_another_browser_sees_nothing_of_an_installation(house: House) -> None:
    async with house.browser() as browser, house.browser() as other:
        await source(browser)
        page = await other.get(PATH)
        assert EMAIL not in page.text


async def test_a_pair_that_cannot_be_is_a_page(house: House) -> None:
    async with house.browser() as browser:
        assert (await browser.get("/install/minox/simplicate")).status_code == 404
        assert (await browser.get("/install/nobody/minox")).status_code == 404


async def test_an_installation_that_nobody_claims_is_forgotten_with_its_secrets(house: House) -> None:
    await house.another_key(EMAIL)
    async with house.browser() as browser:
        await source(browser)
    assert await rows(house, "SELECT 1 FROM connection WHERE secrets IS NOT NULL")
    await installing.sweep(house.hub)
    assert await rows(house, "SELECT 1 FROM connection")
    house.clock.advance(timedelta(days=3))
    await installing.sweep(house.hub)
    await organisations.sweep(house.hub.database, house.clock)
    for table in ("connection", "installation", "oauthattempt", "loginlink"):
        assert not await rows(house, f"SELECT 1 FROM {table}"), table
    assert not await rows(house, "SELECT 1 FROM organisation WHERE provisional")
    assert len(await rows(house, "SELECT 1 FROM organisation")) == 2
