"""In which pieces recorded bytes are given to a session."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Literal, TypeAlias

__all__ = ["RANDOM_RUNS", "SPLITS", "Splits", "cuts_of", "pieces"]

Splits: TypeAlias = Literal["recorded", "whole", "bytes", "every", "random"]

SPLITS: tuple[Splits, ...] = ("recorded", "whole", "bytes", "every", "random")

RANDOM_RUNS = 100
"""How many times random splits are tried."""


def cuts_of(splits: Splits, chunks: list[int], seed: int) -> Iterator[list[int]]:
    """Give, for each run, the offsets at which the bytes are cut; ``chunks`` are the recorded sizes.

    "every" cuts the recorded chunks once more, at each offset in turn. Raises ValueError for a word
    that is none of SPLITS.
    """
    total = sum(chunks)
    recorded = []
    offset = 0
    for size in chunks[:-1]:
        offset += size
        recorded.append(offset)
    if splits == "recorded":
        yield recorded
    elif splits == "whole":
        yield []
    elif splits == "bytes":
        yield list(range(1, total))
    elif splits == "every":
        known = set(recorded)
        yield recorded
        for cut in range(1, total):
            if cut not in known:
                yield sorted([*recorded, cut])
    elif splits == "random":
        source = random.Random(seed)
        for _ in range(RANDOM_RUNS if total > 1 else 1):
            yield sorted(source.sample(range(1, total), source.randint(0, min(total - 1, 20))) if total > 1 else [])
    else:
        raise ValueError(f"splits is {splits!r}, expected one of {', '.join(SPLITS)}")


def pieces(data: bytes, offset: int, cuts: list[int]) -> Iterator[bytes]:
    """Cut bytes that begin at an offset of the whole; ``cuts`` are in their order."""
    start = 0
    for cut in cuts[bisect_right(cuts, offset) : bisect_left(cuts, offset + len(data))]:
        yield data[start : cut - offset]
        start = cut - offset
    if start < len(data):
        yield data[start:]
