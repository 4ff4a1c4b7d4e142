"""Cases: the opening handshake, what it refuses, and what the handler sees of it."""

from __future__ import annotations

from .contract import server_case
from .peers import TEXT, Frame, Peer
from .sides import Served

EVIL = ("Origin", "http://evil.example")


def ask(peer: Peer, key: str) -> str:
    """Ask what ``environ`` has under a key."""
    peer.text(key)
    found = peer.message()
    assert TEXT == found.opcode
    return found.payload.decode()


@server_case("Path, query, headers, cookies and addresses are in ``environ``, as WSGI has them.")
def the_request_is_in_environ(server: Served) -> None:
    headers = [("Cookie", "a=1; b=2"), ("X-Two", "one"), ("X-Two", "two"), ("User-Agent", "contract")]
    with server.peer("/environ", query="q=%C3%BC&r", headers=headers) as peer:
        assert "/environ" == ask(peer, "PATH_INFO")
        assert f"tag={peer.page.tag}&q=%C3%BC&r" == ask(peer, "QUERY_STRING")
        assert "a=1; b=2" == ask(peer, "HTTP_COOKIE")
        assert ["one", "two"] == [each.strip() for each in ask(peer, "HTTP_X_TWO").split(",")]
        assert "contract" == ask(peer, "HTTP_USER_AGENT")
        assert "GET" == ask(peer, "REQUEST_METHOD")
        assert "127.0.0.1" == ask(peer, "REMOTE_ADDR")
        assert str(peer.sock.getsockname()[1]) == ask(peer, "REMOTE_PORT")
        assert str(server.running.address[1]) == ask(peer, "SERVER_PORT")
        peer.finish()


@server_case("``wsgi.url_scheme`` says whether TLS was used.", tls=True)
def tls_is_in_environ(server: Served) -> None:
    with server.peer("/environ") as peer:
        assert ask(peer, "wsgi.url_scheme") in ("https", "wss")
        peer.finish()


@server_case(
    "The first of the server's subprotocols that the client offers is chosen; none if none fits.",
    protocols=("v2.chat", "v1.chat"),
)
def a_subprotocol_is_chosen(server: Served) -> None:
    for offered, chosen in (("v1.chat, v2.chat, other", "v2.chat"), ("v1.chat", "v1.chat"), ("other", None)):
        with server.peer(headers=[("Sec-WebSocket-Protocol", offered)]) as peer:
            assert chosen == dict(peer.headers).get("sec-websocket-protocol")
            assert ([] if chosen is None else [chosen]) == peer.page.wait("opened")["protocols"]
            peer.finish()
    with server.peer() as peer:
        assert "sec-websocket-protocol" not in dict(peer.headers)
        peer.finish()


@server_case(
    "A web site may connect if it is the server's own or listed; others get 403.", origins=("https://friend.example",)
)
def a_foreign_origin_is_refused(server: Served) -> None:
    status, _, _ = server.refusal(headers=[EVIL])
    assert 403 == status
    assert 403 == server.refusal(headers=[("Origin", "null")])[0]
    host, port = server.running.address
    for origin in ("https://friend.example", f"http://{host}:{port}"):
        with server.peer(headers=[("Origin", origin)]) as peer:
            peer.text("hello")
            assert Frame(TEXT, b"hello") == peer.message()
            peer.finish()


@server_case('``origins=["*"]`` lets every web site connect.', origins=("*",))
def every_origin_may_be_let_in(server: Served) -> None:
    with server.peer(headers=[EVIL]) as peer:
        peer.finish()


@server_case("A path that the router does not know gets 404, and the connection ends.")
def an_unknown_path_is_404(server: Served) -> None:
    assert 404 == server.refusal("/nowhere")[0]


