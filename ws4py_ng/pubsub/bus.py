"""What carries publishes between processes: three verbs, and a beginning and an end.

`MemoryBus` is the default and needs nothing. `redis` and `nats` are beside it, each with the
library of that name. A bus knows topics and bytes; what is in the bytes is in `envelope`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Bus", "BusStatus", "MemoryBus", "Outcome", "Receive"]


class Outcome(StrEnum):
    """Say what a bus did with a publish."""

    SENT = "sent"
    """It is on its way, or there is nobody else."""
    QUEUED = "queued"
    """The bus is away. It will be sent when that is back."""
    REFUSED = "refused"
    """The bus is away, and as much as may wait for it does. It will not be sent."""


@dataclass(frozen=True, slots=True)
class BusStatus:
    """Say how a bus is doing."""

    name: str = "memory"
    connected: bool = True
    queued: int = 0
    """Publishes that wait for the bus."""
    refused: int = 0
    reconnects: int = 0
    error: str = ""
    """Why it went away, the last time."""


# Called with a topic, what was published, and where that stands in a stream: "" where there is none.
Receive = Callable[[str, bytes, str], None]


class Bus(Protocol):
    """Carry publishes to the hubs of other processes; from any thread, and none of it waits."""

    @property
    def ordered(self) -> bool:
        """Whether a publish comes back to its own hub: in the one order that all hubs see, with an offset."""

    @property
    def status(self) -> BusStatus:
        """How it is doing."""

    def open(self, receive: Receive, moved: Callable[[bool], None]) -> None:
        """Begin. ``receive`` is told what comes, in a thread of the bus; ``moved`` when it is away, or back."""

    def subscribe(self, topic: str) -> None:
        """Let what is published on a topic come."""

    def unsubscribe(self, topic: str) -> None:
        """Let it come no more."""

    def publish(self, topic: str, data: bytes) -> Outcome:
        """Send to every hub that has subscribed to the topic."""

    def close(self) -> None:
        """End; what waits is sent if that can be done at once."""


class MemoryBus:
    """Join the hubs of one process that are given the same one; alone, it does nothing."""

    ordered = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._receivers: list[Receive] = []

    @property
    def status(self) -> BusStatus:
        """How it is doing."""
        return BusStatus()

    def open(self, receive: Receive, moved: Callable[[bool], None]) -> None:
        """Let one more hub take part."""
        with self._lock:
            self._receivers.append(receive)

    def subscribe(self, topic: str) -> None:
        """Do nothing: a hub passes over what nobody there wants."""

    def unsubscribe(self, topic: str) -> None:
        """Do nothing."""

    def publish(self, topic: str, data: bytes) -> Outcome:
        """Hand it to every hub at once; its own knows it again."""
        receivers = self._receivers
        if len(receivers) > 1:
            for receive in receivers.copy():
                receive(topic, data, "")
        return Outcome.SENT

    def close(self) -> None:
        """Do nothing: the others may go on."""
