"""The server's side: each rule, what is agreed, and what a refusal looks like."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.exc import HandshakeError
from ws4py_ng.extensions import PerMessageDeflate, PerMessageDeflateFactory
from ws4py_ng.handshake.head import Request, receive_request
from ws4py_ng.handshake.headers import Headers
from ws4py_ng.handshake.server import Accepted, ServerPolicy, is_websocket_request, negotiate, refuse

from .drive import cuttings, run
from .fakes import Codec, Fake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = {
    "Host": "server.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
AGREED = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]
UPGRADE_REQUIRED = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


def request(
    *extra: tuple[str, str | None], method: str = "GET", target: str = "/", version: str = "HTTP/1.1"
) -> Request:
    """Make a good request and change it: a value of None drops the header, others replace or repeat it."""
    changed = {name for name, _ in extra}
    pairs = [(name, value) for name, value in GOOD.items() if name not in changed]
    pairs += [(name, value) for name, value in extra if value is not None]
    return Request(method, target, Headers(pairs), version)


def refusal(asked: Request, policy: ServerPolicy = ServerPolicy()) -> HandshakeError:  # noqa: B008
    with pytest.raises(HandshakeError) as caught:
        negotiate(asked, policy)
    return caught.value


# row: (the change to a good request, status, part of the message)
REFUSED: dict[str, tuple[Request, int, str]] = {
    "H02 version 8": (request(("Sec-WebSocket-Version", "8")), 426, "is '8', expected '13'"),
    "version 0": (request(("Sec-WebSocket-Version", "0")), 426, "expected '13'"),
    "version 013": (request(("Sec-WebSocket-Version", "013")), 426, "expected '13'"),
    "versions in a list": (request(("Sec-WebSocket-Version", "13, 8")), 426, "expected '13'"),
    "version twice": (
        request(("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")),
        426,
        "expected '13'",
    ),
    "H03 no version": (request(("Sec-WebSocket-Version", None)), 426, "is None, expected '13'"),
    "H04 no key": (request(("Sec-WebSocket-Key", None)), 400, "Key is None"),
    "an empty key": (request(("Sec-WebSocket-Key", "")), 400, "Key is ''"),
    "H05 a key that is no base64": (
        request(("Sec-WebSocket-Key", "?" * 22 + "==")),
        400,
        "16 bytes in base64",
    ),
    "H06 a key of 8 bytes": (request(("Sec-WebSocket-Key", "AAAAAAAAAAA=")), 400, "16 bytes in base64"),
    "H07 two keys": (request(("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)), 400, "expected one"),
    "H08 POST": (request(method="POST"), 405, "'POST', expected GET"),
    "HEAD": (request(method="HEAD"), 405, "'HEAD', expected GET"),
    "get in lower case": (request(method="get"), 405, "'get', expected GET"),
    "H09 HTTP/1.0": (request(version="HTTP/1.0"), 505, "HTTP/1.0, expected HTTP/1.1"),
    "H10 no Host": (request(("Host", None)), 400, "Host is None"),
    "an empty Host": (request(("Host", "")), 400, "Host is ''"),
    "a bad Host": (request(("Host", "a/b")), 400, "Host is 'a/b'"),
    "H13 two Hosts": (request(("Host", "a"), ("Host", "a")), 400, "Host is ['a', 'a'], expected one"),
    "H11 no Upgrade": (request(("Upgrade", None)), 426, "Upgrade is None, expected 'websocket'"),
    "a plain request": (Request("GET", "/", Headers({"Host": "a"})), 426, "ws:// or wss://"),
    "Upgrade: h2c": (request(("Upgrade", "h2c")), 426, "'h2c'"),
    "Upgrade: websocket/13": (request(("Upgrade", "websocket/13")), 426, "'websocket/13'"),
    "H12 Connection: keep-alive": (request(("Connection", "keep-alive")), 400, "'keep-alive'"),
    "no Connection": (request(("Connection", None)), 400, "Connection is None"),
    "Connection: upgrades": (request(("Connection", "upgrades")), 400, "'upgrades'"),
    "H14 a foreign Origin": (
        request(("Origin", "http://evil.example"), ("Cookie", "s=1")),
        403,
        "evil.example",
    ),
    "an opaque Origin": (request(("Origin", "null")), 403, "'null'"),
    "another port in Origin": (request(("Origin", "http://server.example:81")), 403, "server.example:81"),
    "two Origins": (
        request(("Origin", "http://server.example"), ("Origin", "http://server.example")),
        400,
        "expected one at most",
    ),
    "H15 a Content-Length": (request(("Content-Length", "5")), 400, "without a body"),
    "two Content-Lengths": (request(("Content-Length", "0"), ("Content-Length", "0")), 400, "without a body"),
    "a signed Content-Length": (request(("Content-Length", "+0")), 400, "without a body"),
    "H16 a chunked body": (request(("Transfer-Encoding", "chunked")), 400, "Transfer-Encoding"),
    "Transfer-Encoding: identity": (request(("Transfer-Encoding", "identity")), 400, "Transfer-Encoding"),
    "Expect: 100-continue": (request(("Expect", "100-continue")), 417, "'100-continue'"),
    "H22 a subprotocol outside of ASCII": (
        request(("Sec-WebSocket-Protocol", "chät")),
        400,
        "expected tokens",
    ),
    "H23 a malformed subprotocol": (request(("Sec-WebSocket-Protocol", "a b, c/d")), 400, "expected tokens"),
    "a subprotocol twice": (
        request(("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")),
        400,
        "each once",
    ),
    "H27 an extension with an open quote": (
        request(("Sec-WebSocket-Extensions", 'permessage-deflate; client_max_window_bits="1')),
        400,
        "bad Sec-WebSocket-Extensions",
    ),
    "an extension that is no token": (request(("Sec-WebSocket-Extensions", "x@y")), 400, "bad Sec-WebSocket"),
    "a target with a fragment": (request(target="/#x"), 400, "fragment"),
    "the target *": (request(target="*"), 400, "expected a path"),
    "a target without a slash": (request(target="chat"), 400, "expected a path"),
    "a target of another host": (request(target="http://other.example/"), 400, "or the URL of the Host"),
    "a target with a user": (request(target="http://server.example@other/"), 400, "or the URL of the Host"),
    "a target of another scheme": (request(target="ftp://server.example/"), 400, "or the URL of the Host"),
}

# row: a change to a good request that is let in
ACCEPTED: dict[str, Request] = {
    "a good request": request(),
    "Connection: keep-alive, Upgrade": request(("Connection", "keep-alive, Upgrade")),
    "Connection in two lines": request(("Connection", "keep-alive"), ("Connection", "upgrade")),
    "Upgrade: WebSocket": request(("Upgrade", "WebSocket")),
    "a list of upgrades": request(("Upgrade", "h2c, WEBSOCKET")),
    "Content-Length: 0": request(("Content-Length", "0")),
    "an Origin of the same host": request(("Origin", "http://server.example")),
    "an Origin of the same host by TLS": request(("Origin", "https://SERVER.example:443")),
    "a target with a query": request(target="/chat?x=1"),
    "an absolute target": request(target="HTTP://Server.example/chat"),
    "an absolute target without a path": request(target="wss://server.example"),
    "subprotocols that are not supported": request(("Sec-WebSocket-Protocol", "a, b")),
    "no subprotocol in the header": request(("Sec-WebSocket-Protocol", "")),
    "an extension that is not supported": request(("Sec-WebSocket-Extensions", "x-foo; a=1")),
}


@pytest.mark.parametrize("row", REFUSED)
def test_a_request_is_refused(row: str) -> None:
    asked, status, message = REFUSED[row]
    error = refusal(asked)
    assert status == error.status
    assert message in str(error)
    expected = {405: {"Allow": "GET"}, 426: UPGRADE_REQUIRED}.get(status, {})
    assert expected == dict(error.headers)


@pytest.mark.parametrize("row", ACCEPTED)
def test_a_request_is_accepted_and_nothing_more_than_needed_is_said(row: str) -> None:
    accepted = negotiate(ACCEPTED[row])
    assert 101 == accepted.response.status
    assert AGREED == accepted.response.headers.items()
    assert accepted.subprotocol is None
    assert [] == accepted.extensions


@pytest.mark.parametrize("row", [*REFUSED, *ACCEPTED])
def test_the_same_comes_out_of_the_bytes_however_they_are_cut(row: str) -> None:
    asked = ACCEPTED[row] if row in ACCEPTED else REFUSED[row][0]
    status = 101 if row in ACCEPTED else REFUSED[row][1]
    for chunks in cuttings(asked.to_bytes()):
        try:
            (read, _), _ = run(receive_request(), chunks)
            got: int | None = negotiate(read).response.status
        except HandshakeError as error:
            got = error.status
        assert status == got


def test_the_example_of_rfc_6455_gets_its_answer() -> None:
    expected = (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n\r\n"
    )
    asked = request(("Sec-WebSocket-Protocol", "chat, superchat"), ("Origin", "http://server.example"))
    assert expected == negotiate(asked, ServerPolicy(protocols=["chat"])).response.to_bytes()


def test_a_long_value_is_shown_cut() -> None:
    assert len(str(refusal(request(("Sec-WebSocket-Key", "A" * 8000))))) < 400


# Subprotocols


@pytest.mark.parametrize(
    ("offered", "supported", "expected"),
    [
        ("a, b", ["b", "a"], "b"),  # our order counts
        ("a, b", ["c", "b"], "b"),
        ("a, b", ["A", "B"], None),  # case counts
        ("Chat", ["Chat"], "Chat"),
        ("a", ["b"], None),
        (None, ["b"], None),
    ],
)
def test_one_subprotocol_is_chosen_in_our_order(
    offered: str | None, supported: list[str], expected: str | None
) -> None:
    accepted = negotiate(request(("Sec-WebSocket-Protocol", offered)), ServerPolicy(protocols=supported))
    assert expected == accepted.subprotocol
    assert ([expected] if expected else []) == accepted.response.headers.get_all("Sec-WebSocket-Protocol")


def test_the_application_may_choose_the_subprotocol() -> None:
    asked = request(("Sec-WebSocket-Protocol", "v1.chat"), ("Sec-WebSocket-Protocol", "v2.chat"))
    seen = []

    def newest(offered: object) -> str | None:
        seen.append(offered)
        return "v2.chat"

    assert "v2.chat" == negotiate(asked, ServerPolicy(select_subprotocol=newest)).subprotocol
    assert [("v1.chat", "v2.chat")] == seen
    assert negotiate(asked, ServerPolicy(select_subprotocol=lambda offered: None)).subprotocol is None


@pytest.mark.parametrize("chosen", ["v3", "V1", "v1\r\nX: y", ""])
def test_the_application_cannot_choose_what_was_not_offered(chosen: str) -> None:
    policy = ServerPolicy(select_subprotocol=lambda offered: chosen)
    with pytest.raises(ValueError, match=r"select_subprotocol chose .* expected None or one of"):
        negotiate(request(("Sec-WebSocket-Protocol", "v1")), policy)


# Origins


def test_a_list_of_origins_is_let_in_beside_the_same_host_and_programs() -> None:
    policy = ServerPolicy(origins=["https://app.example", re.compile("https://.*[.]app[.]example")])
    for origin in ("https://app.example", "https://a.app.example", "http://server.example", None):
        assert 101 == negotiate(request(("Origin", origin)), policy).response.status
    for refused in ("http://app.example", "https://app.example.evil", "null"):
        assert 403 == refusal(request(("Origin", refused)), policy).status


def test_a_star_lets_in_every_origin() -> None:
    policy = ServerPolicy(origins=["*"])
    for origin in ("http://evil.example", "null", None):
        assert 101 == negotiate(request(("Origin", origin)), policy).response.status


# Extensions


def test_extensions_are_agreed_in_the_clients_order() -> None:
    policy = ServerPolicy(extensions=[Fake("x"), Fake("y")])
    accepted = negotiate(request(("Sec-WebSocket-Extensions", "y; bad, y; a=1, z, x")), policy)
    assert ["y; yes, x; yes"] == accepted.response.headers.get_all("Sec-WebSocket-Extensions")
    assert [Codec("y", [("a", "1")]), Codec("x", [])] == accepted.extensions


def negotiate_deflate(offer: str) -> Accepted:
    policy = ServerPolicy(extensions=[PerMessageDeflateFactory()])
    return negotiate(request(("Sec-WebSocket-Extensions", offer)), policy)


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "x-webkit-deflate-frame",
    ],
)
def test_an_unacceptable_offer_of_deflate_is_declined(offer: str) -> None:
    accepted = negotiate_deflate(offer)
    assert AGREED == accepted.response.headers.items()
    assert [] == accepted.extensions


def test_deflate_is_agreed() -> None:
    accepted = negotiate_deflate("permessage-deflate; unknown, permessage-deflate; client_max_window_bits")
    (extension,) = accepted.extensions
    assert isinstance(extension, PerMessageDeflate)
    (line,) = accepted.response.headers.get_all("Sec-WebSocket-Extensions")
    assert line.startswith("permessage-deflate")


# The policy itself


def test_headers_of_the_application_go_into_the_101() -> None:
    policy = ServerPolicy(server="mine/1", headers=iter([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    expected = [*AGREED, ("Server", "mine/1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    for _ in range(2):
        assert expected == negotiate(request(), policy).response.headers.items()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"headers": [("X", "a\r\nY: b")]}, "control character"),
        ({"headers": [("X\r\nY", "a")]}, "not a token"),
        ({"headers": {"Sec-WebSocket-Accept": "x"}}, "which the handshake sets itself"),
        ({"headers": {"content-length": "0"}}, "which the handshake sets itself"),
        ({"server": "a\r\nX: y"}, "server has a control character"),
        ({"protocols": ["a\r\nX: y"]}, "not a token"),
        ({"protocols": "chat"}, "expected a list"),
        ({"origins": "https://a.example"}, "expected a list"),
        ({"origins": ["a.example"]}, "expected scheme://host"),
    ],
)
def test_a_policy_that_could_never_be_sent_is_refused_when_it_is_made(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServerPolicy(**wrong)  # type: ignore[arg-type]


# Hosts that serve both


@pytest.mark.parametrize(
    ("upgrade", "expected"),
    [("websocket", True), ("WebSocket", True), ("h2c, websocket", True), ("h2c", False), (None, False)],
)
def test_a_request_for_a_websocket_is_told_apart(upgrade: str | None, expected: bool) -> None:
    assert expected is is_websocket_request(request(("Upgrade", upgrade)))


# Refusals


def test_a_refusal_says_what_was_wrong_and_ends_the_connection() -> None:
    expected = (
        b"HTTP/1.1 405 Method Not Allowed\r\n"
        b"Allow: GET\r\n"
        b"Connection: close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 43\r\n\r\n"
        b"method 'POST', expected GET (RFC 6455 4.1)\n"
    )
    assert expected == refuse(refusal(request(method="POST"))).to_bytes()


def test_a_426_names_the_upgrade_in_connection_too() -> None:
    response = refuse(refusal(request(("Upgrade", None))))
    assert "close, Upgrade" == response.headers.get("Connection")
    assert "websocket" == response.headers.get("Upgrade")
    assert "13" == response.headers.get("Sec-WebSocket-Version")


@pytest.mark.parametrize("row", REFUSED)
def test_each_refusal_is_one_line_of_text_with_its_length(row: str) -> None:
    response = refuse(refusal(REFUSED[row][0]))
    assert REFUSED[row][1] == response.status
    assert str(len(response.body)) == response.headers.get("Content-Length")
    assert response.body.endswith(b"\n")
    assert 1 == response.body.count(b"\n")


def test_an_error_without_a_status_counts_as_400() -> None:
    assert 400 == refuse(HandshakeError("closed")).status


def test_a_message_of_two_lines_becomes_one() -> None:
    assert b"a b\n" == refuse(HandshakeError("a\r\nb", 400)).body


def test_an_application_may_refuse_with_headers_and_a_body() -> None:
    headers = [
        ("WWW-Authenticate", "Basic"),
        ("Content-Type", "application/json"),
        ("Content-Length", "7"),
        ("Transfer-Encoding", "chunked"),
    ]
    response = refuse(HandshakeError("no", 401, headers, b"{}"))
    expected = [
        ("WWW-Authenticate", "Basic"),
        ("Content-Type", "application/json"),
        ("Connection", "close"),
        ("Content-Length", "2"),
    ]
    assert (401, expected, b"{}") == (response.status, response.headers.items(), response.body)


def test_an_application_cannot_inject_into_a_refusal() -> None:
    with pytest.raises(ValueError, match="control character"):
        refuse(HandshakeError("no", 401, [("X", "a\r\nY: b")]))


@pytest.mark.parametrize("status", [101, 200, 299, 600])
def test_a_refusal_needs_a_status_that_refuses(status: int) -> None:
    with pytest.raises(ValueError, match="expected 300 to 599"):
        refuse(HandshakeError("no", status))


# Properties

REQUESTS = st.sampled_from([*(row[0] for row in REFUSED.values()), *ACCEPTED.values()])
POLICY = ServerPolicy(protocols=["chat"], extensions=[PerMessageDeflateFactory()])


@given(
    REQUESTS.map(Request.to_bytes),
    st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=4)), max_size=4),
)
def test_whatever_is_sent_is_answered_by_a_101_or_a_refusal(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    for at, replacement in edits:
        data = data[:at] + replacement + data[at + len(replacement) :]
    try:
        (read, _), _ = run(receive_request(), [data])
        response = negotiate(read, POLICY).response
    except HandshakeError as error:
        response = refuse(error)
        assert response.status in {400, 403, 405, 414, 417, 426, 431, 505}
    else:
        assert 101 == response.status
    assert response.to_bytes().startswith(b"HTTP/1.1 ")
