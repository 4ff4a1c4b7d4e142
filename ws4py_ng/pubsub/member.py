"""One connection of a hub: what waits for it, and what happens when that is too much.

A message goes straight to the connection's transport while that has room. When it has none, the
message waits here: a reference to what all members share, so that a thousand who are behind cost
no copy. What waits is bounded in bytes, and `Policy` says what happens beyond that. The history that
is sent to who joins late is bounded where it is kept: it does not count, and is not dropped.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import NamedTuple

from ..codes import TRY_AGAIN_LATER
from ..endpoint import Endpoint
from ..exc import ConnectionClosed
from ..shared import SharedMessage

__all__ = ["Member", "MemberStatus", "Policy", "Subscription"]

logger = logging.getLogger("ws4py_ng")

# What a place in the outbox costs, beside the message that all share.
PLACE = 128
REASON = "Too much is left unread"

# Held to change the tenants of a connection, which may be in several hubs.
_tenancy = threading.Lock()


class Policy(StrEnum):
    """Say what happens when more waits for a member than may."""

    DROP_OLDEST = "drop_oldest"
    """What has waited longest is dropped."""
    DROP_NEWEST = "drop_newest"
    """What comes is dropped, until there is room."""
    CONFLATE = "conflate"
    """Of each topic only the last message waits, from the beginning."""
    CLOSE = "close"
    """The connection is closed with 1013."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """Say how a member is doing: what waits for it, and how many messages it has not got."""

    topics: tuple[str, ...]
    pending_messages: int
    pending_bytes: int
    dropped: int


class Subscription:
    """Say that a member is in a topic, and on what terms.

    ``number`` names it among those of its hub, and ``said`` is what other processes are told of ``info``.
    """

    __slots__ = ("has_ended", "info", "is_known", "member", "number", "policy", "said", "topic")

    def __init__(self, member: Member, topic: str, policy: Policy, info: object, number: int, said: str) -> None:
        self.member = member
        self.topic = topic
        self.policy = policy
        self.info = info
        self.number = number
        self.said = said
        self.is_known = False  # who is told of members has been told that it is there
        self.has_ended = False


class _Waiting(NamedTuple):
    message: SharedMessage
    subscription: Subscription
    size: int
    is_kept: bool  # of the history, which is bounded where it is kept


class Member:
    """Be a connection's place in a hub; it is told by the connection when there is room, and at the end.

    The connection holds its member, a member only knows its connection: who is forgotten by
    everybody else is forgotten by its hubs.
    """

    def __init__(
        self,
        ws: Endpoint,
        max_pending: int,
        count: Callable[[Policy], None],
        forget: Callable[[Member], None],
        gone: deque[Member | int],
    ) -> None:
        self.key = id(ws)
        self.subscriptions: dict[str, Subscription] = {}
        self.waiting: deque[_Waiting] = deque()
        self.pending = 0
        self.kept = 0  # bytes of these that do not count: what comes later is not dropped for the history's sake
        self.dropped = 0
        # So many subscriptions wait for what a stream has kept, and with them all that is published.
        self.held = 0
        self.max_pending = max_pending
        self._count = count
        self._forget = forget
        self._lock = threading.Lock()
        self._draining = False
        self._again = False
        self._is_marked = False
        self._is_closing = False
        # The garbage collector may come at any time, and must not wait for a lock.
        key = self.key
        self.ws = weakref.ref(ws, lambda _: gone.append(key))

    def enter(self, ws: Endpoint) -> None:
        """Let the connection tell us what becomes of it."""
        with _tenancy:
            ws._tenants = (*ws._tenants, self)

    def leave(self, ws: Endpoint) -> None:
        """Be told no more."""
        with _tenancy:
            ws._tenants = tuple(each for each in ws._tenants if each is not self)

    @property
    def status(self) -> MemberStatus:
        """How the member is doing."""
        with self._lock:
            return MemberStatus(tuple(self.subscriptions), len(self.waiting), self.pending, self.dropped)

    # What waits

    def replay(self, subscription: Subscription, messages: list[SharedMessage]) -> None:
        """Let what was published before wait, ahead of what is published from now on; `has_room` sends it."""
        with self._lock:
            for message in messages:
                self._insert(len(self.waiting), message, subscription, is_kept=True)
            self._mark()

    def hold(self) -> None:
        """Let all wait until `release`."""
        with self._lock:
            self.held += 1
            self._mark()

    def release(self, subscription: Subscription, messages: list[SharedMessage]) -> None:
        """Let go on, with what a stream has kept ahead of what was published meanwhile."""
        with self._lock:
            self.held = max(self.held - 1, 0)
            if subscription.has_ended:
                messages = []
            live = [index for index, each in enumerate(self.waiting) if each.subscription is subscription]
            known = {self.waiting[index].message.offset for index in live} - {""}
            place = live[0] if live else len(self.waiting)
            for message in messages:
                if message.offset not in known:
                    self._insert(place, message, subscription, is_kept=True)
                    place += 1
            self._mark()
        self.has_room()

    def wait(self, subscription: Subscription, message: SharedMessage) -> None:
        """Let a message wait that the transport did not take, as far as there is room."""
        with self._lock:
            if subscription.has_ended:  # while it was handed out
                return
            closes = self._admit(message, subscription)
            self._mark()
        if closes:
            self._close()
        else:
            self.has_room()

    def _mark(self) -> None:
        """Let the connection show whether something waits here; the lock is held."""
        waits = bool(self.waiting or self.held)
        if waits is not self._is_marked:
            self._is_marked = waits
            ws = self.ws()
            if ws is not None:
                with _tenancy:
                    ws._waited_for += 1 if waits else -1

    def _insert(self, index: int, message: SharedMessage, subscription: Subscription, *, is_kept: bool = False) -> None:
        size = len(message.data) + PLACE
        self.waiting.insert(index, _Waiting(message, subscription, size, is_kept))
        self.pending += size
        self.kept += size if is_kept else 0

    def _remove(self, index: int) -> None:
        found = self.waiting[index]
        del self.waiting[index]
        self.pending -= found.size
        self.kept -= found.size if found.is_kept else 0

    def _admit(self, message: SharedMessage, subscription: Subscription) -> bool:
        """Queue a message by its policy; True if the connection is to be closed. The lock is held."""
        policy = subscription.policy
        # What is being sent at this moment stays where it is.
        first = 1 if self._draining else 0
        if policy is Policy.CONFLATE and (last := self._oldest(first, subscription)) is not None:
            self._drop(last, policy)
        size = len(message.data) + PLACE
        if self._is_too_much(size) and self.pending > self.kept:
            if policy is Policy.CLOSE:
                is_first, self._is_closing = not self._is_closing, True
                return is_first
            if policy is Policy.DROP_NEWEST:
                self.dropped += 1
                self._count(policy)
                return False
            while self._is_too_much(size) and (oldest := self._oldest(first)) is not None:
                self._drop(oldest, policy)
        self._insert(len(self.waiting), message, subscription)
        return False

    def _is_too_much(self, size: int) -> bool:
        return self.pending - self.kept + size > self.max_pending

    def _oldest(self, first: int, subscription: Subscription | None = None) -> int | None:
        """Find what has waited longest, of a topic or of all, but for the history."""
        for index, each in enumerate(self.waiting):
            if index >= first and not each.is_kept and subscription in (None, each.subscription):
                return index
        return None

    def _drop(self, index: int, policy: Policy) -> None:
        self._remove(index)
        self.dropped += 1
        self._count(policy)

    def _close(self) -> None:
        ws = self.ws()
        if ws is None or ws._tenants == ():
            return
        self._count(Policy.CLOSE)
        logger.warning("%s is closed with 1013: %d bytes wait for its peer", type(ws).__name__, self.pending)
        self._forget(self)
        if ws._transport.home is None:
            # A transport of threads keeps references: what waited can go before the Close frame at no cost.
            with suppress(ConnectionClosed), self._lock:
                while self.waiting and ws._put(self.waiting.popleft().message, inf):
                    pass
        self.discard()
        ws._part(TRY_AGAIN_LATER, REASON)

    def forgo(self, subscription: Subscription) -> None:
        """Let nothing of a topic wait that was left, but what is being sent at this moment."""
        with self._lock:
            first = 1 if self._draining else 0
            for index in reversed(range(first, len(self.waiting))):
                if self.waiting[index].subscription is subscription:
                    self._remove(index)
            self._mark()

    # What the connection tells

    def has_room(self) -> None:
        """Send what waits, as far as the transport takes it."""
        with self._lock:
            if self._draining or self.held:
                self._again = True
                return
            self._draining = True
        while True:
            taken = self._post_first()
            with self._lock:
                if taken and self.waiting:
                    self._remove(0)
                    self._mark()
                if self.held or not (self.waiting and (taken or self._again)):
                    self._draining = self._again = False
                    return
                self._again = False

    def _post_first(self) -> bool:
        ws = self.ws()
        if ws is None or not self.waiting or self.held:
            return False
        try:
            return ws._transport.post(ws, self.waiting[0].message)
        except ConnectionClosed:
            self.discard()
        except Exception:
            logger.exception("%s cannot be sent what was published", type(ws).__name__)
            return True  # and what comes next may be better
        return False

    def discard(self) -> None:
        """Let nothing wait any more."""
        with self._lock:
            self.waiting.clear()
            self.pending = self.kept = self.held = 0
            self._mark()

    def ended(self) -> None:
        """Leave every topic: the connection has ended."""
        self.discard()
        self._forget(self)
