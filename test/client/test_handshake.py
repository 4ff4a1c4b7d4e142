"""The client's opening handshake against servers that are wrong, slow, or in a hurry."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import (
    ACCEPT,
    QUIET,
    WAIT,
    Peer,
    RawServer,
    answer_to,
    client_context,
    client_spy,
    close_frame,
    frame,
    get,
    open_client,
    server_context,
    settle,
    upgrading,
)
from test.handshake.fakes import Fake
from ws4py_ng.client import WebSocketBaseClient
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.exc import HandshakeError
from ws4py_ng.limits import Limits

Changes = tuple[tuple[str, str | None], ...]
DEFLATE = "Sec-WebSocket-Extensions"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a server does is worth more than a line of information."""
    yield
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# row: (what is changed in a good answer, part of the message)
REFUSED: dict[str, tuple[Changes, str]] = {
    "K02 a wrong Accept": ((("Sec-WebSocket-Accept", ACCEPT),), "Sec-WebSocket-Accept"),
    "K03 no Accept": ((("Sec-WebSocket-Accept", None),), "Sec-WebSocket-Accept of the server is None"),
    "K04 no Upgrade": ((("Upgrade", None),), "Upgrade of the server is None"),
    "Upgrade: h2c": ((("Upgrade", "h2c"),), "h2c"),
    "K05 Connection: close": ((("Connection", "close"),), "Connection of the server is 'close'"),
    "K06 a subprotocol nobody asked for": ((("Sec-WebSocket-Protocol", "chat"),), "none was asked for"),
    "K09 an extension nobody offered": (((DEFLATE, "x-foo"),), "x-foo was not offered"),
    "K10 16 bits": (((DEFLATE, "permessage-deflate; server_max_window_bits=16"),), "server_max_window_bits"),
    "K10 7 bits": (((DEFLATE, "permessage-deflate; server_max_window_bits=7"),), "server_max_window_bits"),
    "an unknown parameter": (((DEFLATE, "permessage-deflate; x=1"),), "permessage-deflate"),
    "an extension twice": (((DEFLATE, "permessage-deflate, permessage-deflate"),), "twice"),
    "bad syntax in extensions": (((DEFLATE, 'permessage-deflate; a="'),), DEFLATE),
}

# row: (the whole answer, status, body, part of the message)
RAW: dict[str, tuple[bytes, int | None, bytes, str]] = {
    "K12 a page": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", "HTTP 200 OK"),
    "K12 a page of 1 MiB": (
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_048_576,
        200,
        b"x" * 16384,
        "HTTP 200 OK",
    ),
    "K12 a page in chunks": (
        b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        403,
        b"no",
        "HTTP 403 Forbidden",
    ),
    "401": (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", 401, b"", "HTTP 401 Unauthorized"),
    "a status without a phrase": (b"HTTP/1.1 503\r\n\r\n", 503, b"", "HTTP 503"),
    "K14 garbage": (b"SSH-2.0-OpenSSH_9.6\r\n", None, b"", "not an HTTP answer"),
    "K14 an alert of TLS": (b"\x15\x03\x01\x00\x02\x02\x28", None, b"", "TLS"),
    "nothing": (b"", None, b"", "closed without sending anything"),
    "half an answer": (b"HTTP/1.1 101 Switching Pro", None, b"", "in the middle"),
    "K15 a redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        302,
        b"",
        "redirected to 'ws://elsewhere.example/'; redirects are not followed",
    ),
    "K17 a header that never ends": (b"HTTP/1.1 101 X\r\nX: " + b"x" * 2_000_000, None, b"", "max_line_size"),
    "K17 headers that never end": (b"HTTP/1.1 101 X\r\n" + b"X: 1\r\n" * 400_000, None, b"", "Limits.max_"),
    "interim answers that never end": (b"HTTP/1.1 103 Early\r\n\r\n" * 100_000, None, b"", "Limits.max_"),
}


