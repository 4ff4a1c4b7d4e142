"""Bytes that wait to be sent on one connection, and whether a message may be put behind them.

Several threads may send. Compiled, each method is one step, in which no other thread can run: it
calls no Python between what it looks at and what it changes. A method of the pure build is none, and
its caller holds the transport's guard. Whatever takes more than one step, a fragment or a Close
frame, is done under the guard in both builds, and first sees to it that a `put` is refused.

This file is both builds: `outbox_c.pxd` adds the C types. It knows no messages, no states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .frames_py import new_frames
from .mask_py import apply_mask
from .writer_py import frame_head

if TYPE_CHECKING:
    from . import frames_py

__all__ = ["Outbox"]

# From here on a payload is a piece of its own, and copied only to be masked.
LARGE = 16 * 1024


class Outbox:
    """Hold pieces of bytes (or events of a host); false when it is empty.

    ``size`` is that of all, ``largest`` the size of what was the largest, ``frames`` how many were
    put here since the beginning. Small messages are joined as they come; the payload of a large one stays
    as it is, behind its header.
    """

    __slots__ = (
        "cork",
        "frames",
        "is_fragmenting",
        "is_full",
        "is_plain",
        "largest",
        "new_mask_key",
        "pieces",
        "size",
        "tail",
    )

    def __init__(self) -> None:
        self.pieces: list[Any] | None = None  # made when it is needed
        self.tail: frames_py.Frames | None = None  # the same, and kept
        self.size = 0
        self.largest = 0
        self.frames = 0
        # A message is a frame as it is: the connection is open, and nothing has to be done to it but masking.
        self.is_plain = False
        self.new_mask_key: Callable[[], bytes] | None = None
        # More than is good waits already.
        self.is_full = False
        # A message is sent in fragments, between which there is no place for another.
        self.is_fragmenting = False
        # With less than this nobody has to be told that something is to be sent: he comes and looks.
        self.cork = 0

    def __bool__(self) -> bool:
        return self.size > 0 or self.pieces is not None

    def put(self, opcode: int, payload: bytes) -> int:
        """Add a message; 0 if that cannot be done so simply, 1 if the transport has to be told, else 2."""
        if self.is_full or self.is_fragmenting or not self.is_plain:
            return 0
        key = None
        if self.new_mask_key is not None:
            key = self.new_mask_key()
            if not self._is_ready():  # another thread was there
                return 0
        if len(payload) >= LARGE:
            return self._put_apart(opcode, payload, key)
        if self.tail is None:
            self.tail = new_frames()
        added = self.tail.add(0x80 | opcode, payload, key)
        self.frames += 1
        self.size += added
        if added > self.largest:
            self.largest = added
        return 2 if self.size < self.cork else 1

    def _put_apart(self, opcode: int, payload: bytes, key: bytes | None) -> int:
        """Add a message whose payload is a piece of its own."""
        head = frame_head(0x80 | opcode, len(payload), key)
        if key is not None:
            payload = apply_mask(payload, key)
        # All lists are made before one looks: see `take`.
        fresh: list[Any] = []
        pieces: list[Any] = [head, payload]
        if not self._is_ready():
            return 0
        if self.pieces is None:
            self.pieces = fresh
        self.add(pieces, len(head) + len(payload), 1)
        return 2 if self.size < self.cork else 1

    def add(self, pieces: list[Any], size: int, frames: int) -> None:
        """Add what was encoded elsewhere."""
        if self.pieces is None:
            self.pieces = []
        small = b"" if self.tail is None else self.tail.whole()
        if small:
            self.pieces.append(small)
        self.pieces += pieces
        self.frames += frames
        self.size += size
        if size > self.largest:
            self.largest = size

    def take(self) -> list[Any]:
        """Return all pieces, which are then no more here."""
        fresh: list[Any] = []  # at first: memory may be cleaned up now, which runs Python
        pieces = fresh if self.pieces is None else self.pieces
        small = b"" if self.tail is None else self.tail.whole()
        if small:
            pieces.append(small)
        self.pieces = None
        self.size = 0
        self.largest = 0
        return pieces

    def take_if(self, frames: int) -> list[Any] | None:
        """Do that, unless more than so many were put here: then None."""
        return None if self.frames > frames else self.take()

    def _is_ready(self) -> bool:
        return self.is_plain and not self.is_full and not self.is_fragmenting
