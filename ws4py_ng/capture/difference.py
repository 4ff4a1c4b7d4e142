"""The first difference between what was expected and what came, for people."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import hex_dump, scan

__all__ = ["Difference", "first_difference"]

_BEFORE = 8
_SHOWN = 48


@dataclass(frozen=True, eq=False)
class Difference:
    """Say where two runs part. ``offset`` counts bytes behind the handshake, ``frame`` frames from 0."""

    what: str
    offset: int | None = None
    frame: int | None = None
    details: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n{self.details}" if self.details else self.what


def first_difference(what: str, expected: bytes, got: bytes, names: tuple[str, str]) -> Difference | None:
    """Compare two streams of frames; None when they are the same."""
    if expected == got:
        return None
    offset = next((i for i, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), None)
    if offset is None:
        offset = min(len(expected), len(got))
    number, shown = 0, "behind the last frame"
    for longer in (expected, got):
        for number, frame in enumerate(scan(longer)):
            if frame.offset <= offset < frame.offset + len(frame.raw):
                shown = f"in frame {number} ({frame.name}, {frame.size} bytes), which begins at byte {frame.offset}"
                break
        else:
            continue
        break
    start = max(offset - _BEFORE, 0) & ~15
    rows = []
    for name, data in zip(names, (expected, got), strict=True):
        rows.append(f"{name} ({len(data)} bytes):\n{hex_dump(data[start : start + _SHOWN], start)}")
    return Difference(f"{what} at byte {offset}, {shown}", offset, number, "\n".join(rows))
