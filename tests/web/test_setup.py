"""The steps after linking: who may take them, and what a form may not do."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.organisations.models import Role
from tests.connections.house import House, csrf_of
from tests.web.test_install import EMAIL, rows, source, target


async def draft(house: House, browser: Any, books: Any) -> str:
    """The address of a draft's installation."""
    await source(browser)
    await target(house, browser, books)
    (found,) = await rows(house, "SELECT id FROM combi")
    return f"/combis/{found.id}/setup"


async def role(house: House, wanted: Role) -> None:
    """Gives everybody this role."""
    async with house.hub.database.system() as session:
        await session.execute(text("UPDATE membership SET role = :role"), {"role": wanted.value})


async def test_only_who_may_change_the_combi_installs_it(house: House, books: Any) -> None:
    async with house.browser() as browser, house.browser() as stranger, house.browser() as nobody:
        path = await draft(house, browser, books)
        assert (await browser.get(path)).headers["location"] == f"{path}/administrations"
        await house.log_in(stranger, "owner@partner.nl")
        for step in ("", "/start", "/check", "/nothing"):
            assert (await stranger.get(f"{path}{step}")).status_code == 404
        assert (await nobody.get(path)).headers["location"] == f"/login?next={path}"
        await role(house, Role.reader)
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("step", ["start", "mapping", "install"])
async def test_a_step_without_proof_changes_nothing(house: House, books: Any, step: str) -> None:
    async with house.browser() as browser:
        path = await draft(house, browser, books)
        assert (await browser.post(f"{path}/{step}", data={"start_date": "all"})).status_code == 403
    (found,) = await rows(house, "SELECT status, answered FROM combi")
    assert (found.status, found.answered) == ("draft", [])


async def test_the_start_date_is_a_day_all_or_one_s_own(house: House, books: Any) -> None:
    async with house.browser() as browser:
        path = await draft(house, browser, books)
        page = await browser.get(f"{path}/start")
        assert 'value="2026-01-01" checked' in page.text
        csrf = csrf_of(page)
        for given, stored in (
            ({"start_date": "2026-10-01"}, "2026-10-01"),
            ({"start_date": "other", "start_date.other": "2026-05-17"}, "2026-05-17"),
            ({"start_date": "all"}, "None"),
        ):
            answer = await browser.post(f"{path}/start", data={"csrf": csrf, **given})
            assert answer.headers["location"] == f"{path}/accounts"
            (found,) = await rows(house, "SELECT start_date, answered FROM combi")
            assert (str(found.start_date), found.answered) == (stored, ["start"])
        for wrong in ({"start_date": "other"}, {"start_date": "yesterday"}, {}):
            assert (await browser.post(f"{path}/start", data={"csrf": csrf, **wrong})).status_code == 422


async def test_an_installed_combi_is_not_installed_again(house: House, books: Any) -> None:
    async with house.browser() as browser:
        path = await draft(house, browser, books)
        async with house.hub.database.system() as session:
            await session.execute(text("UPDATE combi SET status = 'active'"))
        answer = await browser.get(f"{path}/start")
        assert answer.headers["location"] == path.removesuffix("/setup")
        # The same pair can be installed once more.
        assert "data-combi" not in (await browser.get("/install/simplicate/minox")).text


async def test_another_company_s_account_has_the_questions_asked_anew(house: House, books: Any) -> None:
    async with house.browser() as browser:
        path = await draft(house, browser, books)
        csrf = csrf_of(await browser.get(f"{path}/start"))
        await browser.post(f"{path}/start", data={"csrf": csrf, "start_date": "all"})
        books["simplicate"].switches["any_domain"] = True
        try:
            page = await source(browser, domain="ander-bedrijf")
        finally:
            books["simplicate"].switches["any_domain"] = False
        assert EMAIL in page.text
    (found,) = await rows(
        house,
        """SELECT c.answered, s.tenant FROM combi c JOIN connection s ON s.id = c.source_connection_id""",
    )
    assert (found.answered, found.tenant) == ([], "ander-bedrijf")


async def test_a_language_is_chosen_by_a_link_and_leads_nowhere_else(house: House) -> None:
    async with house.browser() as browser:
        answer = await browser.get("/language/en?next=https://evil.example")
        assert answer.headers["location"] == "/"
        assert "Mail me a link" in (await browser.get("/login")).text
        await browser.get("/language/xx")
        assert "Mail me a link" in (await browser.get("/login")).text
