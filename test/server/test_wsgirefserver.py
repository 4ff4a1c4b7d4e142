"""wsgiref's server with WebSockets: real sockets, slow and hostile peers, TLS, and a clean end."""

from __future__ import annotations

import gc
import http.client
import re
import socket
import ssl
import threading
import wsgiref.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any
from wsgiref.simple_server import make_server

import pytest

from test.client.peers import (
    ACCEPT,
    WAIT,
    Ended,
    Peer,
    client_context,
    close_frame,
    echo_spy,
    frame,
    get,
    memory,
    open_files,
    request,
    server_context,
    spy,
)
from test.many import echoes, eventually
from ws4py_ng.limits import Limits
from ws4py_ng.manager import WebSocketManager
from ws4py_ng.server import wsgirefserver
from ws4py_ng.server.wsgirefserver import (
    WebSocketWSGIApplication,
    WebSocketWSGIHandler,
    WebSocketWSGIRequestHandler,
    WSGIServer,
)


class Handler(WebSocketWSGIRequestHandler):
    """Keep the log lines."""

    lines: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        self.lines.append(format % args)


class Running:
    """Hold a server that runs."""

    def __init__(self, server: Any, lines: list[str]) -> None:
        self.server = server
        self.lines = lines

    def connect(self, context: ssl.SSLContext | None = None) -> Peer:
        """Connect, and say nothing."""
        sock = socket.create_connection(self.server.server_address[:2], WAIT)
        return Peer(sock if context is None else context.wrap_socket(sock, server_hostname="localhost"))

    def join(self, *changes: tuple[str, str | None], **options: Any) -> Peer:
        """Connect and shake hands."""
        peer = self.connect(**options)
        peer.send(request(*changes, port=self.server.server_port))
        head = peer.take_head()
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
        return peer


@contextmanager
def serving(
    app: Any, tls: bool = False, limits: Limits | None = None, manager: bool = True, **kinds: Any
) -> Iterator[Running]:
    """Run a server on a free port; at the end nothing of it is left."""
    lines: list[str] = []
    attributes: dict[str, Any] = {"lines": lines} | ({"limits": limits} if limits else {})
    handler_class = type("Handler", (kinds.get("handler_class", Handler),), attributes)
    server_class = kinds.get("server_class", WSGIServer)
    server: Any = make_server("127.0.0.1", 0, app, server_class=server_class, handler_class=handler_class)
    if tls:
        server.socket = server_context().wrap_socket(server.socket, server_side=True)
    if manager:
        server.initialize_websockets_manager()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Running(server, lines)
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()
        assert not hasattr(server, "manager")
        assert "WebSocketManager" not in [each.name for each in threading.enumerate()]


@contextmanager
def echoing(**options: Any) -> Iterator[tuple[Running, Any]]:
    """Serve an echo."""
    kind = echo_spy()
    with serving(WebSocketWSGIApplication(handler_cls=kind), **options) as running:
        yield running, kind


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Be a plain application."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello ", environ["REQUEST_URI"].encode("ascii")]


def test_an_echo_as_ws4pys_users_write_it() -> None:
    with echoing() as (running, kind), running.connect() as peer:
        peer.send(request())
        head = peer.take_head()
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert f"Sec-WebSocket-Accept: {ACCEPT}".encode() in head
        assert b"content-length" not in head.lower()
        assert 1 == head.lower().count(b"upgrade: websocket")
        assert 1 == head.lower().count(b"connection:")
        assert echoes(peer)
        assert echoes(peer, b"x" * 70_000)
        assert eventually(lambda: 1 == len(running.server.manager))
        assert isinstance(running.server.manager, WebSocketManager)
        peer.send(close_frame(1000))
        assert (8, b"\x03\xe8") == peer.take_frame()
        assert b"" == peer.take_rest()
        assert Ended(1000, b"") == get(kind.endings)
        assert ['"GET / HTTP/1.1" 101 0'] == running.lines