def answering(answer: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        assert peer.take_head().startswith(b"GET / HTTP/1.1\r\n")
        peer.send(answer)
        with suppress(OSError):
            peer.sock.shutdown(socket.SHUT_WR)
        peer.take_rest()

    return script


@pytest.mark.parametrize("row", REFUSED)
def test_an_answer_that_does_not_fit_the_request_fails(row: str) -> None:
    changes, message = REFUSED[row]
    kind = client_spy()
    with RawServer(upgrading(Peer.take_rest, *changes)) as server:
        client = kind(server.url, limits=QUIET)
        with pytest.raises(HandshakeError) as caught:
            client.connect()
        assert message in str(caught.value)
        assert 101 == caught.value.status
        assert client.sock is None
        assert client.terminated
    assert not client._th.is_alive()
    assert kind.endings.empty()


def test_one_extension_is_all_that_a_connection_can_have() -> None:
    both = Fake("x"), Fake("y")
    with RawServer(upgrading(Peer.take_rest, (DEFLATE, "x; yes, y; yes"))) as server:
        client = WebSocketClient(server.url, extensions=both, deflate=False, limits=QUIET)
        with pytest.raises(
            HandshakeError, match="the server accepted x and y, expected one extension at most"
        ) as caught:
            client.connect()
        assert 101 == caught.value.status
        assert client.terminated


@pytest.mark.parametrize("row", RAW)
def test_an_answer_that_is_no_upgrade_fails(row: str) -> None:
    answer, status, body, message = RAW[row]
    with RawServer(answering(answer)) as server:
        client = WebSocketClient(server.url, limits=QUIET)
        with pytest.raises(HandshakeError) as caught:
            client.connect()
        assert message in str(caught.value)
        assert (status, body) == (caught.value.status, caught.value.body)
        assert 1 == server.visits


def test_k13_http_1_0_fails() -> None:
    def script(peer: Peer) -> None:
        peer.send(answer_to(peer.take_head(), line="HTTP/1.0 101 Switching Protocols"))
        peer.take_rest()

    with RawServer(script) as server:
        client = WebSocketClient(server.url, limits=QUIET)
        with pytest.raises(HandshakeError, match=r"HTTP/1\.0"):
            client.connect()


def test_k07_a_subprotocol_that_was_not_offered_fails() -> None:
    with RawServer(upgrading(Peer.take_rest, ("Sec-WebSocket-Protocol", "superchat"))) as server:
        client = WebSocketClient(server.url, ["chat"], limits=QUIET)
        with pytest.raises(HandshakeError, match="superchat"):
            client.connect()


def test_the_error_has_status_headers_and_body() -> None:
    answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 4\r\n\r\nwho?"
    with RawServer(answering(answer)) as server:
        client = WebSocketClient(server.url, limits=QUIET)
        with pytest.raises(HandshakeError) as caught:
            client.connect()
    error = caught.value
    assert (401, b"who?") == (error.status, error.body)
    assert ("WWW-Authenticate", "Basic realm=x") in error.headers


# K01: who is in a hurry


def hurrying(messages: list[bytes], cut: int) -> Callable[[Peer], None]:
    """Make a script that sends the answer and frames behind it, cut in two."""

    def script(peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = answer_to(peer.take_head())
        data = answer + b"".join(frame(1, message, mask=False) for message in messages)
        where = len(answer) + cut
        peer.send(data[:where])
        peer.send(data[where:] + close_frame(1000, b"all", mask=False))
        assert (8, b"\x03\xe8all") == peer.take_frame()

    return script


@pytest.mark.parametrize("cut", range(-5, 15))
def test_k01_frames_behind_the_answer_are_not_lost_at_any_split(cut: int) -> None:
    kind = client_spy()
    with RawServer(hurrying([b"one", b"two"], cut)) as server, open_client(server.url, kind=kind):
        assert ["one", "two"] == [get(kind.messages) for _ in range(2)]
        assert (1000, b"all") == get(kind.endings)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_k01_200_messages_behind_the_answer_arrive_in_order(tls: bool) -> None:
    messages = [b"%d" % i * 50 for i in range(200)]
    kind = client_spy()
    options: dict[str, Any] = {"ssl_context": client_context()} if tls else {}
    context = server_context() if tls else None
    with RawServer(hurrying(messages, 0), context) as server, open_client(server.url, kind=kind, **options):
        assert messages == [get(kind.messages).encode() for _ in messages]
        assert (1000, b"all") == get(kind.endings)


def test_an_answer_may_come_byte_by_byte() -> None:
    def script(peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in answer_to(peer.take_head()) + frame(1, b"hello", mask=False):
            peer.send(bytes([i]))
        answer_the_close(peer)

    with RawServer(script) as server, open_client(server.url) as client:
        assert "hello" == get(client.messages)


def test_opened_comes_before_the_first_message() -> None:
    order: list[str] = []
    kind = client_spy(
        opened=lambda self: order.append("opened"),
        received_message=lambda self, message: order.append(str(message)),
        closed=lambda self, code, reason: order.append(f"closed {code}"),
    )
    with RawServer(hurrying([b"one", b"two"], 5)) as server:
        client = kind(server.url, limits=QUIET)
        client.connect()
        settle(client)
    assert ["opened", "one", "two", "closed 1000"] == order


def test_the_base_client_lets_its_caller_run_it() -> None:
    class Base(WebSocketBaseClient):
        found: list[str]

        def opened(self) -> None:
            self.found = ["opened"]

        def received_message(self, message: Any) -> None:
            self.found.append(str(message))

    with RawServer(hurrying([b"one", b"two"], 5)) as server:
        client = Base(server.url, limits=QUIET)
        client.connect()
        assert "opened" == client.found[0]
        client.run()
        assert ["opened", "one", "two"] == client.found


# Who says nothing


@pytest.mark.parametrize(
    "script",
    [
        Peer.take_rest,
        lambda peer: (peer.send(b"HTTP/1.1 101 Switching Protocols\r\n"), peer.take_rest()),
        lambda peer: (peer.take_head(), drip(peer)),
    ],
    ids=["nothing", "the first line", "a drip"],
)
def test_k18_a_server_that_does_not_answer_is_given_up(script: Any) -> None:
    with RawServer(script) as server:
        client = WebSocketClient(server.url, limits=Limits(open_timeout=0.3))
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match=r"localhost:\d+/ did not answer within 0\.3 s \(Limits\.open_timeout\)"):
            client.connect()
        assert time.monotonic() - begun < 10
        assert client.sock is None


def drip(peer: Peer) -> None:
    """Send a header in bits until the client has left."""
    gone = threading.Event()
    reader = threading.Thread(target=lambda: (peer.take_rest(), gone.set()))
    reader.start()
    peer.send(b"HTTP/1.1 101 X\r\nX: ")
    while not gone.wait(0.02):
        peer.send(b"x")
    reader.join(WAIT)


def test_k18_tls_that_does_not_begin_is_given_up() -> None:
    with RawServer(Peer.take_rest) as server:
        client = WebSocketClient(server.url.replace("ws:", "wss:"), limits=Limits(open_timeout=0.3))
        with pytest.raises(TimeoutError, match="open_timeout"):
            client.connect()


def test_a_body_that_does_not_end_does_not_hide_the_refusal() -> None:
    def script(peer: Peer) -> None:
        peer.take_head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno, ")
        peer.take_rest()

    with RawServer(script) as server:
        client = WebSocketClient(server.url, limits=Limits(open_timeout=1))
        with pytest.raises(HandshakeError, match="403 Forbidden"):
            client.connect()


# Who fails in between


def test_a_failing_override_closes_the_socket() -> None:
    class Choosy(WebSocketClient):
        def process_handshake_header(self, headers: bytes) -> tuple[list[bytes], list[bytes]]:
            raise HandshakeError("no cookie")

    with RawServer(upgrading(Peer.take_rest)) as server:
        client = Choosy(server.url, limits=QUIET)
        with pytest.raises(HandshakeError, match="no cookie"):
            client.connect()
        assert client.sock is None


def test_a_thread_that_cannot_be_started_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(upgrading(Peer.take_rest)) as server:
        client = WebSocketClient(server.url, limits=QUIET)

        def fail() -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(client._th, "start", fail)
        with pytest.raises(RuntimeError, match="can't start"):
            client.connect()
        assert client.sock is None
        assert client.terminated


@pytest.mark.parametrize("kind", [WebSocketBaseClient, WebSocketClient])
def test_an_async_hook_is_refused_before_anything_is_sent(kind: type[WebSocketBaseClient]) -> None:
    class Async(kind):  # type: ignore[misc,valid-type]
        async def received_message(self, message: Any) -> None: ...
        async def closed(self, code: int, reason: Any = None) -> None: ...

    with RawServer(Peer.take_rest) as server:
        client = Async(server.url, limits=QUIET)
        with pytest.raises(TypeError, match=r"Async\.received_message is async"):
            client.connect()
        assert client.sock is None
        assert 0 == server.visits


def test_a_client_connects_once() -> None:
    with RawServer(upgrading(lambda peer: answer_the_close(peer))) as server:
        with open_client(server.url) as client:
            with pytest.raises(RuntimeError, match="once"):
                client.connect()
            assert not client.terminated
        with pytest.raises(RuntimeError, match="once"):
            client.connect()


def answer_the_close(peer: Peer) -> None:
    assert (8, b"\x03\xe8") == peer.take_frame()
    peer.send(close_frame(1000, mask=False))


@pytest.mark.parametrize("how", ["close", "terminate", "close_connection"])
def test_a_connect_that_is_cut_off_by_another_thread_fails(how: str) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.take_head()
        arrived.set()
        peer.take_rest()

    kind = client_spy()
    with RawServer(script) as server:
        client = kind(server.url, limits=QUIET)
        failures: list[BaseException] = []

        def connect() -> None:
            try:
                client.connect()
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        connecting = threading.Thread(target=connect)
        connecting.start()
        assert arrived.wait(WAIT)
        getattr(client, how)()
        connecting.join(WAIT)
        assert not connecting.is_alive()
        assert ["ConnectionAbortedError"] == [type(failure).__name__ for failure in failures]
        assert f"localhost:{server.port}/ was closed while" in str(failures[0])
        assert client.sock is None
    assert not client._th.is_alive()


@pytest.mark.parametrize("how", ["close", "terminate", "close_connection"])
def test_who_is_closed_before_it_connects_does_not_connect(how: str) -> None:
    client = WebSocketClient("ws://127.0.0.1:9/", limits=QUIET)
    getattr(client, how)()
    with pytest.raises(ConnectionAbortedError, match="closed before it connected"):
        client.connect()
    assert client.sock is None


def test_tls_to_a_plain_server_fails() -> None:
    with RawServer(answering_anything) as server:
        client = WebSocketClient(server.url.replace("ws:", "wss:"), limits=QUIET)
        with pytest.raises(ssl.SSLError):
            client.connect()
        assert client.sock is None


def answering_anything(peer: Peer) -> None:
    peer.take(5)
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_plain_to_a_tls_server_fails() -> None:
    with RawServer(Peer.take_rest, server_context()) as server:
        client = WebSocketClient(server.url.replace("wss:", "ws:"), limits=QUIET)
        with pytest.raises((HandshakeError, ConnectionError)):
            client.connect()
        assert client.sock is None


def test_a_server_that_resets_fails() -> None:
    with RawServer(lambda peer: (peer.take_head(), peer.reset())) as server:
        client = WebSocketClient(server.url, limits=QUIET)
        with pytest.raises((HandshakeError, ConnectionError)):
            client.connect()
        assert client.sock is None
