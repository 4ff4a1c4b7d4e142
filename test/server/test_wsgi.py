"""WebSockets under WSGI servers that know nothing of them: real ones, each in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from websockets.sync.client import connect as websockets_connect

from test.client.peers import WAIT, Peer, client_context, close_frame, frame, request
from test.many import eventually
from test.programs import Program

from .wsgi_hosts import COOPERATIVE, LEGACY, SHORT, command, python_of

TEXT, CLOSE = 1, 8
SITE = "test.server.wsgi_site"
THREADED = ("werkzeug", "gunicorn-gthread", "cheroot", "wsgiref", "django")
SINGLE = ("werkzeug_single", "gunicorn-sync", "wsgiref_single")
GREENLETS = COOPERATIVE
ALL = (*THREADED, *SINGLE, *GREENLETS)
# Those that write an access log, for which a WebSocket is a line.
LOGGING = tuple(host for host in ALL if host.split("_")[0] not in ("cheroot", "wsgiref", "django"))
# Peers hear why; the others run under a host whose own end comes first.
SAYING_GOODBYE = tuple(host for host in ALL if host != "eventlet")
SPEAKING_TLS = tuple(host for host in ALL if host != "django")


# Those that answer one request on a connection.
ONE_REQUEST = ("werkzeug_single", "gunicorn-sync", "wsgiref", "wsgiref_single", "werkzeug")
# Of WebSockets that are open while pages are asked for.
MANY = 200


class Host:
    """Hold a server that runs."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.program = program
        line = program.line()
        assert line.startswith("listening on "), line
        self.port = int(line.split()[-1])
        self.idle: Peer | None = None
        self.idle_since = 0.0

    @property
    def pid(self) -> int:
        """The process that serves."""
        pid = self.program.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        return int(children[0]) if "gunicorn" in self.name else pid

    def descriptors(self) -> int:
        """Count what the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connections(self) -> int:
        """Count the TCP connections that it has open."""
        folder = Path(f"/proc/{self.pid}/fd")
        held = set()
        for name in os.listdir(folder):
            with suppress(OSError):  # closed meanwhile
                held.add(os.readlink(folder / name))
        lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        listens = "0A"
        ours = [line for line in lines if line[1].endswith(f":{self.port:04X}") and line[3] != listens]
        return sum(f"socket:[{line[9]}]" in held for line in ours)

    def threads(self) -> int:
        """Count the threads of the process."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rest(self, since: float) -> float:
        """Return for how long a connection has to be idle still, until every timeout of the server's is over."""
        return max(since + 1.5 * SHORT - monotonic(), 0.0)

    def connect(self, context: ssl.SSLContext | None = None) -> Peer:
        """Connect, without a handshake."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        return Peer(sock if context is None else context.wrap_socket(sock, server_hostname="localhost"))

    def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body of the answer."""
        with self.connect() as peer:
            peer.send(sent)
            head = peer.take_head()
            lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
            sizes = [int(value) for name, _, value in lines if name == b"content-length"]
            body = peer.take(sizes[0]) if sizes else b""
            if b"\r\nconnection: close\r\n" in sent.lower():
                assert b"" == peer.take_rest()  # the server is done with the request
            return int(head.split()[1]), body

    def page(self) -> tuple[int, bytes]:
        """Ask for a plain page."""
        return self.ask(f"GET /page HTTP/1.1\r\nHost: localhost:{self.port}\r\nConnection: close\r\n\r\n".encode())

    def request(self, *changes: tuple[str, str | None], path: str = "/ws", method: str = "GET") -> bytes:
        """Make a good request for a WebSocket and change it."""
        return request(*changes, port=self.port, line=f"{method} {path} HTTP/1.1")

    def join(self, *changes: tuple[str, str | None], behind: bytes = b"", path: str = "/ws", **options: Any) -> Peer:
        """Open a WebSocket; ``behind`` goes out in the same segment as the request."""
        peer = self.connect(**options)
        peer.send(self.request(*changes, path=path) + behind)
        peer.head = peer.take_head()  # type: ignore[attr-defined]
        assert peer.head.startswith(b"HTTP/1.1 101 "), peer.head  # type: ignore[attr-defined]
        return peer


