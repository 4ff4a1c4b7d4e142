"""Compressed messages that many connections share.

A message that is deflated without a look at what was sent before can be read by every peer that
agreed on a window of that size: with context takeover a message *may* refer to earlier ones, and
need not (RFC 7692 7.2.3.2). Such a message enters the peer's window like any other. Ours must not
differ from it, so `follow` lets our window be the end of that message alone: the last bytes that
the peer has are exactly these, and what lies before them is never referred to. That costs no copy
for a short message, and the next message of that connection's own some of its ratio.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable

from . import Extension
from .permessage_deflate import _EMPTY, _TAIL, PerMessageDeflate

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
    deflater = zlib.compressobj(codec.level, zlib.DEFLATED, -codec.own_window_bits, codec.mem_level)
    data = deflater.compress(payload)
    return data + deflater.flush(zlib.Z_SYNC_FLUSH)[: -len(_TAIL)] or _EMPTY


def follow(codec: PerMessageDeflate, payload: bytes) -> None:
    """Take note that the peer is sent a message that `compress_alone` has deflated; in wire order."""
    if not codec.own_no_context_takeover:
        codec._deflater = None
        codec._sent = payload[-(1 << codec.own_window_bits) :]
