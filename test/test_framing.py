"""Frames as objects, in ws4py's manner."""

from __future__ import annotations

import random
from typing import Any

import pytest

from test.chunking import KEY, Piece, one_byte
from ws4py_ng import framing
from ws4py_ng.exc import FrameTooLargeException, ProtocolException
from ws4py_ng.framing import Frame


def parsed(data: bytes, exact: bool = True) -> Frame:
    """Parse one frame, giving just what is asked for, or single bytes."""
    frame = Frame()
    parser = frame.parser
    if exact:
        wanted: Any = 1
        while wanted is not None:
            wanted, data = parser.send(data[:wanted]), data[wanted:]
        assert data == b""
    else:
        steps = [parser.send(byte) for byte in one_byte(data)]
        assert steps[-1] is None
        assert None not in steps[:-1]
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("exact", [True, False])
def test_a_frame_is_built_and_read_again(size: int, key: bytes | None, exact: bool) -> None:
    body = random.Random(size).randbytes(size)
    for opcode in (0, 1, 2) if size > 125 else (0, 1, 2, 8, 9, 10):
        built = Frame(opcode, body, key, fin=1).build()
        assert Piece(opcode, body).to_bytes(masked=key is not None) == built
        frame = parsed(built, exact)
        assert (opcode, 1, size, key) == (frame.opcode, frame.fin, frame.payload_length, frame.masking_key)
        assert body == (frame.unmask(frame.body) if key else frame.body)


def test_reserved_bits_are_built() -> None:
    assert b"\x71\x00" == Frame(1, rsv1=1, rsv2=1, rsv3=1).build()
    assert b"\xc1\x00" == Frame(1, fin=1, rsv1=1).build()


def test_an_empty_key_is_none() -> None:
    assert b"\x81\x01a" == Frame(1, b"a", masking_key=b"", fin=1).build()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"opcode": 3}, ValueError),
        ({"opcode": None}, ValueError),
        ({"opcode": 1, "fin": 2}, ValueError),
        ({"opcode": 1, "masking_key": b"abc", "body": b"hello"}, ValueError),
    ],
)
def test_a_frame_that_cannot_be_is_not_built(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Frame(**options).build()


def test_a_frame_of_2_to_the_63_bytes_is_too_large() -> None:
    frame = Frame(2)
    frame.payload_length = 1 << 63
    with pytest.raises(FrameTooLargeException, match=r"2\*\*63"):
        frame.build()


@pytest.mark.parametrize("body", ["text", None, bytearray(b"x"), 5])
def test_a_body_is_bytes(body: Any) -> None:
    with pytest.raises(TypeError, match=type(body).__name__):
        Frame(1, body)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xc1", ProtocolException),
        (b"\xa1", ProtocolException),
        (b"\x91", ProtocolException),
        (b"\x83", ProtocolException),
        (b"\x8b", ProtocolException),
        (b"\x09", ProtocolException),
        (b"\x89\x7e", FrameTooLargeException),
        (b"\x82\x7f" + b"\xff" * 8, FrameTooLargeException),
    ],
)
def test_a_frame_that_cannot_be_is_not_read(data: bytes, error: type[Exception]) -> None:
    frame = Frame()
    *fine, bad = one_byte(data)
    for byte in fine:
        frame.parser.send(byte)
    with pytest.raises(error):
        frame.parser.send(bad)


def test_a_mask_needs_a_key() -> None:
    with pytest.raises(ValueError, match="no masking key"):
        Frame(1).mask(b"x")


def test_text_is_taken_for_latin_1() -> None:
    frame = Frame()
    assert frame.parser.send("\x81\x02h\xe9") is None
    assert b"h\xe9" == frame.body


def test_a_parser_is_made_once_and_cleaned_up() -> None:
    frame = Frame()
    assert frame.parser is frame.parser
    frame._cleanup()
    frame._cleanup()
    assert 1 == frame.parser.send(b"\x81")


def test_the_opcodes_have_the_names_of_ws4py() -> None:
    names = ("CONTINUATION", "TEXT", "BINARY", "CLOSE", "PING", "PONG")
    assert [0, 1, 2, 8, 9, 10] == [getattr(framing, f"OPCODE_{name}") for name in names]
