"""Applications that cannot be edited run behind `install`, under real servers, with their own clients."""

from __future__ import annotations

import queue
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import engineio
import pytest
from playwright.sync_api import BrowserContext

from test.browser import browser_fixture as browser_fixture
from test.browser import needs_chromium
from test.browser import playwright_fixture as playwright_fixture
from test.programs import Program
from test.server.wsgi_hosts import HOSTS, LEGACY, command, python_of
from ws4py_ng.client.threadedclient import connect
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import MIB, Limits

WAIT = 20
LARGE = Limits(max_message_size=16 * MIB)
THREADS = ("werkzeug", "gunicorn-sync", "gunicorn-gthread", "cheroot", "wsgiref")
GREENLETS = ("pywsgi", "gunicorn-gevent", "eventlet", "gunicorn-eventlet")
HEAD = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@contextmanager
def running(host: str, site: str) -> Iterator[int]:
    assert host not in LEGACY or python_of("eventlet"), "eventlet has no environment: `make test` makes .venv-legacy"
    with Program(command(host, f"test.shims.sites.{site}")) as program:
        line = program.line()
        assert line.startswith("listening on "), line
        yield int(line.split()[-1])
        program.process.terminate()  # a process that is killed leaves its workers behind
        program.status()


def page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT) as answer:
        return bytes(answer.read())


def test_every_host_is_known() -> None:
    assert {*THREADS, *GREENLETS} - set(HOSTS) <= {each for each in (*THREADS, *GREENLETS) if "gunicorn" in each}


@pytest.mark.parametrize("host", [*THREADS, *GREENLETS])
def test_simple_websocket_serves_under_every_server(host: str) -> None:
    with running(host, "simple") as port:
        assert b"page" == page(port)
        with connect(f"ws://127.0.0.1:{port}/", ["echo"], limits=LARGE) as ws:
            assert [b"echo"] == ws.protocols
            for message in ("", "text", "x" * (3 * MIB)):
                ws.send(message)
                assert message == str(ws.receive(WAIT))
            ws.send("bye")
            with pytest.raises(ConnectionClosed) as caught:
                ws.receive(WAIT)
        assert (4000, "bye") == (caught.value.code, caught.value.reason)
        assert b"page" == page(port)


@pytest.mark.parametrize("host", [*THREADS, *GREENLETS])
def test_nothing_is_written_behind_the_close_frame(host: str) -> None:
    with running(host, "simple") as port, socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        sock.sendall(HEAD.encode() + b"\x81\x83\x00\x00\x00\x00bye")
        came = b""
        while not came.endswith(b"\x88\x05\x0f\xa0bye"):
            data = sock.recv(4096)
            assert data, came
            came += data
        sock.sendall(b"\x88\x82\x00\x00\x00\x00\x0f\xa0")
        with suppress(ConnectionResetError):
            assert b"" == sock.recv(4096)


@pytest.mark.parametrize("host", ["werkzeug", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "pywsgi"])
def test_flask_sock_runs_unedited(host: str) -> None:
    with running(host, "flask_sock_echo") as port:
        for message in ("text", "x" * (3 * MIB)):
            with connect(f"ws://127.0.0.1:{port}/echo", limits=LARGE) as ws:
                ws.send(message)
                assert message == str(ws.receive(WAIT))
                ws.send("close")
                with pytest.raises(ConnectionClosed) as caught:
                    ws.receive(WAIT)
                assert 1000 == caught.value.code
        assert b"page" == page(port)


def test_conversations_take_no_place_of_a_pool_of_threads() -> None:
    # There are four threads.
    with running("gunicorn-gthread", "flask_sock_echo") as port, ExitStack() as stack:
        opened = [stack.enter_context(connect(f"ws://127.0.0.1:{port}/echo")) for _ in range(10)]
        for ws in opened:
            ws.send("x")
            assert "x" == str(ws.receive(WAIT))
        assert b"page" == page(port)


@pytest.mark.parametrize("site", ["engineio_echo", "engineio_gevent"])
def test_engineio_and_its_client_run_unedited(site: str) -> None:
    with ExitStack() as stack:
        if site == "engineio_gevent":
            program = stack.enter_context(Program([sys.executable, "-W", "ignore", "-m", f"test.shims.sites.{site}"]))
            port = int(program.line().split()[-1])
        else:
            port = stack.enter_context(running("werkzeug", site))
        came: queue.SimpleQueue[object] = queue.SimpleQueue()
        client = engineio.Client()
        client.on("message", came.put)
        client.connect(f"http://127.0.0.1:{port}", transports=["websocket"])
        stack.callback(client.disconnect)
        assert "websocket" == client.transport()
        for message in ("text", b"\x00\xff", "x" * 500_000):
            client.send(message)
            assert message == came.get(timeout=WAIT)


@needs_chromium
def test_a_browser_talks_to_flask_socketio(browser: BrowserContext) -> None:
    with running("werkzeug", "socketio_echo") as port:
        tab = browser.new_page()
        tab.goto(f"http://127.0.0.1:{port}/")
        tab.wait_for_function("document.title != 'waiting'")
        assert ("h\u00e9llo; bytes 1,2,255", "websocket") == (tab.title(), tab.evaluate("window.transport"))
        tab.close()


@pytest.mark.parametrize("host", ["werkzeug", "pywsgi", "eventlet", "aiohttp"])
def test_what_came_before_a_violation_is_answered(host: str) -> None:
    with ExitStack() as stack:
        if host == "aiohttp":
            program = stack.enter_context(Program([sys.executable, "-m", "test.shims.sites.aioserver_echo"]))
            port = int(program.line().split()[-1])
        else:
            port = stack.enter_context(running(host, "simple"))
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT))
        head = HEAD.replace("GET / ", "GET /echo ")
        sock.sendall(head.encode() + b"\x81\x82\x00\x00\x00\x00hi" * 3 + b"\x83\x80\x00\x00\x00\x00")
        came = b""
        while data := sock.recv(4096):
            came += data
        frames = came.partition(b"\r\n\r\n")[2]
        assert (b"\x81\x02hi" * 3, b"\x03\xea") == (frames[:12], frames[14:16])
