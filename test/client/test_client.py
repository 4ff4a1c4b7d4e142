"""What a client sends and where to: URLs, addresses, headers, and what it refuses to send."""

from __future__ import annotations

import base64
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from test.client.peers import (
    QUIET,
    WAIT,
    Peer,
    RawServer,
    answer_to,
    client_context,
    close_frame,
    echo_spy,
    get,
    open_client,
    running,
    server_context,
    url_of,
)
from ws4py_ng.client import WebSocketBaseClient
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits


class Heads(RawServer):
    """Accept everybody, and keep the heads of their requests."""

    def __init__(self, *changes: tuple[str, str | None]) -> None:
        self.heads: list[bytes] = []
        self.changes = changes
        super().__init__(self.accept)

    def accept(self, peer: Peer) -> None:
        head = peer.take_head()
        self.heads.append(head)
        peer.send(answer_to(head, *self.changes))
        opcode, payload = peer.take_frame()
        assert 8 == opcode
        peer.send(close_frame(1000, payload[2:], mask=False))

    def headers(self) -> dict[str, str]:
        """Give the headers of the only request, by lower-case names."""
        (head,) = self.heads
        lines = head.decode("latin-1").split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines]
        assert len({name.lower() for name, _ in pairs}) == len(pairs)
        return {name.lower(): value for name, value in pairs}


# What is sent


def test_the_request_is_what_rfc_6455_wants() -> None:
    with Heads() as server:
        with open_client(f"ws://localhost:{server.port}/chat?room=1") as client:
            key = client.key.decode()
        assert server.heads[0].startswith(b"GET /chat?room=1 HTTP/1.1\r\n")
        expected = {
            "host": f"localhost:{server.port}",
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-key": key,
            "sec-websocket-version": "13",
        }
        headers = server.headers()
        assert expected.items() <= headers.items()
        assert headers["sec-websocket-extensions"].startswith("permessage-deflate")
        assert "origin" not in headers
        assert "authorization" not in headers
        assert 16 == len(base64.b64decode(key))


def test_headers_may_be_added_replaced_and_left_out() -> None:
    with Heads() as server:
        options: dict[str, Any] = {
            "headers": [("Cookie", "a=1"), ("User-Agent", "mine")],
            "exclude_headers": ["Sec-WebSocket-Extensions"],
            "origin": "https://example.com",
        }
        with open_client(server.url, **options):
            pass
        headers = server.headers()
        expected = {"cookie": "a=1", "user-agent": "mine", "origin": "https://example.com"}
        assert expected.items() <= headers.items()
        assert "sec-websocket-extensions" not in headers


def test_k36_user_and_password_become_authorization() -> None:
    with Heads() as server:
        with open_client(f"ws://us%20er:p%40ss@localhost:{server.port}/"):
            pass
        headers = server.headers()
        assert "Basic " + base64.b64encode(b"us er:p@ss").decode() == headers["authorization"]
        assert f"localhost:{server.port}" == headers["host"]


def test_the_resource_may_be_set_before_connect() -> None:
    with Heads() as server:
        client = WebSocketClient(server.url, limits=QUIET)
        client.resource = "/1.0/operations?secret=a b"
        with pytest.raises(ValueError, match="space"):
            client.connect()
        for bad in ("chat", "", "@elsewhere/", "/a\r\nX: y", "/#x"):
            client = WebSocketClient(server.url, limits=QUIET)
            client.resource = bad
            with pytest.raises(ValueError, match=r"resource|fragment|control"):
                client.connect()
            assert client.sock is None
        client = WebSocketClient(server.url, limits=QUIET)
        client.resource = "/1.0/operations?secret=ab"
        client.connect()
        client.close()
        client._th.join(WAIT)
        assert 1 == server.visits
        assert server.heads[0].startswith(b"GET /1.0/operations?secret=ab HTTP/1.1\r\n")


