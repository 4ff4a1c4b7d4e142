"""permessage-deflate, the codec: what holds for any messages, any settings and any garbage."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.exc import ProtocolError
from ws4py_ng.extensions import PerMessageDeflate

pytestmark = pytest.mark.usefixtures("chosen")

TAIL = b"\x00\x00\xff\xff"
PLENTY = 1 << 20

BITS = st.integers(9, 15)
WORDS = st.lists(st.sampled_from([b"Hello", b"hello ", bytes(300), b"{}", TAIL]), max_size=30).map(b"".join)
MESSAGES = st.lists(st.lists(st.binary(max_size=300) | WORDS, min_size=1, max_size=5), max_size=6)


def chunks_of(data: bytes, size: int) -> list[bytes]:
    """Cut data into fragments: none is empty unless there is no data."""
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


def received(codec: PerMessageDeflate, fragments: list[bytes], budget: int) -> bytes:
    """Inflate one message, the budget kept as its reader would."""
    plain = b""
    for i, fragment in enumerate(fragments):
        plain += codec.decompress(fragment, i == len(fragments) - 1, budget - len(plain))
    return plain


def deflated(data: bytes) -> bytes:
    """Deflate by plain zlib, up to a flush, tail and all."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)


def final_block(data: bytes) -> bytes:
    """Deflate by plain zlib, up to a final block."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


@given(BITS, st.booleans(), st.integers(0, 9), st.integers(1, 9), MESSAGES, st.integers(1, 700))
def test_what_is_sent_is_received(
    bits: int, forgets: bool, level: int, mem_level: int, messages: list[list[bytes]], size: int
) -> None:
    sender = PerMessageDeflate(own_window_bits=bits, own_no_context_takeover=forgets, level=level, mem_level=mem_level)
    receiver = PerMessageDeflate(peer_window_bits=bits, peer_no_context_takeover=forgets)
    for fragments in messages:
        coded = b"".join(sender.compress(fragment, i == len(fragments) - 1) for i, fragment in enumerate(fragments))
        plain = b"".join(fragments)
        assert plain == received(receiver, chunks_of(coded, size), len(plain))


@given(MESSAGES, st.data())
def test_blocks_of_any_kind_are_read_at_any_split(messages: list[list[bytes]], data: st.DataObject) -> None:
    receiver = PerMessageDeflate()
    for pieces in messages:
        kinds = data.draw(st.lists(st.sampled_from([deflated, final_block]), min_size=5, max_size=5))
        coded = b"".join(kind(piece) for kind, piece in zip(kinds, pieces, strict=False)) + b"\x00"
        cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=5)))
        fragments = [coded[a:b] for a, b in zip([0, *cuts], [*cuts, len(coded)], strict=True)]
        assert b"".join(pieces) == received(receiver, fragments, PLENTY)


def outcome(codec: PerMessageDeflate, payload: bytes | bytearray, final: bool, budget: int) -> bytes | int:
    """Inflate a frame: what came of it, or the close code. Nothing else may be raised."""
    try:
        plain = codec.decompress(payload, final, budget)
    except ProtocolError as error:
        return error.code
    assert budget >= len(plain)
    return plain


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=8), st.integers(0, 2000), BITS)
def test_garbage_is_read_within_the_budget_or_is_a_protocol_error(
    frames: list[tuple[bytes, bool]], budget: int, bits: int
) -> None:
    codec = PerMessageDeflate(peer_window_bits=bits)
    for payload, final in frames:
        result = outcome(codec, payload, final, budget)
        assert isinstance(result, bytes) or result in (1007, 1009)


@given(WORDS, st.integers(0, 400), st.integers(0, 255), st.integers(0, 2000))
def test_a_damaged_byte_makes_no_more_than_the_budget(data: bytes, at: int, value: int, budget: int) -> None:
    coded = bytearray(deflated(data)[:-4])
    coded[at % len(coded)] ^= value
    result = outcome(PerMessageDeflate(), coded, True, budget)
    assert isinstance(result, bytes) or result in (1007, 1009)


@given(WORDS.filter(bool), st.integers(1, 20))
def test_a_message_that_was_cut_is_not_taken_for_a_whole_one(data: bytes, missing: int) -> None:
    coded = deflated(data)[:-4]
    cut = coded[: max(len(coded) - missing, 1)]
    result = outcome(PerMessageDeflate(), cut, True, PLENTY)
    if isinstance(result, bytes):
        # What was left is DEFLATE all the same, and plain zlib reads it in the same way.
        assert zlib.decompressobj(-15).decompress(cut + TAIL) == result
    else:
        assert 1007 == result
