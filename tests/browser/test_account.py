"""The account in a real browser: sessions, language, colleagues, keys, organisations, and who did what."""

import httpx2 as httpx
from playwright.async_api import expect

from tests.browser.stage import Stage

OWNER = "eva@kantoor.example"


async def test_sessions_are_listed_and_can_be_ended(site: Stage) -> None:
    here, elsewhere, third = await site.visitor(), await site.visitor(), await site.visitor()
    for page in (here, elsewhere, third):
        await site.log_in(page, OWNER)
    await here.goto("/account")
    await expect(here.locator("tbody tr")).to_have_count(3)
    await here.get_by_role("button", name="Beëindigen", exact=True).first.click()
    await expect(here.get_by_role("status")).to_be_visible()
    await expect(here.locator("tbody tr")).to_have_count(2)
    await here.get_by_role("button", name="Overal elders uitloggen").click()
    await expect(here.locator("tbody tr")).to_have_count(1)
    for page in (elsewhere, third):
        await page.goto("/account")
        await expect(page).to_have_url(f"{site.base}/login?next=/account")


async def test_a_login_link_works_once(site: Stage) -> None:
    page, thief = await site.visitor(), await site.visitor()
    await site.log_in(page, OWNER)
    await thief.goto(site.links()[-1])
    await thief.locator("main form button").click()
    await expect(thief.get_by_role("status")).to_contain_text("al gebruikt")
    await thief.goto("/")
    await expect(thief).to_have_url(f"{site.base}/login")


async def test_the_language_that_is_chosen_goes_before_the_browser_s(site: Stage) -> None:
    page = await site.visitor()
    await site.log_in(page, OWNER)
    await page.goto("/account")
    await page.get_by_label("English").check()
    await page.get_by_role("button", name="Bewaren").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.get_by_role("heading", name="Where you are logged in")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.get_by_role("link", name="Nederlands").click()
    await expect(page.get_by_role("heading", name="Inloggen")).to_be_visible()


async def test_a_colleague_is_invited_promoted_and_removed(site: Stage) -> None:
    page, colleague = await site.visitor(), await site.visitor()
    await site.log_in(page, OWNER)
    await page.goto("/account/members")
    await page.locator("#f-email").fill("boris@kantoor.example")
    await page.locator("#f-role").select_option("reader")
    await page.get_by_role("button", name="Uitnodigen").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    assert any(to == "boris@kantoor.example" for to, _ in site.mails())

    await site.log_in(colleague, "boris@kantoor.example")
    await colleague.goto("/account/keys")
    await expect(colleague.get_by_text("Alleen een eigenaar")).to_be_visible()
    await expect(colleague.locator("form[action='/account/keys']")).to_have_count(0)

    row = page.locator("tbody tr", has_text="boris")
    await row.get_by_label("Rol van boris@kantoor.example").select_option("owner")
    await row.get_by_role("button", name="Wijzigen").click()
    await expect(page.get_by_role("status")).to_be_visible()
    await colleague.reload()
    await expect(colleague.locator("form[action='/account/keys']")).to_have_count(1)

    await page.get_by_role("button", name="boris@kantoor.example verwijderen").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await colleague.reload()
    await expect(colleague).to_have_url(f"{site.base}/login?next=/account/keys")
    await page.get_by_role("button", name=f"{OWNER} verwijderen").click()
    await expect(page.get_by_role("alert")).to_contain_text("ten minste één eigenaar")


async def test_a_key_is_shown_once_works_and_is_revoked(site: Stage) -> None:
    page = await site.visitor()
    await site.log_in(page, OWNER)
    await page.goto("/account/keys")
    await page.locator("#f-name").fill("Rapportage")
    await page.get_by_label("Wijzigen en synchroniseren").uncheck()
    await page.get_by_role("button", name="Sleutel maken").click()
    key = (await page.locator("pre").inner_text()).strip()
    async with httpx.AsyncClient(base_url=site.base, headers={"Authorization": f"Bearer {key}"}) as api:
        assert (await api.get("/v1/combis")).status_code == 200
        assert (await api.post("/v1/webhook-endpoints", json={})).status_code == 403
    await page.get_by_role("link", name="Ik heb hem bewaard").click()
    row = page.locator("tbody tr", has_text="Rapportage")
    await expect(row).to_contain_text("Lezen")
    assert key not in await page.content()
    await page.get_by_role("button", name="Sleutel Rapportage intrekken").click()
    await expect(row).to_have_count(0)

    await page.goto("/account/audit")
    await expect(page.locator("tbody tr").first).to_contain_text("API-sleutel ingetrokken")
    await expect(page.locator("tbody tr").first).to_contain_text(OWNER)


async def test_somebody_of_two_organisations_chooses_where_to_work(site: Stage) -> None:
    page = await site.visitor()
    await site.log_in(page, OWNER, "Bakkerij Molenzicht")
    await site.log_in(await site.visitor(), OWNER, "Drukkerij Zonnedauw")
    await page.goto("/account")
    await expect(page.locator(".facts")).to_contain_text("Bakkerij Molenzicht")
    await page.get_by_role("button", name="Ga naar Drukkerij Zonnedauw").click()
    await page.goto("/account")
    await expect(page.locator(".facts")).to_contain_text("Drukkerij Zonnedauw")
