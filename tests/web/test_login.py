"""Logging in by mail."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.connections.house import House, csrf_of

OWNER = "owner@partner.nl"


async def asked(house: House, email: str = OWNER, **form: str) -> str:
    """Ask for a link; gives what the page says."""
    async with house.browser() as browser:
        csrf = csrf_of(await browser.get("/login"))
        answer = await browser.post("/login", data={"email": email, "csrf": csrf, **form})
    assert answer.status_code == 200
    return answer.text


async def test_the_page_says_the_same_of_every_address(house: House) -> None:
    pages = {await asked(house, email) for email in (OWNER, "nobody@elsewhere.nl", "no address", "")}
    assert len(pages) == 1
    assert [to for to, _ in house.mails()] == [OWNER]


async def test_looking_at_a_link_uses_nothing_up_and_the_button_works_once(house: House) -> None:
    await asked(house)
    link = urlsplit(house.links()[-1]).path
    async with house.browser() as scanner:
        for _ in range(3):
            assert (await scanner.get(link)).status_code == 200
            assert "hub_session" not in scanner.cookies
    async with house.browser() as browser, house.browser() as other:
        first = await browser.post(link, data={"csrf": csrf_of(await browser.get(link))})
        assert first.status_code == 303
        assert "httponly" in first.headers["set-cookie"].lower()
        assert "samesite=lax" in first.headers["set-cookie"].lower()
        assert OWNER in (await browser.get("/")).text
        assert (await other.post(link, data={"csrf": csrf_of(await other.get(link))})).status_code == 410
        assert "hub_session" not in other.cookies


async def test_a_link_lives_a_quarter_of_an_hour(house: House) -> None:
    await asked(house)
    link = urlsplit(house.links()[-1]).path
    house.clock.advance(timedelta(minutes=15, seconds=1))
    async with house.browser() as browser:
        assert (await browser.post(link, data={"csrf": csrf_of(await browser.get(link))})).status_code == 410


async def test_an_address_gets_so_many_mails_and_no_more(house: House) -> None:
    for _ in range(8):
        await asked(house)
    assert len(house.links()) == 5
    house.clock.advance(timedelta(minutes=16))
    await asked(house)
    assert len(house.links()) == 6


@pytest.mark.parametrize(
    "path", ["/login", "/login/abc", "/logout", "/install/simplicate/minox", "/connections/x/reauthorize"]
)
async def test_a_form_without_its_proof_is_refused(house: House, path: str) -> None:
    async with house.browser() as browser, house.browser() as other:
        stolen = csrf_of(await other.get("/login"))
        for form in ({}, {"csrf": ""}, {"csrf": stolen}):
            assert (await browser.post(path, data={"email": OWNER, **form})).status_code == 403
        await browser.get("/login")
        assert (await browser.post(path, data={"email": OWNER, "csrf": stolen})).status_code == 403
    assert house.mails() == []


async def test_a_session_ends_with_logout_also_for_a_copied_cookie(house: House) -> None:
    async with house.browser() as browser, house.browser() as copy:
        csrf = await house.log_in(browser, OWNER)
        copy.cookies.set("hub_session", browser.cookies["hub_session"])
        assert OWNER in (await copy.get("/")).text
        assert (await browser.post("/logout", data={"csrf": csrf})).status_code == 303
        assert (await copy.get("/")).headers["location"] == "/login"


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "' OR 1=1 --", "a" * 5000])
async def test_a_made_up_cookie_is_nobody(house: House, cookie: str) -> None:
    async with house.browser() as browser:
        browser.cookies.set("hub_session", cookie)
        assert (await browser.get("/")).headers["location"] == "/login"
        assert (await browser.get("/v1/connections")).status_code == 401


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_a_login_goes_on_at_home_only(house: House, target: str) -> None:
    await asked(house, next=target)
    link = urlsplit(house.links()[-1]).path
    async with house.browser() as browser:
        answer = await browser.post(link, data={"csrf": csrf_of(await browser.get(link))})
    assert answer.headers["location"] == "/"


async def test_pages_allow_nothing_from_elsewhere(house: House) -> None:
    async with house.browser() as browser:
        for path in ("/login", "/login/x", "/install/simplicate/minox", "/connect/x", "/oauth/callback"):
            answer = await browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert "<script" not in answer.text
            assert "style=" not in answer.text
        assert (await browser.get("/static/app.css")).headers["content-type"].startswith("text/css")


async def test_cookies_are_for_this_host_over_https_only(house: House) -> None:
    object.__setattr__(house.hub.config, "base_url", "https://hub.test")
    async with house.browser() as browser:
        cookie = (await browser.get("/login")).headers["set-cookie"]
    assert cookie.startswith("__Host-hub_browser=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


async def test_login_links_are_stored_as_hashes(house: House) -> None:
    await asked(house)
    token = house.links()[-1].rsplit("/", 1)[1]
    async with house.hub.database.system() as session:
        stored = [row[0] for row in await session.execute(text("SELECT loginlink::text FROM loginlink"))]
    assert stored
    assert token not in stored[0]


async def test_pages_speak_the_visitors_language(house: House) -> None:
    async with house.browser() as dutch, house.browser(**{"Accept-Language": "en-GB"}) as english:
        assert "Vul uw e-mailadres in" in (await dutch.get("/login")).text
        assert "Fill in your e-mail address" in (await english.get("/login")).text
