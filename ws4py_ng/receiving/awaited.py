"""Receive in a task of the event loop that reads the connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Self

from ..endpoint import Buffer, Sent, Transport
from ..exc import ConnectionClosed
from ..limits import DEFAULT_LIMITS, Limits
from ..states import State
from ..streaming import Stream
from .inbox import OVER, QUIET_ENDS, Growing, Inbox, Received, next_of
from .stream import PieceStream

__all__ = ["AsyncPieces", "AsyncReceiver"]

# How long a peer that breaks the protocol waits for the answer to what it has said before.
MOMENT = 1.0


class AsyncReceiver:
    """Be mixed into a WebSocket that an event loop reads: messages wait to be received.

    Any task may receive; of several each message gets to one. Whoever is cancelled loses nothing.
    What the module's docstring says of a full inbox holds.
    """

    _limits: Limits
    _state: State
    _transport: Any
    _new_stream: type[Stream] = PieceStream

    def __init__(self, *args: Any, **options: Any) -> None:
        self._inbox = Inbox(DEFAULT_LIMITS.max_inbox)
        self._pull_kit: Any = None
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
        self._pull_kit = getattr(transport.fragments, "kit", None)

    # What the reader does

    def received_message(self, message: Received) -> Awaitable[object] | None:
        """Keep a message; return what to wait for while too much is kept already."""
        self._inbox.put(message)
        self._tell()
        return _Room(self) if self._has_no_room() else None

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Let `receive` raise ConnectionClosed, behind the last message."""
        self._inbox.end(code, reason)
        self._tell()

    def _last_turn(self) -> Awaitable[object] | None:
        """Return what to wait for until what came before the end is answered; see `_Quiet`."""
        return None if self._is_quiet() or self._state is not State.OPEN else _Quiet(self)

    def _is_quiet(self) -> bool:
        return self._inbox.is_empty and (self._idle > 0 or not self._inbox.count)

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

    def _has_no_room(self) -> bool:
        if self._inbox.is_full and self._state is not State.OPEN:
            self._inbox.shut()
        return self._inbox.is_full

    # What the program does

    async def receive(self, timeout: float | None = None) -> Received:
        """Return the next message: ``message.data`` is bytes, ``str(message)`` text.

        Raises TimeoutError after so many seconds, without losing anything; ConnectionClosed, with
        ``code`` and ``reason``, when the connection has ended and every message was received.
        """
        message: Received = await self._wait_for(self._inbox.take, timeout, wants_whole=True)
        return message

    def receive_pieces(self, timeout: float | None = None) -> AsyncPieces:
        """Iterate over the next message piece by piece, as it comes, in bounded memory.

        The pieces are str, cut between characters, or bytes; one at least. `Limits.max_message_size`
        holds for the whole: raise that for a message that is larger, not the memory. Each piece may
        take ``timeout`` seconds: TimeoutError, and whoever iterates on loses nothing. A message that
        does not come to its end raises ConnectionClosed. Who leaves it in the middle gets the next
        message next.
        """
        return AsyncPieces(self, timeout)

    def __aiter__(self) -> Self:
        """Receive until the connection is closed by 1000, 1001 or without a code; else raise ConnectionClosed."""
        return self

    async def __anext__(self) -> Received:
        try:
            return await self.receive()
        except ConnectionClosed as closed:
            if closed.code in QUIET_ENDS:
                raise StopAsyncIteration from None
            raise

    async def _wait_for(self, take: Callable[[], Any], timeout: float | None, *, wants_whole: bool = False) -> Any:
        found = take()
        if found is not None:
            self._make_room()
            return found
        kit = self._pull_kit
        if kit is None:
            raise RuntimeError("This WebSocket is not connected: there is nothing to receive")
        late = _Late(self._tell)
        call_off = None if timeout is None else kit.call_at(kit.now() + timeout, late)
        self._inbox.wanted += wants_whole
        self._idle += 1
        if self._quiet is not None and self._is_quiet():
            self._quiet.set()
        try:
            while found is None:
                if late.is_late:
                    raise TimeoutError(f"No message within {timeout:g} s")
                self._make_room()
                if self._news is None:
                    self._news = kit.event()
                await self._news.wait()
                found = take()
            return found
        finally:
            self._idle -= 1
            self._inbox.wanted -= wants_whole
            if call_off is not None:
                call_off()
            self._make_room()


class AsyncPieces:
    """Iterate over one message, see `AsyncReceiver.receive_pieces`."""

    def __init__(self, receiver: AsyncReceiver, timeout: float | None) -> None:
        self._receiver = receiver
        self._timeout = timeout
        self._message: Growing | None = None

    def __aiter__(self) -> AsyncPieces:
        return self

    async def __anext__(self) -> str | bytes:
        receiver = self._receiver
        message = self._message
        if message is None:
            message = self._message = await receiver._wait_for(receiver._inbox.begin, self._timeout)
        piece: Any = await receiver._wait_for(lambda: next_of(receiver._inbox, message), self._timeout)
        if piece is OVER:
            raise StopAsyncIteration
        return piece  # type: ignore[no-any-return]


class _Late:
    """Be called when the time is over."""

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell = tell
        self.is_late = False

    def __call__(self) -> None:
        self.is_late = True
        self._tell()


class _Quiet(Sent):
    """Be awaited until whoever receives asks for more than there is, or takes nothing for a moment."""

    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver

    def __await__(self) -> Generator[Any, None, None]:
        receiver = self._receiver
        kit, taken = receiver._pull_kit, -1
        while not receiver._is_quiet() and receiver._inbox.count != taken and receiver._state is State.OPEN:
            taken = receiver._inbox.count
            quiet = receiver._quiet = kit.event()
            call_off = kit.call_at(kit.now() + MOMENT, quiet.set)
            try:
                yield from quiet.wait().__await__()
            finally:
                receiver._quiet = None
                call_off()


class _Room(Sent):
    """Be awaited until there is room for another message."""

    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver

    def __await__(self) -> Generator[Any, None, None]:
        receiver = self._receiver
        while receiver._has_no_room():
            if receiver._room is None:
                receiver._room = receiver._pull_kit.event()
            yield from receiver._room.wait().__await__()
