"""Who is in a topic, and what was published there last."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, NamedTuple

from ..endpoint import Endpoint
from ..shared import SharedMessage
from .member import Subscription

__all__ = ["Group", "Topic"]


class Group(NamedTuple):
    """Hold the members of one topic whose connections live in the same loop; or in none, any thread will do."""

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

    def add(self, subscription: Subscription) -> None:
        """Let a member in."""
        self.subscriptions[subscription.member.key] = subscription
        self._groups = None

    def remove(self, key: int) -> Subscription | None:
        """Let a member out."""
        self._groups = None
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
                Group(transports[home], tuple(found), tuple(each.member.ws for each in found))
                for home, found in homes.items()
            )
        return self._groups

    def keep(self, message: SharedMessage) -> None:
        """Keep a message for those who join late, as many as may be kept."""
        if not self._max_messages:
            return
        self._history.append(message)
        self._history_bytes += len(message.data)
        while len(self._history) > self._max_messages or self._history_bytes > self._max_bytes:
            self._history_bytes -= len(self._history.popleft().data)

    def history(self, since: str | None = None) -> list[SharedMessage] | None:
        """Return what is kept, oldest first: all, or what is behind an offset; None if that is not kept."""
        kept = list(self._history)
        if since is None:
            return kept
        for index, message in enumerate(kept):
            if message.offset == since:
                return kept[index + 1 :]
        return None
