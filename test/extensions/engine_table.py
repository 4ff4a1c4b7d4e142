"""The libraries that may be there, and a peer that is as strict as can be."""

from __future__ import annotations

import zlib

import pytest

from ws4py_ng import fast
from ws4py_ng.extensions.engines import Engines, choose

# With both, isal has all that it ever has.
SETS = [("zlib",), ("zlib_ng",), ("isal", "zlib_ng")]
TAIL = b"\x00\x00\xff\xff"
# What is left of a step is copied for each byte.
STEP = 64


def engines_of(names: tuple[str, ...]) -> Engines:
    """Choose as if only these were installed."""
    there = fast.libraries()
    missing = [name for name in names if name != "zlib" and name not in there]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return choose({name: library for name, library in there.items() if name in names})


class StrictPeer:
    """Inflate by plain zlib, which can look back on exactly the window that was agreed on.

    A byte at a time: otherwise zlib looks back on all that it puts out at once as well.
    """

    def __init__(self, bits: int, forgets: bool = False) -> None:
        self._bits, self._forgets = bits, forgets
        self._inflater = zlib.decompressobj(-bits)

    def read(self, packed: bytes) -> bytes:
        """Inflate one message."""
        if self._forgets:
            self._inflater = zlib.decompressobj(-self._bits)
        plain = bytearray()
        inflate = self._inflater.decompress
        whole = packed + TAIL
        for start in range(0, len(whole), STEP):
            data = whole[start : start + STEP]
            while data:
                plain += inflate(data, 1)
                data = self._inflater.unconsumed_tail
            while more := inflate(b"", 1):
                plain += more
        return bytes(plain)
