"""WebSockets in CherryPy, in a process of its own: the tool, the plugin, and the bus between them."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from test.client.peers import close_frame, frame
from test.programs import Program

from .test_wsgi import CLOSE, MANY, TEXT, Host, echo, eventually, is_quiet, part
from .wsgi_hosts import SHORT

PONG = 10
GOODBYE = (CLOSE, b"\x03\xe9Server is shutting down")


def start(*arguments: str) -> Program:
    """Run the site."""
    return Program([sys.executable, "-W", "error", "-m", "test.server.cherrypy_site", *arguments])


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with start() as program:
        yield Host("cherrypy", program)
        program.send_signal(signal.SIGTERM)
        errors = program.errors()
        assert 0 == program.status(), errors
    assert not any("Traceback" in line for line in errors), "\n".join(errors)


def test_messages_come_back(site: Host) -> None:
    with site.join() as peer:
        for size in (0, 125, 126, 70_000):
            echo(peer, b"x" * size)
        part(peer)


def test_the_answer_is_as_rfc_6455_writes_it(site: Host) -> None:
    with site.join(("Sec-WebSocket-Protocol", "v1, v2, other")) as peer:
        head = peer.head  # type: ignore[attr-defined]
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert b"\r\nSec-WebSocket-Protocol: v2" in head
        assert b"content-length" not in head.lower()
        assert b"content-type" not in head.lower()
        assert b"transfer-encoding" not in head.lower()
        part(peer)


def test_a_frame_in_the_segment_of_the_request_is_not_lost(site: Host) -> None:
    with site.join(behind=frame(TEXT, b"early")) as peer:
        assert (TEXT, b"early") == peer.take_frame()
        part(peer)


def test_a_timeout_of_the_server_does_not_count(site: Host) -> None:
    with site.join() as peer:
        echo(peer, b"before")
        assert is_quiet(peer, 1.5 * SHORT)
        echo(peer, b"after")
        part(peer)


def test_an_open_websocket_holds_no_thread(site: Host) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(site.join()) for _ in range(MANY)]
        for peer in peers:
            echo(peer, b"x")
            assert (200, b"a page") == site.page()
        # CherryPy's ten workers, ours, and those that run the engine.
        assert eventually(lambda: site.threads() < MANY // 10)
        for peer in peers:
            part(peer)


def test_a_plain_request_is_426(site: Host) -> None:
    sent = f"GET /ws HTTP/1.1\r\nHost: localhost:{site.port}\r\n\r\n".encode()
    with site.connect() as peer:
        peer.send(sent)
        head = peer.take_head().lower()
    assert head.startswith(b"http/1.1 426 ")
    assert b"\r\nupgrade: websocket" in head
    assert b"\r\nsec-websocket-version: 13" in head


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("Sec-WebSocket-Version", "8"), 426),
        (("Sec-WebSocket-Key", None), 400),
        (("Origin", "http://evil.example"), 403),
        (("Connection", "close"), 400),
    ],
)
def test_a_bad_request_is_refused(site: Host, change: tuple[str, str | None], status: int) -> None:
    assert status == site.ask(site.request(change))[0]


def test_another_method_is_405(site: Host) -> None:
    assert 405 == site.ask(site.request(method="POST"))[0]


def test_a_body_is_400(site: Host) -> None:
    assert 400 == site.ask(site.request(("Content-Length", "4")) + b"body")[0]


def test_the_page_handler_may_refuse(site: Host) -> None:
    with site.connect() as peer:
        peer.send(site.request(path="/ws?do=refuse"))
        head = peer.take_head()
    assert head.startswith(b"HTTP/1.1 403 ")
    assert b"Sec-Websocket-Accept" not in head
    assert b"upgrade" not in head.lower()


def test_a_page_handler_that_fails_is_500() -> None:
    with start() as program:
        site = Host("cherrypy", program)
        with site.connect() as peer:
            peer.send(site.request(path="/ws?do=fail"))
            head = peer.take_head()
        program.send_signal(signal.SIGTERM)
        errors = program.errors()
        assert 0 == program.status(), errors
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"upgrade" not in head.lower()
    # CherryPy writes a traceback of it, and of nothing else.
    text = "\n".join(errors)
    assert text.count("Traceback") == text.count("LookupError: the page fails") == 1, text


def test_the_page_handler_knows_the_websocket_and_may_send(site: Host) -> None:
    with site.join(path="/ws?do=greet") as peer:
        assert (TEXT, b"welcome, whoever you are") == peer.take_frame()
        part(peer)


def test_what_the_page_handler_returns_is_not_sent(site: Host) -> None:
    with site.join(path="/ws?do=return") as peer:
        echo(peer, b"x")
        part(peer)


def test_the_bus_reaches_everybody(site: Host) -> None:
    with site.join() as one, site.join() as two:
        for peer in (one, two):
            echo(peer, b"here")
        say = f"GET /say HTTP/1.1\r\nHost: localhost:{site.port}\r\nConnection: close\r\n\r\n".encode()
        assert (200, b"said") == site.ask(say)
        assert (TEXT, b"news") == one.take_frame() == two.take_frame()
        part(one)
        part(two)


def test_the_heart_beats(site: Host) -> None:
    with site.join(path="/beating") as peer:
        assert (PONG, b"beep") == peer.take_frame()
        assert (PONG, b"beep") == peer.take_frame()


def test_the_engine_stops_and_starts_again() -> None:
    # At port 0 cheroot would not take the same port twice while connections of the first time are remembered.
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with start("--restart", "--port", str(port)) as program:
        host = Host("cherrypy", program)
        with host.join() as peer:
            echo(peer, b"x")
            restart = f"GET /restart HTTP/1.1\r\nHost: localhost:{host.port}\r\nConnection: close\r\n\r\n".encode()
            host.ask(restart)
            assert GOODBYE == peer.take_frame()
            peer.send(close_frame(1001))
            assert b"" == peer.take_rest()
        again = Host("cherrypy", program)
        with again.join() as peer:
            echo(peer, b"again")
            program.send_signal(signal.SIGTERM)
            assert GOODBYE == peer.take_frame()
        assert 0 == program.status(), program.errors()


def test_tls_is_handed_over_as_well(tls_files: dict[str, str]) -> None:
    from test.client.peers import client_context

    with start("--tls", *tls_files.values()) as program:
        host = Host("cherrypy", program)
        with host.join(context=client_context(), behind=frame(TEXT, b"early")) as peer:
            assert (TEXT, b"early") == peer.take_frame()
            assert is_quiet(peer, 1.5 * SHORT)
            echo(peer, b"x" * 300_000)
            part(peer)


def test_without_a_plugin_the_websocket_ends() -> None:
    with start("--no-plugin") as program, Host("cherrypy", program).join() as peer:
        assert b"" == peer.take_rest()


def test_the_access_log_has_a_101() -> None:
    with start("--log") as program:
        host = Host("cherrypy", program)
        with host.join() as peer:
            echo(peer, b"x")
            part(peer)
        lines = [program.line()]
        while "/ws" not in lines[-1]:
            lines.append(program.line())
    assert '"GET /ws HTTP/1.1" 101 ' in lines[-1]
