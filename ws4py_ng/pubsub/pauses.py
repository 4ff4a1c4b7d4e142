"""How long to wait before a broker is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic

__all__ = ["Pauses"]

FIRST = 0.1
LONGEST = 5.0


class Pauses:
    """Double from 0.1 s to 5 s, and begin anew when a try has lasted longer than that.

    A broker that lets everybody in and then takes nothing, as Redis does without memory, is not well.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._pause = FIRST
        self._begun = 0.0

    def begin(self) -> None:
        """Take note that a try begins."""
        self._begun = self._clock()

    def end(self) -> float:
        """Return how many seconds to wait behind it: a half to all of the pause, so that not all come at once."""
        if self._clock() - self._begun > LONGEST:
            self._pause = FIRST
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST)
        return pause * random.uniform(0.5, 1.0)
