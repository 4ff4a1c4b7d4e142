"""Timers that may be late by a moment: all that are due in the same one are one timer of the loop.

Of ten thousand idle connections each has a Ping to come. A loop that has a timer for each wakes up for
each by itself, and compares them, in Python, whenever one is set or due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from weakref import WeakKeyDictionary, ref

__all__ = ["GRID", "Grid", "Late"]

# Seconds that a call may be late.
GRID = 0.25
# Of those who are due together so many are called, then others have their turn.
BATCH = 32


class Late:
    """Be a call that is due, in the context of whoever asked for it, as loops have it."""

    __slots__ = ("among", "call", "context")

    # What is to be called, and who is due with it. `Grid.call_at` sets them: a connection costs one call less.
    call: Callable[[], object]
    context: Context
    among: dict[Late, None]

    def cancel(self) -> None:
        """Do not call it; twice, and when it was called, is no harm."""
        self.among.pop(self, None)


class Grid:
    """Call at points in time that are `GRID` seconds apart; `Grid.of` is that of a loop.

    The loop's own timers keep it. It must not be kept for the loop: those who wait have the loop themselves.
    """

    __slots__ = ("__weakref__", "_due")

    def __init__(self) -> None:
        self._due: dict[float, dict[Late, None]] = {}

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Grid:
        """Return the one of this loop."""
        found = _grids.get(loop)
        grid = None if found is None else found()
        if grid is None:
            grid = cls()
            _grids[loop] = ref(grid)
        return grid

    def call_at(self, loop: asyncio.AbstractEventLoop, when: float, call: Callable[[], object]) -> Late:
        """Call at a time of the loop, or up to `GRID` seconds later."""
        point = -(-when // GRID) * GRID
        due = self._due.get(point)
        if due is None:
            due = self._due[point] = {}
            loop.call_at(point, self._call, loop, point)
        late = Late()
        late.call, late.context, late.among = call, copy_context(), due
        due[late] = None
        return late

    def _call(self, loop: asyncio.AbstractEventLoop, point: float) -> None:
        due = self._due[point]
        try:
            left = BATCH
            while due and left:
                left -= 1
                late, _ = due.popitem()
                try:
                    late.context.run(late.call)
                except Exception as error:  # noqa: BLE001 - whatever it is, as loops do
                    loop.call_exception_handler({"message": "A timer failed", "exception": error})
        finally:
            if due:
                loop.call_soon(self._call, loop, point)
            else:
                del self._due[point]


_grids: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Grid]] = WeakKeyDictionary()
