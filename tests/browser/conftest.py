"""One Chromium for all browser tests, and a hub of its own for each of them."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from hub.config import Config
from hub.kit.database import Database
from hub.kit.embedded import Services
from tests.browser.stage import Stage, chromium, stage

NO_CHROMIUM = "no Chromium: install it (Debian: apt-get install chromium) or name one in HUB_TEST_CHROMIUM"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium without a screen."""
    path = chromium()
    if path is None:
        pytest.skip(os.environ.get("HUB_TEST_NO_CHROMIUM", NO_CHROMIUM))
    async with async_playwright() as playwright:
        # Tests run as root in containers, where Chromium's own sandbox cannot be had.
        found = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        await found.close()


@pytest.fixture
async def site(
    config: Config, services: Services, database: Database, clean: None, browser: Browser, tmp_path: Path
) -> AsyncIterator[Stage]:
    """The hub beside the sandboxes, empty. Whatever a test does, no page asks for anything of anybody else."""
    async with stage(config, services, browser, tmp_path) as built:
        yield built
        for context in browser.contexts:
            await context.close()
    assert built.strangers == []
    assert built.complaints == []
