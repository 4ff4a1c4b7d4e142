"""What is published, as bytes on a broker: who, the how manieth, text or binary, and the message.

By the first two a bus knows its own messages again, and those that it has seen before.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from struct import Struct
from typing import NamedTuple

from ..codes import BINARY, TEXT
from ..shared import SharedMessage

__all__ = ["Envelope", "Seen", "unpack_all"]

_HEAD = Struct("!B8sQB")
VERSION = 1
# So many hubs are remembered of each topic: those that have published last.
MAX_ORIGINS = 1024


class Envelope(NamedTuple):
    """Hold a publish on its way between hubs."""

    origin: bytes
    number: int
    opcode: int
    data: bytes

    def pack(self) -> bytes:
        """Make bytes of it."""
        return _HEAD.pack(VERSION, self.origin, self.number, self.opcode) + self.data

    @classmethod
    def unpack(cls, raw: bytes) -> Envelope:
        """Read it. Raises ValueError for what no hub has made."""
        if len(raw) < _HEAD.size:
            raise ValueError(f"expected a publish of at least {_HEAD.size} bytes, got {len(raw)}")
        version, origin, number, opcode = _HEAD.unpack_from(raw)
        if version != VERSION or opcode not in (TEXT, BINARY):
            raise ValueError(f"expected version {VERSION} and text or binary, got version {version}, opcode {opcode}")
        return cls(origin, number, opcode, raw[_HEAD.size :])


class Seen:
    """Know what has come on one topic; each hub's numbers only grow."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: OrderedDict[bytes, int] = OrderedDict()

    def is_new(self, envelope: Envelope) -> bool:
        """Tell whether this has not come before, and remember it."""
        last = self._last
        if envelope.number <= last.get(envelope.origin, 0):
            return False
        last[envelope.origin] = envelope.number
        last.move_to_end(envelope.origin)
        if len(last) > MAX_ORIGINS:
            last.popitem(last=False)
        return True


def unpack_all(entries: list[tuple[bytes, str]]) -> list[tuple[SharedMessage, str]]:
    """Read what a stream has kept, each message once; what no hub has made is passed over."""
    seen = Seen()
    found: list[tuple[SharedMessage, str]] = []
    for raw, offset in entries:
        with suppress(ValueError):
            envelope = Envelope.unpack(raw)
            if seen.is_new(envelope):
                found.append((SharedMessage(envelope.opcode, envelope.data), offset))
    return found
