"""The client's side: what is sent, and which answers are taken."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.exc import HandshakeError
from ws4py_ng.extensions import PerMessageDeflate, PerMessageDeflateFactory
from ws4py_ng.handshake.client import ClientHandshake
from ws4py_ng.handshake.head import Response, receive_response
from ws4py_ng.handshake.headers import Headers
from ws4py_ng.handshake.keys import is_key
from ws4py_ng.handshake.server import ServerPolicy, negotiate
from ws4py_ng.uri import parse_uri

from .drive import cuttings, run
from .fakes import Codec, Fake

URL = parse_uri("ws://server.example/chat?x=1")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
PROTOCOL, EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"
GOOD = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


def response(*extra: tuple[str, str | None], status: int = 101, version: str = "HTTP/1.1") -> Response:
    """Make a good answer and change it: a value of None drops the header, others replace or repeat it."""
    changed = {name for name, _ in extra}
    pairs = [(name, value) for name, value in GOOD.items() if name not in changed]
    pairs += [(name, value) for name, value in extra if value is not None]
    return Response(status, Headers(pairs), version=version)


def failure(handshake: ClientHandshake, answer: Response) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        handshake.check(answer)
    return caught.value


# What is sent


def test_the_request_has_what_rfc_6455_asks_for_and_no_more() -> None:
    expected = (
        b"GET /chat?x=1 HTTP/1.1\r\n"
        b"Host: server.example\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"User-Agent: ws4py_ng\r\n\r\n"
    )
    assert expected == ClientHandshake(URL, key=KEY).request().to_bytes()


def test_everything_that_is_asked_for_is_sent() -> None:
    handshake = ClientHandshake(
        parse_uri("wss://user:p%C3%A4ss@server.example:9000/"),
        protocols=["Chat", "b"],
        extensions=[Fake("x"), Fake("y", "no")],
        headers=[("Cookie", "a=1"), ("Cookie", "b=2")],
        origin="https://app.example",
        key=KEY,
        user_agent=None,
    )
    expected = [
        ("Host", "server.example:9000"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "https://app.example"),
        (PROTOCOL, "Chat, b"),
        (EXTENSIONS, "x; bits=9; yes, y; bits=9; no"),
        ("Authorization", "Basic dXNlcjpww6Rzcw=="),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
    ]
    assert expected == handshake.request().headers.items()
    assert handshake.request() is handshake.request()


def test_each_handshake_has_a_key_of_its_own() -> None:
    keys = {ClientHandshake(URL).request().headers.get("Sec-WebSocket-Key", "") for _ in range(50)}
    assert 50 == len(keys)
    assert all(map(is_key, keys))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://localhost", "localhost"),
        ("wss://localhost:80", "localhost:80"),
        ("ws://[::1]:9000", "[::1]:9000"),
        ("ws+unix:///my.socket", "localhost"),
        ("ws://user:pw@localhost", "localhost"),
        ("ws://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_host_is_right(url: str, host: str) -> None:
    assert [host] == ClientHandshake(parse_uri(url)).request().headers.get_all("Host")


def test_headers_of_the_caller_win() -> None:
    theirs = {"host": "other", "AUTHORIZATION": "Bearer x", "User-Agent": "me", "Origin": "null"}
    handshake = ClientHandshake(parse_uri("ws://a:b@c"), headers=theirs, origin="http://x")
    headers = handshake.request().headers
    for name, value in theirs.items():
        assert [value] == headers.get_all(name)


def test_excluded_headers_are_left_out_wherever_they_come_from() -> None:
    excluded = ["user-AGENT", "x-a", "Host", PROTOCOL]
    handshake = ClientHandshake(URL, headers={"X-A": "b"}, exclude_headers=excluded, protocols=["p"])
    expected = ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]
    assert expected == [name for name, _ in handshake.request().headers]
    assert "was asked for" in str(failure(handshake, answer_to(handshake, (PROTOCOL, "p"))))


def test_a_key_in_the_headers_of_the_caller_is_the_one_that_is_answered() -> None:
    handshake = ClientHandshake(URL, headers={"sec-websocket-key": KEY}, key="AAAAAAAAAAAAAAAAAAAAAA==")
    assert [KEY] == handshake.request().headers.get_all("Sec-WebSocket-Key")
    assert handshake.check(response()).subprotocol is None


def test_subprotocols_in_the_headers_of_the_caller_count_as_offered() -> None:
    handshake = ClientHandshake(URL, headers={PROTOCOL: "a, b"}, key=KEY)
    assert "b" == handshake.check(response((PROTOCOL, "b"))).subprotocol


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"headers": {"X": "a\r\nY: b"}}, "header X has a control character"),
        ({"headers": {"X": "a\0"}}, "header X has a control character"),
        ({"headers": {"X\r\nY": "a"}}, "not a token"),
        ({"headers": {"X Y": "a"}}, "not a token"),
        ({"origin": "a\r\nX: y"}, "header Origin has a control character"),
        ({"user_agent": "a\r\nX: y"}, "header User-Agent has a control character"),
        ({"protocols": ["a b"]}, "not a token"),
        ({"protocols": ["a\r\nX: y"]}, "not a token"),
        ({"protocols": ["a", "a"]}, "each name once"),
        ({"protocols": "chat"}, "expected a list"),
        ({"exclude_headers": "Host"}, "expected a list"),
        ({"key": "junk"}, "16 bytes in base64"),
        ({"headers": {"Sec-WebSocket-Key": "junk"}}, "16 bytes in base64"),
    ],
)
def test_what_injects_is_refused_before_there_is_a_request(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClientHandshake(URL, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("resource", ["", "chat", "/a b", "/a\r\nX: y", "/a#b", "/é"])
def test_a_resource_that_was_put_into_the_uri_is_checked(resource: str) -> None:
    with pytest.raises(ValueError, match=r"resource|target"):
        ClientHandshake(dataclasses.replace(URL, resource=resource))


@pytest.mark.parametrize("host", ["a\r\nX: y", "é€"])
def test_a_host_that_was_put_into_the_uri_is_checked(host: str) -> None:
    with pytest.raises(ValueError, match="header Host"):
        ClientHandshake(dataclasses.replace(URL, host=host))


# Which answers are taken

ACCEPTED = {
    "a good answer": response(),
    "Upgrade: WebSocket": response(("Upgrade", "WebSocket")),
    "Connection: keep-alive, Upgrade": response(("Connection", "keep-alive, Upgrade")),
    "Connection: upgrade in two lines": response(("Connection", "keep-alive"), ("Connection", "upgrade")),
    "another reason": Response(101, Headers(GOOD), "Web Socket Protocol Handshake"),
    "no reason": Response(101, Headers(GOOD), ""),
}

# row: (the change to a good answer, part of the message)
REFUSED = {
    "K02 a wrong Accept": (response(("Sec-WebSocket-Accept", "x")), f"is 'x', expected '{ACCEPT}'"),
    "an Accept in another case": (response(("Sec-WebSocket-Accept", ACCEPT.lower())), f"expected '{ACCEPT}'"),
    "K03 no Accept": (response(("Sec-WebSocket-Accept", None)), f"is None, expected '{ACCEPT}'"),
    "Accept twice": (
        response(("Sec-WebSocket-Accept", ACCEPT), ("Sec-WebSocket-Accept", ACCEPT)),
        f"expected '{ACCEPT}'",
    ),
    "K04 no Upgrade": (response(("Upgrade", None)), "Upgrade of the server is None"),
    "Upgrade: h2c": (response(("Upgrade", "h2c")), "is 'h2c', expected 'websocket'"),
    "two upgrades": (response(("Upgrade", "websocket, h2c")), "expected 'websocket'"),
    "K05 Connection: close": (response(("Connection", "close")), "is 'close', expected 'Upgrade'"),
    "no Connection": (response(("Connection", None)), "Connection of the server is None"),
    "K06 a subprotocol nobody asked for": (response((PROTOCOL, "a")), "expected none, as none was asked for"),
    "an empty subprotocol": (response((PROTOCOL, "")), "expected none"),
    "K09 an extension nobody asked for": (response((EXTENSIONS, "x-foo")), "x-foo was not offered"),
    "bad syntax of an extension": (response((EXTENSIONS, 'x; y="')), "closing quote"),
    "K12 200": (response(status=200), "server refused the WebSocket: HTTP 200 OK"),
    "403": (response(status=403), "server refused the WebSocket: HTTP 403 Forbidden"),
    "K13 HTTP/1.0 101": (response(version="HTTP/1.0"), "answers in HTTP/1.0, expected HTTP/1.1"),
    "K15 302": (
        response(("Location", "wss://other.example/"), status=302),
        "HTTP 302 Found, redirected to 'wss://other.example/'; redirects are not followed",
    ),
    "302 to nowhere": (response(status=302), "HTTP 302 Found"),
}


@pytest.mark.parametrize("row", ACCEPTED)
def test_an_answer_is_taken(row: str) -> None:
    agreement = ClientHandshake(URL, key=KEY).check(ACCEPTED[row])
    assert (None, []) == (agreement.subprotocol, agreement.extensions)
    assert ACCEPTED[row].headers == agreement.headers


@pytest.mark.parametrize("row", REFUSED)
def test_an_answer_is_refused(row: str) -> None:
    answer, message = REFUSED[row]
    error = failure(ClientHandshake(URL, key=KEY), answer)
    assert message in str(error)
    assert (answer.status, answer.headers.items()) == (error.status, error.headers)


@pytest.mark.parametrize("row", [*ACCEPTED, *REFUSED])
def test_the_same_comes_out_of_the_bytes_however_they_are_cut(row: str) -> None:
    answer = ACCEPTED[row] if row in ACCEPTED else REFUSED[row][0]
    handshake = ClientHandshake(URL, key=KEY)
    for chunks in cuttings(answer.to_bytes()):
        (read, _), _ = run(receive_response(), chunks)
        if row in ACCEPTED:
            assert answer.headers == handshake.check(read).headers
        else:
            assert REFUSED[row][1] in str(failure(handshake, read))


def test_the_error_carries_the_body() -> None:
    answer = Response(401, Headers({"WWW-Authenticate": "Basic"}), body=b"log in first")
    error = failure(ClientHandshake(URL), answer)
    expected = (401, [("WWW-Authenticate", "Basic")], b"log in first")
    assert expected == (error.status, error.headers, error.body)


def test_what_the_server_says_is_shown_cut() -> None:
    for answer in (
        Response(403, reason="x" * 8000),
        response(("Location", "x" * 8000), status=302),
        response(("Upgrade", "x" * 8000)),
    ):
        assert len(str(failure(ClientHandshake(URL, key=KEY), answer))) < 500


# Subprotocols and extensions

OFFERING = ClientHandshake(URL, protocols=["Chat", "b"], extensions=[Fake("x"), Fake("y")], key=KEY)


def test_one_of_the_offered_subprotocols_is_taken_or_none() -> None:
    assert "Chat" == OFFERING.check(response((PROTOCOL, "Chat"))).subprotocol
    assert "b" == OFFERING.check(response((PROTOCOL, "b"))).subprotocol
    assert OFFERING.check(response()).subprotocol is None


@pytest.mark.parametrize("values", [["chat"], ["c"], ["Chat, b"], ["Chat", "b"], ["Chat", "Chat"], [""]])
def test_any_other_subprotocol_is_refused(values: list[str]) -> None:
    error = failure(OFFERING, response(*((PROTOCOL, value) for value in values)))
    assert "expected one of ['Chat', 'b']" in str(error)


def test_extensions_are_agreed_in_the_servers_order() -> None:
    expected = [Codec("y", [("yes", None)]), Codec("x", [("yes", None)])]
    assert expected == OFFERING.check(response((EXTENSIONS, "y; yes, x; yes"))).extensions


@pytest.mark.parametrize("value", ["z", "x; yes, x; yes", "x", "x; yes; yes", "x; bits=16", ""])
def test_any_other_extension_is_refused(value: str) -> None:
    error = failure(OFFERING, response((EXTENSIONS, value)))
    assert "bad Sec-WebSocket-Extensions of the server" in str(error)


DEFLATING = ClientHandshake(URL, extensions=[PerMessageDeflateFactory()], key=KEY)


def test_deflate_is_agreed() -> None:
    (extension,) = DEFLATING.check(response((EXTENSIONS, "permessage-deflate"))).extensions
    assert isinstance(extension, PerMessageDeflate)


@pytest.mark.parametrize(
    "value",
    [
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; unknown",
        "permessage-deflate, permessage-deflate",
    ],
)
def test_k10_deflate_with_bad_parameters_is_refused(value: str) -> None:
    assert 101 == failure(DEFLATING, response((EXTENSIONS, value))).status


# ws4py's leniency


def test_not_strict_ignores_what_was_not_asked_for_and_keeps_it_in_the_headers() -> None:
    handshake = ClientHandshake(URL, key=KEY, strict=False)
    agreement = handshake.check(response((PROTOCOL, "proto1, proto2"), (EXTENSIONS, "ext1, ext2, ext3")))
    assert (None, []) == (agreement.subprotocol, agreement.extensions)
    assert ["proto1", "proto2"] == agreement.headers.tokens(PROTOCOL)
    assert ["ext1", "ext2", "ext3"] == agreement.headers.tokens(EXTENSIONS)


def test_not_strict_still_finds_what_was_asked_for() -> None:
    handshake = ClientHandshake(URL, protocols=["b"], extensions=[Fake("x")], key=KEY, strict=False)
    agreement = handshake.check(response((PROTOCOL, "a, b"), (EXTENSIONS, "z, x; yes")))
    assert ("b", [Codec("x", [("yes", None)])]) == (agreement.subprotocol, agreement.extensions)


@pytest.mark.parametrize("row", [row for row in REFUSED if "nobody asked" not in row and row != "an empty subprotocol"])
def test_not_strict_is_strict_in_everything_else(row: str) -> None:
    assert REFUSED[row][1] in str(failure(ClientHandshake(URL, key=KEY, strict=False), REFUSED[row][0]))


# Both sides


def answer_to(handshake: ClientHandshake, *extra: tuple[str, str]) -> Response:
    """Answer as our server does, whatever was left out of the request."""
    asked = handshake.request()
    headers = Headers(asked.headers)
    if "Host" not in headers:
        headers.add("Host", "server.example")
    answer = negotiate(dataclasses.replace(asked, headers=headers)).response
    return dataclasses.replace(answer, headers=Headers([*answer.headers, *extra]))


@pytest.mark.parametrize(
    "url",
    ["ws://a", "wss://u:p@a:1/x?y", "ws://[::1]:9000/é", "ws+unix:///my.socket", "ws://bücher.example/"],
)
def test_our_client_and_our_server_agree(url: str) -> None:
    handshake = ClientHandshake(
        parse_uri(url), protocols=["a", "b"], extensions=[Fake("w"), PerMessageDeflateFactory()]
    )
    policy = ServerPolicy(protocols=["c", "b"], extensions=[PerMessageDeflateFactory()])
    accepted = negotiate(handshake.request(), policy)
    agreement = handshake.check(accepted.response)
    assert "b" == accepted.subprotocol == agreement.subprotocol
    for extensions in (accepted.extensions, agreement.extensions):
        (extension,) = extensions
        assert isinstance(extension, PerMessageDeflate)


# Properties

ANSWERS = st.sampled_from([*(row[0] for row in REFUSED.values()), *ACCEPTED.values()])


@given(
    ANSWERS.map(Response.to_bytes),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=4)), max_size=4),
)
def test_whatever_is_answered_is_an_agreement_or_a_handshake_error(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    for at, replacement in edits:
        data = data[:at] + replacement + data[at + len(replacement) :]
    try:
        (read, _), _ = run(receive_response(), [data])
        agreement = DEFLATING.check(read)
    except HandshakeError:
        return
    assert [ACCEPT] == agreement.headers.get_all("Sec-WebSocket-Accept")
