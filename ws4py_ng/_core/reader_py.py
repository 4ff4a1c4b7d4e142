"""Bytes to frames (RFC 6455 5.2): a cursor that stands on one frame at a time.

`try_frame` moves on to the next frame if the bytes are there; otherwise `need` says how
many are missing, and `refill` is the only place of the whole library that starves for
them. `need` never reaches past the end of the frame in progress.

A data payload that is not all there is taken as it comes: unmasked into `partial`, so
that whoever cares can look at it before it is complete. Rules that one frame and the
fragments around it can break are checked at the header, before the payload is waited for.

This file is both builds: `reader_c.pxd` adds the C types. It knows no messages, no
extensions beyond the reserved bits that are allowed, no UTF-8.
"""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct
from typing import TYPE_CHECKING

from ..exc import ProtocolError
from .mask_py import new_partial, unmask_slice

if TYPE_CHECKING:
    from . import mask_py

__all__ = ["FrameReader"]

_unpack_length = Struct("!Q").unpack_from


class FrameReader:
    """Stand on one frame after the other.

    ``max_payload`` bounds the next frame's payload and may be lowered between frames, as
    a message fills up. After `try_frame` returned true, ``first`` (the frame's first byte),
    ``opcode``, ``fin``, ``rsv`` (the reserved bits where they stand in the first byte, 0x40 for
    RSV1) and ``payload`` are the frame's.
    """

    def __init__(self, expect_mask: bool, max_payload: int, max_fragments: int) -> None:
        self.expect_mask = expect_mask
        self.allowed_rsv = 0
        self.max_payload = max_payload
        self.slack = 0
        self.max_fragments = max_fragments
        self.need = 2
        self.at_eof = False
        self.buffer = b""
        self.position = 0
        # The frame on which the cursor stands.
        self.first = 0
        self.payload = b""
        # Frames that the message in progress has so far; 0 between messages.
        self.fragments = 0
        # A data payload that is not all there yet.
        self.partial: mask_py.Partial | None = None
        self.missing = 0

    @property
    def opcode(self) -> int:
        """The frame's opcode."""
        return self.first & 0x0F

    @property
    def fin(self) -> bool:
        """Whether the frame is the last of its message."""
        return self.first & 0x80 != 0

    @property
    def rsv(self) -> int:
        """The frame's reserved bits, where they stand in the first byte."""
        return self.first & 0x70

    def try_frame(self) -> int:
        """Move on to the next frame; 0 if `need` more bytes are wanted for that.

        Else it returns the first byte with 0x100 added, so that the common kinds are told apart by
        one comparison. Raises ProtocolError: 1002 for what RFC 6455 5 forbids, 1009 for a length
        over the limit.
        """
        if self.partial is not None:
            return self.take_partial()
        buffer = self.buffer
        position = self.position
        have = len(buffer) - position
        if have < 2:
            self.need = 2 - have
            if not have:
                self.buffer = b""
                self.position = 0
            return 0
        first = buffer[position]
        second = buffer[position + 1]
        length = second & 0x7F
        masked = second >= 0x80
        if (first != 0x82 and first != 0x81) or self.fragments or masked != self.expect_mask:
            self.check_start(first, length, masked)
        head = 2
        if length > 125:
            head = 4 if length == 126 else 10
            if have < head:
                self.need = head - have
                return 0
            if head == 4:
                length = (buffer[position + 2] << 8) | buffer[position + 3]
            else:
                length = _unpack_length(buffer, position + 2)[0]
            self.check_length(length, head)
        control = first & 0x08
        if length > self.max_payload and not control:
            self.check_budget(length, first)
        if masked:
            head += 4
        if have < head or (control and have < head + length):
            self.need = head + length - have
            return 0
        self.first = first
        if not control and (self.fragments or not first & 0x80):
            self.count_fragment(first & 0x80 != 0)
        start = position + head
        stop = start + length
        if have < head + length:
            return self.begin_partial(start, length, masked)
        if masked:
            self.payload = unmask_slice(buffer, start, stop)
        else:
            self.payload = buffer[start:stop]
        self.position = stop
        return first | 0x100

    def check_start(self, first: int, length: int, masked: bool) -> None:
        """Check what the first two bytes must be (RFC 6455 5.1, 5.2, 5.4, 5.5)."""
        opcode = first & 0x0F
        if first & 0x70:
            self.check_reserved(first & 0x70, opcode)
        if opcode >= 8:
            if opcode > 10:
                raise ProtocolError(1002, f"Opcode {opcode} is reserved")
            if not first & 0x80:
                raise ProtocolError(1002, "Control frame in fragments")
            if length > 125:
                raise ProtocolError(1002, "Control frame of more than 125 bytes")
        elif opcode > 2:
            raise ProtocolError(1002, f"Opcode {opcode} is reserved")
        elif opcode == 0:
            if not self.fragments:
                raise ProtocolError(1002, "Continuation frame, but no message was begun")
        elif self.fragments:
            raise ProtocolError(1002, "New message before the last one was complete")
        if masked != self.expect_mask:
            raise ProtocolError(1002, "Frame is not masked" if self.expect_mask else "Frame is masked")

    def check_reserved(self, rsv: int, opcode: int) -> None:
        """Refuse a reserved bit that no extension claims, or on a frame where it means nothing."""
        if rsv & ~self.allowed_rsv or opcode == 0 or opcode >= 8:
            raise ProtocolError(1002, f"Reserved bits 0x{rsv:02X} are set on opcode {opcode}")

    def check_length(self, length: int, head: int) -> None:
        """Refuse a length that is not in its shortest form or has the top bit (RFC 6455 5.2)."""
        if length < 126 or (head == 10 and length < 0x10000):
            raise ProtocolError(1002, f"Length {length} is not in its shortest form")
        if length > 0x7FFFFFFFFFFFFFFF:
            raise ProtocolError(1002, f"Length {length} has its top bit set")

    def check_budget(self, length: int, first: int) -> None:
        """Refuse a payload over the limit; one that an extension made may be a little longer."""
        if not first & 0x70 or length > self.max_payload + self.slack:
            raise ProtocolError(1009, f"Frame of {length} bytes, at most {self.max_payload} are taken")

    def count_fragment(self, fin: bool) -> None:
        """Count the frames of the message in progress, empty ones too."""
        self.fragments += 1
        if self.fragments > self.max_fragments:
            raise ProtocolError(1009, f"Message of more than {self.max_fragments} frames")
        if fin:
            self.fragments = 0

    def begin_partial(self, start: int, length: int, masked: bool) -> int:
        """Start on a payload that is not all there."""
        self.partial = new_partial(length, self.buffer[start - 4 : start] if masked else b"")
        self.missing = length
        self.position = start
        return self.take_partial()

    def take_partial(self) -> int:
        """Add what came to the payload in progress; return what `try_frame` does."""
        partial = self.partial
        assert partial is not None
        position = self.position
        size = min(self.missing, len(self.buffer) - position)
        if size:
            partial.add(self.buffer, position, position + size)
            self.missing -= size
        self.need = self.missing
        if self.missing:
            self.buffer = b""
            self.position = 0
            return 0
        self.position = position + size
        self.payload = partial.whole()
        self.partial = None
        return self.first | 0x100

    def has_frame(self) -> bool:
        """Tell whether a whole frame waits that was not looked at yet."""
        buffer = self.buffer
        position = self.position
        have = len(buffer) - position
        if have < 2:
            return False
        second = buffer[position + 1]
        length = second & 0x7F
        head = 6 if second >= 0x80 else 2
        if length > 125:
            more = 2 if length == 126 else 8
            head += more
            if have < head:
                return False
            length = int.from_bytes(buffer[position + 2 : position + 2 + more], "big")
        return have >= head and have - head >= length

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes of any number; none at all is the end of the stream.

        They are copied: the payload in progress is taken to its place from where they are.
        """
        if not data:
            self.at_eof = True
        elif self.missing and self.position >= len(self.buffer):
            view = memoryview(data).cast("B")
            size = min(self.missing, len(view))
            assert self.partial is not None
            self.partial.add(view, 0, size)
            self.missing -= size
            self.buffer = bytes(view[size:])
            self.position = 0
        elif self.position < len(self.buffer):
            self.buffer = self.buffer[self.position :] + bytes(data)
            self.position = 0
        else:
            self.buffer = bytes(data)
            self.position = 0

    def refill(self) -> Generator[int, bytes | bytearray | memoryview, None]:
        """Starve: ask for the bytes that `try_frame` wants."""
        data = yield self.need
        self.feed(data)

    def forget(self) -> None:
        """Drop what was fed and not parsed."""
        self.buffer = b""
        self.position = 0
        self.partial = None
        self.missing = 0

    def unread(self) -> int:
        """Return how many bytes were fed and not parsed."""
        return len(self.buffer) - self.position
