"""Who is in a topic, and what was published there last."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from typing import Any, NamedTuple

from ..endpoint import Endpoint
from ..exc import ConnectionClosed
from ..shared import SharedMessage
from .member import Subscription

__all__ = ["Group", "Topic", "hand_out"]

logger = logging.getLogger("ws4py_ng")


class Group(NamedTuple):
    """Hold the members of one topic whose connections live in the same loop; or in none, any thread will do.

    It was made when so many ``departures`` had been: of those who have left since then it knows nothing.
    """

    topic: Topic
    departures: int
    transport: Any
    subscriptions: tuple[Subscription, ...]
    # Of the same, in the same order: all that is looked at of a member who keeps up.
    websockets: tuple[weakref.ref[Endpoint], ...]


class Topic:
    """Hold members and history; the hub's lock is held meanwhile."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self.subscriptions: dict[int, Subscription] = {}
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._history: deque[SharedMessage] = deque()
        self._history_bytes = 0
        self._groups: tuple[Group, ...] | None = ()
        self.departures = 0

    def add(self, subscription: Subscription) -> None:
        """Let a member in."""
        self.subscriptions[subscription.member.key] = subscription
        self._groups = None

    def remove(self, key: int) -> Subscription | None:
        """Let a member out."""
        self._groups = None
        self.departures += 1
        return self.subscriptions.pop(key, None)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is in it."""
        return not self.subscriptions

    @property
    def keeps(self) -> bool:
        """Whether there is something for those who join late."""
        return bool(self._history)

    def groups(self) -> tuple[Group, ...]:
        """Return the members by where their connections live."""
        if self._groups is None:
            homes: dict[object, list[Subscription]] = {}
            transports: dict[object, Any] = {}
            for subscription in self.subscriptions.values():
                ws = subscription.member.ws()
                if ws is not None:
                    home = ws._transport.home
                    transports.setdefault(home, ws._transport)
                    homes.setdefault(home, []).append(subscription)
            self._groups = tuple(
                Group(self, self.departures, transports[home], tuple(found), tuple(each.member.ws for each in found))
                for home, found in homes.items()
            )
        return self._groups

    def keep(self, message: SharedMessage) -> None:
        """Keep a message for those who join late, as many as may be kept; the last of any size, for it is the value."""
        if not self._max_messages:
            return
        self._history.append(message)
        self._history_bytes += len(message.data)
        most = max(self._max_bytes, len(message.data))
        while len(self._history) > self._max_messages or self._history_bytes > most:
            self._history_bytes -= len(self._history.popleft().data)

    def history(self, since: str | None = None) -> list[SharedMessage] | None:
        """Return what is kept, oldest first: all, or what is behind an offset; None if that is not kept."""
        kept = list(self._history)
        if not since:  # "" is that of messages which have none
            return kept
        for index, message in enumerate(kept):
            if message.offset == since:
                return kept[index + 1 :]
        return None


def hand_out(group: Group, message: SharedMessage, exclude: frozenset[int]) -> None:
    """Give a message to members whose connections live here."""
    if group.topic.departures != group.departures:  # while this waited for its turn
        exclude |= {each.member.key for each in group.subscriptions if each.has_ended}
    for index, reference in enumerate(group.websockets):
        ws: Any = reference()
        if ws is None or (exclude and id(ws) in exclude):
            continue
        try:
            if ws._waited_for or not ws._transport.post(ws, message):
                subscription = group.subscriptions[index]
                subscription.member.wait(subscription, message)
        except ConnectionClosed:
            continue  # it is about to leave
        except Exception:
            # Whatever it is, the others are to be served.
            logger.exception("%s cannot be sent what was published", type(ws).__name__)