def test_a_subprotocol_is_offered_and_agreed() -> None:
    with Heads(("Sec-WebSocket-Protocol", "v1")) as server:
        with open_client(server.url, protocols=["v2", "v1"]) as client:
            assert [b"v1"] == client.protocols
        assert "v2, v1" == server.headers()["sec-websocket-protocol"]


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ({}, True),
        ({"deflate": False}, False),
        ({"deflate": False, "extensions": ["permessage-deflate"]}, True),
        ({"deflate": PerMessageDeflateFactory()}, True),
    ],
    ids=["default", "off", "by name", "a factory"],
)
def test_deflate_is_offered_unless_switched_off(options: dict[str, Any], offered: bool) -> None:
    client = WebSocketClient("ws://localhost:9/", **options)
    client.terminate()
    assert offered == any(name == "Sec-WebSocket-Extensions" for name, _ in client.handshake_headers)


def test_a_factory_among_the_extensions_stands_for_the_default() -> None:
    client = WebSocketClient("ws://localhost:9/", extensions=[PerMessageDeflateFactory(client_max_window_bits=10)])
    client.terminate()
    offered = dict(client.handshake_headers)["Sec-WebSocket-Extensions"]
    assert 1 == offered.count("permessage-deflate")
    assert "client_max_window_bits=10" in offered


# What is not sent

CONTEXT = client_context()

# row: (URL, options)
BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "K32 a line end in the path": ("ws://localhost/a\r\nX: y", {}),
    "K32 a space in the path": ("ws://localhost/a b", {}),
    "K33 a line end in a value": ("ws://localhost/", {"headers": [("X", "a\r\nY: b")]}),
    "K33 a NUL in a value": ("ws://localhost/", {"headers": {"X": "a\0"}}),
    "K33 a line end in a name": ("ws://localhost/", {"headers": [("X: a\r\nY", "b")]}),
    "K34 a space in a name": ("ws://localhost/", {"headers": [("X Y", "b")]}),
    "K35 a line end in a subprotocol": ("ws://localhost/", {"protocols": ["chat\r\nX: y"]}),
    "K35 a space in a subprotocol": ("ws://localhost/", {"protocols": ["a b"]}),
    "K35 subprotocols in one str": ("ws://localhost/", {"protocols": "chat"}),
    "K37 a fragment": ("ws://localhost/#top", {}),
    "a line end in the origin": ("ws://localhost/", {"origin": "http://a\r\nX: y"}),
    "a line end in the user": ("ws://a%0d%0ab:c@localhost/", {}),
    "http": ("http://localhost/", {}),
    "no host": ("ws:///", {}),
    "an unknown extension": ("ws://localhost/", {"extensions": ["x-webkit-deflate-frame"]}),
    "a scheme without anything": ("ws://", {}),
    "a heartbeat in the past": ("ws://localhost/", {"heartbeat_freq": -1}),
    "headers to leave out in one str": ("ws://localhost/", {"exclude_headers": "user-agent"}),
    "whom to trust in two ways": ("wss://localhost/", {"ssl_context": CONTEXT, "ssl_options": {"ca_certs": "ca.pem"}}),
}

# row: (URL, options, what the error says)
OF_ANOTHER_TYPE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no URL": (None, {}, "url is None, expected a str such as"),
    "a URL of bytes": (b"ws://localhost/", {}, "url is of type bytes, expected a str such as"),
    "a subprotocol of bytes": (
        "ws://localhost/",
        {"protocols": [b"chat"]},
        "protocols has b'chat', expected each name",
    ),
    "one number of subprotocols": ("ws://localhost/", {"protocols": 1}, "protocols is 1, expected a list of names"),
    "a header in one str": (
        "ws://localhost/",
        {"headers": ["X: 1"]},
        "item of type str, expected a dict, or pairs such as",
    ),
    "a header of int": ("ws://localhost/", {"headers": {"X": 1}}, "value of header X is of type int, expected a str"),
    "a name of bytes": ("ws://localhost/", {"headers": {b"X": "1"}}, "headers has the name b'X', expected a str"),
    "a name of bytes to leave out": ("ws://localhost/", {"exclude_headers": [b"Host"]}, "exclude_headers has b'Host'"),
    "headers of int": ("ws://localhost/", {"headers": 1}, "headers is of type int, expected a dict"),
    "a heartbeat of str": ("ws://localhost/", {"heartbeat_freq": "x"}, "heartbeat_freq is 'x', expected seconds"),
    "deflate of str": ("ws://localhost/", {"deflate": "yes"}, "deflate is 'yes', expected True, False or a PerMessage"),
    "an extension of int": (
        "ws://localhost/",
        {"extensions": [3]},
        r"extensions has 3, expected 'permessage-deflate' or",
    ),
    "no limits": ("ws://localhost/", {"limits": None}, "limits is None, expected ws4py_ng.limits.Limits"),
    "a context of bool": ("wss://localhost/", {"ssl_context": True}, "ssl_context is True, expected an ssl.SSLContext"),
}


