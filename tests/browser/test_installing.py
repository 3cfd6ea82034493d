"""Installing a combi in a real browser: every offered pair, and everything that may come in between."""

import time

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from hub.connections.models import InstallLink
from hub.engine import recipe as recipes
from hub.kit.ids import new_id
from tests.browser.installing import (
    CURRENT,
    adapter_of,
    ask,
    booked,
    connect,
    consent,
    install,
    link_both,
    side_of,
    standing_of,
    to_step,
)
from tests.browser.stage import Stage

OFFERED = [one.id for one in recipes.all_recipes().values() if one.offered]
ANNA = "anna@waterlinie.example"


@pytest.mark.parametrize("offered", OFFERED)
async def test_an_offered_pair_is_installed_with_what_the_pages_propose(site: Stage, offered: str) -> None:
    recipe = recipes.get(offered)
    stand = adapter_of(recipe.target).stand
    before = stand(site.boxes[recipe.target]) if stand else 0
    page = await site.visitor()
    combi = await install(page, site, recipe.source, recipe.target)
    assert await standing_of(site, combi) == "active"
    found = await booked(site, combi)
    documents = [number for flow, number in found if flow not in ("customers", "payments")]
    assert documents
    if stand:
        assert stand(site.boxes[recipe.target]) - before == len(documents)
    await page.get_by_role("link", name="Naar mijn koppelingen").click()
    await expect(page.locator(f"a[href='/combis/{combi}']").first).to_be_visible()


async def test_a_newcomer_installs_within_three_minutes_and_has_an_account(site: Stage) -> None:
    began = time.monotonic()
    page = await site.visitor()
    await install(page, site, "simplicate", "minox")
    assert time.monotonic() - began < 180
    await expect(page.locator(".who-name")).to_have_text(ANNA)
    again = await site.visitor()
    await site.log_in(again, ANNA)
    await expect(again.get_by_role("heading", name="Simplicate")).to_be_visible()


async def test_a_pair_without_a_recipe_comes_by_a_cross_site_post_and_general_questions(site: Stage) -> None:
    page = await site.visitor()
    await link_both(page, site, "minuba", "minox")
    await page.locator(".notice a.primary").click()
    await to_step(page, "Proefrun")
    await expect(page.locator("details.preview").first).to_be_visible()


async def test_consent_that_is_refused_or_too_late_changes_nothing(site: Stage) -> None:
    page = await site.visitor()
    await page.goto("/install/simplicate/minox")
    await connect(page, site, "source", "simplicate")
    await ask(page, site, "target", "minox")
    await consent(page, site, "minox", "no")
    await expect(page.get_by_role("alert")).to_contain_text("Minox Online")
    await expect(side_of(page, "source").locator(".reached")).to_contain_text(ANNA)

    await ask(page, site, "target", "minox")
    async with site.hub.database.system() as session:
        await session.execute(text("UPDATE oauthattempt SET expires_at = created_at"))
    await consent(page, site, "minox")
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(side_of(page, "target").locator(".reached")).to_have_count(0)
    await connect(page, site, "target", "minox")


async def test_another_account_that_is_not_consented_to_leaves_the_first(site: Stage) -> None:
    page = await site.visitor()
    await link_both(page, site, "simplicate", "minox")
    await side_of(page, "source").locator("summary").click()
    await ask(page, site, "source", "simplicate")
    await consent(page, site, "simplicate", "no")
    await expect(side_of(page, "source").locator(".reached")).to_contain_text(ANNA)
    await expect(page.locator("[data-combi]")).to_be_visible()


async def test_who_leaves_goes_on_where_they_were_in_another_browser_too(site: Stage) -> None:
    page = await site.visitor()
    await link_both(page, site, "simplicate", "minox")
    await page.locator(".notice a.primary").click()
    await to_step(page, "Rekeningen")
    await page.get_by_role("combobox", name="Standaard omzetrekening").fill("8000")
    await page.locator(".going button.primary").click()
    await expect(page.locator(CURRENT)).to_have_text("Koppeltabel")

    other = await site.visitor()
    await site.log_in(other, ANNA)
    await other.locator("main article a.primary").click()
    await expect(other.locator(CURRENT)).to_have_text("Koppeltabel")
    await other.get_by_role("link", name="Rekeningen").click()
    await expect(other.get_by_role("combobox", name="Standaard omzetrekening")).to_have_value("8000 · Omzet advies 21%")


