"""The examples with a page, in headless Chromium."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, Page, expect

from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.programs import ROOT, WAIT, Program

pytestmark = needs_chromium
expect.set_options(timeout=WAIT * 1000)


@contextmanager
def opened(browser: BrowserContext, name: str) -> Iterator[Page]:
    """Open the page of an example; afterwards its console must be silent, and the example ends well."""
    with Program([sys.executable, "-W", "error", str(ROOT / "example" / name), "0"]) as program:
        line = program.line()
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(line.removeprefix("listening on "))
        yield page
        page.close()
        assert [] == complaints
        program.send_signal()
        assert 0 == program.status(), program.errors()


def test_a_hundred_numbers_make_a_plot_that_moves(browser: BrowserContext) -> None:
    with opened(browser, "gevent_plot.py") as page:
        page.wait_for_function("document.title > 10")
        first = page.evaluate("canvas.toDataURL()")
        page.wait_for_function("before => canvas.toDataURL() != before", arg=first)
        expect(page.locator("p")).to_have_text("closed: 1000")
        assert 100 == page.evaluate("numbers.length")
        assert [0, 1] == page.evaluate("[numbers[0], Math.round(Math.max(...numbers) * 10) / 10]")


def test_a_producer_pushes_its_counter_to_every_page(browser: BrowserContext) -> None:
    with opened(browser, "counter_producer.py") as page:
        page.wait_for_function("Number(document.querySelector('output').textContent) > 3")
        other = browser.new_page()
        other.goto(page.url)
        seen = int(page.locator("output").inner_text())
        other.wait_for_function("seen => Number(document.querySelector('output').textContent) > seen", arg=seen)
        page.wait_for_function("seen => Number(document.querySelector('output').textContent) > seen", arg=seen)
        other.close()


def test_a_view_of_flask_echoes(browser: BrowserContext) -> None:
    with opened(browser, "flask_echo.py") as page:
        for text in ("héllo", "again"):
            page.get_by_role("textbox", name="Message").fill(text)
            page.keyboard.press("Enter")
            expect(page.locator("li").last).to_have_text(text)
        assert ["héllo", "again"] == page.locator("li").all_inner_texts()
        page.get_by_role("textbox", name="Message").fill("")
        page.keyboard.press("Enter")
        expect(page).to_have_title("closed: 1000")
