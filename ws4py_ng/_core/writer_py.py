"""Frames to bytes (RFC 6455 5.2).

This file is both builds: `writer_c.pxd` adds the C types. It knows no messages.
"""

from __future__ import annotations

from struct import Struct

from .mask_py import apply_mask, small_frame

__all__ = ["encode_frame", "frame_head"]

_pack_short = Struct("!BB").pack
_pack_medium = Struct("!BBH").pack
_pack_long = Struct("!BBQ").pack


def frame_head(first: int, length: int, key: bytes | None) -> bytes:
    """Build a frame's header; ``first`` is its first byte: FIN, reserved bits, opcode."""
    masked = 0 if key is None else 0x80
    if length < 126:
        head = _pack_short(first, masked | length)
    elif length < 0x10000:
        head = _pack_medium(first, masked | 126, length)
    else:
        head = _pack_long(first, masked | 127, length)
    return head if key is None else head + key


def encode_frame(first: int, payload: bytes | bytearray | memoryview, key: bytes | None) -> bytes:
    """Build a whole frame, masked if there is a key of 4 bytes."""
    if type(payload) is bytes and len(payload) < 126:
        return small_frame(first, payload, key)
    if key is None:
        return frame_head(first, len(payload), None) + payload
    return frame_head(first, len(payload), key) + apply_mask(payload, key)
