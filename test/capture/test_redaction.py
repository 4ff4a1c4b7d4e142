"""What is secret does not reach a capture, however it is cut."""

from __future__ import annotations

import pytest

from ws4py_ng.capture.redaction import MAX_HELD, SECRET, Redaction

HEAD = (
    b"GET /chat?token=hush&x=1 HTTP/1.1\r\nHost: a\r\nauthorization:  Bearer abc\r\n"
    b"X-Key: k\r\n folded\r\nCookie: a=b\r\n\r\n"
)
SAFE = (
    b"GET /chat?token=****&x=1 HTTP/1.1\r\nHost: a\r\nauthorization:  **********\r\n"
    b"X-Key: *\r\n ******\r\nCookie: ***\r\n\r\n"
)
SWITCHES = b"HTTP/1.1 101 x\r\nSet-Cookie: a=b\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"

Chunks = list[tuple[bool, bytes]]


def filtered(*chunks: bytes) -> list[bytes]:
    return [chunk for _, chunk in between(*((False, chunk) for chunk in chunks), (True, SWITCHES))][:-1]


def between(*chunks: tuple[bool, bytes], secrets: tuple[str, ...] = (*SECRET, "X-KEY", "token")) -> Chunks:
    """Redact what a server read and wrote; True is for what it wrote."""
    redaction = Redaction(secrets, by_client=False)
    found = [released for stamp, chunk in enumerate(chunks) for released in redaction.feed(chunk[0], stamp, chunk[1])]
    found += redaction.finish(True)
    assert list(range(len(chunks))) == [stamp for _, stamp, _ in found]
    return [(outgoing, chunk) for outgoing, _, chunk in found]


@pytest.mark.parametrize("cut", range(len(HEAD) + 1))
def test_values_become_asterisks_wherever_a_head_is_cut(cut: int) -> None:
    assert [SAFE[:cut], SAFE[cut:] + b"Cookie: 1\r\n"] == filtered(HEAD[:cut], HEAD[cut:] + b"Cookie: 1\r\n")


@pytest.mark.parametrize("size", range(1, len(HEAD)))
def test_a_head_that_is_not_complete_is_redacted_as_well(size: int) -> None:
    assert SAFE[:size] == b"".join(filtered(HEAD[:size]))


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        (b"GET /?token=hush HTTP/1.1", b"GET /?token=**** HTTP/1.1"),
        (b"GET /?a=1&TOKEN=hush&token=&token HTTP/1.1", b"GET /?a=1&TOKEN=****&token=&token HTTP/1.1"),
        (b"GET /?%74oken=hush#token=x HTTP/1.1", b"GET /?%74oken=****#token=x HTTP/1.1"),
        (b"GET /?a=b?c&token=c=d HTTP/1.1", b"GET /?a=b?c&token=*** HTTP/1.1"),
        (b"GET /token=a HTTP/1.1", b"GET /token=a HTTP/1.1"),
        (b"GET /?tokens=a HTTP/1.1", b"GET /?tokens=a HTTP/1.1"),
        (b"GET /?a=1;token=hu;sh&b=2 HTTP/1.1", b"GET /?a=1;token=*****&b=2 HTTP/1.1"),
        (b"\r\nGET /?token=hush HTTP/1.1", b"\r\nGET /?token=**** HTTP/1.1"),
    ],
)
def test_parameters_of_a_query_are_found_however_they_are_written(line: bytes, safe: bytes) -> None:
    head = line + b"\r\nReferer: https://a/b?token=hush&c=d\r\nX: ?token=e\r\n\r\n"
    expected = safe + b"\r\nReferer: https://a/b?token=****&c=d\r\nX: ?token=e\r\n\r\n"
    assert [expected] == filtered(head)


def test_an_interim_response_is_followed_by_another_head() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    assert (True, early + SWITCHES.replace(b"a=b", b"***")) == between((False, GET), (True, early + SWITCHES))[1]


def test_what_is_sent_before_the_answer_is_recorded_once_that_agrees() -> None:
    chunks = [(False, GET + b"\x89\x80"), (False, b"mask"), (True, SWITCHES + b"\x8a\0"), (False, b"Cookie: a")]
    safe = [(outgoing, chunk.replace(b"a=b", b"***")) for outgoing, chunk in chunks]
    assert safe == between(*chunks)


SECRETIVE = HEAD.replace(b"hush", b"more")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(
            [(False, GET, b""), (True, PAGE, b"ok"), (False, b"", SECRETIVE), (True, b"", SWITCHES)], id="next"
        ),
        pytest.param([(False, GET, SECRETIVE), (True, PAGE, b"ok" + SWITCHES), (False, b"", b"frames?")], id="at once"),
        pytest.param([(False, GET, HEAD), (False, b"", bytes(MAX_HELD)), (True, PAGE, b"ok")], id="before the answer"),
        pytest.param([(False, b"\r\n\r\n", HEAD), (True, REFUSAL, b"")], id="behind empty lines"),
    ],
)
def test_what_follows_another_answer_than_101_is_asterisks(rows: list[tuple[bool, bytes, bytes]]) -> None:
    safe = [(outgoing, kept + b"*" * len(hidden)) for outgoing, kept, hidden in rows]
    assert safe == between(*((outgoing, kept + hidden) for outgoing, kept, hidden in rows))


def test_a_refusal_does_not_tell_what_was_secret() -> None:
    body = b"'hush' is no token"
    assert [(False, SAFE), (True, REFUSAL + b"*" * len(body))] == between((False, HEAD), (True, REFUSAL + body))


def test_a_refusal_keeps_its_body_where_nothing_was_secret() -> None:
    chunks = [(False, GET), (True, REFUSAL + b"Host: "), (True, b"is missing")]
    assert chunks == between(*chunks)


def test_who_keeps_secrets_keeps_all() -> None:
    chunks = [(False, HEAD + HEAD), (True, PAGE + b"ok"), (False, HEAD)]
    assert chunks == between(*chunks, secrets=())


def test_an_answer_is_redacted_when_the_client_has_ended_before_it() -> None:
    redaction = Redaction(SECRET, by_client=False)
    assert [(False, 0, GET)] == redaction.feed(False, 0, GET)
    assert [] == redaction.finish(False)
    assert [(True, 1, SWITCHES.replace(b"a=b", b"***"))] == redaction.feed(True, 1, SWITCHES)


def test_a_head_without_end_is_let_go() -> None:
    redaction = Redaction(SECRET, by_client=False)
    assert [] == redaction.feed(False, 0, b"Cookie: a\r\n" * 10)
    assert 2 == len(redaction.feed(False, 1, bytes(MAX_HELD)))
    assert redaction.request is not None
