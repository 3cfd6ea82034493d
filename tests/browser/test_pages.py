"""What a bookkeeper does after installing, in a real browser: one fix for many, retry, figures, a run that goes."""

import asyncio
from uuid import UUID

from playwright.async_api import Page, expect
from sqlalchemy import text

from tests.browser.installing import booked, install, link_both, to_step
from tests.browser.stage import PATIENCE_S, Stage


async def installed(site: Stage, page: Page) -> UUID:
    """A combi with an invoice that waits for an account."""
    await link_both(page, site, "simplicate", "minox")
    await page.locator(".notice a.primary").click()
    await to_step(page, "Proefrun", blindly=True)
    await page.locator(".going button.primary").click()
    await page.wait_for_url("**/setup/running")
    await expect(page.locator("progress")).to_have_count(0)
    return UUID(page.url.split("/combis/")[1].split("/")[0])


async def test_one_account_lets_every_invoice_that_waits_for_it_go_on(site: Stage) -> None:
    page = await site.visitor()
    combi = await installed(site, page)
    assert ("invoices", "F2026-0425") not in await booked(site, combi)
    await page.goto("/attention")
    fix = page.locator("form.fix", has_text="Overige opbrengsten")
    await fix.locator("input[name=target]").fill("8000")
    await fix.locator("button").click()
    await expect(page.get_by_role("status").first).to_be_visible()
    await until_booked(site, combi, "F2026-0425")
    await page.goto("/attention")
    await expect(page.locator("form.fix")).to_have_count(0)


async def test_a_refusal_is_told_and_tried_again_when_somebody_asks(site: Stage) -> None:
    page = await site.visitor()
    books = site.boxes["minox"].administration("41207/3")  # type: ignore[attr-defined]
    books["closed_until"] = "2026-12-31"
    combi = await installed(site, page)
    await page.goto(f"/combis/{combi}/log?flow=invoices&q=F2026-0412")
    await page.locator("main tbody a", has_text="F2026-0412").first.click()
    await expect(page.locator(".notice").first).to_contain_text("afgesloten")
    books["closed_until"] = ""
    await page.locator("form[action$='/retry'] button").click()
    await expect(page.get_by_role("status").first).to_be_visible()
    await page.goto("/")
    if await (now := page.locator(f"form[action='/combis/{combi}/run'] button")).count():
        await now.first.click()
    await until_booked(site, combi, "F2026-0412")


async def until_booked(site: Stage, combi: UUID, number: str) -> None:
    """Waits until an invoice stands in the target."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if ("invoices", number) in await booked(site, combi):
                return
            await asyncio.sleep(0.2)


async def test_a_run_that_is_asked_for_is_watched_while_it_goes(site: Stage) -> None:
    page = await site.visitor()
    combi = await installed(site, page)
    site.boxes["simplicate"].fault("slow", seconds=1)
    await page.goto("/")
    await page.locator(f"form[action='/combis/{combi}/run'] button").first.click()
    await page.wait_for_url("**/runs/*")
    await expect(page.locator("progress")).to_have_count(1)
    site.boxes["simplicate"].faults.clear()
    await expect(page.locator("progress")).to_have_count(0)


async def test_the_figures_tell_what_was_booked(site: Stage) -> None:
    page = await site.visitor()
    combi = await install(page, site, "simplicate", "minox")
    count = sum(flow == "invoices" for flow, _ in await booked(site, combi))
    await page.goto(f"/combis/{combi}/statistics")
    await expect(page.locator(".figures")).to_be_visible()
    await expect(page.locator("svg.chart").first).to_be_visible()
    section = page.locator("section[aria-labelledby=h-invoices]")
    await section.locator("summary").first.click()
    await expect(section.locator("tr.sum td.number").first).to_have_text(str(count))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").first.click()
    assert (await download.value).suggested_filename.endswith(".csv")


async def test_another_tenant_s_addresses_do_not_exist(site: Stage) -> None:
    page, stranger = await site.visitor(), await site.visitor()
    combi = await installed(site, page)
    await site.log_in(stranger, "vreemd@elders.example")
    async with site.hub.database.system() as session:
        item = (await session.execute(text("SELECT id FROM item LIMIT 1"))).scalar_one()
        run = (await session.execute(text("SELECT id FROM run LIMIT 1"))).scalar_one()
        connection = (await session.execute(text("SELECT id FROM connection LIMIT 1"))).scalar_one()
    for path in (
        f"/combis/{combi}",
        f"/combis/{combi}/setup",
        f"/combis/{combi}/setup/start",
        f"/combis/{combi}/setup/running",
        f"/combis/{combi}/log",
        f"/combis/{combi}/statistics",
        f"/combis/{combi}/edit",
        f"/documents/{item}",
        f"/runs/{run}",
        f"/connections/{connection}/reauthorize",
    ):
        answer = await stranger.goto(path)
        assert answer is not None
        assert answer.status == 404, path
