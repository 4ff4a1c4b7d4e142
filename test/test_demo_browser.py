"""The page of `ws4py-ng demo` in headless Chromium: what a visitor sees and does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

import ws4py_ng
from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.programs import WAIT, WS4PY_NG, Program

pytestmark = needs_chromium
expect.set_options(timeout=WAIT * 1000)


@pytest.fixture
def demo() -> Iterator[Program]:
    with Program([*WS4PY_NG, "demo", "--port", "0"]) as program:
        yield program


@pytest.fixture
def page(browser: BrowserContext, demo: Program) -> Iterator[Page]:
    """Open the page of a demo of its own; afterwards its console must be silent."""
    found = re.search(r"http://\S+", demo.line())
    assert found
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.goto(found[0])
    yield page
    page.close()
    assert [] == complaints


def row(page: Page, kind: str, text: str) -> list[str]:
    """Wait for a row of the log; return its cells."""
    found = page.locator(f"#log tr.{kind}", has_text=text)
    expect(found).to_have_count(1)
    return found.locator("td").all_inner_texts()


def message_field(page: Page) -> Locator:
    """Find where messages are typed."""
    return page.get_by_role("textbox", name="Message")


def say(page: Page, text: str) -> None:
    """Type a message, and send it by the keyboard."""
    message_field(page).fill(text)
    page.keyboard.press("Enter")


def expect_open(page: Page) -> None:
    """Wait for the connection."""
    expect(page.get_by_role("status")).to_have_text("open")


def test_it_connects_and_shows_what_it_is_connected_to(page: Page) -> None:
    expect_open(page)
    expect(page.locator("#build")).to_have_text(ws4py_ng.BUILD)
    expect(page.get_by_text(f"version {ws4py_ng.__version__}")).to_be_visible()
    assert "permessage-deflate" in row(page, "event", "connected")[-1]
    url = page.url.replace("http:", "ws:") + "echo"
    expect(page.locator("#url")).to_have_text(url)
    expect(page.locator("#command")).to_have_text(re.compile(f" connect {re.escape(url)}$"))
    # Without this the clock of the page is too coarse for times on one machine.
    assert page.evaluate("crossOriginIsolated")


def test_it_echoes_what_is_typed(page: Page) -> None:
    expect_open(page)
    for text, size in (
        ("plain", "5 B"),
        ("Grüße, 你好 🎈", "20 B"),
        ("<b>no & markup</b>", "18 B"),
        ("x" * 2000, "2 KiB"),
    ):
        say(page, text)
        expect(message_field(page)).to_have_value("")
        assert ["↑", "text", size] == [cell.split("\n")[-1].strip() for cell in row(page, "sent", text)[1:4]]
        _, arrow, kind, length, trip, content = row(page, "received", text)
        assert ("text", size, text) == (kind, length, content)
        assert "↓" in arrow
        assert re.fullmatch(r"[\d.]+ ms", trip)


def test_it_measures_the_round_trip(page: Page) -> None:
    number = re.compile(r"^\d+(\.\d+)? ms$")
    for name in ("last", "median", "min"):
        expect(page.locator(f"#rtt-{name}")).to_have_text(number)  # of the probe that it sends by itself
    probes = page.locator("#log tr.received", has_text="probe ")
    expect(probes).to_have_count(1)
    page.get_by_role("button", name="Probe").click()
    expect(probes).to_have_count(2)
    expect(page.get_by_role("img", name="2 round-trip times: last")).to_be_visible()
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(x => x)"
    assert page.locator("#plot").evaluate(drawn)
    page.get_by_label("every second").check()
    expect(probes).to_have_count(4)


def test_it_sends_binary_messages(page: Page) -> None:
    expect_open(page)
    sizes = page.get_by_label("Size")
    for label, shown in (("16 bytes", "16 B"), ("1 KiB", "1 KiB"), ("64 KiB", "64 KiB")):
        sizes.select_option(label=label)
        page.get_by_role("button", name="Send random bytes").click()
        received = page.locator("#log tr.received", has_text="binary").last
        expect(received).to_contain_text(shown)
        sent = page.locator("#log tr.sent", has_text="binary").last.locator("td.content").inner_text()
        assert sent == received.locator("td.content").inner_text()
        assert re.fullmatch(r"([0-9a-f]{2} ){15,63}([0-9a-f]{2}|[0-9a-f]{2} …)", sent)


def test_it_closes_and_connects_again(page: Page) -> None:
    expect_open(page)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("status")).to_have_text("closed: 1000 (normal closure)")
    assert "1000 (normal closure)" == row(page, "event", "1000")[-1]
    for name in ("Send", "Probe", "Send random bytes", "Close"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    # The button that was pressed is disabled now: the keyboard goes on at the one that helps.
    expect(page.get_by_role("button", name="Reconnect")).to_be_focused()
    page.keyboard.press("Enter")
    expect_open(page)
    say(page, "again")
    row(page, "received", "again")


def test_it_reconnects_an_open_connection(page: Page) -> None:
    expect_open(page)
    page.get_by_role("button", name="Reconnect").click()
    assert "1000 (normal closure): reconnecting" == row(page, "event", "1000")[-1]
    expect(page.locator("#log tr.event", has_text="connected")).to_have_count(2)
    expect_open(page)


def test_it_closes_with_a_code_and_a_reason(page: Page) -> None:
    expect_open(page)
    page.get_by_label("Code", exact=True).fill("2000")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#close-hint")).to_have_class("hint bad")
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    expect_open(page)
    page.get_by_label("Code", exact=True).fill("4321")
    page.get_by_label("Reason").fill("Tschüß")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("closed: 4321 (application)")
    assert "4321 (application): Tschüß" == row(page, "event", "4321")[-1]


def test_the_end_of_the_server_is_shown_as_1001(page: Page, demo: Program) -> None:
    row(page, "received", "probe 1")
    demo.send_signal()
    expect(page.get_by_role("status")).to_have_text("closed: 1001 (going away)")
    assert "1001 (going away): Server is shutting down" == row(page, "event", "1001")[-1]
    assert (0, []) == (demo.status(), demo.errors())


def test_a_server_that_dies_is_shown_as_1006(page: Page, demo: Program) -> None:
    expect_open(page)
    demo.process.kill()
    expect(page.get_by_role("status")).to_have_text("closed: 1006 (abnormal closure)")


def test_the_log_can_be_cleared_and_is_bounded(page: Page) -> None:
    expect_open(page)
    row(page, "received", "probe 1")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#log tr")).to_have_count(0)
    expect(page.locator("#sent-count")).to_have_text("0 sent")
    page.evaluate("for (let i = 0; i < 300; i++) document.getElementById('probe').click()")
    expect(page.locator("#received-count")).to_have_text("300 received")
    expect(page.locator("#log tr")).to_have_count(400)
    expect(page.locator("#log tr").last).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_small_screen_in_both_schemes(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    expect_open(page)
    say(page, "w" * 300)
    row(page, "received", "w" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 248)"
    assert light is (scheme == "light")


def test_all_controls_have_names(page: Page) -> None:
    expect_open(page)
    for control in page.locator("button, input, select").all():
        tree = control.aria_snapshot()
        assert re.search(r'"[^"]+"', tree), f"no name: {tree}"
