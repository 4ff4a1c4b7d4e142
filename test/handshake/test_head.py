"""Heads of requests and responses, however they are cut."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Callable, Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake.head import Chunk, Request, Response, receive_request, receive_response
from ws4py_ng.handshake.headers import Headers
from ws4py_ng.limits import Limits

from .drive import cuttings, run, run_exactly

REQUEST = b"GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nX-A:\t b c \t\r\nX-Empty:\r\nx-a: \xe9\r\n\r\n"
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection : Upgrade\r\n\r\n"
FRAMES = b"\x81\x02hi\r\n\r\n\x82\x00"

SMALL = Limits(max_head_size=100, max_line_size=40, max_headers=3)

Receiver = Callable[[Limits], Generator[int, Chunk, object]]


def request_of(data: bytes) -> Request:
    (request, leftover), _ = run(receive_request(), [data])
    assert b"" == leftover
    return request


def response_of(data: bytes) -> Response:
    (response, leftover), _ = run(receive_response(), [data])
    assert b"" == leftover
    return response


def failure(receive: Receiver, chunks: list[bytes], limits: Limits = Limits()) -> HandshakeError:  # noqa: B008
    with pytest.raises(HandshakeError) as caught:
        run(receive(limits), chunks)
    return caught.value


# What is read


def test_a_request_is_read_whole() -> None:
    request = request_of(REQUEST)
    headers = [("Host", "example.com"), ("X-A", "b c"), ("X-Empty", ""), ("x-a", "é")]
    assert Request("GET", "/chat?x=1", Headers(headers), "HTTP/1.1") == request


def test_a_response_is_read_whole_with_blanks_before_the_colon() -> None:
    headers = Headers([("Upgrade", "websocket"), ("Connection", "Upgrade")])
    assert Response(101, headers, "Switching Protocols") == response_of(RESPONSE)


@pytest.mark.parametrize("tail", [b"", FRAMES])
def test_every_cutting_gives_the_same_request_and_keeps_what_is_behind_it(tail: bytes) -> None:
    for chunks in cuttings(REQUEST + tail):
        (request, leftover), unread = run(receive_request(), chunks)
        assert request_of(REQUEST) == request
        assert tail + b"" == leftover + unread


@pytest.mark.parametrize("tail", [b"", FRAMES])
def test_every_cutting_gives_the_same_response_and_keeps_what_is_behind_it(tail: bytes) -> None:
    for chunks in cuttings(RESPONSE + tail):
        (response, leftover), unread = run(receive_response(), chunks)
        assert response_of(RESPONSE) == response
        assert tail + b"" == leftover + unread


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_bytes_like_is_taken_and_may_be_reused(wrap: Callable[[bytes], Chunk]) -> None:
    chunk = wrap(REQUEST + FRAMES)
    (request, leftover), _ = run(receive_request(), [chunk])
    if isinstance(chunk, bytearray):
        chunk[:] = bytes(len(chunk))
    assert request_of(REQUEST) == request
    assert FRAMES == leftover
    assert bytes is type(leftover)


def test_an_exact_provider_never_reads_behind_the_head() -> None:
    (request, leftover), unread = run_exactly(receive_request(), REQUEST + FRAMES)
    assert (request_of(REQUEST), b"", FRAMES) == (request, leftover, unread)
    (response, leftover), unread = run_exactly(receive_response(), RESPONSE + FRAMES)
    assert (response_of(RESPONSE), b"", FRAMES) == (response, leftover, unread)


def test_the_need_is_what_is_missing_of_the_end() -> None:
    head = receive_request()
    steps = [next(head)]
    steps += [head.send(chunk) for chunk in (b"GET / HTTP/1.1\r", b"\n", b"\r")]
    assert [4, 3, 2, 1] == steps


def test_a_request_may_have_no_header() -> None:
    assert Request("GET", "/", Headers()) == request_of(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "status", "reason", "version"),
    [
        (b"HTTP/1.1 101", 101, "", "HTTP/1.1"),
        (b"HTTP/1.1 101 ", 101, "", "HTTP/1.1"),
        (b"HTTP/1.0 101 Switching Protocols", 101, "Switching Protocols", "HTTP/1.0"),
        (b"HTTP/1.1 403 Nein, \xe4tsch", 403, "Nein, ätsch", "HTTP/1.1"),
        (b"HTTP/1.1 999 x", 999, "x", "HTTP/1.1"),
    ],
)
def test_a_status_line_may_lack_its_reason(line: bytes, status: int, reason: str, version: str) -> None:
    response = response_of(line + b"\r\n\r\n")
    assert (status, reason, version) == (response.status, response.reason, response.version)


def test_interim_responses_are_skipped() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for chunks in cuttings(hints + RESPONSE + FRAMES):
        (response, leftover), unread = run(receive_response(), chunks)
        assert response_of(RESPONSE) == response
        assert FRAMES == leftover + unread


def test_endless_interim_responses_are_cut() -> None:
    error = failure(receive_response, [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000])
    assert error.status is None
    assert "more than 16384 bytes in its head (Limits.max_head_size)" in str(error)


# What is refused

BAD_REQUESTS = {
    "a bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare LF"),
    "a bare LF after a header": (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "bare LF"),
    "a bare LF at the end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF"),
    "only bare LF": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bare LF"),
    "a NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400, "0x00"),
    "a NUL in a name": (b"GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", 400, "0x00"),
    "a NUL in the target": (b"GET /\0 HTTP/1.1\r\n\r\n", 400, "0x00"),
    "an escape in a value": (b"GET / HTTP/1.1\r\nHost: \x1b[2J\r\n\r\n", 400, "0x1b"),
    "a bare CR in a value": (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "0x0d"),
    "a bare CR before CRLF": (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "0x0d"),
    "a bare CR in the request line": (b"GET / HTTP/1.1\rX\r\n\r\n", 400, "0x0d"),
    "a line of one CR more": (b"GET / HTTP/1.1\r\n\r\r\n\r\n", 400, "0x0d"),
    "a blank before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "blank before the colon"),
    "a tab before the colon": (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400, "blank before the colon"),
    "a folded line": (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, "begins with a blank"),
    "a line folded by a tab": (b"GET / HTTP/1.1\r\nHost: a\r\n\tb: c\r\n\r\n", 400, "begins with a blank"),
    "a blank before the first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "begins with a blank"),
    "a line of blanks": (b"GET / HTTP/1.1\r\nHost: a\r\n  \r\n\r\n", 400, "begins with a blank"),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "without a colon"),
    "a header without a name": (b"GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "not a token"),
    "a name with a blank in it": (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", 400, "not a token"),
    "a name outside of ASCII": (b"GET / HTTP/1.1\r\nH\xf6st: a\r\n\r\n", 400, "not a token"),
    "a name with a slash": (b"GET / HTTP/1.1\r\nHo/st: a\r\n\r\n", 400, "not a token"),
    "an empty line first": (b"\r\nGET / HTTP/1.1\r\n\r\n", 400, "not an HTTP request"),
    "a blank first": (b" GET / HTTP/1.1\r\n\r\n", 400, "not an HTTP request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "not an HTTP request"),
    "a request line of one word": (b"GET\r\n\r\n", 400, "bad request line"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "bad request line"),
    "two blanks": (b"GET  / HTTP/1.1\r\n\r\n", 400, "bad request line"),
    "a tab in the request line": (b"GET\t/ HTTP/1.1\r\n\r\n", 400, "bad request line"),
    "a blank in the target": (b"GET /a b HTTP/1.1\r\n\r\n", 400, "bad request line"),
    "a blank at the end of the line": (b"GET / HTTP/1.1 \r\n\r\n", 400, "bad request line"),
    "a target outside of ASCII": (b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", 400, "bad request line"),
    "a method that is no token": (b"G(T / HTTP/1.1\r\n\r\n", 400, "bad request line"),
    "a version in lower case": (b"GET / http/1.1\r\n\r\n", 400, "bad request line"),
    "a version with two digits": (b"GET / HTTP/1.10\r\n\r\n", 400, "bad request line"),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2.0, expected HTTP/1.1"),
    "an end in the request line": (b"GET / HT", 400, "closed in the middle"),
    "an end in a header": (b"GET / HTTP/1.1\r\nHo", 400, "closed in the middle"),
    "an end before the end": (b"GET / HTTP/1.1\r\nHost: a\r\n\r", 400, "closed in the middle"),
    "nothing": (b"", None, "closed without sending anything"),
}

BAD_RESPONSES = {
    "a bare LF": (b"HTTP/1.1 101 x\nUpgrade: websocket\n\n", "bare LF"),
    "a folded line": (b"HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n", "begins with a blank"),
    "a NUL": (b"HTTP/1.1 101 x\r\nA: \0\r\n\r\n", "0x00"),
    "a control character in the reason": (b"HTTP/1.1 101 \x08\r\n\r\n", "0x08"),
    "a header without a colon": (b"HTTP/1.1 101 x\r\nA\r\n\r\n", "without a colon"),
    "a name that is no token": (b"HTTP/1.1 101 x\r\n(A): b\r\n\r\n", "not a token"),
    "a name with a blank": (b"HTTP/1.1 101 x\r\nA B : b\r\n\r\n", "not a token"),
    "a status of two digits": (b"HTTP/1.1 99 x\r\n\r\n", "bad status line"),
    "a status of four digits": (b"HTTP/1.1 1010 x\r\n\r\n", "bad status line"),
    "a status with a zero": (b"HTTP/1.1 011 x\r\n\r\n", "bad status line"),
    "a status of letters": (b"HTTP/1.1 abc x\r\n\r\n", "bad status line"),
    "no status": (b"HTTP/1.1\r\n\r\n", "bad status line"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "bad status line"),
    "garbage": (b"SSH-2.0-OpenSSH_9.9\r\n", "not an HTTP answer, it begins with b'"),
    "short garbage": (b"x", "not an HTTP answer, it begins with b'x'"),
    "lower case": (b"http/1.1 101 x\r\n\r\n", "not an HTTP answer"),
    "an empty line first": (b"\r\nHTTP/1.1 101 x\r\n\r\n", "not an HTTP answer"),
    "a TLS alert": (b"\x15\x03\x03\x00\x02\x02\x46", "not an HTTP answer"),
    "an end in the status line": (b"HTTP/1", "closed in the middle"),
    "an end in a header": (b"HTTP/1.1 101 x\r\nUpgrade: web", "closed in the middle"),
    "an end after an interim response": (b"HTTP/1.1 100 x\r\n\r\n", "closed in the middle"),
    "nothing": (b"", "closed without sending anything"),
}


@pytest.mark.parametrize("row", BAD_REQUESTS)
def test_a_request_is_refused_however_it_is_cut(row: str) -> None:
    data, status, message = BAD_REQUESTS[row]
    for chunks in cuttings(data) if data else [[]]:
        error = failure(receive_request, chunks)
        assert status == error.status, chunks
        assert message in str(error), chunks


@pytest.mark.parametrize("row", BAD_RESPONSES)
def test_a_response_is_refused_however_it_is_cut(row: str) -> None:
    data, message = BAD_RESPONSES[row]
    for chunks in cuttings(data) if data else [[]]:
        error = failure(receive_response, chunks)
        assert error.status is None
        assert message.partition("'")[0] in str(error), chunks


def test_what_is_no_http_is_shown_bounded_and_tls_is_guessed() -> None:
    error = failure(receive_response, [b"\x15\x03\x03" + b"x" * 10_000])
    assert r"it begins with b'\x15\x03\x03xxx" in str(error)
    assert "that is TLS" in str(error)
    assert len(str(error)) < 200
    assert "TLS" in str(failure(receive_request, [b"\x16\x03\x01\x02"]))


# Limits: (data, status, limit that is named); None for a head that fits.

LINE = b"GET / HTTP/1.1\r\n"  # 16 bytes
LIMITED = {
    "a request line that fits": (b"GET /" + b"x" * 26 + b" HTTP/1.1\r\n\r\n", None, None),
    "a request line one byte too long": (b"GET /" + b"x" * 27 + b" HTTP/1.1\r\n\r\n", 414, "max_line_size"),
    "a request line that never ends": (b"GET /" + b"x" * 200, 414, "max_line_size"),
    "a header that fits": (LINE + b"X: " + b"x" * 37 + b"\r\n\r\n", None, None),
    "a header one byte too long": (LINE + b"X: " + b"x" * 38 + b"\r\n\r\n", 431, "max_line_size"),
    "a header that never ends": (LINE + b"X: " + b"x" * 200, 431, "max_line_size"),
    "three headers": (LINE + b"A: b\r\n" * 3 + b"\r\n", None, None),
    "four headers": (LINE + b"A: b\r\n" * 4 + b"\r\n", 431, "max_headers"),
    "a head of 100 bytes": (LINE + (b"X: " + b"x" * 36 + b"\r\n") * 2 + b"\r\nframes", None, None),
    "a head of 101 bytes": (
        LINE + b"X: " + b"x" * 34 + b"\r\nX: " + b"x" * 35 + b"\r\nA:\r\n\r\n",
        431,
        "max_head_size",
    ),
    "a head that never ends": (LINE + (b"X: " + b"x" * 36 + b"\r\n") * 2 + b"X:", 431, "max_head_size"),
}


@pytest.mark.parametrize("row", LIMITED)
def test_a_limit_holds_however_the_head_is_cut(row: str) -> None:
    data, status, name = LIMITED[row]
    for chunks in cuttings(data):
        if name is None:
            run(receive_request(SMALL), chunks)
            continue
        error = failure(receive_request, chunks, SMALL)
        assert status == error.status, chunks
        assert f"(Limits.{name})" in str(error), chunks


def test_a_response_has_the_same_limits_and_no_status() -> None:
    line = b"HTTP/1.1 101 x\r\n"
    for data, name in [
        (b"HTTP/1.1 101 " + b"x" * 100, "max_line_size"),
        (line + b"X: " + b"x" * 100, "max_line_size"),
        (line + b"X: y\r\n" * 100, "max_headers"),
    ]:
        for chunks in cuttings(data):
            error = failure(receive_response, chunks, SMALL)
            assert error.status is None
            assert f"(Limits.{name})" in str(error)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (LINE + b"".join(b"X-%d: y\r\n" % i for i in range(500)), 431),
        (LINE + b"X: " + b"x" * 100 * 1024, 431),
        (b"GET /" + b"x" * 20 * 1024 + b" HTTP/1.1\r\n", 414),
        (LINE + (b"X: " + b"x" * 4000 + b"\r\n") * 5, 431),
    ],
)
def test_the_limits_are_on_by_default(data: bytes, status: int) -> None:
    assert status == failure(receive_request, [data]).status
    assert status == failure(receive_request, [data[i : i + 1] for i in range(len(data))]).status


def test_a_first_line_limited_by_the_head_alone_names_a_limit_that_holds() -> None:
    limits = Limits(max_head_size=20, max_line_size=40)
    error = failure(receive_request, [b"GET /" + b"x" * 20], limits)
    assert 414 == error.status
    assert "more than 20 bytes in its head (Limits.max_head_size)" in str(error)


def test_a_hostile_head_costs_no_memory_beyond_the_limit() -> None:
    chunk = b"x" * 1024
    head = receive_request(Limits(max_line_size=1024 * 1024, max_head_size=32 * 1024))
    next(head)
    head.send(LINE + b"X: ")
    tracemalloc.start()
    error = None
    while error is None:
        try:
            head.send(chunk)
        except HandshakeError as raised:
            error = raised
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 431 == error.status
    assert peak < 128 * 1024


def test_one_byte_delivery_is_linear() -> None:
    limits = Limits(max_line_size=1024 * 1024, max_head_size=1024 * 1024)

    def cost(size: int) -> float:
        start = time.process_time()
        head = receive_request(limits)
        next(head)
        head.send(LINE + b"X: ")
        for _ in range(size):
            head.send(b"x")
        return time.process_time() - start

    small, large = min(cost(20_000) for _ in range(3)), min(cost(400_000) for _ in range(3))
    assert large < 50 * small


# What is written


def test_a_request_is_written_as_it_is_read() -> None:
    assert b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n" == Request("GET", "/a", Headers({"Host": "b"})).to_bytes()
    request = request_of(REQUEST)
    assert request == request_of(request.to_bytes())


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(101), b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        (Response(403, Headers({"A": "b"}), body=b"no"), b"HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\nno"),
        (Response(400, reason="Nö"), b"HTTP/1.1 400 N\xf6\r\n\r\n"),
        (Response(101, reason=""), b"HTTP/1.1 101 \r\n\r\n"),
        (Response(799), b"HTTP/1.1 799 \r\n\r\n"),
    ],
)
def test_a_response_is_written_with_the_standard_phrase(response: Response, expected: bytes) -> None:
    assert expected == response.to_bytes()


def test_the_status_is_told_for_people() -> None:
    assert "403 Forbidden" == Response(403).status_text
    assert "403 No" == Response(403, reason="No").status_text
    assert "799" == Response(799).status_text


@pytest.mark.parametrize(
    ("method", "target", "version"),
    [
        ("GET ", "/", "HTTP/1.1"),
        ("", "/", "HTTP/1.1"),
        ("G\r\nT", "/", "HTTP/1.1"),
        ("GET", "", "HTTP/1.1"),
        ("GET", "/a b", "HTTP/1.1"),
        ("GET", "/\r\nX: y", "HTTP/1.1"),
        ("GET", "/é", "HTTP/1.1"),
        ("GET", "/", "HTTP/1.1\r\n"),
        ("GET", "/", "HTTP/11"),
    ],
)
def test_a_request_that_injects_cannot_be_made(method: str, target: str, version: str) -> None:
    with pytest.raises(ValueError, match=r"method|target|version"):
        Request(method, target, Headers(), version)


def test_a_response_that_injects_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="reason"):
        Response(101, reason="x\r\nX: y")
    with pytest.raises(ValueError, match="status 7"):
        Response(7)
    with pytest.raises(ValueError, match="version"):
        Response(101, version="HTTP")


def test_a_response_of_wrong_types_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="status is '200', expected an int"):
        Response("200")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="body is str, expected bytes"):
        Response(200, body="page")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="header 'X' has a value of int"):
        Response(200, {"X": 1})  # type: ignore[arg-type,dict-item]


def test_a_request_may_be_of_an_older_http() -> None:
    (request, _), _ = run(receive_request(), [b"GET /healthz HTTP/1.0\r\n\r\n"])
    assert Request("GET", "/healthz", version="HTTP/1.0") == request


# Properties


def outcome(receive: Receiver, chunks: list[bytes]) -> object:
    """Give what came out, or what the error was; the first bytes that it shows depend on the cut."""
    try:
        value, unread = run(receive(SMALL), chunks)
    except HandshakeError as error:
        return error.status, str(error).partition(", it begins with")[0]
    assert isinstance(value, tuple)
    return value[0], value[1] + unread


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


HEADS = st.sampled_from(
    [REQUEST, RESPONSE, *(row[0] for row in LIMITED.values())]
    + [row[0] for row in BAD_REQUESTS.values()]
    + [row[0] for row in BAD_RESPONSES.values()]
)


SPLINTERS = st.binary(max_size=3) | st.sampled_from(
    [b"\r", b"\n", b"\r\n", b":", b" ", b"\t", b"\0", b"\xff", b"x" * 30]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(HEADS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(SPLINTERS)
    return bytes(data)


@pytest.mark.parametrize("receive", [receive_request, receive_response])
@given(data=mutated() | st.binary(max_size=60), cuts=st.lists(st.integers(0, 1000), max_size=6))
def test_mutated_heads_raise_handshake_errors_only_and_any_cut_is_the_same(
    receive: Receiver, data: bytes, cuts: list[int]
) -> None:
    expected = outcome(receive, [data] if data else [])
    assert expected == outcome(receive, pieces(data, cuts))
    assert expected == outcome(receive, [data[i : i + 1] for i in range(len(data))])


names = st.text(st.sampled_from("abcXYZ019-_!~|"), min_size=1, max_size=8)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, categories=["L", "N", "P", "S", "Zs"]), max_size=20
)


@given(st.lists(st.tuples(names, values), max_size=5))
def test_what_is_written_is_read_back(pairs: list[tuple[str, str]]) -> None:
    request = Request("GET", "/", Headers(pairs))
    assert request == request_of(request.to_bytes())
    response = Response(403, Headers(pairs), "No")
    assert response == response_of(response.to_bytes())
