"""A line to a broker, which may be lost and found: a thread with a loop of its own, so that nobody waits for it.

What is published waits in a queue, in the order of publishing and numbered, until the broker has
confirmed it. A part that was sent when the line broke is sent again, and whoever has it knows it by
its number: nothing is passed on twice. While the broker is away the queue is bounded, publishes
beyond that are refused, and the line tries again, after 0.1 s at first and 5 s at most.

On an ordered bus (a stream) what a hub publishes comes back to it, in the order that all hubs see.
While the broker is away it does not wait for that: its own members get it at once, and not again
when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

from ..pauses import Pauses
from ..shared import SharedMessage
from .bus import BusStatus, Fetched, Moved, Outcome, Publication, Receive
from .checks import check_whole
from .envelope import Envelope, Seen, unpack_all

__all__ = ["Line"]

logger = logging.getLogger("ws4py_ng")

LONGEST_PAUSE = 5.0
# Publishes that are sent in one go.
BATCH = 500
# So many topics are remembered that everybody has left: what is sent again is not delivered to who comes back.
MAX_LEFT = 1024
# Seconds in which a bus that is closed may send what waits.
LAST_WORDS = 1.0
# Seconds after which a task that goes on is cancelled again.
CANCEL_AGAIN = 0.1


class _Waiting(NamedTuple):
    number: int
    topic: str
    raw: bytes


class _Order(NamedTuple):
    """Say what is to be done, or ``give_up`` if the broker goes before; without that, it is done when it is back."""

    run: Callable[[], Coroutine[Any, Any, None]]
    give_up: Callable[[], None] | None = None


class Line:
    """Be a bus over a broker; a subclass knows which.

    ``max_queued`` publishes of ``max_queued_bytes`` at most wait while the broker is away.
    """

    name = "broker"
    ordered = False
    # What the broker's library raises when it is away.
    errors: tuple[type[Exception], ...] = (OSError,)
    # Bytes of a publish that the broker takes, as far as is known; what is more is refused.
    largest: float = inf

    def __init__(self, *, max_queued: int = 10_000, max_queued_bytes: int = 16 * 1024 * 1024) -> None:
        check_whole(1, max_queued=max_queued, max_queued_bytes=max_queued_bytes)
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._receive: Receive = lambda topic, publication, offset: None
        self._moved: Moved = lambda connected: None
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._number = 0
        self._own: dict[int, tuple[str, Publication]] = {}  # of an ordered bus: what has not come back yet
        self._early: set[int] = set()  # of these, what our members have already
        self._at_once: deque[tuple[str, Publication, str]] = deque()  # what they have to get in this order
        self._is_handing_out = False
        self._wanted: dict[str, Seen] = {}
        self._left: OrderedDict[str, Seen] = OrderedDict()  # what had come when nobody wanted it any more
        self._orders: deque[_Order] = deque()
        self._origin: bytes | None = None
        self._connected = False
        self._ever = False
        self._told = False  # that it is away, or was there
        self._closing = False
        self._refused = self._reconnects = self._duplicates = 0
        self._error = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._wake: asyncio.Event = asyncio.Event()
        self._stop: asyncio.Event = asyncio.Event()

    # What a subclass knows. All of it runs in the loop and raises one of `errors` when the broker is away

    async def _connect(self) -> None:
        """Connect, anew each time."""
        raise NotImplementedError

    async def _disconnect(self) -> None:
        """Let go of everything; raises nothing."""
        raise NotImplementedError

    async def _follow(self, topics: list[str]) -> None:
        """Let what is published on topics come to `_came`."""
        raise NotImplementedError

    async def _unfollow(self, topic: str) -> None:
        """Let it come no more."""
        raise NotImplementedError

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        """Publish; return when the broker has confirmed all of it, but what it will never take: `_refuse`."""
        raise NotImplementedError

    async def _listen(self) -> None:
        """Call `_came` until the broker is away."""
        raise NotImplementedError

    async def _read(self, topic: str, since: str | None, count: int) -> list[tuple[bytes, str]]:
        """Read what a stream has up to where `_came` was called last: behind an offset, or the last of it."""
        return []

    # The bus

    @property
    def status(self) -> BusStatus:
        """How it is doing."""
        return BusStatus(
            name=self.name,
            connected=self._connected,
            queued=len(self._queue),
            refused=self._refused,
            reconnects=self._reconnects,
            duplicates=self._duplicates,
            error=self._error,
        )

    def open(self, receive: Receive, moved: Moved) -> None:
        """Begin to connect. Raises RuntimeError for a second hub: each has a bus of its own."""
        if self._thread is not None:
            raise RuntimeError(f"This {type(self).__name__} belongs to another hub: make one for each")
        self._receive, self._moved = receive, moved
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(started)), name=f"ws4py_ng {self.name}", daemon=True
        )
        self._thread.start()
        started.wait()

    def subscribe(self, topic: str) -> None:
        """Let what is published on a topic come."""
        with self._lock:
            seen = self._left.pop(topic, None)
            self._wanted[topic] = Seen() if seen is None else seen
        self._order(_Order(lambda: self._follow([topic])))

    def unsubscribe(self, topic: str) -> None:
        """Let it come no more."""
        with self._lock:
            seen = self._wanted.pop(topic, None)
            if seen is not None:
                self._left[topic] = seen
                if len(self._left) > MAX_LEFT:
                    self._left.popitem(last=False)
            for number in [number for number, found in self._own.items() if found[0] == topic]:
                del self._own[number]
                self._early.discard(number)
        self._order(_Order(lambda: self._leave(topic)))

    async def _leave(self, topic: str) -> None:
        if topic not in self._wanted:
            await self._unfollow(topic)

    def publish(self, topic: str, publication: Publication) -> Outcome:
        """Queue it to be sent; see `Outcome`."""
        message = publication.message
        with self._lock:
            self._number += 1
            raw = Envelope(publication.origin, self._number, message.opcode, message.data).pack()
            room = self._max_queued_bytes - len(message.data)
            is_too_large = len(raw) > self.largest
            if is_too_large:
                outcome = Outcome.REFUSED
            elif len(self._queue) >= self._max_queued or 0 < self._queued_bytes > room or self._closing:
                self._refused += 1
                outcome = Outcome.REFUSED
            else:
                self._queue.append(_Waiting(self._number, topic, raw))
                self._queued_bytes += len(raw)
                outcome = Outcome.SENT if self._connected else Outcome.QUEUED
                if self.ordered and topic in self._wanted:
                    self._origin = publication.origin
                    self._own[self._number] = topic, publication
                    if outcome is Outcome.QUEUED:
                        self._early.add(self._number)
            if self.ordered and outcome is not Outcome.SENT:
                self._at_once.append((topic, publication, ""))
        if is_too_large:
            self._refuse(topic, raw, f"it takes {self.largest}")
        self._hand_out()
        self._call(self._wake.set)
        return outcome

    def check_offset(self, offset: str) -> None:
        """Take any."""

    def fetch(self, topic: str, since: str | None, count: int, fetched: Fetched) -> None:
        """Tell what a stream has kept; nothing while the broker is away."""
        with self._lock:
            is_here = self._connected and not self._closing
            if is_here:
                self._order(_Order(lambda: self._fetch(topic, since, count, fetched), lambda: fetched(None)))
        if not is_here:
            fetched(None)

    async def _fetch(self, topic: str, since: str | None, count: int, fetched: Fetched) -> None:
        found: list[tuple[SharedMessage, str]] | None = None
        try:
            found = unpack_all(await self._read(topic, since, count))
        finally:
            fetched(found)

    def close(self) -> None:
        """Send what waits if that can be done at once, and end."""
        with self._lock:
            self._closing = True
        self._call(self._stop.set)
        self._call(self._wake.set)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self._call(self._wake.set)

    def _call(self, function: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(function)

    # The thread

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        started.set()
        pauses = Pauses(LONGEST_PAUSE)
        while not self._closing:
            begun = self._loop.time()
            try:
                await self._connect()
                await self._session()
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
                if not isinstance(error, self.errors):
                    logger.exception("The bus %s failed", self.name)
            pause = pauses.after(self._loop.time() - begun)
            self._set_away()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._disconnect(), LAST_WORDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause * random.uniform(0.5, 1.0))
        self._loop = None

    async def _session(self) -> None:
        """Serve while the broker is there."""
        with self._lock:
            topics = list(self._wanted)
            self._orders.clear()  # they are about topics alone: `_set_away` has given up the others
        if topics:
            await self._follow(topics)
        self._set_connected()
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._work())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            # Again and again: a library may take a cancellation for the end of a time-out of its own.
            while left := [task for task in tasks if not task.done()]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=CANCEL_AGAIN)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        """Do as ordered, and publish what waits."""
        while True:
            self._wake.clear()
            while self._orders:
                order = self._orders.popleft()
                await order.run()
            while self._queue:
                batch = [self._queue[index] for index in range(min(len(self._queue), BATCH))]
                if self._orders:  # given before what is published: a stream is followed from where it ends
                    break
                sending = self._send([(topic, raw) for _, topic, raw in batch])
                await (asyncio.wait_for(sending, LAST_WORDS) if self._closing else sending)
                with self._lock:
                    for _ in batch:
                        self._queued_bytes -= len(self._queue.popleft().raw)
            if self._closing and not self._queue:
                return
            if not self._orders and not self._queue:
                await self._wake.wait()

    def _set_connected(self) -> None:
        with self._lock:
            self._connected = True
            too_large = [each for each in self._queue if len(each.raw) > self.largest]
            for each in too_large:
                self._queue.remove(each)
                self._queued_bytes -= len(each.raw)
            queued = len(self._queue)
        for each in too_large:
            self._refuse(each.topic, each.raw, f"it takes {self.largest}")
        if self._ever:
            self._reconnects += 1
        if self._told:
            logger.warning("The bus %s is there; %d publishes have waited for it", self.name, queued)
        self._ever = self._told = True
        self._moved(True)

    def _refuse(self, topic: str, raw: bytes, why: object) -> None:
        """Give up a publish that the broker does not take. Our own members get it: they wait for no broker."""
        logger.error("A publish of %d bytes on topic %r is refused by the bus %s: %s", len(raw), topic, self.name, why)
        number = Envelope.unpack(raw).number
        with self._lock:
            self._refused += 1
            found = self._own.pop(number, None)
            if found is not None and number not in self._early:
                self._at_once.append((*found, ""))
            self._early.discard(number)
        self._hand_out()

    def _set_away(self) -> None:
        with self._lock:
            was, self._connected = self._connected, False
            late = [(number, *found) for number, found in self._own.items() if number not in self._early]
            self._early.update(number for number, _, _ in late)
            # Our own members do not wait for it, and what is published from now on comes behind that.
            self._at_once.extend((topic, publication, "") for _, topic, publication in late)
            given_up = [order for order in self._orders if order.give_up is not None]
            for order in given_up:
                self._orders.remove(order)
        self._hand_out()
        if (was or not self._told) and not self._closing:
            self._told = True
            logger.warning("The bus %s is away, and is tried again: %s", self.name, self._error)
        if was and not self._closing:
            self._moved(False)
        for order in given_up:
            order.give_up()  # type: ignore[misc]

    def _hand_out(self) -> None:
        """Let our members have what does not wait for the broker. One thread does it for all, and none waits for it."""
        while self._at_once:
            with self._lock:
                if self._is_handing_out or not self._at_once:
                    return
                self._is_handing_out = True
                topic, publication, offset = self._at_once.popleft()
            try:
                self._receive(topic, publication, offset)
            finally:
                self._is_handing_out = False

    def _came(self, topic: str, raw: bytes, offset: str = "") -> None:
        """Pass on what a broker brings: once, and of our own what has to come back."""
        try:
            envelope = Envelope.unpack(raw)
        except ValueError as error:
            logger.warning("What came on topic %r of the bus %s is passed over: %s", topic, self.name, error)
            return
        seen = self._wanted.get(topic)
        if seen is None:
            return
        if not seen.is_new(envelope):
            self._duplicates += 1
            return
        publication = Publication(envelope.origin, SharedMessage(envelope.opcode, envelope.data))
        if envelope.origin == self._origin:
            with self._lock:
                found = self._own.pop(envelope.number, None)
                if envelope.number in self._early:
                    self._early.discard(envelope.number)
                    return
            publication = publication if found is None else found[1]
        with self._lock:  # another thread may not have handed out what was published before it was there again
            self._at_once.append((topic, publication, offset))
        self._hand_out()
