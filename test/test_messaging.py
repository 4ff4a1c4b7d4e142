"""Messages: what they hold, and the frames they become."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from test.chunking import Seen, frames
from ws4py_ng import messaging
from ws4py_ng.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
    new_message,
)


@pytest.mark.parametrize(
    ("message", "opcode", "data"),
    [
        (TextMessage("grün"), 1, "grün".encode()),
        (TextMessage(b"abc"), 1, b"abc"),
        (TextMessage(), 1, b""),
        (BinaryMessage(b"\xff"), 2, b"\xff"),
        (BinaryMessage(bytearray(b"ab")), 2, b"ab"),
        (BinaryMessage(memoryview(b"ab")), 2, b"ab"),
        (BinaryMessage(), 2, b""),
        (PingControlMessage("a"), 9, b"a"),
        (PingControlMessage(), 9, b""),
        (PongControlMessage(b"a"), 10, b"a"),
        (CloseControlMessage(), 8, b"\x03\xe8"),
        (CloseControlMessage(1001, "bye"), 8, b"\x03\xe9bye"),
        (CloseControlMessage(1005), 8, b""),
        (CloseControlMessage(None), 8, b""),
    ],
)
def test_a_message_is_bytes_and_one_frame(message: Message, opcode: int, data: bytes) -> None:
    assert (opcode, data) == (message.opcode, message.data)
    assert bytes is type(message.data)
    assert [Seen(opcode, data)] == frames(message.single(), masked=False)
    assert [Seen(opcode, data)] == frames(message.single(mask=True), masked=True)
    assert (opcode == 1, opcode == 2) == (message.is_text, message.is_binary)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(True, False, (1, 0)), (False, False, (0, 0)), (False, True, (0, 1)), (True, True, (1, 1))],
)
def test_a_message_is_a_fragment_as_well(first: bool, last: bool, expected: tuple[int, int]) -> None:
    message = TextMessage("abc")
    assert [Seen(expected[0], b"abc", expected[1])] == frames(message.fragment(first, last), masked=False)
    assert [Seen(expected[0], b"abc", expected[1])] == frames(message.fragment(first, last, mask=True), masked=True)


def test_every_masked_frame_has_a_key_of_its_own() -> None:
    message = BinaryMessage(bytes(100))
    assert len({message.single(mask=True) for _ in range(20)}) == 20


def test_length_is_in_characters_or_in_bytes() -> None:
    assert (4, 5) == (len(TextMessage("grün")), len(BinaryMessage("grün".encode())))


def test_text_is_decoded_once_and_again_when_it_grows() -> None:
    message = TextMessage("a")
    assert message.text is message.text
    message.extend("ü")
    message.extend(b"b")
    assert ("aüb", "aüb", "aüb".encode()) == (message.text, str(message), message.data)
    grown = TextMessage("a")
    grown.extend(bytearray(b"b"))
    assert "ab" == str(grown)


def test_binary_data_is_no_text() -> None:
    with pytest.raises(TypeError, match="Binary data is not text"):
        str(BinaryMessage(b"x"))
    with pytest.raises(TypeError, match="needs an encoding"):
        BinaryMessage("x")


@pytest.mark.parametrize("data", [5, None, ["a"], object()])
def test_data_is_text_or_bytes(data: Any) -> None:
    with pytest.raises(TypeError, match=type(data).__name__):
        Message(1, data)


def test_a_received_message_is_complete_and_its_own() -> None:
    text, binary = new_message(TextMessage), new_message(BinaryMessage)
    text.data = binary.data = b"abc"
    assert (True, True, "abc", b"abc") == (text.completed, binary.completed, text.text, binary.data)
    assert (1, "utf-8", 2, None) == (text.opcode, text.encoding, binary.opcode, binary.encoding)
    assert (TextMessage, BinaryMessage) == (type(text), type(binary))
    assert not TextMessage("abc").completed


def test_a_close_has_a_code_and_a_reason() -> None:
    message = CloseControlMessage(4000, "grün")
    assert (4000, "grün".encode(), "grün") == (message.code, message.reason, str(message))
    assert "<CloseControlMessage 4000 b'gr\\xc3\\xbcn'>" == repr(message)


def test_a_message_shows_its_size_and_not_its_data() -> None:
    assert "<TextMessage of 6 bytes>" == repr(TextMessage("secret"))


def test_programs_may_hang_things_on_a_message() -> None:
    message: Any = TextMessage("a")
    message.sender = "b"
    assert weakref.ref(message)() is message


def test_the_opcodes_are_where_ws4py_had_them() -> None:
    assert 1 == messaging.OPCODE_TEXT  # type: ignore[attr-defined]
