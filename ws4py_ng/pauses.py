"""How long to wait before something that has ended is tried again."""

from __future__ import annotations

__all__ = ["Pauses"]

# Seconds of the first pause.
FIRST = 0.1


class Pauses:
    """Double from 0.1 s to ``longest`` seconds, and begin anew when a try has lasted longer than that.

    What lets everybody in and then fails, as a Redis without memory does, is not well.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._pause = FIRST

    def after(self, lasted: float) -> float:
        """Return how many seconds to wait behind a try of so many seconds."""
        if lasted > self._longest:
            self._pause = FIRST
        pause, self._pause = self._pause, min(self._pause * 2, self._longest)
        return pause