def test_frames_behind_the_head_are_not_lost() -> None:
    with echoing() as (running, _), running.connect() as peer:
        payload = b"x" * 20_000
        peer.send(request() + frame(2, b"early") + frame(2, payload))
        peer.take_head()
        assert [(2, b"early"), (2, payload)] == [peer.take_frame() for _ in range(2)]
        assert echoes(peer)


def test_a_whole_conversation_in_one_segment() -> None:
    with echoing() as (running, kind), running.connect() as peer:
        peer.send(request() + frame(2, b"early") + close_frame(1000))
        peer.take_head()
        assert (2, b"early") == peer.take_frame()
        assert (8, b"\x03\xe8") == peer.take_frame()
        assert b"" == peer.take_rest()
        assert Ended(1000, b"") == get(kind.endings)


def test_52_a_plain_request_is_told_what_to_do() -> None:
    with echoing() as (running, _):
        connection = http.client.HTTPConnection(*running.server.server_address, timeout=WAIT)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert 426 == response.status
        assert "websocket" == response.getheader("Upgrade")
        assert b"open this with ws:// or wss://" in response.read()
        assert eventually(lambda: running.lines)
        assert running.lines[0].startswith('"GET / HTTP/1.1" 426 ')
        connection.close()


def test_plain_wsgi_beside_it_is_served_and_closed() -> None:
    with serving(hello) as running, running.connect() as peer:
        peer.send(request(line="GET /a%2Fb?c HTTP/1.1"))
        head = peer.take_head()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: close" in head
        assert b"hello /a%2Fb?c" == peer.take_rest()


def test_57_wsgiref_is_as_strict_as_before() -> None:
    assert wsgiref.util.is_hop_by_hop("Connection")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Keep-Alive", "timeout=5")])
        return [b""]

    class Quiet(WebSocketWSGIHandler):
        def log_exception(self, exc_info: Any) -> None:
            errors.append(exc_info[1])

    errors: list[BaseException] = []
    handler = type("Quietly", (Handler,), {"WebSocketWSGIHandler": Quiet})
    with serving(app, handler_class=handler) as running, running.connect() as peer:
        peer.send(request())
        assert peer.take_head().startswith(b"HTTP/1.1 500 ")
        assert "Hop-by-hop header, 'Keep-Alive: timeout=5', not allowed" in str(errors[0])


