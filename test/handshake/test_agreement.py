"""Offers of extensions and their answers."""

from __future__ import annotations

import pytest

from ws4py_ng.handshake.agreement import Params, accept_offers, confirm_answer

from .fakes import Codec, Fake

X, Y = Fake("x"), Fake("y")


# row: (offered lines, supported, answer)
OFFERS: dict[str, tuple[list[str], list[Fake], list[tuple[str, Params]]]] = {
    "nothing": ([], [X], []),
    "nothing that is supported": (["z"], [X], []),
    "one": (["x; a=1"], [X], [("x", [("yes", None)])]),
    "two in the client's order": (["y", "x"], [X, Y], [("y", [("yes", None)]), ("x", [("yes", None)])]),
    "a variant that is declined and one that is not": (["x; bad, x; a"], [X], [("x", [("yes", None)])]),
    "only variants that are declined": (["x; bad", "x; bad; a"], [X], []),
    "the same name twice": (["x, x"], [X], [("x", [("yes", None)])]),
    "two entries of one name": (["x"], [X, Fake("x", "no")], [("x", [("yes", None)])]),
}


@pytest.mark.parametrize("row", OFFERS)
def test_the_first_acceptable_offer_of_a_name_is_taken(row: str) -> None:
    lines, supported, expected = OFFERS[row]
    answer, agreed = accept_offers(lines, supported)
    assert expected == answer
    assert [name for name, _ in expected] == [extension.name for extension in agreed]


def test_the_extension_is_made_of_the_offer_that_was_taken() -> None:
    _, agreed = accept_offers(["x; bad, x; b, x; c"], [X])
    assert [Codec("x", [("b", None)])] == agreed


# row: (lines of the answer, strict, names agreed or a part of the error)
ANSWERS: dict[str, tuple[list[str], bool, list[str] | str]] = {
    "nothing": ([], True, []),
    "one": (["x; yes"], True, ["x"]),
    "both, in the server's order": (["y; yes", "x; yes"], True, ["y", "x"]),
    "one that was not offered": (["z"], True, "z was not offered"),
    "one that was not offered, not strict": (["z, z, x; yes"], False, ["x"]),
    "one twice": (["x; yes, x; yes"], True, "x comes twice"),
    "one twice, not strict": (["x; yes", "x; yes"], False, "x comes twice"),
    "parameters that do not fit": (["x; 16"], True, "expected yes"),
    "parameters that do not fit, not strict": (["x; 16"], False, "expected yes"),
    "bad syntax": (['x; y="'], True, "closing quote"),
    "bad syntax, not strict": (["x;;"], False, "expected"),
}


@pytest.mark.parametrize("row", ANSWERS)
def test_an_answer_is_checked_against_the_offer(row: str) -> None:
    lines, strict, expected = ANSWERS[row]
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            confirm_answer(lines, [X, Y], strict=strict)
    else:
        assert expected == [extension.name for extension in confirm_answer(lines, [X, Y], strict=strict)]


def test_an_answer_may_confirm_any_variant_of_the_offer() -> None:
    variants = [Fake("x", "first"), Fake("x", "second")]
    for answer in ("first", "second"):
        assert [Codec("x", [(answer, None)])] == confirm_answer([f"x; {answer}"], variants)
    with pytest.raises(ValueError, match="expected second"):
        confirm_answer(["x; third"], variants)
