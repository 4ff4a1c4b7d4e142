"""The blocking driver: one thread (or greenlet) feeds a session from a socket.

Any thread may send. The outbox is written in one go, just before the driver asks for
more bytes, as long as what was read before is not used up; otherwise at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from inspect import iscoroutine, iscoroutinefunction
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from ..endpoint import Ending, Endpoint, Step
from ..endpoint.sender import IN_ONE_STEP
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..limits import Limits
from ..states import State
from .channels import LINGER, PlainChannel, open_channel
from .fragments import BlockingFragments
from .rear import REAR

if TYPE_CHECKING:
    from ..endpoint.sender import Sender
    from ..shared import SharedMessage

__all__ = ["THREADS", "BlockingTransport", "Kit", "ThreadKit", "check_hooks"]

HOOKS = ("opened", "received_message", "ponged", "closed")

# Frames that the thread that reads may leave to another one that is sending, however large.
MAX_LEFT = 16


def check_hooks(endpoint: Endpoint) -> None:
    """Raise TypeError if a hook is ``async def``: nobody would await it here."""
    for name in HOOKS:
        if iscoroutinefunction(getattr(endpoint, name)):
            raise TypeError(
                f"{type(endpoint).__name__}.{name} is async, but this connection is served by a thread: "
                "make it a plain function, or serve the class by asyncio"
            )


class Kit(Protocol):
    """Name what threads, gevent and eventlet do each in their own way."""

    def lock(self) -> Any:
        """Return a new lock."""

    def event(self) -> Any:
        """Return a new event, as `threading.Event`."""

    def ident(self) -> object:
        """Return what tells the running thread or greenlet from others."""

    def channel(self, sock: Any) -> PlainChannel:
        """Wrap a socket."""

    def spawn(self, function: Callable[[], object]) -> object:
        """Run a function beside the rest."""

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised, no Exception, ends more than its connection."""


