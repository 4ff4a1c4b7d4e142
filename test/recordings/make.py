"""Make recordings anew: ``python -m test.recordings.make [NAME ...]``.

It serves each scene's class by threads, captures that, and plays the other side: the Chromium on the
PATH, headless, or bytes made by hand.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, sync_playwright

from test.client.peers import request
from test.recordings.scenes import QUIET, SCENES, Scene
from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.server.threadedserver import serve

HERE = Path(__file__).parent
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
HELPERS = """
async ([url, script]) => {
    const open = protocols => new Promise((resolve, reject) => {
        const ws = new WebSocket(url, protocols || []);
        ws.binaryType = 'arraybuffer';
        const got = [], waiting = [];
        const take = () => { while (got.length && waiting.length) waiting.shift()(got.shift()); };
        ws.onmessage = event => { got.push(event.data); take(); };
        const closed = new Promise(resolve => { ws.onclose = event => resolve(event.code); });
        const next = () => new Promise(resolve => { waiting.push(resolve); take(); });
        ws.onopen = () => resolve({ws, next, closed});
        ws.onerror = reject;
    });
    await new (async () => {}).constructor('url', 'open', script)(url, open);
}
"""


def record(scene: Scene, path: Path, new_context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Record one scene; ``new_context`` gives one of a browser, for scenes that have one."""
    for old in path.parent.glob(f"{path.name.partition('.')[0]}.*wscap*"):
        old.unlink()
    options = {"limits": QUIET, "deflate": scene.deflate, **scene.options}
    with serve(scene.app, "127.0.0.1", 0, capture=_without_the_page(path), process_request=_page, **options) as server:
        server.start()
        if scene.raw:
            by_hand(scene, server.port)
        else:
            with new_context() as context:
                by_browser(scene, server.port, context)
        if scene.end:
            server._changed.acquire()
            with suppress(Exception):
                server._changed.wait_for(lambda: not server._visitors, 20)
            server._changed.release()


def _page(asked: Request) -> Response | None:
    """Give the page that talks to the server it came from."""
    if "upgrade" in asked.headers.tokens("Connection", lower=True):
        return None
    return Response(200, Headers([("Content-Type", "text/html")]), body=b"<title>recording</title>")


def _without_the_page(path: Path) -> Any:
    return lambda asked: path if asked is not None and _page(asked) is None else None


def by_hand(scene: Scene, port: int) -> None:
    """Send bytes, each time when those before have been read."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(request(port=port))
        assert b"101 Switching" in sock.recv(1000)
        for number, data in enumerate(scene.raw):
            sock.sendall(data)
            if scene.end == "reset" and number == 0:
                assert sock.recv(1000)
        if scene.end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        while sock.recv(1000):
            pass


def by_browser(scene: Scene, port: int, context: Any) -> None:
    """Let a page play its part."""
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/page")
    page.evaluate(HELPERS, [f"ws://127.0.0.1:{port}/chat?room=1", scene.script])
    if scene.end == "page crash":
        with suppress(Error):
            page.goto("chrome://crash", timeout=3000)
    if scene.end == "kill":
        return  # by whoever has started the browser
    with suppress(Error):
        page.close()


@contextmanager
def browser_to_kill(playwright: Any, chromium: str) -> Iterator[Any]:
    """Start a browser of its own, and kill it with all of its processes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr is not None
        line = next(line for line in process.stderr if "DevTools listening on " in line)
        browser = playwright.chromium.connect_over_cdp(line.rpartition(" ")[2].strip())
        try:
            yield browser.new_context()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stderr.close()


def make(names: list[str], directory: Path = HERE) -> None:
    """Record scenes into a directory."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no `chromium` on the PATH: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        for name in names:
            scene, path = SCENES[name], directory / f"{name}.wscap.gz"
            if scene.end == "kill":
                record(scene, path, lambda: browser_to_kill(playwright, chromium))
            else:
                record(scene, path, lambda: closing(browser.new_context()))
        browser.close()


if __name__ == "__main__":
    make(sys.argv[1:] or list(SCENES))
