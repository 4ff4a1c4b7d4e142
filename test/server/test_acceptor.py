"""What a server agrees to: which class for which path, and what the class learns of the request."""

from __future__ import annotations

from typing import Any

import pytest

from test.client.peers import KEY, WAIT, client_context, connect, get, join, request, running, server_context, spy
from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake import Headers, Request
from ws4py_ng.limits import Limits
from ws4py_ng.server.acceptor import Acceptor, environ_of
from ws4py_ng.websocket import EchoWebSocket, WebSocket


class Chat(WebSocket):
    """Be one of two."""


class News(WebSocket):
    """Be the other."""


def asked(target: str = "/", *more: tuple[str, str]) -> Request:
    headers = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    return Request("GET", target, Headers([*headers, *more]))


BY_DICT = {"/chat": Chat, "/news": News, "/": EchoWebSocket, "/chät room": Chat, "/a%20b": News, "/a b": Chat}


def by_function(request: Request) -> type[WebSocket] | None:
    return BY_DICT.get(request.target.partition("?")[0])


# row: (target, what serves it)
ROUTES: dict[str, tuple[str, type[WebSocket] | None]] = {
    "a path": ("/chat", Chat),
    "another path": ("/news", News),
    "a path with a query": ("/chat?room=/news", Chat),
    "the root": ("/", EchoWebSocket),
    "the root with a query": ("/?a=b", EchoWebSocket),
    "a path that is not there": ("/secret", None),
    "case counts": ("/Chat", None),
    "a slash at the end counts": ("/chat/", None),
    "the whole URL": ("http://example.com/chat?room=1", Chat),
    "the whole URL without a path": ("http://example.com", EchoWebSocket),
    "the whole URL with a query only": ("http://example.com?a=/chat", EchoWebSocket),
    "a letter beyond ASCII, and a space": ("/ch%C3%A4t%20room?a=b", Chat),
    "a letter that need not be encoded": ("/%63hat", Chat),
    "as it was sent comes first": ("/a%20b", News),
    "decoded once": ("/ch%25C3%25A4t%2520room", None),
    "decoded as UTF-8 only": ("/ch%E4t%20room", None),
}


@pytest.mark.parametrize("row", ROUTES)
def test_a_dict_chooses_the_class_by_its_path(row: str) -> None:
    target, expected = ROUTES[row]
    acceptor = Acceptor(handlers=BY_DICT)
    if expected is None:
        with pytest.raises(HandshakeError) as caught:
            acceptor.accept(asked(target))
        assert 404 == caught.value.status
    else:
        assert expected is acceptor.accept(asked(target))[0]


def test_one_class_serves_every_path() -> None:
    assert Chat is Acceptor(handlers=Chat).accept(asked("/whatever"))[0]


def test_a_function_may_choose_or_refuse() -> None:
    def choose(request: Request) -> type[WebSocket] | None:
        if request.target == "/private":
            raise HandshakeError("who are you?", 401)
        return by_function(request)

    acceptor = Acceptor(handlers=choose)
    assert News is acceptor.accept(asked("/news"))[0]
    for target, status in {"/private": 401, "/secret": 404}.items():
        with pytest.raises(HandshakeError) as caught:
            acceptor.accept(asked(target))
        assert status == caught.value.status


def test_a_bad_handshake_is_refused_before_the_path_is_looked_at() -> None:
    with pytest.raises(HandshakeError) as caught:
        Acceptor(handlers=BY_DICT).accept(Request("GET", "/secret", Headers({"Host": "example.com"})))
    assert 426 == caught.value.status


@pytest.mark.parametrize("router", [BY_DICT, by_function], ids=["dict", "function"])
def test_the_paths_of_a_running_server(router: Any) -> None:
    with running(router) as server:
        for target, status in {"/chat": b"101", "/news?a=1": b"101", "/secret": b"404"}.items():
            with connect(server) as peer:
                peer.send(request(line=f"GET {target} HTTP/1.1"))
                assert status == peer.take_head().split()[1]


