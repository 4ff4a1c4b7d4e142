"""Headless Chromium for the tests of one module: import the two fixtures there, and `needs_chromium`.

They are asked for as ``browser`` and ``playwright``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from test.programs import WAIT

__all__ = ["browser_fixture", "needs_chromium", "playwright_fixture"]

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no `chromium` on the PATH: apt-get install -y chromium"
)


@pytest.fixture(name="playwright", scope="module")
def playwright_fixture() -> Iterator[Playwright]:
    """Start what drives the browser; asyncio.run does not work meanwhile."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(name="browser", scope="module")
def browser_fixture(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Start one browser for all tests; the profile is empty."""
    profile = tmp_path_factory.mktemp("profile")
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=CHROMIUM, headless=True, args=FLAGS, timeout=WAIT * 1000
    )
    context.set_default_timeout(WAIT * 1000)
    yield context
    context.close()
