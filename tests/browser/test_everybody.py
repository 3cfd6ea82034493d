"""Pages for everybody: keyboard, screen reader, phone, both schemes of colour, both languages, and without scripts."""

from pathlib import Path

from playwright.async_api import Page, expect
from sqlalchemy import text

from tests.browser.installing import (
    CURRENT,
    ask,
    connect,
    consent,
    install,
    link_both,
    side_of,
    standing_of,
    to_step,
)
from tests.browser.stage import Stage

AXE = (Path(__file__).parent / "vendored" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = ["color-contrast"]
RUN = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(told => told.violations)"
STEPS = ("Administraties", "Startdatum", "Rekeningen", "Koppeltabel", "Boeken", "Extra's", "Controle", "Proefrun")
FOR_NOBODY = ("/login", "/login/x", "/catalogue", "/catalogue/simplicate-minox", "/install/simplicate/minox")
FOR_MEMBERS = (
    "/", "/attention", "/catalogue", "/account", "/account/members", "/account/keys", "/account/audit",
)  # fmt: skip
OF_A_COMBI = (
    "", "/runs", "/log", "/edit", "/edit/accounts", "/edit/extras", "/statistics", "/reconciliation",
    "/mappings/ledger_accounts", "/mappings/vat_classes", "/delete", "/relink/source",
)  # fmt: skip
OF_A_PAYROLL = ("/history", "/log", "/edit", "/mappings/cost_centres", "/relink/side")


async def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, in light and in dark."""
    found = []
    await page.evaluate(AXE)
    for scheme, rules in (("light", {"type": "tag", "values": RULES}), ("dark", {"type": "rule", "values": CONTRAST})):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        told = await page.evaluate(RUN, rules)
        found += [
            f"{page.url} ({scheme}): {one['id']}: {node['target']} {node['failureSummary'][:300]}"
            for one in told
            for node in one["nodes"]
        ]
    return found


async def fits(page: Page) -> None:
    """Nothing sticks out of the screen."""
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} wider than the screen"


async def test_no_page_keeps_anybody_out(site: Stage) -> None:
    page = await site.visitor()
    found = []
    for path in FOR_NOBODY:
        await page.goto(path)
        found += await violations(page)
    await link_both(page, site, "simplicate", "minox")
    found += await violations(page)
    await page.locator(".notice a.primary").click()
    for step in STEPS:
        await to_step(page, step)
        found += await violations(page)
    await page.locator(".going button.primary").click()
    await page.wait_for_url("**/setup/running")
    await expect(page.locator("progress")).to_have_count(0)
    found += await violations(page)
    combi = page.url.split("/setup/")[0]
    for path in (*FOR_MEMBERS, *(combi + one for one in OF_A_COMBI)):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.ok, path
        found += await violations(page)
    await page.goto(f"{combi}/log")
    await page.locator("main tbody a").first.click()
    found += await violations(page)
    assert found == []


async def test_payroll_keeps_nobody_out_either(site: Stage) -> None:
    page = await site.visitor(viewport={"width": 360, "height": 740})
    combi = await install(page, site, "nmbrs", "minox")
    found = []
    for path in OF_A_PAYROLL:
        await page.goto(f"/combis/{combi}{path}")
        await fits(page)
        found += await violations(page)
    async with site.hub.database.system() as session:
        connection = (await session.execute(text("SELECT source_connection_id FROM combi"))).scalar_one()
    for path in (f"/connections/{connection}/reauthorize", f"/combis/{combi}/history"):
        await page.goto(path)
        await fits(page)
        found += await violations(page)
    await page.locator("main tbody a").first.click()
    await expect(page.locator("[hx-trigger] table, [hx-trigger] .muted").first).to_be_visible()
    await fits(page)
    found += await violations(page)
    assert found == []


async def test_after_a_wrong_answer_the_focus_is_on_what_is_wrong(site: Stage) -> None:
    page = await site.visitor()
    combi = await install(page, site, "simplicate", "minox")
    await page.goto(f"/combis/{combi}/edit/accounts")
    await page.locator("[name=default_revenue_account]").fill("424242")
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice[role=alert]")).to_be_focused()
    await press_to(page, "[aria-invalid=true]")
    await page.goto("/attention")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.matches('a.skip')")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


async def test_a_phone_is_enough(site: Stage) -> None:
    page = await site.visitor(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for path in FOR_NOBODY:
        await page.goto(path)
        await fits(page)
    await link_both(page, site, "simplicate", "minox")
    await fits(page)
    await page.locator(".notice a.primary").tap()
    for step in STEPS:
        await to_step(page, step)
        await fits(page)
    await page.locator(".going button.primary").tap()
    await page.wait_for_url("**/setup/running")
    await fits(page)
    combi = page.url.split("/setup/")[0]
    for path in (*FOR_MEMBERS, *(combi + one for one in OF_A_COMBI)):
        await page.goto(path)
        await fits(page)


async def press_to(page: Page, wanted: str) -> None:
    """Goes from field to field with Tab alone until one that fits a selector has the focus."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", wanted):
            seen = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert seen != "none", f"nobody sees the focus on {wanted}"
            return
    raise AssertionError(f"{wanted} on {page.url} cannot be reached by Tab")


