"""Compressors that stay between two messages: those of the connections that talk, in the whole process.

Making a compressor and priming it with what was sent before costs more than deflating a short message.
Keeping one for each connection costs 37 to 300 KiB for each. So only so many are kept as there is memory
for, and who talks more often takes the place of who talks less; who has no place makes one for each message.
"""

from __future__ import annotations

from itertools import count
from typing import Final

from .engines import Deflater

__all__ = ["KEPT", "Kept", "new_key"]

new_key: Final = count(1).__next__
"""Names a connection; never the same twice, and never 0."""


class Kept:
    """Hold compressors by their connection's key, the longest unused first.

    Threads share it and there is no lock: each step is one operation of a dict. A compressor that is in
    use was taken out, so that nobody else can have it.
    """

    __slots__ = ("_held", "_turn")

    def __init__(self) -> None:
        self._held: dict[int, tuple[Deflater, int, int]] = {}
        self._turn = 0

    def take(self, key: int) -> Deflater | None:
        """Return what is kept for a connection, which has to bring it back; None if there is nothing."""
        held = self._held.pop(key, None)
        return None if held is None else held[0]

    def bring(self, key: int, deflater: Deflater, cost: int) -> int:
        """Keep a compressor of so many bytes, not at all if that is 0; return the number of this turn."""
        self._turn = turn = self._turn + 1
        if cost:
            self._held[key] = deflater, cost, turn
        return turn

    def admits(self, cost: int, room: int, turn: int) -> bool:
        """Make a place for a connection that needs one, and had its last turn then; tell whether there is one.

        ``room`` is for how many bytes all may take. Only who was silent for longer has to go.
        """
        held = list(self._held.items())
        free = room - cost - sum(entry[1] for _, entry in held)
        for key, (_, size, last) in held:
            if free >= 0 or last > turn:
                break
            if self._held.pop(key, None) is not None:
                free += size
        return free >= 0


KEPT: Final = Kept()
