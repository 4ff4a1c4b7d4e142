"""Sec-WebSocket-Extensions: what is read, what is refused, and that writing is the inverse."""

from __future__ import annotations

import doctest
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.extensions import header
from ws4py_ng.extensions.header import MAX_ITEMS, format_extension, format_extensions, parse_extensions

TOKEN_CHARS = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
TOKENS = st.text(TOKEN_CHARS, min_size=1, max_size=12)
EXTENSIONS = st.lists(st.tuples(TOKENS, st.lists(st.tuples(TOKENS, st.none() | TOKENS), max_size=4)), max_size=6)

GOOD = [
    ([], []),
    (["foo"], [("foo", [])]),
    (["foo, bar"], [("foo", []), ("bar", [])]),
    (["foo", "bar"], [("foo", []), ("bar", [])]),
    (["foo; x=1, foo; x=2"], [("foo", [("x", "1")]), ("foo", [("x", "2")])]),
    (
        ["permessage-deflate; client_max_window_bits"],
        [("permessage-deflate", [("client_max_window_bits", None)])],
    ),
    (['p; bits="12"'], [("p", [("bits", "12")])]),
    (['p; bits="1\\2"'], [("p", [("bits", "12")])]),
    (['p; a="b"; c, d'], [("p", [("a", "b"), ("c", None)]), ("d", [])]),
    ([" \tp \t; \ta \t= \tb \t, \tq\t "], [("p", [("a", "b")]), ("q", [])]),
    (["p;a=b;a=b"], [("p", [("a", "b"), ("a", "b")])]),
]

# Value and the place at which it goes wrong.
BAD = [
    ("", "the name of an extension at character 0"),
    (" ", "the name of an extension at character 0"),
    (",", "the name of an extension at character 0"),
    ("foo,", "the name of an extension at character 4"),
    ("foo,,bar", "the name of an extension at character 4"),
    (", foo", "the name of an extension at character 0"),
    ("foo;", "the name of a parameter at character 4"),
    ("foo;;x", "the name of a parameter at character 4"),
    ("foo; =1", "the name of a parameter at character 4"),
    ("foo; x=", "the value of a parameter at character 7"),
    ("foo; x=;y", "the value of a parameter at character 7"),
    ("foo; x==1", "the value of a parameter at character 7"),
    ('foo; x="1', "a closing quote at character 7"),
    ('foo; x="1\\"', "a closing quote at character 7"),
    ('foo; x="', "a closing quote at character 7"),
    ('foo; x=""', "a token in quotes at character 7"),
    ('foo; x="a b"', "a token in quotes at character 7"),
    ('foo; x="a,b"', "a token in quotes at character 7"),
    ('foo; x="\\""', "a token in quotes at character 7"),
    ('foo; x="1"2', "',' or ';' at character 10"),
    ("foo; x=1 2", "',' or ';' at character 9"),
    ("foo bar", "',' or ';' at character 4"),
    ("foo=1", "',' or ';' at character 3"),
    ('"foo"', "the name of an extension at character 0"),
    ("foo\r\nbar", "',' or ';' at character 3"),
    ("f\x00o", "',' or ';' at character 1"),
    ("é", "the name of an extension at character 0"),
    ("foo; x=١", "the value of a parameter at character 7"),
]


@pytest.mark.parametrize(("values", "expected"), GOOD)
def test_good_values_are_read(values: list[str], expected: object) -> None:
    assert expected == parse_extensions(values)


@pytest.mark.parametrize(("value", "expected"), BAD)
def test_bad_syntax_says_what_was_expected_and_where(value: str, expected: str) -> None:
    with pytest.raises(ValueError, match="of Sec-WebSocket-Extensions, got ") as caught:
        parse_extensions([value])
    assert f"expected {expected} of " in str(caught.value)


def test_a_bad_line_behind_a_good_one_is_found() -> None:
    with pytest.raises(ValueError, match="closing quote"):
        parse_extensions(["foo", 'bar; x="'])


def test_an_error_quotes_little_of_a_long_value() -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_extensions(["foo; x=(" + "y" * 10_000])
    assert 150 > len(str(caught.value))


@pytest.mark.parametrize(
    "values",
    [
        [", ".join(["x"] * (MAX_ITEMS + 1))],
        ["x"] * (MAX_ITEMS + 1),
        ["x" + ";y" * MAX_ITEMS],
    ],
)
def test_more_items_than_anybody_needs_are_refused(values: list[str]) -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_ITEMS}"):
        parse_extensions(values)


def test_as_many_items_as_allowed_are_read() -> None:
    assert MAX_ITEMS - 1 == len(parse_extensions(["x" + ";y" * (MAX_ITEMS - 1)])[0][1])


@pytest.mark.parametrize("tail", ["", "(", '"'])
@pytest.mark.parametrize("unit", [" ", '"', "\\", 'x="', "x", '\\"', ";", "="])
def test_repetition_takes_linear_time(unit: str, tail: str) -> None:
    # Quadratic time would take minutes here.
    with pytest.raises(ValueError, match="expected"):
        parse_extensions(['a; x="' + unit * 300_000 + tail + "("])


@given(EXTENSIONS)
def test_what_is_written_is_read_back(extensions: list[tuple[str, list[tuple[str, str | None]]]]) -> None:
    values = [format_extensions(extensions)] if extensions else []
    assert extensions == parse_extensions(values)
    assert extensions == parse_extensions(format_extension(name, params) for name, params in extensions)


@given(st.text(st.sampled_from('ab;,="\\ \t\x00é'), max_size=40))
def test_any_text_is_read_or_refused_by_value_error(text: str) -> None:
    try:
        extensions = parse_extensions([text])
    except ValueError:
        return
    assert extensions == parse_extensions([format_extensions(extensions)])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("", []),
        ("a b", []),
        ("a\r\nX: y", []),
        ("foo", [("", None)]),
        ("foo", [("x", "")]),
        ("foo", [("x", "1;y")]),
        ("foo", [("x\n", "1")]),
        ("foo", [("x", "1\n")]),
    ],
)
def test_only_tokens_are_written(name: str, params: list[tuple[str, str | None]]) -> None:
    with pytest.raises(ValueError, match="expected a token"):
        format_extension(name, params)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert 0 == doctest.testmod(header).failed
