"""What is shown: a thermometer in each room, read at irregular times."""

from __future__ import annotations

import random
import threading
import time
import zlib
from collections.abc import Callable, Sequence

__all__ = ["Producer"]


class Producer(threading.Thread):
    """Call ``publish`` with room, number, time and temperature, ``rate`` times a second for each room on average.

    Each room's readings are numbered from 1 on, so that who misses one knows. A thread of its own, as a
    producer may be anything: a serial line, a subscription to a market, another server.
    """

    def __init__(self, rooms: Sequence[str], rate: float, publish: Callable[[str, int, float, float], object]) -> None:
        super().__init__(name="producer", daemon=True)
        self._rooms = rooms
        self._rate = rate
        self._publish = publish
        self._stopped = threading.Event()

    def run(self) -> None:
        """Read a thermometer, and wait for a time that nobody knows before."""
        usual = {room: 10 + zlib.crc32(room.encode()) % 180 / 10 for room in self._rooms}
        now = {room: random.gauss(mean, 1.0) for room, mean in usual.items()}
        numbers = dict.fromkeys(self._rooms, 0)
        while not self._stopped.wait(random.expovariate(self._rate * len(self._rooms))):
            room = random.choice(self._rooms)
            now[room] += random.gauss((usual[room] - now[room]) * 0.03, 0.25)
            numbers[room] += 1
            self._publish(room, numbers[room], time.time(), round(now[room], 2))

    def stop(self) -> None:
        """End, and wait for that."""
        self._stopped.set()
        if self.ident is not None:
            self.join()
