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

from .announcer import Announcer
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
        self._announcer: Announcer | None = None
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("The hub is closed: make another")

    @contextmanager
    def _books(self) -> Iterator[None]:
        """Hold the lock, when all are struck out who have ended before; again at the end, as it may be this thread."""
        left: list[Subscription] = []
        try:
            with self._lock:
                if self._gone:
                    left = self._struck_out()
                yield
        finally:
            self._tell_left(left)
            if self._gone:
                self._strike_out()

    def _forget(self, member: Member) -> None:
        """Strike out a member. May be called by the garbage collector, that is to say, at any time."""
        self._gone.append(member)
        self._strike_out()

    def _strike_out(self) -> None:
        # Who cannot get the lock leaves it to who has it, and looks again when he lets it go.
        while self._gone and self._lock.acquire(blocking=False):
            try:
                left = self._struck_out()
            finally:
                self._lock.release()
            self._tell_left(left)

    def _struck_out(self) -> list[Subscription]:
        """Strike out who has ended; the lock is held."""
        left: list[Subscription] = []
        while self._gone:
            gone = self._gone.popleft()
            member = self._members.get(gone) if isinstance(gone, int) else gone
            if member is not None and (member is gone or member.ws() is None):
                for topic in list(member.subscriptions):
                    left += self._remove(member, topic)
        return left

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._history, self._history_bytes)
        return topic

    def _add(self, found: Subscription) -> Topic:
        found.member.subscriptions[found.topic] = found
        topic = self._topic(found.topic)
        if topic.is_idle:
            self._idle.pop(found.topic, None)
            self._bus.subscribe(found.topic)
        topic.add(found)
        if self._announcer is not None:
            self._announcer.note(found, True)
        return topic

    def _remove(self, member: Member, name: str) -> list[Subscription]:
        found = member.subscriptions.pop(name, None)
        if found is None:
            return []
        found.has_ended = True
        if self._announcer is not None:
            self._announcer.note(found, False)
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
        return [found] if found.is_known else []

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

    def _tell_left(self, subscriptions: Iterable[Subscription]) -> None:
        for each in subscriptions:
            self._tell(self._left, Presence(each.topic, each.info, each.member.ws()))

    def _tell(self, event: Event | None, presence: Presence) -> None:
        if event is not None:
            try:
                event(presence)
            except Exception:
                logger.exception("A hub's %s failed", getattr(event, "__name__", "event"))
