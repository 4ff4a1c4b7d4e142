"""Which topics there are, who is in them, and who has left: the books of a hub, and their lock.

The lock is held for a moment and never while something is sent or called. A connection may end
anywhere, the garbage collector's run within these very lines included: who has ended is noted, and
struck out by whoever can have the lock.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from .bus import Bus
from .member import Member, Subscription
from .status import Presence
from .topics import Topic

__all__ = ["Books", "Event"]

logger = logging.getLogger("ws4py_ng")

Event = Callable[[Presence], object]


class Books:
    """Keep the books of a hub."""

    def __init__(self, bus: Bus, history: int, history_bytes: int, max_idle_topics: int, left: Event | None) -> None:
        self._bus = bus
        self._history = history
        self._history_bytes = history_bytes
        self._max_idle_topics = max_idle_topics
        self._left = left
        self._lock = threading.Lock()
        self._topics: dict[str, Topic] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._members: dict[int, Member] = {}
        self._gone: deque[Member | int] = deque()

    @contextmanager
    def _books(self) -> Iterator[None]:
        """Hold the lock; before and after, strike out who has ended, perhaps in this very thread."""
        if self._gone:
            self._strike_out()
        with self._lock:
            yield
        if self._gone:
            self._strike_out()

    def _forget(self, member: Member) -> None:
        """Strike out a member. May be called by the garbage collector, that is to say, at any time."""
        self._gone.append(member)
        self._strike_out()

    def _strike_out(self) -> None:
        # Who cannot get the lock leaves it to who has it, and looks again when he lets it go.
        while self._gone and self._lock.acquire(blocking=False):
            left: list[Subscription] = []
            try:
                gone = self._gone.popleft()
                member = self._members.get(gone) if isinstance(gone, int) else gone
                if member is not None and (member is gone or member.ws() is None):
                    for topic in list(member.subscriptions):
                        left += self._remove(member, topic)
            except IndexError:
                continue
            finally:
                self._lock.release()
            self._tell(self._left, left)

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._history, self._history_bytes)
        return topic

    def _remove(self, member: Member, name: str) -> list[Subscription]:
        found = member.subscriptions.pop(name, None)
        if found is None:
            return []
        topic = self._topics[name]
        topic.remove(member.key)
        if topic.is_idle:
            self._bus.unsubscribe(name)
            self._retire(name, topic)
        if not member.subscriptions and self._members.get(member.key) is member:
            del self._members[member.key]
            ws = member.ws()
            if ws is not None:
                member.leave(ws)
        return [found]

    def _retire(self, name: str, topic: Topic) -> None:
        """Keep a topic that nobody is in for its history, if there is one, and not too many such.

        On an ordered bus it is the bus that keeps: what is published meanwhile does not come here.
        """
        if not topic.keeps or self._bus.ordered:
            del self._topics[name]
            return
        self._idle[name] = None
        self._idle.move_to_end(name)
        if len(self._idle) > self._max_idle_topics:
            oldest, _ = self._idle.popitem(last=False)
            del self._topics[oldest]

    def _tell(self, event: Event | None, subscriptions: Iterable[Subscription]) -> None:
        if event is None:
            return
        for each in subscriptions:
            try:
                event(Presence(each.topic, each.info, each.member.ws()))
            except Exception:
                logger.exception("A hub's %s failed", getattr(event, "__name__", "event"))