@pytest.mark.parametrize("row", OF_ANOTHER_TYPE)
def test_what_is_of_another_type_is_named_where_the_client_is_made(row: str) -> None:
    url, options, text = OF_ANOTHER_TYPE[row]
    with pytest.raises(TypeError, match=text):
        WebSocketClient(url, **options)


@pytest.mark.parametrize("row", BAD)
def test_what_cannot_be_sent_is_refused_before_there_is_a_socket(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url, options = BAD[row]

    def forbidden(*args: object, **more: object) -> None:
        pytest.fail("a socket was made, or a name was looked up")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises(ValueError):  # noqa: PT011  # each has a text of its own, tested where it is made
        WebSocketClient(url, **options)


def test_a_password_is_in_no_error() -> None:
    client = WebSocketClient("ws://user:secret@localhost:1/", limits=QUIET)
    with pytest.raises(OSError, match="refused") as caught:
        client.connect()
    assert "secret" not in str(caught.value)
    with RawServer(Peer.take_rest) as server:
        client = WebSocketClient(f"ws://user:secret@localhost:{server.port}/", limits=Limits(open_timeout=0.2))
        with pytest.raises(TimeoutError) as slow:
            client.connect()
        assert "secret" not in str(slow.value)


# Where to


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def use_addresses(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[Any, ...]) -> None:
    """Let every name have these addresses."""
    found = [
        (socket.AF_INET6 if len(address) == 4 else socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        for address in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)


def test_the_second_address_is_tried_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = echo_spy()
    with running(kind) as server:
        use_addresses(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.1", server.port))
        with open_client("ws://server.example/") as client:
            client.send("hello")
            assert "hello" == get(client.messages)
            assert ("127.0.0.1", server.port) == client.peer_address


def test_the_second_address_is_tried_when_the_first_swallows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(echo_spy()) as server, socket.socket() as full:
        # A listener whose queue is full answers no further connection.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        use_addresses(monkeypatch, full.getsockname(), ("127.0.0.1", server.port))
        with open_client("ws://server.example/", limits=Limits(open_timeout=2, ping_interval=None)) as client:
            client.send("hello")
            assert "hello" == get(client.messages)
        for filler in fillers:
            filler.close()


def test_an_address_of_a_family_that_is_off_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoIPv6(socket.socket):
        def __init__(self, family: int = -1, *args: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *args, **options)

    with running(echo_spy()) as server:
        port = server.port
        for order in ([0, 1], [1, 0, 1]):
            addresses = [("::1", port, 0, 0), ("127.0.0.1", port)]
            use_addresses(monkeypatch, *(addresses[i] for i in order))
            monkeypatch.setattr(socket, "socket", NoIPv6)
            with open_client("ws://server.example/") as client:
                client.send("hello")
                assert "hello" == get(client.messages)
            monkeypatch.undo()


def test_when_all_refuse_the_last_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    use_addresses(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.1", unused_port()))
    client = WebSocketClient("ws://server.example/", limits=QUIET)
    with pytest.raises(ConnectionRefusedError):
        client.connect()
    assert client.sock is None


def test_ipv6_is_spoken_and_named_in_brackets() -> None:
    kind = echo_spy()
    with running(kind, host="::1") as server, open_client(f"ws://[::1]:{server.port}/") as client:
        client.send("hello")
        assert "hello" == get(client.messages)
        assert f"[::1]:{server.port}" == get(kind.seen).environ["HTTP_HOST"]
        assert "::1" == client.peer_address[0]


@pytest.mark.parametrize("tls", [False, True], ids=["ws+unix", "wss+unix"])
def test_a_unix_socket_is_spoken_to(tls: bool, tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    scheme = "wss+unix" if tls else "ws+unix"
    url = f"{scheme}://{str(path).replace(' ', '%20')}"
    kind = echo_spy()
    context = server_context() if tls else None
    with (
        running(kind, sock=listener, ssl_context=context) as server,
        open_client(url, ssl_context=client_context() if tls else None) as client,
    ):
        client.send("hello")
        assert "hello" == get(client.messages)
        assert str(path) == client.bind_addr == client.peer_address == server.address
        environ = get(kind.seen).environ
        assert ("localhost", "/") == (environ["HTTP_HOST"], environ["PATH_INFO"])
        assert ("https" if tls else "http") == environ["wsgi.url_scheme"]


def test_a_host_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", find_none)  # nobody else is to be asked
    with pytest.raises(socket.gaierror, match=r"'nobody\.example'") as caught:
        WebSocketClient("ws://nobody.example/")
    assert socket.EAI_NONAME == caught.value.errno


def test_a_unix_socket_that_is_not_there_fails(tmp_path: Path) -> None:
    client = WebSocketClient(f"ws+unix://{tmp_path}/nobody", limits=QUIET)
    with pytest.raises(FileNotFoundError, match="/nobody'"):
        client.connect()
    assert client.sock is None


# Around the life of a connection


def test_names_that_can_be_gone_through_once_are_kept() -> None:
    client = WebSocketClient("ws://127.0.0.1:9/", protocols=iter(["v1"]), exclude_headers=iter(["Origin"]))
    try:
        assert (["v1"], ["origin"]) == (client.protocols, client.exclude_headers)
    finally:
        client.close_connection()


def test_a_client_sends_nothing_before_it_is_connected() -> None:
    client = WebSocketClient("ws://localhost:9/")
    with pytest.raises(ConnectionClosed, match="connecting"):
        client.send("too early")
    client.close()
    client.terminate()
    assert client.sock is None


@pytest.mark.parametrize("code", [1006, 1015])
def test_codes_that_only_report_go_out_as_1011(code: int) -> None:
    closes: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.send(answer_to(peer.take_head()))
        closes.append(peer.take_frame()[1])
        peer.send(close_frame(1011, mask=False))

    with RawServer(script) as server, open_client(server.url) as client:
        client.close(code)
        get(client.endings)
    assert [b"\x03\xf3"] == closes


def test_run_forever_returns_when_closed_has_returned() -> None:
    kind = echo_spy()
    with running(kind) as server, open_client(url_of(server)) as client:
        waiting = threading.Thread(target=client.run_forever)
        waiting.start()
        client.close(1000, "enough")
        waiting.join(WAIT)
        assert not waiting.is_alive()
        assert 1 == client.endings.qsize()
        assert client.daemon
        assert client.sock is None
        assert client.stream is None


def test_the_thread_may_outlive_the_program() -> None:
    client = WebSocketClient("ws://localhost:9/")
    client.daemon = False
    assert not client._th.daemon
    client.terminate()


def test_a_base_client_is_handed_over_when_the_handshake_is_done() -> None:
    handed: list[WebSocketBaseClient] = []

    class Handed(WebSocketBaseClient):
        def handshake_ok(self) -> None:
            handed.append(self)

    with running(echo_spy()) as server:
        client = Handed(url_of(server), limits=QUIET)
        client.connect()
        assert [client] == handed
        client.run_in = threading.Thread(target=client.run)  # type: ignore[attr-defined]
        client.run_in.start()  # type: ignore[attr-defined]
        client.close()
        client.run_in.join(WAIT)  # type: ignore[attr-defined]
        assert client.terminated
