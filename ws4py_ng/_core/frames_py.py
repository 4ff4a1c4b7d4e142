"""Small frames, one behind the other, to be sent at once: in plain Python a list that is joined.

`frames_c.pyx` does the same in C, in one piece of memory.
"""

from __future__ import annotations

from .mask_py import small_frame
from .writer_py import encode_frame

__all__ = ["Frames", "new_frames"]


class Frames:
    """Collect frames; `whole` is all of them, once."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: list[bytes] = []

    def add(self, first: int, payload: bytes, key: bytes | None) -> int:
        """Add a frame of less than 64 KiB, masked if there is a key; return its length."""
        frame = small_frame(first, payload, key) if len(payload) < 126 else encode_frame(first, payload, key)
        self._frames.append(frame)
        return len(frame)

    def whole(self) -> bytes:
        """Return all frames, which are then no more here."""
        frames, self._frames = self._frames, []
        return b"".join(frames)


# What is compiled cannot import the name of a class from either build.
new_frames = Frames