def test_an_application_may_be_a_generator_or_write_by_itself() -> None:
    inner = WebSocketWSGIApplication(handler_cls=echo_spy())

    def late(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        yield from inner(environ, start_response)

    def eager(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        def begin(status: str, headers: Any) -> None:
            start_response(status, [*headers, ("Content-Length", "0")])(b"")

        inner(environ, begin)
        return [b""]

    for app in (late, eager):
        with serving(app) as running, running.connect() as peer:
            peer.send(request())
            assert b"content-length" not in peer.take_head().lower()
            assert echoes(peer)


def test_an_application_may_keep_the_websocket_to_itself() -> None:
    inner = WebSocketWSGIApplication(handler_cls=echo_spy())
    taken: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        result = inner(environ, start_response)
        taken.append(environ.pop("ws4py.websocket"))
        del environ["ws4py_ng.websocket"]
        return result

    with serving(app) as running, running.join() as peer:
        thread = threading.Thread(target=taken[0].run)
        thread.start()
        assert echoes(peer)
        assert 0 == len(running.server.manager)
        peer.sock.close()
        thread.join(WAIT)


def test_the_contract_of_ws4py_is_kept() -> None:
    class Linking(WSGIServer):
        def link_websocket_to_server(self, ws: Any) -> None:
            linked.append(ws)
            super().link_websocket_to_server(ws)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        seen.update(environ)
        return inner(environ, start_response)

    inner = WebSocketWSGIApplication(handler_cls=echo_spy())
    linked: list[Any] = []
    seen: dict[str, Any] = {}
    with serving(app, server_class=Linking) as running, running.join() as peer:
        assert echoes(peer)
        assert "1.1" == WebSocketWSGIHandler.http_version
        assert seen["ws4py.socket"] is seen["ws4py_ng.socket"] is linked[0].sock
        assert seen["wsgi.input"].raw._sock is seen["ws4py.socket"]
        assert eventually(lambda: list(running.server.manager) == linked)
        running.server.initialize_websockets_manager()
        running.server.manager.broadcast(b"to all", binary=True)
        assert (2, b"to all") == peer.take_frame()


# Peers that are slow, large or gone


def test_a_slow_head_holds_up_nobody_and_has_a_bounded_time() -> None:
    with echoing(limits=Limits(open_timeout=1)) as (running, _):
        begun = monotonic()
        with running.connect() as slow, running.connect() as silent, running.join() as fine:
            slow.send(b"GET / HTTP/1.1\r\nX-Slow: ")
            slow.sock.settimeout(0.02)
            answer = b""
            while not answer:  # no pause is as long as the time-out
                slow.send(b"x")
                with suppress(TimeoutError):
                    answer = slow.sock.recv(1000)
            assert 0.9 < monotonic() - begun < WAIT / 2
            assert b" 408 " in answer
            assert b"" == silent.take_rest()
            assert echoes(fine)


@pytest.mark.parametrize(
    "data",
    [b"GET /" + b"x" * 200_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000],
    ids=["one line", "many lines"],
)
def test_a_large_head_is_refused(data: bytes) -> None:
    with echoing() as (running, _), running.connect() as peer:
        peer.send(data)
        assert re.match(rb"HTTP/1.[01] 431 ", peer.take_rest())


def test_a_body_is_not_bounded_as_the_head_is() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [])
        return [str(len(body)).encode("ascii")]

    with serving(app, limits=Limits(open_timeout=1)) as running, running.connect() as peer:
        peer.send(request(("Content-Length", "300000"), line="POST / HTTP/1.1"))
        threading.Event().wait(1.2)
        peer.send(b"x" * 300_000)
        peer.take_head()
        assert b"300000" == peer.take_rest()


def test_peers_that_leave_or_talk_nonsense_are_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    with echoing() as (running, _):
        for data in (b"", b"GET", b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with running.connect() as peer:
                peer.send(data)
                peer.sock.shutdown(socket.SHUT_WR)
                peer.take_rest()
        for _ in range(5):
            peer = running.connect()
            peer.send(request())
            peer.reset()
        with running.join() as peer:
            assert echoes(peer)
    assert "" == capsys.readouterr().err


def test_a_peer_that_resets_as_it_is_handed_over_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    with echoing() as (running, kind):
        keep = running.server.keep
        peer = running.connect()
        # From here on the server has answered, and has not looked yet what is behind the head.
        running.server.keep = lambda request: (peer.take_head(), peer.reset(), keep(request))
        peer.send(request())
        assert 1006 == get(kind.endings).code
        running.server.keep = keep
        with running.join() as other:
            assert echoes(other)
    assert "" == capsys.readouterr().err


def test_a_socket_that_is_not_handed_over_is_closed() -> None:
    files = open_files()
    with serving(hello) as running:
        for _ in range(20):
            with running.connect() as peer:
                peer.send(request())
                peer.take_rest()
    assert eventually(lambda: open_files() <= files)


# TLS


def test_tls_works_with_the_socket_of_the_server_wrapped() -> None:
    with echoing(tls=True) as (running, kind):
        with running.connect() as lazy, running.join(context=client_context()) as peer:
            assert echoes(peer)
            assert echoes(peer, b"x" * 100_000)
            lazy.send(b"no TLS at all, but many bytes of something else\r\n\r\n")
            assert b"HTTP" not in lazy.take_rest()
            peer.send(close_frame(1000))
            assert (8, b"\x03\xe8") == peer.take_frame()
            assert b"" == peer.sock.recv(1)
            assert 1000 == get(kind.endings).code
        with running.connect(client_context()) as peer:
            peer.send(request() + b"".join(frame(2, bytes([i]) * 1000) for i in range(15)))
            peer.take_head()
            assert [(2, bytes([i]) * 1000) for i in range(15)] == [peer.take_frame() for _ in range(15)]


# The end


def test_server_close_says_1001_to_everybody() -> None:
    kind = spy()
    with serving(WebSocketWSGIApplication(handler_cls=kind)) as running:
        peers = [running.join() for _ in range(5)]
        pending = running.connect()
        pending.send(b"GET / HTTP/1.1\r\n")
        for _ in peers:
            get(kind.seen)

        def answer(peer: Peer) -> None:
            assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
            peer.send(close_frame(1001))
            assert b"" == peer.take_rest()
            peer.sock.close()
            answered.append(peer)

        answered: list[Peer] = []
        threads = [threading.Thread(target=answer, args=(peer,)) for peer in peers]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert 5 == len(answered)
    assert [Ended(1001, b"")] * 5 == [get(kind.endings) for _ in peers]
    assert b"101" not in pending.take_rest()
    pending.sock.close()


def test_server_close_says_1001_to_one_whose_request_has_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgirefserver, "PATIENCE", 0.1)
    returns = threading.Event()

    class Server(WSGIServer):
        def link_websocket_to_server(self, ws: Any) -> None:
            super().link_websocket_to_server(ws)
            assert returns.wait(WAIT)

    with echoing(server_class=Server) as (running, _), running.join() as peer:
        peer.send(frame(1, b"here"))
        assert (1, b"here") == peer.take_frame()
        running.server.server_close()
        assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
        returns.set()


def test_ctrl_c_while_a_request_begins_lets_its_websocket_be_closed_with_1001(monkeypatch: pytest.MonkeyPatch) -> None:
    app = WebSocketWSGIApplication(handler_cls=echo_spy())
    server: Any = make_server("127.0.0.1", 0, app, server_class=WSGIServer, handler_class=Handler)
    server.initialize_websockets_manager()
    monkeypatch.setattr(Handler, "lines", [], raising=False)
    peers: list[Peer] = []
    start = threading.Thread.start

    def start_and_be_interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "WSGI request":
            peers[0].send(frame(1, b"here"))
            assert peers[0].take_head().startswith(b"HTTP/1.1 101 ")
            assert (1, b"here") == peers[0].take_frame()
            assert eventually(lambda: not thread.is_alive())
            raise KeyboardInterrupt

    with Peer(socket.create_connection(server.server_address[:2], WAIT)) as peer:
        peers.append(peer)
        peer.send(request(port=server.server_port))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start_and_be_interrupted)
            with pytest.raises(KeyboardInterrupt):
                server.handle_request()
        closing = threading.Thread(target=server.server_close)
        closing.start()
        assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
        peer.send(close_frame(1001))
        assert b"" == peer.take_rest()
        closing.join(WAIT)