@server_case("A path is found as it is meant, however it is encoded; what is no UTF-8 gets 404.")
def an_encoded_path_is_found(server: Served) -> None:
    for path in ("/%C3%A9cho%20room", "/%65cho"):
        with server.peer(path) as peer:
            peer.text("hello")
            assert Frame(TEXT, b"hello") == peer.message()
            peer.finish()
    assert 404 == server.refusal("/%E9cho%20room")[0]


@server_case("A request without Upgrade gets 426, which says what is wanted.")
def a_plain_request_is_426(server: Served) -> None:
    status, headers, _ = server.refusal(drop="Upgrade")
    assert 426 == status
    assert "websocket" == headers["upgrade"].lower()


@server_case("Another version than 13 gets 426 with the right one.")
def a_wrong_version_is_426(server: Served) -> None:
    for drop, headers in (("Sec-WebSocket-Version", [("Sec-WebSocket-Version", "8")]), ("Sec-WebSocket-Version", [])):
        status, answer, _ = server.refusal(drop=drop, headers=headers)
        assert 426 == status
        assert "13" == answer["sec-websocket-version"]


@server_case("A missing or wrong key, and a Connection without Upgrade, get 400.")
def a_bad_request_is_400(server: Served) -> None:
    assert 400 == server.refusal(drop="Sec-WebSocket-Key")[0]
    assert 400 == server.refusal(drop="Sec-WebSocket-Key", headers=[("Sec-WebSocket-Key", "short")])[0]
    assert 400 == server.refusal(drop="Connection", headers=[("Connection", "keep-alive")])[0]


@server_case("A class that raises in ``__init__``, or forgets that of `WebSocket`, gets 500, and its peer is not kept.")
def a_class_that_cannot_be_made_is_500(server: Served) -> None:
    before = len(server.diary.untagged())
    for query in ("raises", "forgets"):
        assert 500 == server.refusal("/unmade", query=query)[0]
    server.check_alive()
    server.expected_logs += len(server.diary.untagged()) - before


@server_case("POST gets 405.")
def another_method_is_405(server: Served) -> None:
    status, _, _ = server.refusal(line="POST /echo HTTP/1.1", headers=[("Content-Length", "0")])
    assert 405 == status


@server_case("An upgrade with a body gets 400: what is a body for one would be frames for another.")
def a_body_is_refused(server: Served) -> None:
    assert 400 == server.refusal(headers=[("Content-Length", "4")])[0]
    assert 400 == server.refusal(headers=[("Transfer-Encoding", "chunked")])[0]


@server_case("A header of 20 KiB gets 431, though the peer has more to send.")
def a_head_that_is_too_large_is_431(server: Served) -> None:
    assert 431 == server.refusal(headers=[("X-Long", "x" * 20_000)])[0]


@server_case("The server's own ``headers`` are in the 101.", headers=(("X-Served-By", "contract"),))
def headers_of_the_server_are_sent(server: Served) -> None:
    with server.peer() as peer:
        assert "contract" == dict(peer.headers)["x-served-by"]
        peer.finish()


@server_case("More than ``max_connections`` at once get 503; when one has left, the next is served.", max_connections=2)
def a_full_server_answers_503(server: Served) -> None:
    with server.peer() as one, server.peer() as two:
        status, headers, _ = server.refusal()
        assert (503, "1") == (status, headers["retry-after"])
        one.finish()
        one.page.wait("closed")
        with server.peer_when_free() as three:
            three.finish()
        two.finish()


@server_case(
    "Half a request gets 408 after ``open_timeout``, none at all no answer; others are served meanwhile.",
    limits={"open_timeout": 0.5},
)
def a_request_that_does_not_come_is_408(server: Served) -> None:
    page = server.diary.new_page()
    with Peer(server.socket(), page, masks=True) as half, Peer(server.socket(), page, masks=True) as mute:
        half.write(b"GET /echo HTTP/1.1\r\nHost: ")
        server.check_alive()
        assert half.take_head()[0].startswith("HTTP/1.1 408")
        assert b"" == mute.take_rest()
