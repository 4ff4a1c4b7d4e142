"""Frames as bytes by the letter of RFC 6455 5.2, and all the ways in which bytes may arrive.

Written without the package, so that a mistake would have to be made twice.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

KEY = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

# Up to this length every way to cut a stream in two is tried.
EVERY_SPLIT = 200
RANDOM_SPLITS = 20


class Piece(NamedTuple):
    """Hold one frame to be sent, right or wrong; ``form`` forces the length's: 7, 16 or 64 bits."""

    opcode: int
    payload: bytes = b""
    fin: int = 1
    rsv: int = 0
    form: int | None = None
    length: int | None = None
    wrong_mask: bool = False

    def to_bytes(self, masked: bool) -> bytes:
        """Build the frame."""
        masked = masked is not self.wrong_mask
        length = len(self.payload) if self.length is None else self.length
        form = self.form or (7 if length < 126 else 16 if length < 1 << 16 else 64)
        head = bytes([self.fin << 7 | self.rsv << 4 | self.opcode])
        bit = 0x80 if masked else 0
        if form == 7:
            head += bytes([bit | length])
        elif form == 16:
            head += bytes([bit | 126]) + length.to_bytes(2, "big")
        else:
            head += bytes([bit | 127]) + length.to_bytes(8, "big")
        return head + KEY + xored(self.payload) if masked else head + self.payload


class Raw(NamedTuple):
    """Hold bytes that are no whole frame; ``cut`` takes so many off the end of one."""

    piece: Piece
    cut: int

    def to_bytes(self, masked: bool) -> bytes:
        """Build what is left of the frame."""
        return self.piece.to_bytes(masked)[: -self.cut]


class Seen(NamedTuple):
    """Hold one frame as it was found on the wire."""

    opcode: int
    payload: bytes
    fin: int = 1
    rsv: int = 0


def xored(data: bytes, key: bytes = KEY) -> bytes:
    """Mask, byte by byte (RFC 6455 5.3)."""
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def wire(pieces: Any, masked: bool) -> bytes:
    """Build the bytes of several frames."""
    return b"".join(piece.to_bytes(masked) for piece in pieces)


def frames(data: bytes, masked: bool) -> list[Seen]:
    """Take bytes apart into frames; all of them must be whole, minimal, and masked or not."""
    found = []
    while data:
        first, second, data = data[0], data[1], data[2:]
        assert masked == bool(second & 0x80), "a frame is masked if, and only if, a client sent it"
        length = second & 0x7F
        if length > 125:
            size = 2 if length == 126 else 8
            length, data = int.from_bytes(data[:size], "big"), data[size:]
            assert length > (125 if size == 2 else 0xFFFF), "a length has its shortest form"
        key = b""
        if masked:
            key, data = data[:4], data[4:]
        assert len(data) >= length, "the last frame is whole"
        payload, data = data[:length], data[length:]
        found.append(Seen(first & 0x0F, xored(payload, key) if masked else payload, first >> 7, first >> 4 & 7))
    return found


def deflated(data: bytes, final: bool = True) -> bytes:
    """Compress a message of its own as RFC 7692 7.2.1 has it."""
    deflater = zlib.compressobj(wbits=-12)
    packed = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return packed[:-4] if final else packed


def one_byte(data: bytes) -> list[bytes]:
    """Cut data into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]


def cut(data: bytes, places: Any) -> list[bytes]:
    """Cut data at these places; no piece is empty."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def at_random(data: bytes, seed: object) -> list[bytes]:
    """Cut data at up to eight places, the same for the same seed."""
    dice = random.Random(f"{seed}")
    return cut(data, [dice.randrange(len(data) + 1) for _ in range(dice.randint(1, 8))])


def chunkings(data: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Cut data in every way that a row must stand; name each."""
    yield "whole", cut(data, ())
    if len(data) <= 20_000:
        yield "one byte at a time", one_byte(data)
    places = range(1, len(data)) if len(data) <= EVERY_SPLIT else (*range(1, 16), *range(len(data) - 15, len(data)))
    for place in places:
        yield f"cut at {place}", cut(data, [place])
    if len(data) > 2:
        for seed in range(RANDOM_SPLITS):
            yield f"random {seed}", at_random(data, seed)
