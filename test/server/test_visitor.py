"""The opening handshake as a server lives it: real sockets, hostile bytes, exact answers."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from test.client.peers import (
    KEY,
    QUIET,
    WAIT,
    client_context,
    close_frame,
    connect,
    echo_spy,
    frame,
    get,
    join,
    join_threads,
    request,
    running,
    server_context,
    spy,
)
from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.limits import Limits
from ws4py_ng.server.threadedserver import Server

ONE_KEY = f"Sec-WebSocket-Key: {KEY}\r\n"
DEFLATE = "Sec-WebSocket-Extensions"
LOGGER = "ws4py_ng"


def raw(old: str, new: str, count: int = 1) -> bytes:
    """Make a good request and change its text."""
    text = request().decode("latin-1")
    assert old in text
    return text.replace(old, new, count).encode("latin-1")


# row: (what is sent, status, headers that the answer has)
REFUSED: dict[str, tuple[bytes, int, dict[str, str]]] = {
    "H02 version 8": (
        request(("Sec-WebSocket-Version", "8")),
        426,
        {"sec-websocket-version": "13", "upgrade": "websocket"},
    ),
    "H03 no version": (request(("Sec-WebSocket-Version", None)), 426, {"sec-websocket-version": "13"}),
    "H04 no key": (request(("Sec-WebSocket-Key", None)), 400, {}),
    "H05 a key that is no base64": (request(("Sec-WebSocket-Key", "?" * 24)), 400, {}),
    "H06 a key of 8 bytes": (request(("Sec-WebSocket-Key", "AAAAAAAAAAA=")), 400, {}),
    "H07 two keys": (raw(ONE_KEY, ONE_KEY * 2), 400, {}),
    "H08 POST": (request(line="POST / HTTP/1.1"), 405, {"allow": "GET"}),
    "H09 HTTP/1.0": (request(line="GET / HTTP/1.0"), 505, {}),
    "H10 no Host": (request(("Host", None)), 400, {}),
    "H11 no Upgrade": (request(("Upgrade", None)), 426, {"upgrade": "websocket", "connection": "close, Upgrade"}),
    "H12 Connection: keep-alive": (request(("Connection", "keep-alive")), 400, {}),
    "H13 two Hosts": (request(("Host", "a"), ("Host", "a")), 400, {}),
    "H14 a foreign Origin": (request(("Origin", "http://evil.example"), ("Cookie", "session=1")), 403, {}),
    "H15 a body": (request(("Content-Length", "4")) + b"body", 400, {}),
    "H16 a chunked body": (request(("Transfer-Encoding", "chunked")) + b"4\r\nbody\r\n0\r\n\r\n", 400, {}),
    "H17 a bare LF": (raw("websocket\r\n", "websocket\n"), 400, {}),
    "H18 a NUL": (request(("X-Nul", "a\0b")), 400, {}),
    "H19 a bare CR": (request(("X-Cr", "a\rb")), 400, {}),
    "H20 a blank before the colon": (raw("Upgrade:", "Upgrade :"), 400, {}),
    "H21 a folded header": (raw("Upgrade: websocket", "Upgrade:\r\n websocket"), 400, {}),
    "H22 a subprotocol outside of ASCII": (request(("Sec-WebSocket-Protocol", "ch\xe4t")), 400, {}),
    "H23 a malformed subprotocol": (request(("Sec-WebSocket-Protocol", "a b, c")), 400, {}),
    "H27 an extension with an open quote": (request((DEFLATE, 'permessage-deflate; x="1')), 400, {}),
    "H29 500 headers": (request(*((f"X-{i}", "1") for i in range(500))), 431, {}),
    "H30 a header of 100 KiB": (request(("X-Long", "x" * 102400)), 431, {}),
    "H31 a target of 20 KiB": (request(line=f"GET /{'x' * 20480} HTTP/1.1"), 414, {}),
    "H32 no HTTP at all": (b"\x00\x01\x02\x03\r\n\r\n", 400, {}),
    "H33 a header that never ends": (b"GET / HTTP/1.1\r\nX: " + b"x" * 2_000_000, 431, {}),
    "headers that never end": (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 500_000, 431, {}),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, {}),
    "an empty line": (b"\r\n", 400, {}),
    "a page": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426, {"content-type": "text/plain; charset=utf-8"}),
}

# row: (extensions offered, extensions of the answer or None for none)
EXTENSIONS: dict[str, tuple[str, bool]] = {
    "H24 99 bits": ("permessage-deflate; client_max_window_bits=99", False),
    "H25 a parameter twice": ("permessage-deflate; client_max_window_bits; client_max_window_bits", False),
    "H26 an unknown parameter": ("permessage-deflate; x=1", False),
    "an unknown extension": ("x-foo; a=1", False),
    "H28 8 bits, and then a better offer": (
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        True,
    ),
    "the default offer": ("permessage-deflate; client_max_window_bits", True),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(echo_spy(), protocols=["chat"]) as found:
        yield found


@pytest.fixture
def logs() -> None:
    """Be used by a test that expects something in the log."""


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """No input of a peer may bring more than a debug line, unless a test expects it."""
    caplog.set_level(logging.DEBUG, logger=LOGGER)
    yield
    if "logs" not in request.fixturenames:
        assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Take an HTTP answer apart: status, headers by their names in lower case, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    assert first.startswith("HTTP/1.1 "), answer
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), answer
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body


def check_alive(server: Server) -> None:
    """Let another client talk to the server."""
    with join(server) as peer:
        peer.send(frame(1, b"still here?") + close_frame(1000))
        assert (1, b"still here?") == peer.take_frame()
        assert (8, b"\x03\xe8") == peer.take_frame()
        assert b"" == peer.take_rest()


@pytest.mark.parametrize("row", REFUSED)
def test_a_request_is_refused_and_the_server_lives_on(server: Server, row: str) -> None:
    sent, status, headers = REFUSED[row]
    with connect(server) as peer:
        writer = threading.Thread(target=peer.send, args=(sent,))
        writer.start()
        answer = peer.take_rest()
        writer.join(WAIT)
    found, all_headers, body = parsed(answer)
    assert status == found
    assert headers.items() <= all_headers.items()
    assert all_headers["connection"].startswith("close")
    assert str(len(body)) == all_headers["content-length"]
    assert body.endswith(b"\n")
    check_alive(server)


@pytest.mark.parametrize("row", EXTENSIONS)
def test_an_offer_of_an_extension_is_taken_or_declined(server: Server, row: str) -> None:
    offer, taken = EXTENSIONS[row]
    with connect(server) as peer:
        peer.send(request((DEFLATE, offer)))
        answer = peer.take_head()
        assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert taken == (b"permessage-deflate" in answer)
        peer.send(frame(1, b"plain") + close_frame(1000))
        peer.take_frame()
        assert (8, b"\x03\xe8") == peer.take_frame()


def test_the_answer_is_what_rfc_6455_wants(server: Server) -> None:
    with connect(server) as peer:
        peer.send(request(("Sec-WebSocket-Protocol", "superchat, chat"), port=server.port))
        status, headers, _ = parsed(peer.take_head() + b"\r\n\r\n")
        assert 101 == status
        assert "websocket" == headers["upgrade"]
        assert "Upgrade" == headers["connection"]
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == headers["sec-websocket-accept"]
        assert "chat" == headers["sec-websocket-protocol"]
        assert "content-length" not in headers


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    with connect(server) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in request():
            peer.send(bytes([i]))
        assert peer.take_head().startswith(b"HTTP/1.1 101 ")
        peer.send(frame(2, b"x"))
        assert (2, b"x") == peer.take_frame()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_h34_frames_in_the_segment_of_the_request_are_not_lost(tls: bool) -> None:
    kind = echo_spy()
    context = server_context() if tls else None
    with (
        running(kind, ssl_context=context) as server,
        connect(server, context=client_context() if tls else None) as peer,
    ):
        messages = [b"%d" % i for i in range(200)]
        peer.send(request() + b"".join(frame(1, message) for message in messages) + close_frame(1000, b"all"))
        assert peer.take_head().startswith(b"HTTP/1.1 101 ")
        assert [(1, message) for message in messages] == [peer.take_frame() for _ in messages]
        assert (8, b"\x03\xe8all") == peer.take_frame()
        assert (1000, b"all") == get(kind.endings)


def test_h34_every_split_of_request_and_frame_is_the_same(server: Server) -> None:
    sent = request() + frame(1, b"hello") + close_frame(1000)
    start = len(request()) - 6
    for cut in range(start, len(sent)):
        with connect(server) as peer:
            peer.send(sent[:cut])
            if cut >= len(request()):
                assert peer.take_head().startswith(b"HTTP/1.1 101 ")
            peer.send(sent[cut:])
            if cut < len(request()):
                assert peer.take_head().startswith(b"HTTP/1.1 101 ")
            assert (1, b"hello") == peer.take_frame()
            assert (8, b"\x03\xe8") == peer.take_frame()


# Those that say too little


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"G", 408),
        (request()[:-2], 408),
    ],
    ids=["nothing", "one byte", "all but the end"],
)
def test_h35_a_request_that_does_not_end_is_given_up(sent: bytes, status: int | None) -> None:
    with running(spy(), limits=Limits(open_timeout=1)) as server, connect(server) as peer:
        peer.send(sent)
        answer = peer.take_rest()
        assert status == (parsed(answer)[0] if answer else None)


def test_h35_a_drip_does_not_lengthen_the_time() -> None:
    with running(echo_spy(), limits=Limits(open_timeout=1)) as server, connect(server) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        gone = threading.Event()

        def drip() -> None:
            with suppress(OSError):
                peer.sock.sendall(b"GET / HTTP/1.1\r\nX: ")
                while not gone.wait(0.02):
                    peer.sock.sendall(b"x")

        dripper = threading.Thread(target=drip)
        begun = time.monotonic()
        dripper.start()
        answer = peer.take_rest()
        took = time.monotonic() - begun
        gone.set()
        dripper.join(WAIT)
        # A drip that is still on its way may meet a closed socket: then the answer can be lost.
        assert not answer or 408 == parsed(answer)[0]
        assert took < 10
        check_alive(server)


def test_h35_tls_that_does_not_begin_is_given_up() -> None:
    with (
        running(spy(), limits=Limits(open_timeout=1), ssl_context=server_context()) as server,
        connect(server) as peer,
    ):
        assert b"" == peer.take_rest()


def test_a_stuck_handshake_holds_up_nobody_else() -> None:
    with running(echo_spy()) as server:
        stuck = [connect(server) for _ in range(20)]
        for peer in stuck:
            peer.send(b"GET / HTTP/1.1\r\n")
        check_alive(server)
        for peer in stuck:
            peer.sock.close()


# Those that came to the wrong place


def test_a_port_scan_leaves_debug_lines_only(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        connect(server).reset()
        connect(server).sock.close()
    check_alive(server)


def test_a_port_scan_of_a_tls_server_leaves_debug_lines_only(caplog: pytest.LogCaptureFixture) -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        for _ in range(50):
            connect(server).reset()
            connect(server).sock.close()
        with join(server, context=client_context()) as peer:
            peer.send(frame(1, b"still here?"))
            assert (1, b"still here?") == peer.take_frame()


def test_tls_at_a_plain_server_is_one_debug_line(caplog: pytest.LogCaptureFixture) -> None:
    with running(spy()) as server:
        with pytest.raises(OSError, match=r"SSL|reset|EOF"):
            connect(server, context=client_context())
        join_threads("ws4py_ng connection")
        (line,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
        assert "TLS" in line


def test_plain_at_a_tls_server_is_one_debug_line(caplog: pytest.LogCaptureFixture) -> None:
    with running(spy(), ssl_context=server_context()) as server:
        with connect(server) as peer:
            peer.send(request())
            peer.take_rest()
        join_threads("ws4py_ng connection")
        (line,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
        assert "HTTP_REQUEST" in line or "http request" in line


@pytest.mark.parametrize("row", ["H02 version 8", "H30 a header of 100 KiB", "H33 a header that never ends", "a page"])
def test_a_refusal_arrives_by_tls_as_well(row: str) -> None:
    sent, status, _ = REFUSED[row]
    with (
        running(spy(), ssl_context=server_context()) as server,
        connect(server, context=client_context()) as peer,
    ):
        peer.send(sent)
        assert status == parsed(peer.take_rest())[0]


# Those that may see a page


def test_process_request_answers_by_plain_http() -> None:
    pages = {
        "/": Response(200, Headers({"Content-Type": "text/html"}), body=b"<h1>hello</h1>"),
        "/health": Response(200),
        "/old": Response(301, Headers({"Location": "/"})),
    }

    def page(asked: Request) -> Response | None:
        return pages.get(asked.target)

    with running(echo_spy(), process_request=page) as server:
        for path, response in pages.items():
            with connect(server) as peer:
                peer.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                status, headers, body = parsed(peer.take_rest())
                assert (response.status, response.body) == (status, body)
                assert "close" == headers["connection"]
                assert str(len(body)) == headers["content-length"]
        with join(server, line="GET /chat HTTP/1.1") as peer:
            peer.send(frame(1, b"hi"))
            assert (1, b"hi") == peer.take_frame()


def test_a_large_page_arrives_whole_by_tls() -> None:
    body = b"x" * 1_000_000

    def page(asked: Request) -> Response | None:
        return Response(200, body=body)

    with (
        running(spy(), process_request=page, ssl_context=server_context()) as server,
        connect(server, context=client_context()) as peer,
    ):
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert body == parsed(peer.take_rest())[2]


def test_process_request_may_refuse_by_a_handshake_error() -> None:
    def page(asked: Request) -> Response | None:
        raise HandshakeError("who are you?", 401, [("WWW-Authenticate", "Basic")])

    with running(spy(), process_request=page) as server, connect(server) as peer:
        peer.send(request())
        status, headers, body = parsed(peer.take_rest())
        assert (401, "Basic", b"who are you?\n") == (status, headers["www-authenticate"], body)


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("where", ["process_request", "handlers", "__init__"])
def test_a_failure_of_the_application_is_a_500_and_logged_once(where: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug of the application")

    handlers = {"handlers": lambda request: fail(), "__init__": spy(__init__=fail)}.get(where, spy())
    with running(handlers, process_request=fail if where == "process_request" else None) as server:
        with connect(server) as peer:
            peer.send(request())
            status, _, body = parsed(peer.take_rest())
            assert 500 == status
            assert b"bug" not in body
        join_threads("ws4py_ng connection")
        (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert record.exc_info
        with connect(server) as peer:
            peer.send(request())
            assert 500 == parsed(peer.take_rest())[0]


@pytest.mark.usefixtures("logs")
def test_an_async_hook_is_refused_with_a_clear_error(caplog: pytest.LogCaptureFixture) -> None:
    async def opened(self: object) -> None: ...

    async def closed(self: object, code: int, reason: object = None) -> None: ...

    with running(spy(opened=opened, closed=closed)) as server:
        with connect(server) as peer:
            peer.send(request())
            assert 500 == parsed(peer.take_rest())[0]
        join_threads("ws4py_ng connection")
        (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "async" in str(record.exc_info[1] if record.exc_info else "")


# Those that come when the server is leaving


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "half a request"])
def test_a_handshake_half_done_is_ended_when_the_server_leaves(sent: bytes, tls: bool) -> None:
    with running(spy(), ssl_context=server_context() if tls else None) as server:
        peer = connect(server, context=client_context() if tls else None)
        with peer:
            peer.send(sent)
            wait_for_visitor(server)
            begun = time.monotonic()
            server.shutdown()
            assert time.monotonic() - begun < QUIET.close_timeout / 2  # type: ignore[operator]
            answer = peer.take_rest()
            # TLS cannot answer any more once the end of the peer's bytes was simulated.
            assert (not tls) == (answer[:13] == b"HTTP/1.1 503 ")


def test_tls_half_begun_is_ended_when_the_server_leaves() -> None:
    with running(spy(), ssl_context=server_context()) as server, connect(server) as peer:
        peer.send(b"\x16\x03\x01\x02\x00\x01")
        wait_for_visitor(server)
        server.shutdown()
        # At most a TLS alert: nothing in plain text.
        assert peer.take_rest()[:1] in (b"", b"\x15")


def test_a_request_that_ends_while_the_server_leaves_gets_503() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def page(asked: Request) -> Response | None:
        entered.set()
        go_on.wait(WAIT)
        return None

    with running(spy(), process_request=page) as server, connect(server) as peer:
        peer.send(request())
        entered.wait(WAIT)
        address = server.address
        leaving = threading.Thread(target=server.shutdown)
        leaving.start()
        wait_until_refused(address)
        go_on.set()
        # It may have been let in before it was told to leave: then it is told in the usual way.
        head = peer.take_head()
        assert head[:13] in (b"HTTP/1.1 503 ", b"HTTP/1.1 101 ")
        if head.startswith(b"HTTP/1.1 101 "):
            assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
            peer.send(close_frame(1001))
        peer.take_rest()
        peer.sock.close()
        leaving.join(WAIT)
        assert not leaving.is_alive()


def wait_for_visitor(server: Server) -> None:
    """Wait until the server has taken a connection in."""
    with server._changed:
        while not server._visitors:
            server._changed.wait(0.01)


def wait_until_refused(address: object) -> None:
    """Wait until nobody listens any more."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(address) != 0:
                return