async def test_a_keyboard_is_enough(site: Stage) -> None:
    page = await site.visitor()
    await page.goto("/catalogue")
    await press_to(page, "a[href='/catalogue/simplicate-minox']")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/catalogue/simplicate-minox")
    await press_to(page, "a[href='/install/simplicate/minox']")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/install/simplicate/minox")
    await press_to(page, "#f-simplicate-oauth-domain")
    await page.keyboard.type("waterlinie")
    await page.keyboard.press("Enter")
    await consent(page, site, "simplicate")
    await expect(side_of(page, "source").locator(".reached")).to_be_visible()
    await press_to(page, "section[aria-labelledby=h-target] button.primary")
    await page.keyboard.press("Enter")
    await consent(page, site, "minox")
    await expect(side_of(page, "target").locator(".reached")).to_be_visible()
    await press_to(page, ".notice a.primary")
    await page.keyboard.press("Enter")
    await expect(page.locator(CURRENT)).to_have_text(STEPS[0])
    await press_to(page, "#f-administration-2")
    await page.keyboard.press("ArrowDown")
    for step in STEPS[:-1]:
        await expect(page.locator(CURRENT)).to_have_text(step)
        if step == "Startdatum":
            await press_to(page, "input[type=radio]:checked")
            await page.keyboard.press("ArrowDown")
        await press_to(page, ".going button.primary, .going a.primary")
        await page.keyboard.press("Enter")
    await expect(page.locator(CURRENT)).to_have_text(STEPS[-1])
    await press_to(page, "details.preview:nth-of-type(2) > summary")
    await page.keyboard.press("Enter")
    await expect(page.locator("details.preview").nth(1).locator("table")).to_be_visible()
    await press_to(page, ".going button.primary")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/setup/running")


async def test_scripts_are_not_needed(site: Stage) -> None:
    page = await site.visitor(java_script_enabled=False)
    combi = await install(page, site, "simplicate", "minox")
    assert await standing_of(site, combi) == "active"
    for path in ("/", "/attention", f"/combis/{combi}", f"/combis/{combi}/log", f"/combis/{combi}/statistics"):
        await page.goto(path)
        await expect(page.locator("h1")).to_be_visible()
    await page.goto("/account/keys")
    await page.locator("#f-name").fill("Zonder scripts")
    await page.get_by_role("button", name="Sleutel maken").click()
    await expect(page.locator("pre")).to_be_visible()


async def test_without_scripts_a_package_s_post_brings_one_back_too(site: Stage) -> None:
    page = await site.visitor(java_script_enabled=False)
    await page.goto("/install/minuba/minox")
    await ask(page, site, "source", "minuba")
    await page.locator("button[name=consent][value=yes]").click()
    await page.locator("#form_post button").click()
    await expect(side_of(page, "source").locator(".reached")).to_be_visible()


async def test_english_is_english_all_the_way(site: Stage) -> None:
    page = await site.visitor(locale="en-GB")
    await page.goto("/install/simplicate/minox")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await connect(page, site, "source", "simplicate")
    await connect(page, site, "target", "minox")
    await page.get_by_role("link", name="Go on to the questions").click()
    await to_step(page, "Preview")
    await expect(page.get_by_text("1,900.00").first).to_be_visible()
    await page.get_by_role("button", name="Install combi").click()
    await expect(page.get_by_role("heading", name="The combi is installed")).to_be_visible()
    await page.get_by_role("link", name="To my combis").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