async def test_a_finding_at_the_check_is_set_right_by_the_mapping_table(site: Stage) -> None:
    page = await site.visitor()
    await link_both(page, site, "simplicate", "minox")
    await page.locator(".notice a.primary").click()
    await to_step(page, "Controle", blindly=True)
    await expect(page.locator(".findings li")).to_contain_text("Overige opbrengsten")
    await page.get_by_role("link", name="Naar Koppeltabel").click()
    unknown = page.get_by_label("Overige opbrengsten")
    await unknown.fill("omzet advies")
    await unknown.fill("8000")
    await page.locator(".going button.primary").click()
    await expect(page.locator(CURRENT)).to_have_text("Controle")
    await expect(page.get_by_role("status")).to_contain_text("Alles klopt")


async def test_what_cannot_be_is_said_beside_the_field(site: Stage) -> None:
    page = await site.visitor()
    await page.goto("/install/simplicate/minox")
    await side_of(page, "source").get_by_label("Simplicate-domein").first.fill("niet/zo")
    await side_of(page, "source").locator("form button").first.click()
    await expect(side_of(page, "source").get_by_role("alert")).to_be_visible()
    await expect(side_of(page, "source").get_by_label("Simplicate-domein").first).to_have_attribute(
        "aria-invalid", "true"
    )
    await link_both(page, site, "simplicate", "minox")
    await page.locator(".notice a.primary").click()
    await page.locator("select").first.select_option("")
    await page.locator(".going button.primary").click()
    await expect(page.locator("select[aria-invalid=true]").first).to_be_visible()
    await to_step(page, "Rekeningen")
    await page.get_by_role("combobox", name="Standaard omzetrekening").fill("bestaat niet")
    await page.locator(".going button.primary").click()
    await expect(page.locator(CURRENT)).to_have_text("Rekeningen")
    await expect(page.locator("#f-default_revenue_account-wrong")).to_be_visible()


async def test_keys_that_are_typed_are_tried_at_once(site: Stage) -> None:
    page = await site.visitor()
    await page.goto("/install/simplicate/minox")
    source = side_of(page, "source")
    await source.get_by_text("Op een andere manier").click()
    form = source.locator("form").nth(1)
    await form.locator("[name='fields.domain']").fill("waterlinie")
    await form.locator("[name='fields.authentication_key']").fill("x" * 32)
    await form.locator("[name='fields.authentication_secret']").fill("y" * 32)
    await form.locator("button").click()
    await expect(source.get_by_role("alert")).to_contain_text("Simplicate")
    key, secret = site.boxes["simplicate"].add_key(ANNA)  # type: ignore[attr-defined]
    form = source.locator("form").nth(1)
    await form.locator("[name='fields.authentication_key']").fill(key)
    await form.locator("[name='fields.authentication_secret']").fill(secret)
    await form.locator("button").click()
    await expect(source.locator(".reached")).to_contain_text(ANNA)
    assert secret not in await page.content()


async def test_a_partner_s_link_is_named_and_led_back_to(site: Stage) -> None:
    page = await site.visitor()
    await site.log_in(page, "partner@kantoor.example")
    async with site.hub.database.system() as session:
        owner = (await session.execute(text("SELECT id FROM organisation"))).scalar_one()
        link = InstallLink(
            id=new_id(site.hub.clock),
            organisation_id=owner,
            name="Kantoor Lekstroom",
            source="simplicate",
            target="minox",
            return_url="https://kantoor.example/klaar",
            created_at=site.hub.clock.now(),
        )
        session.add(link)
        link_id = link.id
    customer = await site.visitor()
    await customer.goto(f"/install/simplicate/minox?email={ANNA}&partner={link_id}")
    await expect(customer.get_by_text("Kantoor Lekstroom")).to_be_visible()
    await install(customer, site, "simplicate", "minox", f"?email={ANNA}&partner={link_id}")
    back = customer.get_by_role("link", name="Terug naar waar u vandaan kwam")
    await expect(back).to_have_attribute("href", "https://kantoor.example/klaar")
