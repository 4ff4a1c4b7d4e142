"""UTF-8 piece by piece, against Python's own decoder."""

from __future__ import annotations

import pytest

from test.cases import BAD_UTF8
from ws4py_ng.utf8validator import Utf8Validator

GOOD = "κόσμε 𝄞 \x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff\ud7ff\ue000"


def test_good_text_is_good_wherever_it_is_cut() -> None:
    raw = GOOD.encode()
    for place in range(len(raw) + 1):
        validator = Utf8Validator()
        whole = place in {len(GOOD[:n].encode()) for n in range(len(GOOD) + 1)}
        assert (True, whole, place, place) == validator.validate(raw[:place])
        assert (True, True, len(raw) - place, len(raw)) == validator.validate(raw[place:])


@pytest.mark.parametrize("bad", BAD_UTF8.values(), ids=BAD_UTF8)
def test_bad_text_is_bad_wherever_it_is_cut(bad: bytes) -> None:
    data = b"ok" + bad
    for place in range(len(data) + 1):
        validator = Utf8Validator()
        first = validator.validate(data[:place])
        second = validator.validate(data[place:])
        assert not second[0]
        assert not second[1]
        assert first[3] <= second[3] <= len(data)
        assert (False, False, 0, second[3]) == validator.validate(b"good")


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"ab\xffcd"], (False, False, 2, 2)),
        ([b"\xff"], (False, False, 0, 0)),
        ([b"ab", b"c\xff"], (False, False, 1, 3)),
        # The byte that was valid in the piece before is counted there and not here.
        ([b"ab\xe2", b"A"], (False, False, 0, 3)),
    ],
)
def test_the_valid_bytes_are_counted(pieces: list[bytes], expected: tuple[bool, bool, int, int]) -> None:
    validator = Utf8Validator()
    for piece in pieces:
        result = validator.validate(piece)
    assert expected == result
    assert expected[3] == validator.i


def test_reset_begins_again() -> None:
    validator = Utf8Validator()
    validator.validate(b"\xff")
    validator.reset()
    assert (True, True, 1, 1) == validator.validate(b"a")
    validator.validate(b"\xe2")
    validator.reset()
    assert (True, True, 1, 1) == validator.validate(b"a")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_checked(kind: type) -> None:
    assert (True, True, 2, 2) == Utf8Validator().validate(kind(b"ab"))


def test_single_bytes_show_where_a_character_ends() -> None:
    validator = Utf8Validator()
    assert [0, 2, 2, 0, 1] == [validator.decode(byte) for byte in b"a\xe2\x82\xac\xff"]
    assert 1 == validator.decode(ord("a"))
