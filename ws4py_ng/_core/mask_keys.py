"""Masking keys: 4 fresh bytes of the system's randomness each (RFC 6455 5.3, 10.3).

Drawn 4 KiB at a time, which a client that sends small messages feels. The pool hands
each key out once: `deque.pop` is atomic, and a child process starts with an empty one.
"""

from __future__ import annotations

import os
from collections import deque

__all__ = ["fresh_mask_key"]

_BATCH = 4096
_pool: deque[bytes] = deque()


def fresh_mask_key() -> bytes:
    """Return 4 bytes that nobody can foresee."""
    while True:
        try:
            return _pool.pop()
        except IndexError:
            random = os.urandom(_BATCH)
            _pool.extend(random[i : i + 4] for i in range(0, _BATCH, 4))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)
