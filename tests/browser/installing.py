"""A customer who installs a combi in a browser without reading anything: what the pages propose is good enough."""

from importlib import import_module
from typing import Any

from playwright.async_api import Locator, Page, expect

from hub.engine import registry
from tests.browser.stage import ELSEWHERE, Stage
from tests.conformance.adapter import Adapter


def adapter_of(connector: str) -> Adapter:
    """A connector's facts for the tests."""
    found: Adapter = import_module(f"tests.conformance.{connector}").ADAPTER
    return found


def side_of(page: Page, side: str) -> Locator:
    """One of the two packages on the page where they are linked."""
    return page.locator(f"section.side[aria-labelledby='h-{side}']")


async def connect(page: Page, site: Stage, side: str, connector: str) -> None:
    """Links a side by the way that we advise, and sees which account was reached."""
    await ask(page, site, side, connector)
    if not registry.get(connector).manifest.auth[0].typed:
        await consent(page, site, connector)
    await expect(side_of(page, side).locator(".reached")).to_be_visible()


async def ask(page: Page, site: Stage, side: str, connector: str) -> None:
    """Types what a package asks, and presses the button."""
    form = side_of(page, side).locator("form").first
    for name, value in adapter_of(connector).types(site.boxes[connector]).items():
        await form.locator(f"[name='fields.{name}']").fill(value)
    await form.locator("button").click()


async def consent(page: Page, site: Stage, connector: str, answer: str = "yes") -> None:
    """Answers on the package's own page, on another site; it brings the browser back."""
    button = page.locator(f"button[name=consent][value={answer}]")
    await expect(button).to_be_visible()
    assert f"//{ELSEWHERE}:" in page.url
    for name, value in adapter_of(connector).consents(site.boxes[connector]).items():
        await page.locator(f"[name={name}]").fill(value)
    await button.click()
    await page.wait_for_url(f"{site.base}/**")


async def answer(page: Page, step: str) -> None:
    """Goes on from a page of questions with what it proposes; an administration that nothing is like is the first.

    All there is goes along, since the sandboxes' books are of a fixed year.
    """
    await expect(page.locator("[aria-current=step]")).to_have_text(step)
    for select in await page.locator("select[name^='administrations.']").all():
        if not await select.input_value():
            await select.select_option(index=1)
    if await (everything := page.locator("input[name=start_date][value=all]")).count():
        await everything.check()
    await page.locator(".going button.primary, .going a.primary").click()


async def install(page: Page, site: Stage, source: str, target: str, **query: Any) -> None:
    """The whole way: both accounts, every question, the check, the preview, and the first run to its end."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    await page.goto(f"/install/{source}/{target}?{asked}")
    await connect(page, site, "source", source)
    await connect(page, site, "target", target)
    await page.locator(".notice a.primary").click()
    await questions(page)
    await page.locator(".going button.primary").click()


async def questions(page: Page) -> None:
    """From the first question to the preview."""
    steps = [one.strip() for one in await page.locator(".steps li").all_inner_texts()]
    at = steps.index((await page.locator("[aria-current=step]").inner_text()).strip())
    for step in steps[at:-1]:
        await answer(page, step)
    await expect(page.locator("[aria-current=step]")).to_have_text(steps[-1])
