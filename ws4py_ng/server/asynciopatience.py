"""How long those who have connected may take for their requests: one timer for all of them."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Patience"]


class Guest(Protocol):
    """Be somebody who is waited for."""

    def too_late(self) -> None:
        """Be told that the time is up; `Patience.forget` was called."""


class Patience:
    """Give all the same time, so that who came first is the first to be late. None is for ever."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._until: dict[Guest, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, guest: Guest) -> None:
        """Begin to wait."""
        if self._timeout is None:
            return
        loop = asyncio.get_running_loop()
        when = self._until[guest] = loop.time() + self._timeout
        if self._timer is None:
            self._timer = loop.call_at(when, self._look)

    def forget(self, guest: Guest) -> None:
        """Wait for somebody no longer; twice is no harm."""
        self._until.pop(guest, None)

    def end(self) -> None:
        """Let the timer go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = []
        for guest, when in self._until.items():
            if when > now:
                self._timer = loop.call_at(when, self._look)
                break
            late.append(guest)
        for guest in late:
            self.forget(guest)
            guest.too_late()
