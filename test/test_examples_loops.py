"""The examples of asyncio, trio and tornado, each in a process of its own, and whoever talks to them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import sync_playwright
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from test.programs import ROOT, WAIT, Program, run

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
MANY = 200

TALK = """([url, messages]) => new Promise((resolve, reject) => {
    const ws = new WebSocket(url);
    const seen = [];
    ws.onopen = () => messages.forEach(message => ws.send(message));
    ws.onmessage = event => { seen.push(event.data); if (seen.length == messages.length) ws.close(4000, "enough"); };
    ws.onclose = event => resolve([seen, event.code, event.reason, event.wasClean]);
    ws.onerror = () => reject(new Error("no WebSocket"));
})"""


class Example(NamedTuple):
    """Say what an example is called, where its WebSocket is, what its page and its own client say."""

    name: str
    path: str
    page: bytes
    says: bytes


EXAMPLES = [
    Example("asyncio_echo", "", b"There is a WebSocket here\n", b"hello\n"),
    Example("trio_echo", "", b"There is a WebSocket here\n", b"hello\nclosed: 1000\n"),
    Example("tornado_echo", "echo", b"There is a WebSocket at /echo\n", b"hello\nclosed: 1000\n"),
]

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def command(example: Example) -> list[str]:
    return [sys.executable, "-W", "error", str(ROOT / "example" / f"{example.name}.py")]


@contextlib.contextmanager
def serving(example: Example, *, stop: bool = True) -> Iterator[tuple[Program, str]]:
    """Run an example until the block ends, or until it is told to ``stop`` there; see it end well."""
    with Program([*command(example), "0"]) as program:
        yield program, program.line().removeprefix("listening on ws://")
        if stop:
            program.send_signal(signal.SIGINT)
        # A browser asks for an icon, of which tornado takes note.
        assert (0, []) == (program.status(), [line for line in program.errors() if "/favicon.ico" not in line])


@each
def test_its_own_client_talks_to_it(example: Example) -> None:
    with serving(example) as (_, address):
        client = run([*command(example), "--client", f"ws://{address}{example.path}"])
        assert (0, example.says, b"") == (client.returncode, client.stdout, client.stderr)


@each
def test_plain_requests_are_answered_beside_many_connections_and_all_are_closed_with_1001(example: Example) -> None:
    with serving(example, stop=False) as (program, address), contextlib.ExitStack() as stack:
        many = [stack.enter_context(connect(f"ws://{address}{example.path}", proxy=None)) for _ in range(MANY)]
        for number, ws in enumerate(many):
            ws.send(f"{number}")
            if number % 10 == 0:
                with urllib.request.urlopen(f"http://{address}", timeout=WAIT) as answer:
                    assert example.page == answer.read()
        assert [f"{number}" for number in range(MANY)] == [ws.recv(timeout=WAIT) for ws in many]
        program.send_signal(signal.SIGINT)
        for ws in many:
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv(timeout=WAIT)
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code


@pytest.mark.skipif(CHROMIUM is None, reason="there is no `chromium` on the PATH: apt-get install -y chromium")
def test_chromium_talks_to_each() -> None:
    messages = ["one", "z\u00fc\u20ac\U0001f600", "x" * 100_000]
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=WAIT * 1000)
        for example in EXAMPLES:
            with serving(example) as (_, address):
                page = browser.new_page()
                page.goto(f"http://{address}")
                found = page.evaluate(TALK, [f"ws://{address}{example.path}", messages])
                assert [messages, 4000, "enough", True] == found, example.name
                page.close()
        browser.close()
