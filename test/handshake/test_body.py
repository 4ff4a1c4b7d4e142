"""The bounded body of a refusal."""

from __future__ import annotations

import pytest

from ws4py_ng.handshake.body import MAX_BODY, receive_body
from ws4py_ng.handshake.head import Response
from ws4py_ng.handshake.headers import Headers

from .drive import cuttings, run, run_exactly

LENGTH_5 = {"Content-Length": "5"}
CHUNKED = {"Transfer-Encoding": "chunked"}

# row: (headers, status, what the server sends, limit, the body)
ROWS = {
    "as long as Content-Length says": (LENGTH_5, 403, b"hello", 100, b"hello"),
    "with more behind it": (LENGTH_5, 403, b"hello there", 100, b"hello"),
    "cut by end of file": (LENGTH_5, 403, b"hel", 100, b"hel"),
    "longer than the limit": ({"Content-Length": "1000"}, 403, b"x" * 1000, 10, b"x" * 10),
    "with a huge Content-Length": ({"Content-Length": "9" * 18}, 403, b"x" * 1000, 10, b"x" * 10),
    "with an absurd Content-Length": ({"Content-Length": "9" * 5000}, 403, b"x" * 100, 10, b"x" * 10),
    "empty": ({"Content-Length": "0"}, 403, b"", 100, b""),
    "until end of file": ({}, 403, b"hello", 100, b"hello"),
    "until the limit": ({}, 403, b"x" * 1000, 10, b"x" * 10),
    "with a bad Content-Length": ({"Content-Length": "-1"}, 403, b"hello", 100, b"hello"),
    "of a status without one": ({}, 204, b"hello", 100, b""),
    "of a 101": ({}, 101, b"\x81\x00", 100, b""),
    "in chunks": (CHUNKED, 403, b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 100, b"hello"),
    "in chunks with trailers": (CHUNKED, 403, b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", 100, b"hello"),
    "in chunks beyond the limit": (CHUNKED, 403, b"ff\r\n" + b"x" * 255 + b"\r\n0\r\n\r\n", 10, b"x" * 10),
    "in chunks with a limit of nothing": (CHUNKED, 403, b"3\r\nabc\r\n0\r\n\r\n", 0, b""),
    "in two chunks up to the limit": (CHUNKED, 403, b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", 6, b"abcdef"),
    "in a chunk that is cut": (CHUNKED, 403, b"5\r\nhel", 100, b"hel"),
    "in chunks cut between": (CHUNKED, 403, b"3\r\nhel\r", 100, b"hel"),
    "in chunks cut in a size": (CHUNKED, 403, b"3\r\nhel\r\n2", 100, b"hel"),
    "in chunks of a bad size": (CHUNKED, 403, b"3\r\nhel\r\nxy\r\nlo\r\n", 100, b"hel"),
    "in chunks of a negative size": (CHUNKED, 403, b"-3\r\nhel\r\n", 100, b""),
    "in chunks of a size that never ends": (CHUNKED, 403, b"1;" + b"x" * 1000, 100, b""),
    "in chunks and with a Content-Length": (CHUNKED | LENGTH_5, 403, b"2\r\nhi\r\n0\r\n\r\n", 100, b"hi"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_body_is_read_however_it_is_cut(row: str) -> None:
    headers, status, data, limit, expected = ROWS[row]
    response = Response(status, Headers(headers))
    for chunks in cuttings(data) if data else [[]]:
        assert expected == run(receive_body(response, limit=limit), chunks)[0], chunks
    for split in range(len(data) + 1):
        body, _ = run(receive_body(response, data[:split], limit), [data[split:]] if data[split:] else [])
        assert expected == body


@pytest.mark.parametrize(
    ("headers", "data", "expected"),
    [
        (LENGTH_5, b"hel", b"hel"),
        ({}, b"hel", b"hel"),
        (CHUNKED, b"5\r\nhel", b"hel"),
        (CHUNKED, b"3\r\nhel\r\n", b"hel"),
        (CHUNKED, b"5", b""),
    ],
)
def test_what_came_before_an_error_is_the_body(headers: dict[str, str], data: bytes, expected: bytes) -> None:
    reading = receive_body(Response(403, Headers(headers)), data)
    next(reading)
    with pytest.raises(StopIteration) as end:
        reading.throw(TimeoutError("timed out"))
    assert expected == end.value.value


@pytest.mark.parametrize(
    ("headers", "data", "unread"),
    [
        (LENGTH_5, b"hello there", b" there"),
        (CHUNKED, b"5\r\nhello\r\n0\r\n", b""),
    ],
)
def test_an_exact_provider_does_not_read_behind_the_body(headers: dict[str, str], data: bytes, unread: bytes) -> None:
    assert (b"hello", unread) == run_exactly(receive_body(Response(403, Headers(headers))), data)


def test_two_content_lengths_that_differ_count_for_none() -> None:
    response = Response(403, Headers([("Content-Length", "2"), ("Content-Length", "3")]))
    assert b"hello" == run(receive_body(response), [b"hello"])[0]


def test_the_default_limit_is_16_kib() -> None:
    assert 16 * 1024 == MAX_BODY == len(run(receive_body(Response(403)), [b"x" * 100_000])[0])
