"""What carries publishes between processes: three verbs, and a beginning and an end.

`MemoryBus` is the default and needs nothing. `redis` and `nats` are beside it, each with the
library of that name.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MethodType
from typing import NamedTuple, Protocol, runtime_checkable

from ..shared import SharedMessage

__all__ = ["Bus", "BusStatus", "Fetched", "MemoryBus", "Moved", "Outcome", "Publication", "Receive"]


class Outcome(StrEnum):
    """Say what a bus did with a publish."""

    SENT = "sent"
    """It is on its way, or there is nobody else."""
    QUEUED = "queued"
    """The bus is away. It will be sent when that is back."""
    REFUSED = "refused"
    """It will not be sent: the bus is away, and as much as may wait for it does; or this is more than it takes."""


@dataclass(frozen=True, slots=True)
class BusStatus:
    """Say how a bus is doing."""

    name: str = "memory"
    connected: bool = True
    queued: int = 0
    """Publishes that wait for the bus."""
    refused: int = 0
    """Publishes that were not sent, as too much waited or the broker did not take them."""
    reconnects: int = 0
    duplicates: int = 0
    """Publishes that came twice, and were passed on once."""
    lost: int = 0
    """Publishes of others that were lost on their way, as this process did not keep up (`RelayBus`)."""
    error: str = ""
    """Why it went away, the last time."""


class Publication(NamedTuple):
    """Hold a message and who has published it; ``exclude`` is for the hub of that, and stays there."""

    origin: bytes
    message: SharedMessage
    exclude: frozenset[int] = frozenset()


# Called with a topic, what was published, and where that stands in a stream: "" where there is none.
Receive = Callable[[str, Publication, str], None]
# Called when the bus is away, or back.
Moved = Callable[[bool], None]
# Called with what a stream held, oldest first, and where each of it stands; None if it could not be asked.
Fetched = Callable[[list[tuple[SharedMessage, str]] | None], None]


@runtime_checkable
class Bus(Protocol):
    """Carry publishes to the hubs of other processes; from any thread, and none of it waits."""

    @property
    def ordered(self) -> bool:
        """Whether a publish comes back to its own hub: in the one order that all hubs see, with an offset."""

    @property
    def status(self) -> BusStatus:
        """How it is doing."""

    def open(self, receive: Receive, moved: Moved) -> None:
        """Begin. ``receive`` is told what comes, in a thread of the bus; ``moved`` when it is away, or back."""

    def subscribe(self, topic: str) -> None:
        """Let what is published on a topic come."""

    def unsubscribe(self, topic: str) -> None:
        """Let it come no more."""

    def publish(self, topic: str, publication: Publication) -> Outcome:
        """Send to every hub that has subscribed to the topic."""

    def check_offset(self, offset: str) -> None:
        """Raise ValueError for an offset that this bus can never have given."""

    def fetch(self, topic: str, since: str | None, count: int, fetched: Fetched) -> None:
        """Tell what an ordered bus has kept of a topic up to where its hub is: all behind an offset, or the last."""

    def close(self) -> None:
        """End; what waits is sent if that can be done at once."""


class MemoryBus:
    """Join the hubs of one process that are given the same one; alone, it does nothing."""

    ordered = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A hub that nobody has any more takes no part.
        self._receivers: list[Callable[[], Receive | None]] = []

    @property
    def status(self) -> BusStatus:
        """How it is doing."""
        return BusStatus()

    def open(self, receive: Receive, moved: Moved) -> None:
        """Let one more hub take part, as long as it is there."""
        made = weakref.WeakMethod(receive) if isinstance(receive, MethodType) else lambda: receive
        with self._lock:
            self._receivers = [*(each for each in self._receivers if each() is not None), made]

    def subscribe(self, topic: str) -> None:
        """Do nothing: a hub passes over what nobody there wants."""

    def unsubscribe(self, topic: str) -> None:
        """Do nothing."""

    def publish(self, topic: str, publication: Publication) -> Outcome:
        """Hand it to every hub at once; its own knows it again."""
        receivers = self._receivers
        if len(receivers) > 1:
            for reference in receivers:
                receive = reference()
                if receive is not None:
                    receive(topic, publication, "")
        return Outcome.SENT

    def check_offset(self, offset: str) -> None:
        """Take any."""

    def fetch(self, topic: str, since: str | None, count: int, fetched: Fetched) -> None:
        """Keep nothing."""
        fetched([])

    def close(self) -> None:
        """Do nothing: the others may go on."""
