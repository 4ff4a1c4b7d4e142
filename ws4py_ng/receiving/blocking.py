"""Receive in any thread or greenlet, while another one reads the connection."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import monotonic
from typing import Any, Protocol

from ..endpoint import Buffer, Transport
from ..exc import ConnectionClosed
from ..limits import DEFAULT_LIMITS, Limits
from ..states import State
from ..streaming import Stream
from .inbox import OVER, QUIET_ENDS, Growing, Inbox, Received, next_of
from .stream import PieceStream

__all__ = ["BlockingReceiver", "Pieces"]

# How often a reader that waits for room looks whether the connection is over, and how long one that has
# read the end waits for who receives to take the next message.
LOOK = 1.0


class Kit(Protocol):
    """Name what threads, gevent and eventlet do each in their own way."""

    def lock(self) -> Any:
        """Return a new lock."""

    def event(self) -> Any:
        """Return a new event, as `threading.Event`."""

    def spawn(self, function: Callable[[], object]) -> object:
        """Run a function beside the rest."""

    def ident(self) -> object:
        """Return what tells the running thread or greenlet from others."""


class _Threads:
    lock = staticmethod(threading.Lock)
    event = staticmethod(threading.Event)
    ident = staticmethod(threading.get_ident)

    def spawn(self, function: Callable[[], object]) -> object:
        raise NotImplementedError("nothing reads this connection by itself")


class BlockingReceiver:
    """Be mixed into a WebSocket whose sends block: messages wait to be received.

    Any thread may receive; of several each message gets to one. What the module's docstring
    says of a full inbox holds.
    """

    _limits: Limits
    _state: State
    _transport: Any
    _new_stream: type[Stream] = PieceStream

    def __init__(self, *args: Any, **options: Any) -> None:
        self._inbox = Inbox(DEFAULT_LIMITS.max_inbox)
        self._pull_kit: Kit = _Threads()
        self._mutex = self._pull_kit.lock()
        self._news: Any = None  # set when something has come, and then another one
        self._room: Any = None
        self._quiet: Any = None  # set when all that came was taken, and who took it asks for more
        self._idle = 0
        super().__init__(*args, **options)

    def _configure(self, limits: Limits, *args: Any) -> None:
        super()._configure(limits, *args)  # type: ignore[misc]
        self._inbox.limit = limits.max_inbox

    def _attach(self, transport: Transport) -> None:
        super()._attach(transport)  # type: ignore[misc]
        self._pull_kit = getattr(self._transport, "_kit", self._pull_kit)  # gevent and eventlet put theirs there
        self._mutex = self._pull_kit.lock()

    # What the reader does

    def received_message(self, message: Received) -> Awaitable[object] | None:
        """Keep a message; wait while too much is kept already, or return that to who must not wait."""
        with self._mutex:
            self._inbox.put(message)
            full = self._inbox.is_full
            self._tell()
        if not full:
            return None
        return self._wait_until(self._has_room, self._inbox.shut)

    def _wait_until(self, is_over: Callable[[Any], bool], give_up: Callable[[], object]) -> Awaitable[object] | None:
        """Wait, or return what to wait for to who must not; ``is_over`` is given what to set when it is to be asked."""
        pause = getattr(self._transport, "pause", None)
        if pause is not None:
            paused: Awaitable[object] = pause(lambda: is_over(paused), give_up)
            return None if is_over(paused) else paused
        while not is_over(event := self._pull_kit.event()):
            event.wait(LOOK)
        return None

    def _has_room(self, room: Any) -> bool:
        """Tell whether more can be kept; if not, ``room`` is set when that changes."""
        with self._mutex:
            if self._inbox.is_full and self._state is not State.OPEN:
                self._inbox.shut()
            self._room = room if self._inbox.is_full else None
            return self._room is None

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Let `receive` raise ConnectionClosed, behind the last message."""
        with self._mutex:
            self._inbox.end(code, reason)
            self._tell()

    def _last_turn(self) -> Awaitable[object] | None:
        """Let who receives answer what came before the end, as long as he takes a message in each moment."""
        return self._wait_until(partial(self._has_answered, _Patience()), lambda: None)

    def _has_answered(self, patience: _Patience, quiet: Any) -> bool:
        """Tell whether nothing is waited for any more; if not, ``quiet`` is set when all is answered."""
        with self._mutex:
            over = self._is_quiet() or self._state is not State.OPEN or patience.is_over(self._inbox.count)
            self._quiet = None if over else quiet
            return over

    def close(self, code: int = 1000, reason: str | Buffer = "") -> Any:
        """Begin the closing handshake, once; what has come already can be received still."""
        outcome = super().close(code, reason)  # type: ignore[misc]
        self._make_room()
        return outcome

    def _lost(self) -> None:
        super()._lost()  # type: ignore[misc]
        self._make_room()

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set()

    # What the program does

    def receive(self, timeout: float | None = None) -> Received:
        """Return the next message: ``message.data`` is bytes, ``str(message)`` text.

        Raises TimeoutError after so many seconds, without losing anything; ConnectionClosed, with
        ``code`` and ``reason``, when the connection has ended and every message was received.
        """
        message: Received = self._wait_for(self._inbox.take, timeout, wants_whole=True)
        return message

    def receive_pieces(self, timeout: float | None = None) -> Pieces:
        """Iterate over the next message piece by piece, as it comes, in bounded memory.

        The pieces are str, cut between characters, or bytes; one at least. `Limits.max_message_size`
        holds for the whole: raise that for a message that is larger, not the memory. Each piece may
        take ``timeout`` seconds: TimeoutError, and whoever iterates on loses nothing. A message that
        does not come to its end raises ConnectionClosed. Who leaves it in the middle gets the next
        message next.
        """
        return Pieces(self, timeout)

    def __iter__(self) -> Iterator[Received]:
        """Receive until the connection is closed by 1000, 1001 or without a code; else raise ConnectionClosed."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as closed:
                if closed.code in QUIET_ENDS:
                    return
                raise
            yield message

    def _wait_for(self, take: Callable[[], Any], timeout: float | None, *, wants_whole: bool = False) -> Any:
        deadline = None if timeout is None else monotonic() + timeout
        waited = idle = False
        try:
            while True:
                with self._mutex:
                    found = take()
                    if idle is not (found is None):
                        idle = not idle
                        self._be_idle(1 if idle else -1)
                    if found is None:
                        news = self._news = self._news or self._pull_kit.event()
                        if wants_whole and not waited:
                            waited = True
                            self._inbox.wanted += 1
                    has_room = self._room is not None and not self._inbox.is_full
                if has_room:
                    self._make_room()
                if found is not None:
                    return found
                self._check_waiting()
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"No message within {timeout:g} s")
                news.wait(left)
        finally:
            if waited or idle:
                with self._mutex:
                    self._inbox.wanted -= waited
                    self._idle -= idle

    def _be_idle(self, by: int) -> None:
        """Count who waits for more; the mutex is held."""
        self._idle += by
        if self._quiet is not None and self._is_quiet():
            self._quiet.set()

    def _is_quiet(self) -> bool:
        return self._inbox.is_empty and (self._idle > 0 or not self._inbox.count)

    def _check_waiting(self) -> None:
        if self._state is State.CONNECTING:
            raise RuntimeError("This WebSocket is not connected: there is nothing to receive")
        if getattr(self._transport, "_turn_of", None) == self._pull_kit.ident():
            raise RuntimeError("receive() in a hook would wait for what only this thread can read")


class _Patience:
    """Be over when no message was taken for a moment."""

    def __init__(self) -> None:
        self._taken = -1
        self._until = 0.0

    def is_over(self, taken: int) -> bool:
        """Tell whether it is, now that so many were taken."""
        now = monotonic()
        if taken != self._taken:
            self._taken, self._until = taken, now + LOOK
        return now >= self._until


class Pieces:
    """Iterate over one message, see `BlockingReceiver.receive_pieces`."""

    def __init__(self, receiver: BlockingReceiver, timeout: float | None) -> None:
        self._receiver = receiver
        self._timeout = timeout
        self._message: Growing | None = None

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> str | bytes:
        receiver = self._receiver
        message = self._message
        if message is None:
            message = self._message = receiver._wait_for(receiver._inbox.begin, self._timeout)
        piece: Any = receiver._wait_for(lambda: next_of(receiver._inbox, message), self._timeout)
        if piece is OVER:
            raise StopIteration
        return piece  # type: ignore[no-any-return]
