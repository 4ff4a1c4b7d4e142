"""Masking (RFC 6455 5.3) in plain Python: one exclusive-or of two long integers.

`mask_c.pyx` does the same in C.
"""

from __future__ import annotations

import sys
from struct import Struct

__all__ = ["Partial", "apply_mask", "new_partial", "small_frame", "unmask_slice"]

_BYTEORDER = sys.byteorder
_pack = Struct("!BB").pack


def apply_mask(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """Mask or unmask: exclusive-or each byte with the 4 bytes of the key in turn."""
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, got {key!r}")
    size = len(data)
    pad = key * (size >> 2) + key[: size & 3]
    return (int.from_bytes(data, _BYTEORDER) ^ int.from_bytes(pad, _BYTEORDER)).to_bytes(size, _BYTEORDER)


def unmask_slice(data: bytes, start: int, stop: int) -> bytes:
    """Unmask ``data[start:stop]`` by the key that stands before it."""
    return apply_mask(data[start:stop], data[start - 4 : start])


def small_frame(first: int, payload: bytes, key: bytes | None) -> bytes:
    """Build a frame of at most 125 bytes of payload (RFC 6455 5.2)."""
    if key is None:
        return _pack(first, len(payload)) + payload
    return _pack(first, 0x80 | len(payload)) + key + apply_mask(payload, key)


class Partial:
    """Collect a payload of ``length`` bytes as it comes, unmasked by ``key`` unless that is empty."""

    def __init__(self, length: int, key: bytes) -> None:
        self._data = bytearray()
        self._taken = 0
        self._key = key

    def add(self, data: bytes | memoryview, start: int, stop: int) -> None:
        """Add ``data[start:stop]``."""
        if self._key:
            turn = len(self) & 3
            self._data += apply_mask(data[start:stop], self._key[turn:] + self._key[:turn])
        else:
            self._data += data[start:stop]

    def piece(self, start: int) -> bytes:
        """Return what came so far, from ``start`` on."""
        return bytes(self._data[start:])

    def take(self) -> bytes:
        """Return what came since the last time, and keep it no more; `whole` is then what came behind it."""
        data = bytes(self._data)
        self._taken += len(data)
        self._data.clear()
        return data

    def whole(self) -> bytes:
        """Return the payload, which is complete; once."""
        return bytes(self._data)

    def __len__(self) -> int:
        return self._taken + len(self._data)


def new_partial(length: int, key: bytes) -> Partial:
    """Return a new `Partial`: what is compiled cannot import the name of a class from either build."""
    return Partial(length, key)
