"""A customer who installs a combi in a browser without reading anything: what the pages propose is good enough."""

from importlib import import_module
from uuid import UUID

from playwright.async_api import Locator, Page, expect
from sqlalchemy import text

from hub.engine import registry
from tests.browser.stage import ELSEWHERE, Stage
from tests.conformance.adapter import Adapter

CURRENT = "[aria-current=step]"
NEXT = ".going button.primary, .going a.primary"


def adapter_of(connector: str) -> Adapter:
    """A connector's facts for the tests."""
    found: Adapter = import_module(f"tests.conformance.{connector}").ADAPTER
    return found


def side_of(page: Page, side: str) -> Locator:
    """One of the two packages on the page where they are linked."""
    return page.locator(f"section.side[aria-labelledby='h-{side}']")


async def connect(page: Page, site: Stage, side: str, connector: str) -> None:
    """Links a side, and sees which account was reached."""
    await ask(page, site, side, connector)
    if not registry.get(connector).manifest.auth[adapter_of(connector).linked_by].typed:
        await consent(page, site, connector)
    await expect(side_of(page, side).locator(".reached")).to_be_visible()


async def ask(page: Page, site: Stage, side: str, connector: str) -> None:
    """Types what a package asks, and presses the button."""
    way = adapter_of(connector).linked_by
    form = side_of(page, side).locator("form").nth(way)
    if way:
        await side_of(page, side).locator("details.other-ways > summary").click()
    for name, value in adapter_of(connector).types(site.boxes[connector]).items():
        await form.locator(f"[name='fields.{name}']").fill(value)
    await form.locator("button").click()


async def consent(page: Page, site: Stage, connector: str, said: str = "yes") -> None:
    """Answers on the package's own page, on another site; it brings the browser back."""
    button = page.locator(f"button[name=consent][value={said}]")
    await expect(button).to_be_visible()
    assert f"//{ELSEWHERE}:" in page.url
    for name, value in adapter_of(connector).consents(site.boxes[connector]).items():
        await page.locator(f"[name={name}]").fill(value)
    await button.click()


async def know_customer(page: Page, site: Stage, email: str = "klant@kantoor.example") -> None:
    """Types an address where the source gave none, and comes back by the link in the mail."""
    asked = page.locator("form[action='/login'] input[name=email]")
    if not await asked.count():
        return
    await asked.fill(email)
    await page.locator("form[action='/login'] button").click()
    await site.follow_mail(page)


async def link_both(page: Page, site: Stage, source: str, target: str, query: str = "") -> None:
    """From the deep link to a draft."""
    await page.goto(f"/install/{source}/{target}{query}")
    await connect(page, site, "source", source)
    await know_customer(page, site)
    await connect(page, site, "target", target)
    await expect(page.locator("[data-combi]")).to_be_visible()


async def fill_in(page: Page, *, blindly: bool) -> None:
    """What a page of questions cannot propose: an administration that nothing is like, accounts that do not exist in
    the target, and a day for books of a fixed year."""
    for select in await page.locator("select[name^='administrations.']").all():
        if not await select.input_value():
            await select.select_option(index=1)
    red = [] if blindly else await page.locator("li.line:has(.pill.bad)").all()
    for line in red:
        known = await page.locator("#l-accounts option").first.get_attribute("value")
        await line.locator("input[list]").fill(known or "")
    if await (everything := page.locator("input[name=start_date][value=all]")).count():
        await everything.check()


async def to_step(page: Page, step: str, *, blindly: bool = False) -> None:
    """Goes on, a page at a time, until a step; blindly: whatever is red."""
    for _ in range(12):
        current = (await page.locator(CURRENT).inner_text()).strip()
        if current == step:
            return
        await fill_in(page, blindly=blindly)
        await page.locator(NEXT).click()
        await expect(page.locator(CURRENT)).not_to_have_text(current)
    raise AssertionError(f"{step} was not reached")


async def install(page: Page, site: Stage, source: str, target: str, query: str = "") -> UUID:
    """The whole way to the end of the first run; gives the combi."""
    await link_both(page, site, source, target, query)
    await page.locator(".notice a.primary").click()
    await to_step(page, "Proefrun")
    await page.locator(".going button.primary").click()
    await page.wait_for_url("**/setup/running")
    await expect(page.locator("section.card .pill").first).to_be_visible()
    await expect(page.locator("progress")).to_have_count(0)
    return UUID(page.url.split("/combis/")[1].split("/")[0])


async def booked(site: Stage, combi: UUID) -> list[tuple[str, str]]:
    """Flow and number of every document of a combi that was written into the target."""
    async with site.hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT i.flow, i.number FROM item i JOIN delivery d ON d.id = i.delivery_id
                WHERE i.combi_id = :combi AND i.status = 'booked' AND d.state = 'recorded' AND NOT d.adopted"""
            ),
            {"combi": combi},
        )
        return [(row.flow, row.number) for row in found]


async def standing_of(site: Stage, combi: UUID) -> str:
    """Where a combi stands."""
    async with site.hub.database.system() as session:
        return str((await session.execute(text("SELECT status FROM combi WHERE id = :id"), {"id": combi})).scalar_one())
