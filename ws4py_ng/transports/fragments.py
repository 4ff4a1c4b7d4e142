"""Whose turn it is while a message is sent in fragments."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import ContextVar
from functools import cached_property
from threading import get_ident
from typing import TYPE_CHECKING, Any

from ..codes import CONTINUATION, INTERNAL_ERROR
from ..endpoint import Sent
from ..exc import ConnectionClosed
from ..states import State

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .blocking import Kit as BlockingKit
    from .pulling import Event, Kit, Scope

__all__ = ["AsyncFragments", "BlockingFragments", "OwnFragments"]

# In the task that sends an async iterator: whose that is.
_inside: ContextVar[AsyncFragments | None] = ContextVar("inside", default=None)

# What a place in the queue costs, beside what is to be sent.
PLACE = 512
TORN = "send() from within the iterable that is being sent: its fragments would be torn apart"


class OwnFragments:
    """Refuse a message that would begin within another: there is nobody to wait for."""

    def __init__(self) -> None:
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise RuntimeError(TORN)
        self._busy = True

    def __exit__(self, *exc: object) -> None:
        self._busy = False

    def wait(self, send: Callable[[], Any], size: int) -> Any:
        """Refuse."""
        raise RuntimeError(TORN)

    def send(self, pieces: AsyncIterator[bytes], opcode: int) -> Any:
        """Refuse."""
        raise TypeError("Cannot send an async iterable: no event loop drives this connection")


class BlockingFragments(OwnFragments):
    """Hold a lock for a whole message, and notice who would wait for himself."""

    def __init__(self, kit: BlockingKit) -> None:
        self._kit = kit
        self._lock = kit.lock()
        self._owner: object = None

    def __enter__(self) -> None:
        me = self._kit.ident()
        if self._owner == me:
            raise RuntimeError(TORN)
        self._lock.acquire()
        self._owner = me

    def __exit__(self, *exc: object) -> None:
        self._owner = None
        self._lock.release()

    def wait(self, send: Callable[[], Any], size: int) -> Any:
        """Send when the message in progress is complete."""
        with self:
            pass
        return send()


class AsyncFragments(OwnFragments):
    """Send async iterators, each in a task; messages that others send meanwhile wait in a queue.

    Control frames do not wait (RFC 6455 5.4). ``limit`` bounds the bytes in the queue. `give_up`
    ends all of it when the connection is lost.
    """

    def __init__(self, ws: Endpoint, kit: Callable[[], Kit], limit: int, thread: int | None = None) -> None:
        super().__init__()
        self._thread = thread
        self._ws = ws
        self._new_kit = kit
        self._limit = limit
        self._queue: deque[_Waiting] | None = None  # made when it is needed: an empty one has 600 bytes
        self._queued = 0
        self._sending: _Sending | None = None

    @cached_property
    def kit(self) -> Kit:
        """The kit of this connection, made when it is needed."""
        return self._new_kit()

    def __enter__(self) -> None:
        self._check_thread()
        super().__enter__()

    def _check_thread(self) -> None:
        if self._thread is not None and get_ident() != self._thread:
            raise RuntimeError(
                "Another thread cannot send in fragments, nor while that is done: "
                "loop.call_soon_threadsafe(ws.send, message)"
            )

    def wait(self, send: Callable[[], Any], size: int) -> Sent:
        """Queue a message."""
        self._check_thread()
        if self._busy:
            raise RuntimeError(TORN)
        size += PLACE
        if self._queued + size > self._limit:
            raise BufferError(
                f"{self._queued} bytes wait for the end of a message in fragments, and {size} more would be "
                "over Limits.max_unsent: await send()"
            )
        waiting = _Waiting(self, send, size)
        self._queued += size
        if self._queue is None:
            self._queue = deque()
        self._queue.append(waiting)
        return waiting

    def send(self, pieces: AsyncIterator[bytes], opcode: int) -> Sent:
        """Send each piece as it comes; the last fragment is an empty one."""
        ws = self._ws
        self._check_thread()
        if ws._outbox.is_fragmenting and opcode != CONTINUATION:
            return self.wait(lambda: self.send(pieces, opcode), 0)
        ws._outbox.is_fragmenting = True
        kit = self.kit
        sending = self._sending = _Sending(kit)
        kit.spawn(lambda: self._run(sending, pieces, opcode))
        return sending

    async def _run(self, sending: _Sending, pieces: AsyncIterator[bytes], opcode: int) -> None:
        try:
            with sending.scope:
                await self._send_pieces(pieces, opcode)
                sending.is_complete = True
        except Exception as error:  # noqa: BLE001 - the sender's to judge
            sending.error = error
        finally:
            if not sending.is_complete and sending.error is None:
                sending.error = ConnectionClosed("Cannot send on a terminated websocket: it was lost within a message")
            self._end(sending)
        aclose = getattr(pieces, "aclose", None)
        if aclose is not None:
            await aclose()

    async def _send_pieces(self, pieces: AsyncIterator[bytes], opcode: int) -> None:
        ws = self._ws
        _inside.set(self)
        if ws._state is not State.OPEN:
            ws._refuse()
        async for piece in pieces:
            if opcode != CONTINUATION:
                ws._outbox.is_fragmenting = False  # it was kept free for this frame
            sent = ws._send_frame(opcode, piece, fin=False)
            opcode = CONTINUATION
            await sent
        if opcode != CONTINUATION:
            ws._outbox.is_fragmenting = False
        ws._send_frame(opcode, b"")

    def _end(self, sending: _Sending) -> None:
        """Let those in the queue send, until one of them begins such a message itself."""
        ws = self._ws
        if not sending.is_complete and ws._state is State.OPEN:
            # Half a message was sent: nothing may follow it but a Close frame.
            ws.close(INTERNAL_ERROR, "A message broke off")
            if not sending.is_awaited and sending.error is not None:
                ws._report(sending.error)
        self._sending = None
        sending.done()
        ws._outbox.is_fragmenting = False
        while self._queue and not ws._outbox.is_fragmenting:
            waiting = self._queue.popleft()
            self._queued -= waiting.size
            waiting.go()

    def give_up(self) -> None:
        """End what is being sent: the connection is lost, so that all of it raises ConnectionClosed."""
        if self._sending is not None:
            self._sending.scope.cancel()


class _Waiting(Sent):
    """Be awaited until a message that had to wait was sent, and the peer keeps up."""

    def __init__(self, fragments: AsyncFragments, send: Callable[[], Any], size: int) -> None:
        self._fragments = fragments
        self._send: Callable[[], Any] | None = send
        self._event: Event | None = None
        self._outcome: Any = None
        self._error: Exception | None = None
        self.size = size

    def go(self) -> None:
        """Send."""
        send, self._send = self._send, None
        assert send is not None
        try:
            self._outcome = send()
        except Exception as error:  # noqa: BLE001 - the sender's to judge
            self._error = error
        if self._event is not None:
            self._event.set()

    def __await__(self) -> Generator[Any, None, None]:
        if self._send is not None and _inside.get() is self._fragments:
            raise RuntimeError(TORN)  # it would wait for itself
        while self._send is not None:
            if self._event is None:
                self._event = self._fragments.kit.event()
            yield from self._event.wait().__await__()
        if self._error is not None:
            raise self._error
        if self._outcome is not None:
            yield from self._outcome.__await__()


class _Sending(Sent):
    """Be awaited until an async iterator was sent; whoever is cancelled meanwhile breaks it off."""

    def __init__(self, kit: Kit) -> None:
        self._event = kit.event()
        self.scope: Scope = kit.scope()
        self.error: Exception | None = None
        self.is_complete = False
        self.is_awaited = False

    def done(self) -> None:
        """Let those who wait go."""
        self._event.set()

    def __await__(self) -> Generator[Any, None, None]:
        self.is_awaited = True
        try:
            yield from self._event.wait().__await__()
        except BaseException:
            self.scope.cancel()
            raise
        if self.error is not None:
            raise self.error
