"""Compressors that stay: who has a place, who gives it up."""

from __future__ import annotations

import zlib

import pytest

from ws4py_ng.extensions.kept import Kept, new_key


def made() -> zlib._Compress:
    return zlib.compressobj(wbits=-9)


def filled(*entries: tuple[int, int]) -> Kept:
    """Bring compressors: key and cost, the longest unused first."""
    kept = Kept()
    for key, cost in entries:
        kept.bring(key, made(), cost)
    return kept


def test_what_was_brought_is_taken_once() -> None:
    kept, mine, other = Kept(), made(), made()
    kept.bring(1, mine, 10)
    kept.bring(2, other, 10)
    assert [mine, None, other, None] == [kept.take(1), kept.take(1), kept.take(2), kept.take(3)]


def test_what_costs_nothing_is_not_kept_but_is_a_turn() -> None:
    kept = Kept()
    assert [1, 2, 3] == [kept.bring(1, made(), 0), kept.bring(1, made(), 10), kept.bring(2, made(), 0)]
    assert (None, True) == (kept.take(2), kept.take(1) is not None)


# What is kept (its key is its turn), the room, cost and last turn of who comes; whether there is a place, who stays.
COMERS = [
    ([], 10, 10, 0, True, []),
    ([], 9, 10, 0, False, []),
    ([(1, 10), (2, 10)], 30, 10, 0, True, [1, 2]),
    # No room left: it was silent for longer than they are, or has never said anything.
    ([(1, 10), (2, 10)], 29, 10, 0, False, [1, 2]),
    ([(1, 10), (2, 10)], 20, 10, 1, True, [2]),
    ([(1, 10), (2, 10)], 20, 10, 5, True, [2]),
    ([(1, 10), (2, 10)], 20, 20, 5, True, []),
    ([(1, 10), (2, 10)], 20, 20, 1, False, [2]),
    # Somebody was given more room before.
    ([(1, 10), (2, 10), (3, 10)], 10, 10, 9, True, []),
]


@pytest.mark.parametrize(("entries", "room", "cost", "turn", "expected", "stay"), COMERS)
def test_who_was_silent_for_longer_has_to_go(
    entries: list[tuple[int, int]], room: int, cost: int, turn: int, expected: bool, stay: list[int]
) -> None:
    kept = filled(*entries)
    assert expected is kept.admits(cost, room, turn)
    assert stay == [key for key, _ in entries if kept.take(key) is not None]


def test_who_is_used_again_is_not_the_longest_unused() -> None:
    kept = filled((1, 10), (2, 10))
    first = kept.take(1)
    assert first is not None
    kept.bring(1, first, 10)
    assert kept.admits(10, 20, 3)
    assert kept.take(2) is None
    assert first is kept.take(1)


def test_a_key_is_never_given_twice_and_never_none() -> None:
    keys = [new_key() for _ in range(100)]
    assert 100 == len(set(keys))
    assert all(keys)
