"""Pictures of the main pages, taken in a real browser from a demo that is started for it."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
EMAIL = "demo@combihub.example"
INVOICE = "F2026-0412"
"""One with a posting of several lines."""
SIZE = {"width": 1200, "height": 780}
PHONE = {"width": 390, "height": 780}
PATIENCE_S = 300


def main() -> int:
    """Starts the demo, looks at its pages, and stops it."""
    chromium = os.environ.get("HUB_TEST_CHROMIUM")
    if chromium is None:
        print(os.environ.get("HUB_TEST_NO_CHROMIUM", "no Chromium"), file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="combihub-") as folder, demo(Path(folder)) as base:
        asyncio.run(pictures(chromium, base, Path(folder)))
    return 0


async def pictures(chromium: str, base: str, folder: Path) -> None:
    """All of them."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--lang=nl"])
        await of_the_demo(browser, base, folder)
        await of_an_installation(browser, base)
        await browser.close()


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """A demo with data of its own; gives its address once its combis have run. Raises RuntimeError when it ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    base = f"http://127.0.0.1:{port}"
    folder.chmod(0o711)  # as root the embedded PostgreSQL runs as another user
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    said = folder / "demo.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.cli", "demo", "--port", str(port)],
            env={**kept, "HUB_DATA_DIR": str(folder / "data")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while base not in said.read_text(errors="replace"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the demo did not start:\n{said.read_text(errors='replace')[-2000:]}")
                time.sleep(0.5)
            yield base
        finally:
            process.terminate()
            process.wait(60)


async def of_the_demo(browser: Browser, base: str, folder: Path) -> None:
    """What a customer sees day by day, in light, in dark and on a phone."""
    context = await browser.new_context(base_url=base, locale="nl-NL", viewport=SIZE, reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    await log_in(page, folder)
    await picture(page, "/", "combis")
    combi, payroll = await combi_of(page, "Simplicate"), await combi_of(page, "Nmbrs")
    await picture(page, "/attention", "attention")
    await picture(page, f"{combi}/log", "log")
    await page.goto(f"{combi}/log?flow=invoices&status=booked")
    await page.locator("main tbody a").first.click()
    await page.locator("[hx-trigger] table").wait_for()
    await page.screenshot(path=FOLDER / "document.png")
    await picture(page, f"{combi}/statistics", "statistics")
    await picture(page, f"{payroll}/history", "history")
    await page.emulate_media(color_scheme="dark")
    await picture(page, "/", "combis-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await picture(page, "/", "combis-phone")
    await context.close()


async def combi_of(page: Page, source: str) -> str:
    """The path of the newest combi that reads from a package."""
    href = await page.locator("main a[href^='/combis/']", has_text=source).first.get_attribute("href")
    return re.sub(r"(/combis/[^/]+).*", r"\1", str(href))


async def log_in(page: Page, folder: Path) -> None:
    """Follows the link that the demo mails into its folder."""
    await page.goto("/login")
    await page.locator("input[name=email]").fill(EMAIL)
    await page.locator("main form button").click()
    mails: list[Path] = []
    while not mails:
        await asyncio.sleep(0.2)
        mails = sorted((folder / "data").rglob("*.eml"))
    text = str(BytesParser(policy=policy.default).parsebytes(mails[-1].read_bytes()).get_content())
    await page.goto(re.findall(r"http\S+/login/\S+", text)[-1])
    await page.locator("main form button").click()


async def of_an_installation(browser: Browser, base: str) -> None:
    """What a newcomer sees who links Simplicate to Minox."""
    context = await browser.new_context(base_url=base, locale="nl-NL", viewport=SIZE, reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    await picture(page, "/catalogue/simplicate-minox", "catalogue")
    await page.goto("/install/simplicate/minox")
    await page.locator("#f-simplicate-oauth-domain").fill("waterlinie")
    for side, typed in (("source", {"email": "anna@waterlinie.example"}), ("target", {})):
        await page.locator(f"section.side[aria-labelledby=h-{side}] form button").first.click()
        for name, value in typed.items():
            await page.locator(f"[name={name}]").fill(value)
        await page.locator("button[name=consent][value=yes]").click()
        await page.wait_for_url("**/install/**")
        if side == "source":
            await page.screenshot(path=FOLDER / "install.png")
    await page.locator(".notice a.primary").click()
    for _ in range(9):
        for select in await page.locator("select[name^='administrations.']").all():
            if not await select.input_value():
                await select.select_option(index=1)
        if await page.locator("#l-accounts").count():
            await page.screenshot(path=FOLDER / "mapping.png")
        if await page.locator("details.preview").count():
            break
        await page.locator(".going .primary").click()
        await page.wait_for_load_state("networkidle")
    await page.screenshot(path=FOLDER / "preview.png")
    await context.close()


async def picture(page: Page, path: str, name: str) -> None:
    """One page, as much of it as fits the screen."""
    await page.goto(path)
    await page.wait_for_load_state("networkidle")
    await page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
