"""A thread for what the peers of blocking connections have yet to take.

Whoever sends to many must not wait for any of them, and the thread of a connection waits for its
peer's next words. So what the kernel did not take at once is sent from here, as soon as it has
room. The thread begins when a peer is behind and ends when none is.
"""

from __future__ import annotations

import select
import threading
from contextlib import suppress
from typing import Protocol

__all__ = ["REAR", "Rear"]

# Milliseconds until those are looked at who came while the thread was waiting for others.
PATIENCE = 50
# Polls in a row in which nobody is behind, before the thread ends.
IDLE_TURNS = 20


class Laggard(Protocol):
    """Be a connection whose peer is behind."""

    def descriptor(self) -> int:
        """Return its socket's descriptor, -1 if that is closed."""

    def go_on(self) -> bool:
        """Send what the kernel takes; True when there is nothing left that this thread has to send."""


class Rear:
    """Hold the connections whose peers are behind, and send to them as they catch up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._laggards: dict[Laggard, None] = {}
        self._thread: threading.Thread | None = None

    def add(self, laggard: Laggard) -> None:
        """Send to this connection until nothing is left."""
        with self._lock:
            self._laggards[laggard] = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ws4py_ng rear", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        idle = 0
        while True:
            with self._lock:
                laggards = list(self._laggards)
                idle = 0 if laggards else idle + 1
                if idle > IDLE_TURNS:
                    self._thread = None
                    return
            self._turn(laggards)

    def _turn(self, laggards: list[Laggard]) -> None:
        poll = select.poll()
        by_descriptor: dict[int, Laggard] = {}
        for laggard in laggards:
            number = laggard.descriptor()
            if number >= 0:
                by_descriptor[number] = laggard
                with suppress(OSError):
                    poll.register(number, select.POLLOUT)
            else:
                self._settle(laggard)
        for number, _ in poll.poll(PATIENCE):
            laggard = by_descriptor[number]
            if laggard.go_on():
                self._settle(laggard)

    def _settle(self, laggard: Laggard) -> None:
        """Let go of a connection; who fell behind again meanwhile is added again."""
        with self._lock:
            self._laggards.pop(laggard, None)
        if laggard.descriptor() >= 0 and not laggard.go_on():
            self.add(laggard)


REAR = Rear()
