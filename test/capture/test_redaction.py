"""What is secret does not reach a capture, however it is cut."""

from __future__ import annotations

import pytest

from ws4py_ng.capture.redaction import MAX_HELD, SECRET, HeadFilter

HEAD = (
    b"GET /chat?token=hush&x=1 HTTP/1.1\r\nHost: a\r\nauthorization:  Bearer abc\r\n"
    b"X-Key: k\r\n folded\r\nCookie: a=b\r\n\r\n"
)
SAFE = (
    b"GET /chat?token=****&x=1 HTTP/1.1\r\nHost: a\r\nauthorization:  **********\r\n"
    b"X-Key: *\r\n ******\r\nCookie: ***\r\n\r\n"
)


def filtered(*chunks: bytes) -> list[bytes]:
    head = HeadFilter((*SECRET, "X-KEY", "token"))
    found = [released for stamp, chunk in enumerate(chunks) for released in head.feed(stamp, chunk)]
    found += head.finish()
    assert list(range(len(chunks))) == [stamp for stamp, _ in found]
    return [chunk for _, chunk in found]


@pytest.mark.parametrize("cut", range(len(HEAD) + 1))
def test_values_become_asterisks_wherever_a_head_is_cut(cut: int) -> None:
    assert [SAFE[:cut], SAFE[cut:] + b"Cookie: 1\r\n"] == filtered(HEAD[:cut], HEAD[cut:] + b"Cookie: 1\r\n")


@pytest.mark.parametrize("size", range(1, len(HEAD)))
def test_a_head_that_is_not_complete_is_redacted_as_well(size: int) -> None:
    assert SAFE[:size] == b"".join(filtered(HEAD[:size]))


def test_an_interim_response_is_followed_by_another_head() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 x\r\nSet-Cookie: a=b\r\n\r\n"
    assert data.replace(b"a=b", b"***") == b"".join(filtered(data))


def test_a_head_without_end_is_let_go() -> None:
    head = HeadFilter(SECRET)
    assert [] == head.feed(0, b"Cookie: a\r\n" * 10)
    assert 2 == len(head.feed(1, bytes(MAX_HELD)))
    assert head.done
