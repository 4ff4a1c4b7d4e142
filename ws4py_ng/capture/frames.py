"""Frames as they stand in a byte stream: where each begins, what its header says (RFC 6455 5.2).

For looking at, not for receiving: nothing is refused, as what is recorded may break every rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from .._core import apply_mask
from ..codes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

__all__ = ["NAMES", "Frame", "FrameScanner", "hex_dump", "name_of", "scan"]

NAMES = {CONTINUATION: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}


def name_of(opcode: int) -> str:
    """Name an opcode; one without a name by its number."""
    return NAMES.get(opcode, f"opcode {opcode}")


@dataclass(eq=False, slots=True)
class Frame:
    """Hold one frame: ``offset`` is where it begins behind the handshake, ``raw`` all of its bytes.

    ``payload`` is unmasked and still compressed.
    """

    offset: int
    raw: bytes
    head: int

    @property
    def opcode(self) -> int:
        """The opcode."""
        return self.raw[0] & 0x0F

    @property
    def fin(self) -> bool:
        """Whether it ends its message."""
        return self.raw[0] & 0x80 != 0

    @property
    def rsv(self) -> int:
        """The reserved bits: 4, 2, 1 for RSV1, RSV2, RSV3."""
        return self.raw[0] >> 4 & 7

    @property
    def key(self) -> bytes | None:
        """The masking key, None if it is not masked."""
        return self.raw[self.head - 4 : self.head] if self.raw[1] & 0x80 else None

    @property
    def payload(self) -> bytes:
        """The payload, unmasked."""
        data, key = self.raw[self.head :], self.key
        return data if key is None else bytes(apply_mask(data, key))

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.raw) - self.head

    @property
    def name(self) -> str:
        """What it is: ``text``, ``ping``, or the number of an opcode without a name."""
        return name_of(self.opcode)


class FrameScanner:
    """Take one direction of a connection, behind the handshake, and give its frames."""

    def __init__(self) -> None:
        self.offset = 0
        self._buffer = bytearray()
        self._need = 2

    @property
    def rest(self) -> bytes:
        """What is there of a frame that is not complete."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Add bytes; return the frames that they complete."""
        buffer = self._buffer
        buffer += data
        found: list[Frame] = []
        start = 0
        while len(buffer) - start >= self._need:
            head, size = _measure(buffer, start)
            self._need = head + size
            if len(buffer) - start >= self._need:
                stop = start + head + size
                found.append(Frame(self.offset + start, bytes(buffer[start:stop]), head))
                start, self._need = stop, 2
        del buffer[:start]
        self.offset += start
        return found


def _measure(buffer: bytearray, start: int) -> tuple[int, int]:
    """Return the bytes of a header, or of as much of it as has to be there to tell, and of the payload."""
    second = buffer[start + 1]
    length, head = second & 0x7F, 2
    if length >= 126:
        more = 2 if length == 126 else 8
        head += more
        if len(buffer) - start < head:
            return head, 0
        length = int.from_bytes(buffer[start + 2 : start + head], "big")
    return head + (4 if second & 0x80 else 0), length


def scan(data: bytes) -> list[Frame]:
    """Return all whole frames of some bytes."""
    return FrameScanner().feed(data)


def hex_dump(data: bytes, offset: int = 0, lines: int = 4) -> str:
    """Show bytes as `hexdump -C` does, 16 in a line."""
    shown = []
    for start in islice(range(0, len(data), 16), lines):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        shown.append(f"{offset + start:08x}  {row.hex(' '):<47}  |{text}|")
    return "\n".join(shown) or f"{offset:08x}  (nothing)"
