"""The examples of WSGI hosts in headless Chromium, and with the websockets library, each host a process.

The page is one of the same host, so that the Origin of its WebSocket is the host's own.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext
from websockets.sync.client import connect

from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.programs import ROOT, WAIT, Program

from .test_asgi_browser import SCRIPT
from .wsgi_hosts import python_of

pytestmark = needs_chromium
FOLDER = ROOT / "example"


@dataclass(frozen=True)
class Example:
    """Name an example; ``worker`` is gunicorn's for it. ``said`` is what comes back of a text."""

    name: str
    path: str
    worker: str = ""
    said: str = "{}"
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.name} gunicorn-{self.worker}" if self.worker else self.name

    def command(self, python: str) -> list[str]:
        """Return the command that serves it at a free port."""
        if not self.worker:
            return [python, "-W", "ignore", str(FOLDER / f"{self.name}.py"), "0"]
        options = ["--config", "python:test.server.wsgi_hosts", "--no-control-socket", "--chdir", str(FOLDER)]
        variable = "app" if self.name.startswith("flask") else "application"
        served = ["--worker-class", self.worker, "--bind", "127.0.0.1:0", f"{self.name}:{variable}"]
        return [python, "-W", "ignore", "-m", "gunicorn", *options, *served]

    @contextmanager
    def run(self) -> Iterator[int]:
        """Serve it; yield its port. It ends well when it is told to."""
        python = python_of("eventlet") if self.needs == "eventlet" else sys.executable
        if python is None:
            pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
        with Program(self.command(python)) as program:
            found = re.fullmatch(r"listening on (?:ws://127\.0\.0\.1:)?(\d+)(?:/\w*)?", program.line())
            assert found
            yield int(found[1])
            program.send_signal(signal.SIGTERM if self.worker or self.name.startswith("cherrypy") else signal.SIGINT)
            assert 0 == program.status(), program.errors()


EXAMPLES = (
    Example("flask_chat", "/chat"),
    Example("flask_chat", "/chat", "sync"),
    Example("flask_chat", "/chat", "gthread"),
    Example("flask_chat", "/chat", "gevent"),
    Example("gunicorn_echo", "/echo", "eventlet", needs="eventlet"),
    Example("django_wsgi", "/echo", "gthread"),
    Example("cheroot_echo", "/echo"),
    Example("gevent_server", "/echo"),
    Example("pywsgi_echo", "/echo"),
    Example("eventlet_server", "/echo", needs="eventlet"),
    Example("cherrypy_chat", "/ws", said="somebody: {}"),
)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_page_and_a_library_speak_to_it(example: Example, browser: BrowserContext) -> None:
    texts = ["grüße", "x" * 70_000]
    with example.run() as port:
        with connect(f"ws://127.0.0.1:{port}{example.path}", proxy=None) as client:
            for text in texts:
                client.send(text)
                assert example.said.format(text) == client.recv(WAIT)
        page = browser.new_page()
        try:
            page.goto(f"http://127.0.0.1:{port}/")
            found = page.evaluate(SCRIPT, [f"ws://127.0.0.1:{port}{example.path}", texts])
        finally:
            page.close()
    assert [[example.said.format(text) for text in texts], 4321, True] == found
