"""The examples of ASGI and aiohttp in headless Chromium, from pages of their own."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.server.asgi_examples import EXAMPLES, Example

pytestmark = needs_chromium

SCRIPT = """([url, data]) => new Promise(resolve => {
    const seen = [];
    const ws = new WebSocket(url);
    ws.binaryType = "arraybuffer";
    const next = () => data.length ? ws.send(data.shift()) : ws.close(4321, "bye");
    data = data.map(item => typeof item === "string" ? item : new Uint8Array(item));
    ws.onopen = next;
    ws.onmessage = event => {
        seen.push(typeof event.data === "string" ? event.data : [...new Uint8Array(event.data)]);
        next();
    };
    ws.onclose = event => resolve([seen, event.code, event.wasClean]);
})"""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_page_speaks_to_it(example: Example, browser: BrowserContext) -> None:
    if example.missing():
        pytest.skip(f"{example} needs {', '.join(example.missing())}")
    sent: list[Any] = ["grüße"]
    expected: list[Any] = [example.answer]
    if example.echoes:
        sent += [[0, 255, 128], "x" * 70_000]
        expected += sent[1:]
    with example.run() as address:
        page = browser.new_page()
        try:
            page.goto(f"http://{address}{example.page}")
            found = page.evaluate(SCRIPT, [f"ws://{address}{example.path}", sent])
        finally:
            page.close()
    assert [expected, example.code, True] == found
