"""How a client is told what to do: lines of stdin."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass
class Order:
    """Send ``count`` messages of ``size`` bytes; ``window`` of them may wait for their answers."""

    count: int
    window: int
    size: int


def next_order(word: str) -> Order | None:
    """Say that the last is done, or that all is ready, and wait for an order."""
    print(word, flush=True)
    numbers = sys.stdin.readline().split()
    return Order(*map(int, numbers)) if numbers else None


class Pace:
    """Count for a client that is called with each answer: how many messages to send now."""

    def __init__(self, order: Order) -> None:
        self.payload = b"x" * order.size
        self.size = order.size
        self.first = min(order.window, order.count)
        self._to_send = order.count - self.first
        self._to_come = order.count

    def answered(self, size: int) -> bool:
        """Note an answer; tell whether to send another."""
        if size != self.size:
            raise AssertionError(f"an answer of {size} bytes came, expected {self.size}")
        self._to_come -= 1
        if self._to_send == 0:
            return False
        self._to_send -= 1
        return True

    @property
    def is_done(self) -> bool:
        """Whether all answers have come."""
        return self._to_come == 0
