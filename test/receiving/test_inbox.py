"""What waits to be received: in order, in bounded memory."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.receiving.inbox import OVER, PLACE, Inbox, next_of


def piece(data: bytes, *, completed: bool = False, text: bool = True) -> Any:
    message = TextMessage(data) if text else BinaryMessage(data)
    message.completed = completed
    return message


def whole(data: bytes) -> Any:
    return piece(data, completed=True)


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    inbox = Inbox(1000)
    for message in (whole(b"a"), piece(b"b"), piece(b"c", completed=True), whole(b"d")):
        inbox.put(message)
    taken = [inbox.take() for _ in range(4)]
    assert ["a", "bc", "d", "None"] == [str(message) for message in taken]
    assert taken[1] is not None
    assert taken[1].completed


def test_what_is_there_comes_before_the_end() -> None:
    inbox = Inbox(1000)
    inbox.put(whole(b"last"))
    inbox.put(piece(b"never complete"))
    inbox.end(4001, "gr\u00fc\u00dfe".encode())
    assert "last" == str(inbox.take())
    for _ in range(2):
        with pytest.raises(ConnectionClosed, match=r"closed, 4001 \(application\): gr") as caught:
            inbox.take()
        assert (4001, "gr\u00fc\u00dfe") == (caught.value.code, caught.value.reason)


def test_it_is_full_beyond_its_limit_and_empty_messages_have_a_size_too() -> None:
    inbox = Inbox(10 * PLACE)
    for _ in range(10):
        inbox.put(whole(b""))
        assert not inbox.is_full
    inbox.put(whole(b""))
    assert inbox.is_full
    inbox.take()
    assert not inbox.is_full


def test_a_message_that_is_waited_for_whole_may_be_longer_than_the_limit() -> None:
    inbox = Inbox(100)
    inbox.put(piece(b"x" * 1000))
    assert inbox.is_full
    inbox.wanted += 1
    assert not inbox.is_full
    inbox.put(piece(b"x" * 1000, completed=True))
    assert inbox.is_full
    inbox.wanted -= 1
    message = inbox.take()
    assert message is not None
    assert 2000 == len(message.data)
    assert 0 == inbox._size


def test_pieces_are_cut_between_characters() -> None:
    inbox = Inbox(1000)
    data = "a\u20acb".encode()
    for i in range(len(data)):
        inbox.put(piece(data[i : i + 1], completed=i == len(data) - 1))
    growing = inbox.begin()
    assert growing is not None
    assert ["a", "\u20ac", "b"] == [next_of(inbox, growing) for _ in range(3)]
    assert next_of(inbox, growing) is OVER
    assert next_of(inbox, growing) is OVER
    assert 0 == inbox._size


def test_a_message_that_comes_in_tiny_pieces_takes_no_more_memory_than_it_has_bytes() -> None:
    inbox = Inbox(1 << 20)
    data = bytes(range(1, 128)) * 2048
    for i in range(0, len(data), 2):
        inbox.put(piece(data[i : i + 2], completed=i == len(data) - 2))
    growing = inbox.begin()
    assert growing is not None
    assert sum(map(sys.getsizeof, growing.parts)) < 1.5 * len(data)
    assert data.decode() == "".join(iter(lambda: next_of(inbox, growing), OVER))
    assert 0 == inbox._size


@pytest.mark.parametrize(("message", "expected"), [(whole(b""), ""), (piece(b"", completed=True, text=False), b"")])
def test_a_message_of_nothing_has_one_piece(message: Any, expected: object) -> None:
    inbox = Inbox(1000)
    inbox.put(message)
    growing = inbox.begin()
    assert growing is not None
    assert expected == next_of(inbox, growing)
    assert next_of(inbox, growing) is OVER


def test_the_rest_of_a_message_that_was_left_is_not_kept() -> None:
    inbox = Inbox(1000)
    inbox.put(piece(b"one"))
    growing = inbox.begin()
    assert growing is not None
    assert "one" == next_of(inbox, growing)
    assert next_of(inbox, growing) is None
    assert inbox.take() is None
    inbox.put(piece(b"two" * 1000))
    inbox.put(piece(b"three", completed=True))
    assert 0 == inbox._size
    inbox.put(whole(b"next"))
    assert "next" == str(inbox.take())
    with pytest.raises(RuntimeError, match="rest of this message is gone"):
        next_of(inbox, growing)


def test_pieces_that_end_with_the_connection_raise_behind_what_came() -> None:
    inbox = Inbox(1000)
    inbox.put(piece(b"one"))
    inbox.end(1006, None)
    growing = inbox.begin()
    assert growing is not None
    assert "one" == next_of(inbox, growing)
    with pytest.raises(ConnectionClosed, match="1006"):
        next_of(inbox, growing)


def test_who_has_shut_it_gets_what_was_there() -> None:
    inbox = Inbox(PLACE)
    inbox.put(whole(b"a"))
    inbox.shut()
    inbox.put(whole(b"b"))
    assert not inbox.is_full
    assert "a" == str(inbox.take())
    assert inbox.take() is None
