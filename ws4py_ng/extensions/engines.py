"""Who deflates: zlib, or a library of the extra ``fast`` where it is the better one.

Measured with CPython 3.11, zlib 1.2.13, zlib-ng 2.3.3, isal 1.9.1 on an Intel Xeon; windows of 12
bits; JSON of 56 bytes (ticks), 305 (chat), 1,067 (orders) and 16 KiB (lists): µs and ratio.

    kept from message to message   ticks         chat          orders        lists
    zlib, level 3                   3.8  2.79     8.9  3.29    18.0  4.05     168  4.55
    zlib, level 5                   3.6  2.93    10.3  3.63    20.5  4.46     211  5.12
    zlib, level 6                   4.0  2.96    11.6  3.66    22.4  4.65     231  5.35
    zlib-ng, level 3                3.5  2.71     7.6  3.33    13.9  4.34     105  4.99
    zlib-ng, level 5                3.2  2.80     8.0  3.60    14.1  4.68     112  5.56
    isal, level 1                   4.1  2.54     6.2  3.06     8.2  3.98      32  4.52
    isal, level 3                   4.1  2.47     6.6  2.98    10.0  4.06      63  4.69

    made and primed for each
    zlib, level 3                  10.2  2.90    15.4  3.58    28.2  4.31     178  4.61
    zlib-ng, level 3               16.9  2.75    20.1  3.34    34.1  4.36     135  4.99
    isal, level 1                   7.9  2.58    11.0  3.09    10.9  4.00      40  4.55

    to inflate, primed
    zlib                            1.3           3.4           7.8            49
    zlib-ng                         1.3           2.8           5.4            35
    isal                            1.9           3.1           6.8            33

So zlib-ng is for a compressor that stays and for inflating, and isal for one that is made for a single
message and wherever a low level asks for speed. It knows no library but zlib: it is handed the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

__all__ = ["Deflater", "Engine", "Engines", "Inflater", "choose", "current", "find_with"]

KIB: Final = 1024
_DEFLATED: Final = 8
_STRATEGY: Final = 0

_Buffer: TypeAlias = bytes | bytearray | memoryview


class Deflater(Protocol):
    """Deflate one stream."""

    def compress(self, data: _Buffer, /) -> bytes:
        """Take more data."""
        ...

    def flush(self, mode: int = ..., /) -> bytes:
        """Give what was held back."""
        ...


class Inflater(Protocol):
    """Inflate up to the end of a final block; ``unused_data`` is what came behind it."""

    @property
    def eof(self) -> bool:
        """Whether a final block has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Give what lies behind that."""
        ...

    def decompress(self, data: _Buffer, max_length: int, /) -> bytes:
        """Give so much of the plain data."""
        ...


class Engine(NamedTuple):
    """Hold how a library deflates: ``levels`` are its own, for those of zlib from 0 to 9.

    A compressor takes ``fixed`` bytes, ``window`` for each byte of its window, and with ``by_memory``
    512 for each doubling by ``mem_level``.
    """

    name: str
    library: Any
    levels: tuple[int, ...]
    fixed: int
    window: int
    by_memory: bool = False

    def deflater(self, level: int, bits: int, mem_level: int, window: bytes = b"") -> Deflater:
        """Make a compressor that has seen a window of data."""
        new: Callable[..., Deflater] = self.library.compressobj
        return new(self.levels[level], _DEFLATED, -bits, mem_level, _STRATEGY, window)

    def cost(self, bits: int, mem_level: int) -> int:
        """Tell how many bytes of memory a compressor takes."""
        return self.fixed + (self.window << bits) + ((512 << mem_level) if self.by_memory else 0)


class Engines(NamedTuple):
    """Hold who does what: by level, for a compressor that is ``kept`` or is ``brief``, and who inflates."""

    kept: tuple[Engine, ...]
    brief: tuple[Engine, ...]
    inflates: str
    error: type[Exception]
    new_inflater: Callable[[int, bytes], Inflater]


_ZLIB: Final = Engine("zlib", zlib, tuple(range(10)), 6 * KIB, 4, by_memory=True)


def choose(libraries: Mapping[str, ModuleType]) -> Engines:
    """Choose from libraries that work as zlib does, ``isal`` and ``zlib_ng``; either may be missing."""
    best = quick = _ZLIB
    if "zlib_ng" in libraries:
        # Its level 1 has no Huffman codes of its own: a quarter more bytes than isal's, for half of the time.
        best = Engine("zlib_ng", libraries["zlib_ng"], (0, 2, *range(2, 10)), 144 * KIB, 4)
    if "isal" in libraries:
        quick = Engine("isal", libraries["isal"], (1,) * 10, 84 * KIB, 0)
    inflates: Any = libraries.get("zlib_ng", zlib)
    return Engines(
        kept=(_ZLIB, quick, quick, *(best,) * 7),
        brief=(_ZLIB, *(quick,) * 5, *(_ZLIB,) * 4),
        inflates=inflates.__name__.rpartition(".")[2],
        error=inflates.error,
        # It copies a window that it is given, be it empty.
        new_inflater=lambda bits, window: inflates.decompressobj(-bits, window),
    )


_chosen: Engines | None = None
_find: Callable[[], Mapping[str, ModuleType]] = dict


def find_with(find: Callable[[], Mapping[str, ModuleType]]) -> None:
    """Say how libraries are found; they are looked for when the first message is to be coded."""
    global _chosen, _find
    _find, _chosen = find, None


def current() -> Engines:
    """Return who deflates in this process."""
    global _chosen
    if _chosen is None:
        _chosen = choose(_find())
    return _chosen
