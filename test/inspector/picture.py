"""Make docs/inspect.png anew: `python -m test.inspector.picture`, with the Chromium on the PATH."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from test.browser import CHROMIUM, FLAGS
from test.inspector.made import story
from test.programs import ROOT, WS4PY_NG, run

__all__ = ["main"]


def main() -> None:
    """Open the page of a conversation, and take a picture of it at its violation."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        out = Path(folder, "out.html")
        run([*WS4PY_NG, "inspect", str(story(Path(folder, "orders.wscap"))), "--html", str(out)]).check_returncode()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 820}, color_scheme="light")
        page.goto(out.as_uri())
        page.get_by_role("button", name="of the client: 1007").click()
        page.screenshot(path=ROOT / "docs" / "inspect.png")
        browser.close()


if __name__ == "__main__":
    main()
