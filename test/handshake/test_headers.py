"""The multi-map of header fields."""

from __future__ import annotations

import pytest

from ws4py_ng.handshake.headers import Headers, HeaderSource, checked_tokens, shown

PAIRS = [("Host", "a"), ("Cookie", "x=1"), ("COOKIE", "y=2")]


@pytest.mark.parametrize("source", [PAIRS, tuple(PAIRS), iter(PAIRS), Headers(PAIRS)])
def test_order_case_and_repetitions_are_kept(source: HeaderSource) -> None:
    headers = Headers(source)
    assert PAIRS == headers.items() == list(headers)
    assert 3 == len(headers)
    assert b"Host: a\r\nCookie: x=1\r\nCOOKIE: y=2\r\n" == headers.to_bytes()


def test_a_mapping_is_a_source_too() -> None:
    assert [("Host", "a"), ("X", "b")] == Headers({"Host": "a", "X": "b"}).items()


def test_names_are_found_whatever_their_case() -> None:
    headers = Headers(PAIRS)
    assert "x=1" == headers.get("cookie")
    assert ["x=1", "y=2"] == headers.get_all("Cookie")
    assert "cookIE" in headers
    assert "Origin" not in headers
    assert 7 not in headers


def test_a_name_that_is_absent_gives_the_default() -> None:
    headers = Headers()
    assert headers.get("X") is None
    assert "d" == headers.get("X", "d")
    assert [] == headers.get_all("X") == headers.tokens("X")


def test_changing_what_was_given_out_changes_nothing() -> None:
    headers = Headers(PAIRS)
    headers.items().clear()
    headers.get_all("Cookie").clear()
    assert Headers(PAIRS) == headers
    assert Headers() != headers
    assert PAIRS != headers


def test_blanks_around_a_value_do_not_count() -> None:
    assert "a b" == Headers([("X", " \ta b\t ")]).get("x")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["keep-alive, Upgrade"], ["keep-alive", "Upgrade"]),
        (["keep-alive", "Upgrade"], ["keep-alive", "Upgrade"]),
        ([" a ,\tb,c"], ["a", "b", "c"]),
        ([",a,,b,"], ["a", "b"]),
        (["", ","], []),
    ],
)
def test_a_list_may_span_lines_and_have_empty_members(values: list[str], expected: list[str]) -> None:
    headers = Headers(("Connection", value) for value in values)
    assert expected == headers.tokens("connection")
    assert [token.lower() for token in expected] == headers.tokens("connection", lower=True)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "a\0", "a/b", " a", "(a)"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        Headers().add(name, "x")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0", "\x7f", "\x1b", "€", "\ud800", "\n", "\r"])
def test_a_value_that_could_inject_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ValueError, match="the value of header X has a control character") as caught:
        Headers([("X", "secret" + value)])
    assert "secret" not in str(caught.value)


def test_latin_1_is_allowed() -> None:
    assert b"X: \xe9\tb\r\n" == Headers([("X", "é\tb")]).to_bytes()


def test_the_repr_hides_secrets() -> None:
    headers = Headers([("authorization", "Basic eA=="), ("Cookie", "s=1"), ("Host", "a")])
    assert "Headers([('authorization', '***'), ('Cookie', '***'), ('Host', 'a')])" == repr(headers)


def test_headers_can_change_and_have_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Headers())


def test_a_list_of_names_is_checked() -> None:
    assert ("a", "B") == checked_tokens(["a", "B"], "protocols")
    assert () == checked_tokens((), "protocols")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("chat", "expected a list of names"),
        (["a b"], "'a b' in protocols is not a token"),
        (["a,b"], "not a token"),
        (["a\r\nX: y"], "not a token"),
        ([""], "not a token"),
        (["é"], "not a token"),
        (["a", "b", "a"], "each name once"),
    ],
)
def test_a_list_of_names_with_a_fault_is_refused(values: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_tokens(values, "protocols")


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], "None"), (["a"], "'a'"), (["a", "b"], "['a', 'b']"), (["x" * 1000], "'" + "x" * 199 + "...")],
)
def test_values_of_the_peer_are_shown_bounded(values: list[str], expected: str) -> None:
    assert expected == shown(values)