@pytest.mark.parametrize(
    "options",
    [
        {"protocols": ["a b"]},
        {"protocols": "chat"},
        {"origins": ["example.com"]},
        {"origins": "*"},
        {"headers": [("X-Bad", "a\r\nSet-Cookie: b")]},
        {"headers": [("Sec-WebSocket-Accept", "x")]},
    ],
    ids=str,
)
def test_what_could_never_be_sent_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has a text of its own, tested where it is made
        Acceptor(handlers=Chat, **options)


def test_the_websocket_knows_what_was_agreed() -> None:
    acceptor = Acceptor(
        handlers=Chat,
        protocols=["v2", "v1"],
        limits=Limits(max_message_size=5),
        heartbeat_freq=3,
        headers=[("X-A", "b")],
    )
    offer = ("Sec-WebSocket-Protocol", "v1, v2"), ("Sec-WebSocket-Extensions", "permessage-deflate")
    handler, accepted = acceptor.accept(asked("/", *offer))
    ws = acceptor.make(handler, accepted, None, {"a": 1})
    assert (["v2"], ["permessage-deflate"], {"a": 1}, 3) == (ws.protocols, ws.extensions, ws.environ, ws.heartbeat_freq)
    assert 5 == ws._limits.max_message_size
    assert ("X-A", "b") in accepted.response.headers.items()


def test_deflate_is_offered_unless_switched_off() -> None:
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    assert [] != Acceptor(handlers=Chat).accept(asked("/", offer))[1].extensions
    assert [] == Acceptor(handlers=Chat, deflate=False).accept(asked("/", offer))[1].extensions


def test_the_environ_is_that_of_wsgi() -> None:
    request = asked("/caf%C3%A9?a=%20b", ("X-Two", "1"), ("X-Two", "2"), ("Content-Length", "0"))
    environ = environ_of(request, "https", ("127.0.0.1", 80), ("::1", 5, 0, 0))
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9",
        "QUERY_STRING": "a=%20b",
        "RAW_URI": "/caf%C3%A9?a=%20b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "https",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "::1",
        "REMOTE_PORT": "5",
        "HTTP_X_TWO": "1, 2",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "example.com",
    }
    assert expected.items() <= environ.items()


def test_the_environ_of_a_whole_url_has_the_path_of_it() -> None:
    environ = environ_of(asked("http://example.com/chat?room=1"), "http", None, None)
    assert ("/chat", "room=1") == (environ["PATH_INFO"], environ["QUERY_STRING"])


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_hyphen() -> None:
    environ = environ_of(asked("/", ("X-Real-Ip", "10.0.0.1"), ("X_Real_Ip", "evil")), "http", None, None)
    assert "10.0.0.1" == environ["HTTP_X_REAL_IP"]
    assert "HTTP_X_FORWARDED" not in environ_of(asked("/", ("X_Forwarded", "evil")), "http", None, None)


def test_two_lines_of_cookies_are_joined_as_cookies() -> None:
    environ = environ_of(asked("/", ("Cookie", "a=1"), ("Cookie", "b=2")), "http", None, None)
    assert "a=1; b=2" == environ["HTTP_COOKIE"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_hook_sees_the_request_and_both_addresses(tls: bool) -> None:
    seen: list[Any] = []

    def opened(self: Any) -> None:
        seen.append((self.environ, self.local_address, self.peer_address, self.protocols))
        self.close()

    kind = spy(opened=opened)
    context = server_context() if tls else None
    with (
        running(kind, ssl_context=context, protocols=["chat"]) as server,
        join(
            server,
            ("Sec-WebSocket-Protocol", "chat"),
            line="GET /room?n=1 HTTP/1.1",
            context=client_context() if tls else None,
        ) as peer,
    ):
        mine = peer.sock.getsockname()
        peer.sock.settimeout(WAIT)
        assert (8, b"\x03\xe8") == peer.take_frame()
        peer.sock.close()
        get(kind.endings)
        ((environ, local, remote, protocols),) = seen
        assert (("127.0.0.1", server.port), mine, ["chat"]) == (local, remote, protocols)
        assert ("/room", "n=1") == (environ["PATH_INFO"], environ["QUERY_STRING"])
        assert ("https" if tls else "http") == environ["wsgi.url_scheme"]
        assert str(mine[1]) == environ["REMOTE_PORT"]