def test_a_server_whose_manager_is_missing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with echoing(manager=False) as (running, kind), running.join() as peer:
        assert b"" == peer.take_rest()
        assert Ended(1006, "Going away") == get(kind.endings)
        assert eventually(lambda: not running.server._threads)
    assert "Call initialize_websockets_manager() before serve_forever()" in capsys.readouterr().err


def test_a_websocket_that_comes_when_all_is_over_is_closed() -> None:
    kind = spy()
    with serving(WebSocketWSGIApplication(handler_cls=kind)) as running:
        server = running.server
    ours, theirs = socket.socketpair()
    with Peer(theirs) as peer:
        server.link_websocket_to_server(kind(ours))
        assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
        assert b"" == peer.take_rest()
        assert 1006 == get(kind.endings).code


def test_two_thousand_connections_leave_nothing() -> None:
    with echoing() as (running, kind):

        def visit() -> None:
            with running.join() as peer:
                assert echoes(peer)
                peer.send(close_frame(1000))
                assert (8, b"\x03\xe8") == peer.take_frame()
            kind.seen.get(timeout=WAIT)
            get(kind.endings)

        for _ in range(200):
            visit()
        assert eventually(lambda: not running.server._threads)
        gc.collect()
        before = open_files(), memory()
        for _ in range(1800):
            visit()
        assert eventually(lambda: open_files() <= before[0])
        gc.collect()
        assert 8 * 1024 * 1024 > memory() - before[1]
        assert [] == [*running.server._kept, *running.server._threads, *running.server.manager]
