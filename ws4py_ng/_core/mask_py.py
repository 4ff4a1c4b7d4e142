"""Masking (RFC 6455 5.3) in plain Python: one exclusive-or of two long integers.

`mask_c.pyx` does the same in C. Neither knows frames.
"""

from __future__ import annotations

import sys

__all__ = ["apply_mask", "mask_slice"]

_BYTEORDER = sys.byteorder


def apply_mask(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """Mask or unmask: exclusive-or each byte with the 4 bytes of the key in turn."""
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, got {key!r}")
    size = len(data)
    pad = key * (size >> 2) + key[: size & 3]
    return (int.from_bytes(data, _BYTEORDER) ^ int.from_bytes(pad, _BYTEORDER)).to_bytes(size, _BYTEORDER)


def mask_slice(data: bytes, start: int, stop: int, key: bytes) -> bytes:
    """Mask ``data[start:stop]`` with one copy less where the build allows."""
    return apply_mask(data[start:stop], key)
