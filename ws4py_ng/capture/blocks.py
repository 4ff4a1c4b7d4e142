"""The container: blocks of pcapng, those that a capture has (draft-ietf-opsawg-pcapng).

A block is ``type, length, body, length``, in 32-bit words. A file that was cut off is whole up to
its last block; a file that was damaged is read on from the next block that stands where both its
lengths agree. It knows nothing of what is in a body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

__all__ = [
    "INTERFACE",
    "MAX_BLOCK",
    "PACKET",
    "SECTION",
    "Block",
    "BlockParser",
    "Problem",
    "block",
    "option",
    "options",
]

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
PACKET: Final = 6

COMMENT: Final = 1  # opt_comment, the same in every block

MAX_BLOCK: Final = 1024 * 1024
"""Longest block that is believed: a packet has 64 KiB at most, jumbo captures 256. A length
beyond it is damage or an attack, and no memory is spent on it."""

_LITTLE: Final = b"\x4d\x3c\x2b\x1a"  # 0x1A2B3C4D, the byte-order magic
_KNOWN: Final = frozenset({SECTION, INTERFACE, PACKET})
_CANDIDATE: Final = re.compile(rb"\x0a\x0d\x0d\x0a|[\x01\x06]\x00\x00\x00")

_head = Struct("<II")
_word = Struct("<I")
_option = Struct("<HH")


class Block(NamedTuple):
    """Hold one block: its type, where it begins in the file, and what is between its lengths."""

    kind: int
    offset: int
    body: bytes


class Problem(NamedTuple):
    """Say what is wrong with a capture, and at which byte."""

    offset: int
    what: str

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.what}"


def block(kind: int, body: bytes) -> bytes:
    """Build a block; the body is padded to whole words."""
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return b"".join((_head.pack(kind, size), body, _word.pack(size)))


def option(code: int, value: bytes) -> bytes:
    """Build one option. Raises ValueError for a value of more than 65,535 bytes."""
    if len(value) > 0xFFFF:
        raise ValueError(f"An option of {len(value)} bytes, expected 65535 at most")
    return _option.pack(code, len(value)) + value + bytes(-len(value) % 4)


def options(data: bytes) -> dict[int, bytes]:
    """Read options, up to their end or to what makes no sense; of several the last one counts."""
    found: dict[int, bytes] = {}
    position = 0
    while len(data) - position >= 4:
        code, size = _option.unpack_from(data, position)
        position += 4
        if code == 0 or position + size > len(data):
            break
        found[code] = data[position : position + size]
        position += size + -size % 4
    return found


class BlockParser:
    """Take a capture in pieces of any size, and give its blocks.

    ``problems`` are what was wrong so far. Damage is skipped: bytes up to the next block whose two
    lengths agree are lost, no more.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.problems: list[Problem] = []
        self._buffer = bytearray()
        self._lost = False

    def feed(self, data: bytes) -> Iterator[Block]:
        """Add bytes; give the blocks that they complete."""
        self._buffer += data
        while (found := self._next()) is not None:
            yield found

    def finish(self) -> Iterator[Block]:
        """Take note that there is no more: a part of a block is a problem. Give what it may hide."""
        while self._buffer and not self._lost:
            self._complain(f"the file ends within a block, {len(self._buffer)} bytes of which are there")
            self._lost = True
            self._drop(1)
            yield from self.feed(b"")

    def _next(self) -> Block | None:
        buffer = self._buffer
        if self._lost and not self._find():
            return None
        if len(buffer) < 12:
            return None
        fault = self._fault(0)
        if fault is None:
            kind, size = _head.unpack_from(buffer)
            if len(buffer) < size:
                return None
            (again,) = _word.unpack_from(buffer, size - 4)
            if again == size:
                found = Block(kind, self.offset, bytes(buffer[8 : size - 4]))
                self._drop(size)
                return found
            fault = f"a block says at its head that it has {size} bytes and at its end {again}"
        self._complain(fault)
        self._lost = True
        self._drop(1)
        return self._next() if self._find() else None

    def _fault(self, start: int) -> str | None:
        """Say why no block can begin here, whatever follows."""
        kind, size = _head.unpack_from(self._buffer, start)
        if size < 12 or size % 4:
            return f"a block of {size} bytes, expected 12 or more in steps of 4"
        if size > MAX_BLOCK:
            return f"a block of {size} bytes, expected {MAX_BLOCK} at most"
        if kind == SECTION and self._buffer[start + 8 : start + 12] != _LITTLE:
            return "a section in another byte order than little-endian"
        return None

    def _find(self) -> bool:
        """Go on to the next whole block behind damage."""
        buffer = self._buffer
        for match in _CANDIDATE.finditer(bytes(buffer)):
            start = match.start()
            if len(buffer) - start < 12:
                break
            if self._fault(start) is not None:
                continue
            size = _word.unpack_from(buffer, start + 4)[0]
            if start + size <= len(buffer) and _word.unpack_from(buffer, start + size - 4)[0] == size:
                self._drop(start)
                self._lost = False
                return True
        if len(buffer) > MAX_BLOCK:
            self._drop(len(buffer) - MAX_BLOCK)
        return False

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self.offset += size

    def _complain(self, what: str) -> None:
        self.problems.append(Problem(self.offset, what))