@contextmanager
def running(name: str, module: str = SITE, **changes: str) -> Iterator[Host]:
    """Run a server, which must end well."""
    if name in LEGACY and python_of("eventlet") is None:
        pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
    with Program(command(name, module), **changes) as program:
        try:
            yield Host(name, program)
        finally:
            if "gunicorn" in name and program.process.poll() is None:
                # Not killed: a worker of eventlet's would not notice, and stay.
                program.send_signal(signal.SIGTERM)
                program.status()


def rest_of(program: Program) -> list[str]:
    """Return what else a program printed, that has ended."""
    found = []
    with suppress(AssertionError):  # there is no more output
        while True:
            found.append(program.line())
    return found


@pytest.fixture(scope="module", params=ALL)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with running(request.param) as found, found.join() as found.idle:
        echo(found.idle, b"before")
        found.idle_since = monotonic()
        yield found
        part(found.idle)
        found.idle.sock.close()
        found.page()  # whoever runs in one thread is back in its loop then
        found.program.send_signal(signal.SIGTERM)
        errors = found.program.errors()
        assert 0 == found.program.status(), errors
    # No test expects more than these two: hooks that are no functions, and a constructor that fails.
    text = "\n".join(errors)
    assert text.count("Traceback") <= 2 * len(("/async", "/unmade")), text
    assert "Broken pipe" not in text


def echo(peer: Peer, payload: bytes) -> None:
    """Send a text and get it back."""
    peer.send(frame(TEXT, payload))
    assert (TEXT, payload) == peer.take_frame()


def part(peer: Peer) -> None:
    """Close; nothing may follow the Close frame."""
    peer.send(close_frame(1000, b"bye"))
    assert (CLOSE, b"\x03\xe8bye") == peer.take_frame()
    assert b"" == peer.take_rest()


def is_quiet(peer: Peer, seconds: float) -> bool:
    """Tell whether nothing comes for so long."""
    peer.sock.settimeout(seconds)
    try:
        return b"impossible" == peer.sock.recv(1)
    except TimeoutError:
        return True
    finally:
        peer.sock.settimeout(WAIT)


def test_messages_of_any_size_come_back(host: Host) -> None:
    with host.join() as peer:
        for size in (0, 1, 125, 126, 70_000):
            echo(peer, b"x" * size)
        part(peer)


def test_the_answer_has_no_length(host: Host) -> None:
    with host.join() as peer:
        head = peer.head.lower()  # type: ignore[attr-defined]
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        assert 1 == head.count(b"\r\nupgrade: websocket")
        assert 1 == head.count(b"\r\nconnection: upgrade")
        part(peer)


def test_a_frame_in_the_segment_of_the_request_is_not_lost(host: Host) -> None:
    with host.join(behind=frame(TEXT, b"early") + frame(TEXT, b"bird")) as peer:
        assert (TEXT, b"early") == peer.take_frame()
        assert (TEXT, b"bird") == peer.take_frame()
        part(peer)


def test_a_frame_may_come_in_pieces(host: Host) -> None:
    with host.join() as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = frame(TEXT, b"in three pieces")
        for piece in (whole[:1], whole[1:7], whole[7:]):
            assert is_quiet(peer, 0.05)
            peer.send(piece)
        assert (TEXT, b"in three pieces") == peer.take_frame()
        part(peer)


