"""The blocking driver: one thread (or greenlet) feeds a session from a socket.

Any thread may send. The outbox is written in one go, just before the driver asks for
more bytes, as long as what was read before is not used up; otherwise at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from inspect import iscoroutine, iscoroutinefunction
from time import monotonic
from typing import Any, Protocol

from ..endpoint import Ending, Endpoint, Step
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..limits import Limits
from ..states import State
from .channels import PlainChannel, open_channel

__all__ = ["THREADS", "BlockingTransport", "Kit", "ThreadKit"]

HOOKS = ("opened", "received_message", "ponged", "closed")


class Kit(Protocol):
    """Name what threads, gevent and eventlet do each in their own way."""

    def lock(self) -> Any:
        """Return a new lock."""

    def ident(self) -> object:
        """Return what tells the running thread or greenlet from others."""

    def channel(self, sock: Any) -> PlainChannel:
        """Wrap a socket."""


class ThreadKit:
    """Be the kit of `threading`."""

    lock = staticmethod(threading.Lock)
    ident = staticmethod(threading.get_ident)
    channel = staticmethod(open_channel)


THREADS: Kit = ThreadKit()


class _Fragments:
    """Hold a lock for a whole message, and notice who would wait for himself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._lock = kit.lock()
        self._owner: object = None

    def __enter__(self) -> None:
        me = self._kit.ident()
        if self._owner == me:
            raise RuntimeError("send() from within the iterable that is being sent: its fragments would be torn apart")
        self._lock.acquire()
        self._owner = me

    def __exit__(self, *exc: object) -> None:
        self._owner = None
        self._lock.release()


class BlockingTransport:
    """Drive an endpoint over a socket.

    `run` serves the connection to its end in the caller's thread; `start`, then `feed` or
    `once`, are the same in steps, for a manager that waits for many sockets.
    """

    def __init__(self, endpoint: Endpoint, sock: Any, limits: Limits, kit: Kit = THREADS) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._kit = kit
        self._session: Any = None
        self._turn_of: object = None
        self._next_tick = 0.0
        self._ticked = State.CONNECTING
        self._writing = kit.lock()
        self._broken = False
        self.guard = kit.lock()
        self.fragments = _Fragments(kit)
        self.channel = kit.channel(sock)
        self.ending: Ending | None = None

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return monotonic()

    # Sending

    def written(self) -> None:
        """Send the outbox, unless more of what was read is about to be answered."""
        endpoint = self._endpoint
        if (
            self._turn_of == self._kit.ident()
            and endpoint._stream.has_input
            and endpoint._outbox_size < self._limits.max_outbox
        ):
            return
        self.flush()

    def flush(self) -> None:
        """Send the outbox; raises ConnectionClosed if the connection is gone."""
        with self._writing:
            pieces = self._endpoint._take_outbox()
            if not pieces:
                return
            try:
                self.channel.send(pieces)
                return
            except OSError as error:
                reason = error
            self._broken = True
            self._endpoint._lost()
        raise ConnectionClosed(f"Cannot send on a terminated websocket: {reason}") from reason

    # Driving

    @property
    def started(self) -> bool:
        """Whether the session has begun."""
        return self._session is not None or self.ending is not None

    def start(self) -> bool:
        """Begin the session, so that `opened` is called; False if it ended at once.

        Raises TypeError if a hook is ``async def``: nobody would await it here.
        """
        for name in HOOKS:
            if iscoroutinefunction(getattr(self._endpoint, name)):
                raise TypeError(
                    f"{type(self._endpoint).__name__}.{name} is async, but this connection is served by a thread: "
                    "make it a plain function, or serve the class by asyncio"
                )
        granularity = self._granularity()
        self.channel.set_timeouts(granularity, self._limits.write_timeout)
        self._session = self._endpoint.session()
        return self._resume(self._session.__next__)

    def _granularity(self) -> float | None:
        """Return how long a read may wait before the timers are looked at."""
        limits = self._limits
        times = (limits.ping_interval, limits.ping_timeout, limits.close_timeout, self._endpoint._keepalive.beat)
        shortest = min((time for time in times if time), default=None)
        return None if shortest is None else shortest / 2

    def feed(self, data: bytes) -> bool:
        """Give the session bytes, none at the end; False when it is over."""
        session = self._session
        return session is not None and self._resume(session.send, data)

    def break_off(self, error: Exception) -> bool:
        """Tell the session what broke; False when it is over."""
        session = self._session
        return session is not None and self._resume(session.throw, error)

    def _resume(self, resume: Callable[..., Step], *args: Any) -> bool:
        self._turn_of = self._kit.ident()
        try:
            step = resume(*args)
            while type(step) is not int:
                step = self._session.throw(self._misplaced(step))
        except StopIteration as stop:
            self.ending = stop.value or self.ending
            self._session = None
            return False
        finally:
            self._turn_of = None
            if self._endpoint._outbox:
                with suppress(ConnectionClosed):
                    self.flush()
        return not self._broken or self.feed(b"")

    def _misplaced(self, step: object) -> TypeError:
        if iscoroutine(step):
            step.close()
        name = type(self._endpoint).__name__
        return TypeError(f"A hook of {name} returned an awaitable, but no event loop runs here")

    def receive(self, size: int) -> bytes | None:
        """Read once; None if nothing came in time."""
        try:
            return self.channel.recv(size)
        except (TimeoutError, InterruptedError):
            return None

    def tick(self) -> bool:
        """Look at the timers if it is time to; False when the session is over."""
        now = monotonic()
        state = self._endpoint._state
        if now < self._next_tick and state is self._ticked:
            return self._session is not None
        self._ticked = state
        try:
            self._next_tick = self._endpoint.tick(now)
        except PeerTimeout as error:
            return self.break_off(error)
        except ConnectionClosed:
            return self.feed(b"")
        return self._session is not None

    def run(self, read_size: Callable[[], int]) -> Ending | None:
        """Serve the connection to its end."""
        alive = self._session is not None or self.start()
        while alive:
            try:
                data = self.receive(read_size())
            except OSError as error:
                alive = self.break_off(error)
                continue
            alive = (data is None or self.feed(data)) and self.tick()
        return self.ending

    def hang_up(self) -> None:
        """Let the peer read our last frames before the socket is closed."""
        ending = self.ending
        if ending is None or self._broken or self._endpoint._stream.at_eof:
            return
        with suppress(OSError):
            self.channel.hang_up()
