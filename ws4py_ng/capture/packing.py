"""Compress in a replay as the recording did.

What a message becomes depends on more than the message: on the library that deflates, its version and
level, and on whether the compressor was still there (`extensions.kept`). None of that is on the wire. But
the recording says what became of each message, and proves itself: its bytes are inflated as the peer did,
and where they are the message that is to be sent, they are sent again. At the first message that is
another one the replay compresses by itself, and the difference is the class's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar, TypeAlias

from ..codes import CLOSE, CONTINUATION
from ..exc import ProtocolError
from ..extensions import PerMessageDeflate
from ..limits import Limits
from .frames import Frame

__all__ = ["RecordedDeflate"]

_Buffer: TypeAlias = bytes | bytearray | memoryview


class RecordedDeflate:
    """Be the codec of a connection whose frames were recorded; ``frames`` are those that it sent."""

    name: ClassVar[str] = PerMessageDeflate.name
    rsv: ClassVar[int] = PerMessageDeflate.rsv

    def __init__(self, codec: PerMessageDeflate, frames: Iterable[Frame]) -> None:
        self._codec = codec
        self._recorded = deque(_compressed(frames))
        self._peer = PerMessageDeflate(
            peer_window_bits=codec.own_window_bits, peer_no_context_takeover=codec.own_no_context_takeover
        )

    def bound(self, limits: Limits) -> None:
        """Hand this on."""
        self._codec.bound(limits)

    def should_compress(self, size: int, final: bool = True) -> bool:
        """Ask the codec."""
        return self._codec.should_compress(size, final)

    def compress(self, payload: _Buffer, final: bool = True) -> bytes:
        """Return what was recorded for this payload, if it says the same."""
        if self._recorded:
            frame = self._recorded.popleft()
            if frame.fin == final and self._says(frame.payload, payload, final):
                return frame.payload
            self._recorded.clear()
        # The codec has seen nothing of what was sent, and need not refer to it (RFC 7692 7.2.3.2).
        return self._codec.compress(payload, final)

    def _says(self, packed: bytes, payload: _Buffer, final: bool) -> bool:
        try:
            return self._peer.decompress(packed, final, len(payload)) == payload
        except ProtocolError:
            return False

    def decompress(self, payload: _Buffer, final: bool, budget: int) -> bytes:
        """Let the codec do it."""
        return self._codec.decompress(payload, final, budget)


def _compressed(frames: Iterable[Frame]) -> Iterable[Frame]:
    """Keep the frames of compressed messages."""
    compressed = False
    for frame in frames:
        if frame.opcode < CLOSE:
            if frame.opcode != CONTINUATION:
                compressed = frame.rsv & 4 != 0
            if compressed:
                yield frame