def test_open_websockets_hold_no_worker(host: Host) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(host.join()) for _ in range(MANY)]
        for number, peer in enumerate(peers):
            echo(peer, b"%d" % number)
        for _ in range(5):
            assert (200, b"plain /page 0") == host.page()
        # The server's own, ours, and those of requests that were answered a moment ago.
        assert eventually(lambda: host.threads() < MANY // 10)
        for peer in peers:
            echo(peer, b"still here")
        for peer in peers:
            part(peer)


def test_a_websocket_may_follow_a_plain_request_on_its_connection(host: Host) -> None:
    with host.connect() as peer:
        peer.send(f"GET /page HTTP/1.1\r\nHost: localhost:{host.port}\r\n\r\n".encode())
        head = peer.take_head().lower()
        assert b"200" == head.split()[1]
        assert b"plain /page 0" == peer.take(13)
        closes = b"\r\nconnection: close" in head or head.startswith(b"http/1.0 ")
        assert closes is (host.name in ONE_REQUEST)
        if closes:
            assert b"" == peer.take_rest()
            return
        peer.send(host.request(("Connection", "keep-alive, Upgrade")))
        head = peer.take_head()
        assert head.startswith(b"HTTP/1.1 101 ")
        echo(peer, b"x")
        assert is_quiet(peer, 0.001)
        part(peer)


def test_an_expectation_is_417(host: Host) -> None:
    with host.connect() as peer:
        peer.send(host.request(("Expect", "100-continue")))
        head = peer.take_head()
        while head.startswith(b"HTTP/1.1 100 "):
            head = peer.take_head()
    assert b"417" == head.split()[1]
    assert (200, b"plain /page 0") == host.page()


def test_a_peer_that_breaks_off_harms_nobody(host: Host) -> None:
    with host.join() as other:
        for _ in range(3):
            peer = host.join()
            echo(peer, b"x")
            peer.reset()
        echo(other, b"y")
        part(other)
    assert (200, b"plain /page 0") == host.page()


def test_what_comes_behind_a_close_frame_is_no_request(host: Host) -> None:
    with host.join() as peer:
        peer.send(close_frame(1000) + b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (CLOSE, b"\x03\xe8") == peer.take_frame()
        assert b"" == peer.take_rest()


def test_other_requests_go_to_the_application(host: Host) -> None:
    start = f"Host: localhost:{host.port}\r\nConnection: close"
    assert (200, b"plain /page 0") == host.page()
    body = f"POST /form HTTP/1.1\r\n{start}\r\nContent-Length: 5\r\n\r\nhello".encode()
    assert (200, b"plain /form 5") == host.ask(body)
    # A WebSocket at a path that has none is the application's to refuse.
    assert (200, b"plain /nothing 0") == host.ask(host.request(path="/nothing", method="GET"))


def test_another_upgrade_goes_to_the_application(host: Host) -> None:
    sent = f"GET /page HTTP/1.1\r\nHost: localhost:{host.port}\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    assert (200, b"plain /page 0") == host.ask(sent.encode())


REFUSED: dict[str, tuple[tuple[tuple[str, str | None], ...], int]] = {
    "version 8": ((("Sec-WebSocket-Version", "8"),), 426),
    "no key": ((("Sec-WebSocket-Key", None),), 400),
    "a key of 8 bytes": ((("Sec-WebSocket-Key", "AAAAAAAAAAA="),), 400),
    "no Upgrade, which a proxy has eaten": ((("Upgrade", None),), 426),
    "no Connection": ((("Connection", "close"),), 400),
    "a foreign Origin": ((("Origin", "http://evil.example"),), 403),
    "a subprotocol that is no token": ((("Sec-WebSocket-Protocol", "a b"),), 400),
}


@pytest.mark.parametrize("row", REFUSED)
def test_a_bad_request_is_refused(host: Host, row: str) -> None:
    changes, status = REFUSED[row]
    assert status == host.ask(host.request(*changes))[0]


def test_a_body_is_refused(host: Host) -> None:
    assert 400 == host.ask(host.request(("Content-Length", "4")) + b"body")[0]
    chunks = b"4\r\nbody\r\n0\r\n\r\n"
    assert 400 == host.ask(host.request(("Transfer-Encoding", "chunked")) + chunks)[0]


def test_an_application_that_fails_is_a_500(host: Host) -> None:
    for path in ("/async", "/unmade"):
        assert 500 == host.ask(host.request(path=path))[0]
    with host.join() as peer:
        echo(peer, b"alive")
        part(peer)


def test_the_environ_is_the_requests_and_not_the_servers(host: Host) -> None:
    with host.join(("Cookie", "a=1"), path="/ws?q=%C3%BC") as peer:
        expected = {
            "QUERY_STRING": b"q=%C3%BC",
            "PATH_INFO": b"/ws",
            "HTTP_COOKIE": b"a=1",
            "REMOTE_ADDR": b"127.0.0.1",
            "REMOTE_PORT": b"%d" % peer.sock.getsockname()[1],
            "wsgi.url_scheme": b"http",
            "wsgi.input": b"(none)",
        }
        for name, value in expected.items():
            peer.send(frame(TEXT, b"?" + name.encode()))
            assert (TEXT, value) == peer.take_frame(), name
        part(peer)


def test_without_a_query_the_environ_has_an_empty_one(host: Host) -> None:
    """PEP 3333 lets a server leave the key out, which some do and a handler does not expect."""
    with host.join() as peer:
        peer.send(frame(TEXT, b"?QUERY_STRING"))
        assert (TEXT, b"") == peer.take_frame()
        part(peer)


def test_another_library_gets_its_subprotocol_and_deflate(host: Host) -> None:
    url = f"ws://127.0.0.1:{host.port}/ws"
    with websockets_connect(url, subprotocols=["chat"], proxy=None) as client:  # type: ignore[list-item]
        assert "chat" == client.subprotocol
        assert client.protocol.extensions
        for message in ("hello", "x" * 70_000, b"\0\1\2" * 1000):
            client.send(message)
            assert message == client.recv(WAIT)


def test_a_timeout_of_the_server_does_not_count(host: Host) -> None:
    assert host.idle is not None
    assert is_quiet(host.idle, 0.001 + host.rest(host.idle_since))
    echo(host.idle, b"after")


@pytest.mark.parametrize("name", ALL)
def test_no_descriptor_is_left_behind(name: str) -> None:
    with running(name) as host:
        assert 200 == host.page()[0]
        with host.join() as peer:  # whatever is made at the first time is made
            echo(peer, b"x")
            part(peer)
        assert 200 == host.page()[0]
        assert eventually(lambda: 0 == host.connections())
        before = host.descriptors()
        for number in range(20):
            with host.join() as peer:
                echo(peer, b"x")
                if number % 2:
                    part(peer)
                else:
                    peer.reset()
        ended = 0
        while ended < 21:  # between lines of a log
            ended += host.program.line().startswith("closed ")
        assert 200 == host.page()[0]
        assert eventually(lambda: 0 == host.connections())
        assert eventually(lambda: host.descriptors() <= before)


@pytest.mark.parametrize("name", SAYING_GOODBYE)
def test_the_end_of_the_server_closes_with_1001(name: str) -> None:
    with running(name) as host, ExitStack() as stack:
        # Of each driver one host shows that a peer that does not answer is not waited for without end.
        mutes = (
            [stack.enter_context(host.join())] if name in ("gunicorn-gthread", "geventserver", "eventletserver") else []
        )
        peer = stack.enter_context(host.join())
        for each in (peer, *mutes):
            echo(each, b"x")
        host.page()
        host.program.send_signal(signal.SIGTERM)
        for each in (peer, *mutes):
            assert (CLOSE, b"\x03\xe9Server is shutting down") == each.take_frame()
        peer.send(close_frame(1001))
        assert b"" == peer.take_rest()
        peer.sock.close()
        for each in mutes:
            assert b"" == each.take_rest()
        errors = host.program.errors()
        assert 0 == host.program.status(), errors
        printed = [line for line in rest_of(host.program) if line.startswith("closed ")]
        assert ["closed 1001", *(["closed 1006"] * len(mutes))] == sorted(printed)


@pytest.mark.parametrize("name", SPEAKING_TLS)
def test_tls_is_handed_over_as_well(name: str, tls_files: dict[str, str]) -> None:
    with running(name, **tls_files) as host, ExitStack() as stack:
        context = client_context()
        early = frame(TEXT, b"early")
        peers = [stack.enter_context(host.join(context=context, behind=early)) for _ in range(6)]
        for peer in peers:
            assert (TEXT, b"early") == peer.take_frame()
        idle, since = peers[0], monotonic()
        for peer in peers[1:]:
            echo(peer, b"x" * 70_000)
            peer.send(frame(TEXT, b"?wsgi.url_scheme"))
            assert (TEXT, b"https") == peer.take_frame()
        assert is_quiet(idle, 0.001 + host.rest(since))
        for peer in peers:
            echo(peer, b"y" * 300_000)
            part(peer)


@pytest.mark.parametrize("name", LOGGING)
def test_the_access_log_has_one_line_for_each_websocket(name: str) -> None:
    with running(name) as host:
        for _ in range(3):
            with host.join() as peer:
                echo(peer, b"x")
                part(peer)
        host.page()
        host.program.send_signal(signal.SIGTERM)
        log = host.program.errors() + rest_of(host.program)
    lines = [line for line in log if "GET /ws HTTP/1.1" in line]
    assert 3 == len(lines), log
    assert all(" 101 " in line for line in lines)
    assert 1 == sum("GET /page HTTP/1.1" in line and " 200 " in line for line in log)


# Where there is no socket


def call(application: Callable[..., Any], **changes: Any) -> tuple[str, dict[str, str], bytes]:
    """Call a WSGI application with a good request for a WebSocket."""
    import io

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/ws",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "waitress",
        "HTTP_HOST": "localhost",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "wsgi.input": io.BytesIO(),
        **changes,
    }
    answer: list[Any] = []
    body = b"".join(application(environ, lambda status, headers: answer.extend((status, dict(headers)))))
    return answer[0], answer[1], body


def test_a_server_without_a_socket_is_501_and_names_the_way(caplog: pytest.LogCaptureFixture) -> None:
    from .wsgi_site import application

    status, headers, body = call(application)
    assert "501 Not Implemented" == status
    assert b"waitress gives no socket" in body
    assert b"ws4py_ng.server.asgi.WebSocketApplication" in body
    assert [body.decode().strip()] == [record.getMessage() for record in caplog.records]
    assert not {"Connection", "Upgrade"} & set(headers)


def test_a_header_that_can_be_none_is_400() -> None:
    from .wsgi_site import application

    assert "400 Bad Request" == call(application, HTTP_X="a\nb")[0]


def test_without_an_application_everything_else_is_426_or_404() -> None:
    from ws4py_ng.server.wsgi import WebSocketApplication
    from ws4py_ng.websocket import EchoWebSocket

    application = WebSocketApplication({"/ws": EchoWebSocket})
    assert "404 Not Found" == call(application, PATH_INFO="/other")[0]
    assert "426 Upgrade Required" == call(application, HTTP_UPGRADE="")[0]
    assert ("405 Method Not Allowed", b"") == call(application, HTTP_UPGRADE="", REQUEST_METHOD="HEAD")[::2]


@pytest.mark.parametrize("sent", [{}, {"RAW_URI": "/pre/ws?a=b"}, {"REQUEST_URI": "/pre/ws"}], ids=str)
def test_paths_are_below_the_mount(sent: dict[str, str]) -> None:
    from ws4py_ng.server.wsgi import WebSocketApplication
    from ws4py_ng.websocket import EchoWebSocket

    for path, status in {"/ws": "501", "/pre/ws": "404"}.items():  # 501: found, but there is no socket
        application = WebSocketApplication({path: EchoWebSocket})
        assert status == call(application, SCRIPT_NAME="/pre", **sent)[0].split()[0]


# row: (what breaks a rule, status of the refusal where the path is ours)
BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "a foreign origin": ({"HTTP_ORIGIN": "http://evil.example"}, "403"),
    "another version": ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, "426"),
    "another method": ({"REQUEST_METHOD": "POST"}, "405"),
    "a subprotocol twice": ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a, a"}, "400"),
}


@pytest.mark.parametrize("row", BROKEN)
def test_another_path_is_the_applications_whatever_rule_is_broken(row: str) -> None:
    from ws4py_ng.server.wsgi import WebSocketApplication
    from ws4py_ng.websocket import EchoWebSocket

    def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"site"]

    changes, status = BROKEN[row]
    application = WebSocketApplication({"/ws": EchoWebSocket}, app=site)
    assert b"site" == call(application, PATH_INFO="/other", **changes)[2]
    assert status == call(application, **changes)[0].split()[0]