class ThreadKit:
    """Be the kit of `threading`."""

    lock = staticmethod(threading.Lock)
    event = staticmethod(threading.Event)
    ident = staticmethod(threading.get_ident)
    channel = staticmethod(open_channel)

    def spawn(self, function: Callable[[], object]) -> None:
        """Run a function beside the rest."""
        threading.Thread(target=function, daemon=True).start()

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised ends the program: nowhere but in the main thread."""
        is_main = threading.current_thread() is threading.main_thread()
        return is_main and isinstance(error, KeyboardInterrupt | SystemExit)


THREADS: Kit = ThreadKit()


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
        # Frames that the thread that reads has put into the outbox, and those of other threads that
        # are done with: whatever else was put there, another thread is about to send.
        self._reader: object = None
        self._own = self._others = self._left = 0
        self._next_tick = 0.0
        self._ticked = State.CONNECTING
        self._writing = kit.lock()
        self._broken = False
        # What is left of pieces that were sent without a wait: it goes before the outbox.
        self._rest: list[memoryview] = []
        self._unsent = 0
        self._spawned = False
        self.guard = kit.lock()
        self.fragments = BlockingFragments(kit)
        self.ends_all = kit.ends_all
        self.channel = kit.channel(sock)
        self.ending: Ending | None = None

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return monotonic()

    # Sending

    def written(self) -> None:
        """Send the outbox, unless more of what was read is about to be answered."""
        endpoint = self._endpoint
        if self._reader == self._kit.ident():
            self._own += 1
            has_room = endpoint._outbox.size < self._limits.max_outbox
            if self._turn_of is not None and has_room and endpoint._stream.has_input:
                return
        self.flush()

    def flush(self) -> None:
        """Send the outbox; raises ConnectionClosed if the connection is gone.

        The thread that reads sends only what it has made itself. The frames of another thread
        are left to that one: it may have to wait for the peer, which may wait for us to read.
        It takes along what the reader has left.
        """
        if self._kit.ident() != self._reader:
            self._flush(others=1, blocking=True)
        elif not self._flush(blocking=False) and self._turn_of is not None:
            self._left += 1
            if self._left > MAX_LEFT and self._endpoint._outbox.size >= self._limits.max_outbox:
                self._flush(others=0, blocking=True)

    def _flush(self, others: int | None = None, blocking: bool = True, timeout: float = -1) -> bool:
        """Send the outbox, if ``others`` is None only when nobody else is about to.

        Otherwise it counts the frames of other threads that are done with. Returns False if
        that was left to another thread, or it took too long.
        """
        done = False
        while self._writing.acquire(blocking) if timeout < 0 else self._writing.acquire(timeout=timeout):
            try:
                done = self._send_outbox(others)
                self._others += others or 0
            finally:
                self._writing.release()
            if not (done and self._endpoint._outbox):
                break
            others, blocking, timeout = others and 0, False, -1  # who has it now looks there again
        if done:
            self._endpoint._relieved()
        return done

    def _send_outbox(self, others: int | None) -> bool:
        outbox = self._endpoint._outbox
        if IN_ONE_STEP:
            pieces = outbox.take() if others is not None else outbox.take_if(self._own + self._others)
        else:
            with self.guard:
                pieces = outbox.take() if others is not None else outbox.take_if(self._own + self._others)
        if pieces is None:
            return False
        if self._rest:
            pieces, self._rest, self._unsent = [*self._rest, *pieces], [], 0
        self._left = 0
        if self._broken:
            # The frame of who comes here may have been among those that were lost.
            raise ConnectionClosed("Cannot send on a terminated websocket: sending has failed before")
        if not pieces:
            return True
        try:
            self.channel.send(pieces)
        except BaseException as error:
            self._give_up()
            if isinstance(error, OSError):
                raise ConnectionClosed(f"Cannot send on a terminated websocket: {error}") from error
            raise
        return True

    def _give_up(self) -> None:
        """Send nothing any more: half a frame may be on the wire. Whoever waits in a read wakes up."""
        self._broken = True
        self._endpoint._lost()
        self.channel.cut()

    # For who sends to many: no thread waits for this peer, but `REAR`, which waits for all

    home: object = None

    def call_home(self, callback: Callable[[], object]) -> None:
        """Call a function."""
        callback()

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Send a message that others are sent as well, unless the peer is behind."""
        if not sender._put(message, self._limits.max_outbox - self._unsent):
            return False
        self.push()
        return True

    def push(self) -> None:
        """Give the kernel what it takes of the outbox; the rest is sent by `REAR`, or a greenlet."""
        if self.channel.can_send_now:
            if not self._send_now():
                REAR.add(self)
        elif not self._spawned:
            self._spawned = True
            self._kit.spawn(self._send_beside)

    def _send_beside(self) -> None:
        try:
            with suppress(ConnectionClosed):
                self._flush(others=0, blocking=True)
        finally:
            self._spawned = False
        if self._endpoint._outbox and not self._broken:
            self.push()

    def _send_now(self) -> bool:
        """Send what the kernel takes; False if something is left that nobody else is about to send."""
        rest, endpoint = self._rest, self._endpoint
        while (self._rest or endpoint._outbox) and not self._broken and self._writing.acquire(blocking=False):
            try:
                rest = self._rest
                for piece in endpoint._take_outbox():
                    rest.append(memoryview(piece))
                    self._unsent += len(piece)
                while rest:
                    sent = self.channel.send_now(rest[0])
                    self._unsent -= sent
                    if sent < len(rest[0]):
                        rest[0] = rest[0][sent:]
                        return False
                    rest.pop(0)
            except OSError:
                self._give_up()
            finally:
                self._writing.release()
        return True

    def descriptor(self) -> int:
        """Return the socket's descriptor, -1 if it is closed or of no use any more."""
        return -1 if self._broken or self.channel._closed else int(self.channel.sock.fileno())

    def go_on(self) -> bool:
        """Send what the kernel takes; True when nothing is left, or another thread sends it."""
        done = self._send_now()
        if self._unsent < self._limits.max_outbox:
            self._endpoint._relieved()
        return done

    # Driving

    paused = False  # what it has to read already is more than is wanted: see `ManagedTransport`

    @property
    def started(self) -> bool:
        """Whether the session has begun."""
        return self._session is not None or self.ending is not None

    def start(self) -> bool:
        """Begin the session, so that `opened` is called; False if it ended at once.

        Raises TypeError if a hook is ``async def``.
        """
        check_hooks(self._endpoint)
        granularity = self._granularity()
        with suppress(OSError):  # of a socket that is closed or lost; the first read will tell
            self.channel.set_timeouts(granularity, self._limits.write_timeout)
        self._session = Endpoint.session(self._endpoint)
        return self._resume(None)

    def _granularity(self) -> float | None:
        """Return how long a read may wait before the timers are looked at."""
        limits = self._limits
        times = (limits.ping_interval, limits.ping_timeout, limits.close_timeout, self._endpoint._keepalive.beat)
        shortest = min((time for time in times if time), default=None)
        return None if shortest is None else shortest / 2

    def feed(self, data: bytes) -> bool:
        """Give the session bytes, none at the end; False when it is over."""
        return self._session is not None and self._resume(data)

    def break_off(self, error: Exception) -> bool:
        """Tell the session what broke; False when it is over."""
        return self._session is not None and self._resume(None, error)

    def _resume(self, data: bytes | None, error: Exception | None = None) -> bool:
        session = self._session
        self._reader = self._turn_of = self._kit.ident()
        try:
            step: Step = session.send(data) if error is None else session.throw(error)
            while type(step) is not int:
                step = self._waited(step)
        except StopIteration as stop:
            self.ending = stop.value or self.ending
            self._session = None
            return False
        finally:
            self._turn_of = None
            if self._endpoint._outbox.size:
                with suppress(ConnectionClosed):
                    self.flush()
        return not self._broken or self.feed(b"")

    def _waited(self, step: object) -> Any:
        if iscoroutine(step):
            step.close()
        name = type(self._endpoint).__name__
        return self._session.throw(TypeError(f"A hook of {name} returned an awaitable, but no event loop runs here"))

    def receive(self, size: int) -> bytes | None:
        """Read once; None if nothing came in time."""
        try:
            return self.channel.recv(size)
        except (TimeoutError, InterruptedError):
            return None

    def tick(self) -> bool:
        """Look at the timers if it is time to; False when the session is over."""
        state = self._endpoint._state
        if state is self._ticked and (self._next_tick == inf or monotonic() < self._next_tick):
            return self._session is not None
        self._ticked = state
        try:
            self._next_tick = self._endpoint._tick(monotonic())
        except PeerTimeout as error:
            with suppress(OSError):  # its time is up: it gets no more than a little for our last words
                self.channel.set_timeouts(LINGER, LINGER)
            return self.break_off(error)
        except ConnectionClosed:
            return self.feed(b"")
        return self._session is not None

    def run(self, read_size: Callable[[], int]) -> Ending | None:
        """Serve the connection to its end."""
        self._reader = self._kit.ident()
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
        if ending is None or self._broken:
            return
        # A peer that has ended already gets no time, but the good-bye that TLS owes it (RFC 8446 6.1).
        linger = 0.0 if self._endpoint._stream.at_eof else LINGER
        with suppress(OSError, ConnectionClosed):
            if self._flush(others=0, timeout=LINGER):
                self.channel.hang_up(linger)

    def cut_off(self) -> None:
        """Close the socket, as soon as no thread uses it."""
        self.channel.close()
