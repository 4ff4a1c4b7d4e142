"""Compressed messages that many connections share.

A message that is deflated without a look at what was sent before can be read by every peer that
agreed on a window of that size: with context takeover a message *may* refer to earlier ones, and
need not (RFC 7692 7.2.3.2). Such a message enters the peer's window like any other. Ours must not
differ from it, so `follow` lets our window be the end of that message alone: the last bytes that
the peer has are exactly these, and what lies before them is never referred to. That costs no copy
for a short message, and the next message of that connection's own some of its ratio.
"""

from __future__ import annotations

from collections.abc import Hashable

from . import Extension
from .engines import current
from .kept import KEPT
from .permessage_deflate import EMPTY, SYNC_FLUSH, TAIL, PerMessageDeflate

__all__ = ["compress_alone", "follow", "setting"]


def setting(extension: Extension, size: int) -> Hashable:
    """Name what decides how a message of this size is coded: False for not at all, None for what cannot be shared."""
    if not isinstance(extension, PerMessageDeflate):
        return None
    if not extension.should_compress(size):
        return False
    return extension.own_window_bits, extension.level, extension.mem_level


def compress_alone(codec: PerMessageDeflate, payload: bytes) -> bytes:
    """Deflate a whole message that refers to nothing before it."""
    engine = current().kept[codec.level]
    deflater = engine.deflater(codec.level, codec.own_window_bits, codec.mem_level)
    data = deflater.compress(payload)
    return data + deflater.flush(SYNC_FLUSH)[: -len(TAIL)] or EMPTY


def follow(codec: PerMessageDeflate, payload: bytes) -> None:
    """Take note that the peer is sent a message that `compress_alone` has deflated; in wire order."""
    if not codec.own_no_context_takeover:
        KEPT.take(codec._key)  # it has not seen this
        codec._sent = payload[-codec._primed_size :]
