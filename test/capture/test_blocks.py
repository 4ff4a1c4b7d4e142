"""Blocks of pcapng: built, cut anywhere, damaged, hostile."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.capture.blocks import (
    COMMENT,
    MAX_BLOCK,
    PACKET,
    SECTION,
    BlockParser,
    block,
    option,
    options,
)

SECTION_BODY = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
FILE = block(SECTION, SECTION_BODY) + block(PACKET, b"one") + block(PACKET, b"three")


def parsed(*pieces: bytes) -> tuple[list[bytes], list[str]]:
    parser = BlockParser()
    bodies = [found.body for piece in pieces for found in parser.feed(piece)]
    bodies += [found.body for found in parser.finish()]
    return bodies, list(map(str, parser.problems))


def test_blocks_come_out_as_they_were_built_padded_to_words() -> None:
    assert ([SECTION_BODY, b"one\0", b"three\0\0\0"], []) == parsed(FILE)


@pytest.mark.parametrize("cut", range(len(FILE)))
def test_a_file_that_is_cut_anywhere_gives_its_whole_blocks_and_the_place(cut: int) -> None:
    whole = [start for start in (28, 44, 64) if start <= cut]
    bodies, problems = parsed(FILE[:cut])
    assert len(whole) == len(bodies)
    end = whole[-1] if whole else 0
    expected = [f"at byte {end}: the file ends within a block, {cut - end} bytes of which are there"]
    assert ([] if cut == end else expected) == problems


def test_pieces_of_any_size_make_no_difference() -> None:
    assert parsed(FILE) == parsed(*(FILE[i : i + 1] for i in range(len(FILE))))


@pytest.mark.parametrize(
    ("size", "what"),
    [
        (8, "a block of 8 bytes, expected 12 or more in steps of 4"),
        (17, "a block of 17 bytes, expected 12 or more in steps of 4"),
        (0xFFFFFFFC, f"a block of 4294967292 bytes, expected {MAX_BLOCK} at most"),
        (20, "a block says at its head that it has 20 bytes and at its end "),
    ],
)
def test_a_length_that_cannot_be_is_named_and_the_next_block_is_found(size: int, what: str) -> None:
    damaged = FILE[:28] + struct.pack("<II", PACKET, size) + FILE[36:]
    bodies, problems = parsed(damaged)
    assert [SECTION_BODY, b"three\0\0\0"] == bodies
    assert len(problems) == 1
    assert problems[0].startswith(f"at byte 28: {what}")


def test_a_section_in_the_other_byte_order_is_named() -> None:
    bodies, problems = parsed(block(SECTION, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1)))
    assert [] == bodies
    assert "another byte order" in problems[0]


@given(st.binary(max_size=200), st.integers(0, len(FILE)))
def test_garbage_between_blocks_costs_no_more_than_itself(garbage: bytes, where: int) -> None:
    bodies, _ = parsed(FILE[:28] + garbage + FILE[28:])
    assert b"three\0\0\0" in bodies


def test_garbage_without_end_is_not_kept() -> None:
    parser = BlockParser()
    for _ in range(40):
        assert [] == list(parser.feed(b"\xff" * (MAX_BLOCK // 8)))
    assert len(parser._buffer) <= MAX_BLOCK
    assert 1 == len(parser.problems)


def test_options_are_read_up_to_what_makes_no_sense() -> None:
    data = option(COMMENT, b"hello") + option(2, b"x")
    assert {COMMENT: b"hello", 2: b"x"} == options(data + b"\0\0\0\0rest")
    assert {COMMENT: b"hello"} == options(option(COMMENT, b"hello") + b"\2\0\xff\xff..")
    with pytest.raises(ValueError, match="65536 bytes, expected 65535"):
        option(COMMENT, bytes(65536))
