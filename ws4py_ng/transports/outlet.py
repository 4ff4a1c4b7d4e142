"""The sending half of an asyncio connection: one write for each flush, in bounded memory.

Beyond `Limits.max_outbox` the peer is behind: the session and who awaits rest until it has taken
most of it. Beyond `Limits.max_unsent` who does not await is stopped. A peer that takes nothing for
`Limits.write_timeout` is given up. Other threads may send: what they add to the outbox the loop
sends. They cannot wait.

A message that many connections are sent (`post`) is written a portion at a time, and no more of it
while the peer is behind: asyncio would make a copy of the rest for each of them.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import os
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from math import inf
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

from ..endpoint import SENT, Sent
from ..endpoint.sender import IN_ONE_STEP
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..states import State
from ..streaming import Stream
from .asynciokit import AsyncioKit, ends_all
from .fragments import AsyncFragments

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from ..endpoint.sender import Sender
    from ..limits import Limits
    from ..shared import SharedMessage

__all__ = ["Drained", "Outlet"]

OPEN = State.OPEN
# The same object for all connections of a thread.
_idents: dict[int, int] = {}
NOTHING = -inf
# Below this size a join costs less than to hand over pieces.
JOIN_LIMIT = 16 * 1024
# What is written at once of a message that many are sent.
PORTION = 64 * 1024
# asyncio's own transport of a socket, where its writelines copies everything into one piece.
PLAIN_TRANSPORT: Any = None
if sys.version_info < (3, 12) and hasattr(os, "writev"):
    PLAIN_TRANSPORT = getattr(asyncio.selector_events, "_SelectorSocketTransport", None)
# So many pieces the kernel takes at once.
MAX_PIECES = 1024


class Outlet(asyncio.BufferedProtocol):
    """Carry the outbox of a WebSocket to an asyncio transport."""

    __slots__ = (
        "__weakref__",
        "_drained",
        "_fragments",
        "_handed_over",
        "_in_turn",
        "_is_plain",
        "_limits",
        "_loop",
        "_rest",
        "_room",
        "_taken",
        "_thread",
        "_ticked",
        "_transport",
        "_write_timer",
        "_ws",
        "guard",
    )

    def __init__(self, ws: Endpoint, limits: Limits) -> None:
        self._ws = ws
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._thread = _idents.setdefault(get_ident(), get_ident())
        stream = ws._stream
        self._is_plain = type(stream) is Stream and stream._extension is None and not stream.always_mask
        self._transport: Any = None
        self._in_turn = False
        self._room: Sent = SENT  # what a sender may await
        self._drained: asyncio.Future[None] | None = None
        self._rest: memoryview | None = None  # of a message that many are sent; nothing may be sent before it
        self._handed_over = 0
        self._taken = NOTHING
        self._write_timer: asyncio.TimerHandle | None = None
        self._ticked = State.CONNECTING
        self.guard = Lock()
        self._fragments: AsyncFragments | None = None  # made when it is needed

    # What the receiving half does

    def _stall(self) -> None:
        """Stop reading: the peer is behind."""
        raise NotImplementedError

    def _relieve(self) -> None:
        """Go on."""
        raise NotImplementedError

    def _look_at_timers(self) -> None:
        """Look at the timers: the state has changed."""
        raise NotImplementedError

    def _give_up(self, error: PeerTimeout) -> None:
        """End the connection without the peer."""
        raise NotImplementedError

    # What an endpoint wants of its transport

    @property
    def fragments(self) -> AsyncFragments:
        """Whose turn it is while a message is sent in fragments."""
        if self._fragments is None:
            self._fragments = AsyncFragments(self._ws, AsyncioKit, self._limits.max_unsent, self._thread)
        return self._fragments

    def now(self) -> float:
        """Return the time of the loop."""
        return self._loop.time()

    def ends_all(self, error: BaseException) -> bool:
        """See `asynciokit.ends_all`."""
        return ends_all(self._loop, error)

    def written(self) -> Sent:
        """Send the outbox, unless a turn is going on, at whose end it is sent."""
        ws = self._ws
        if self._in_turn and ws._outbox.size < self._limits.max_outbox:
            return self._room
        if get_ident() != self._thread:
            return self._written_elsewhere()
        self._flush()
        if ws._state is not self._ticked and not self._in_turn:
            self._look_at_timers()
        return self._room

    def _written_elsewhere(self) -> Sent:
        ws = self._ws
        if ws._outbox.size >= self._limits.max_unsent:
            ws._outbox.is_full = True
        try:
            self._loop.call_soon_threadsafe(self.written)
        except RuntimeError as error:
            ws._lost()
            raise ConnectionClosed(f"Cannot send on a terminated websocket: {error}") from error
        return SENT

    # For who sends to many

    @property
    def home(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def call_home(self, callback: Callable[[], object]) -> None:
        """Call a function in the loop's thread."""
        if get_ident() == self._thread:
            callback()
        else:
            self._loop.call_soon_threadsafe(callback)

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Send a message that others are sent as well, unless the peer is behind.

        It is called for thousands in a row: what it looks at is what all connections share, as far as
        that can be, since each object that is a connection's own has to come from memory.
        """
        transport = self._transport
        if (
            self._room is not SENT
            or self._in_turn
            or sender._outbox.size
            or sender._outbox.is_fragmenting
            or sender._state is not OPEN
            or transport is None
            or get_ident() != self._thread
        ):
            return self._post_behind(sender, message)
        frame = message.plain
        if frame is None or not self._is_plain:
            with self.guard:
                # Another thread may have been faster.
                frame = None if sender._outbox else sender._stream.share(message).piece
            if frame is None:
                return self._post_behind(sender, message)
        if len(frame) <= PORTION:
            transport.write(frame)
        else:
            self._rest = memoryview(frame)
            self._write_rest()
        return True

    def _post_behind(self, sender: Sender, message: SharedMessage) -> bool:
        """Send it behind what is in the outbox already, if the peer keeps up."""
        if self._room is not SENT or self._transport is None:
            if sender._state is not OPEN:
                sender._refuse()
            return False
        if not sender._put(message, self._limits.max_outbox):
            return False
        self.written()
        return True

    def push(self) -> None:
        """Send the outbox."""
        with suppress(ConnectionClosed):
            self.written()

    def _write_rest(self) -> None:
        while self._rest is not None and self._room is SENT:
            self._transport.write(self._rest[:PORTION])
            self._rest = self._rest[PORTION:] or None

    def _flush(self) -> None:
        ws = self._ws
        if self._rest is not None:
            self._write_rest()
            if self._rest is not None:
                ws._outbox.is_full = ws._outbox.size >= self._limits.max_unsent
                return
        outbox = ws._outbox
        if IN_ONE_STEP:
            pieces = outbox.take()
        else:
            with self.guard:
                pieces = outbox.take()
        if not pieces:
            return
        transport = self._transport
        if transport is None or transport.is_closing():
            ws._lost()
            return
        if len(pieces) == 1:
            piece = pieces[0]
            self._handed_over += len(piece)
            transport.write(piece)
        else:
            size = sum(map(len, pieces))
            self._handed_over += size
            if size <= JOIN_LIMIT:
                transport.write(b"".join(pieces))
            else:
                _write_gathered(transport, pieces)
        outbox.is_full = self._room is not SENT and transport.get_write_buffer_size() >= self._limits.max_unsent

    # What the loop calls

    def pause_writing(self) -> None:
        """Rest until the peer reads: our answers to what it sends would fill the memory."""
        self._room = self._ws._crowded = Drained(self)
        self._ws._outbox.cork = 0
        self._stall()
        self._taken = NOTHING
        self._look_at_writing()

    def resume_writing(self) -> None:
        """Go on."""
        ws = self._ws
        ws._outbox.is_full = False
        self._let_senders_go()
        if self._rest is not None:
            self._flush()
        if self._room is SENT:
            ws._relieved()
            self._relieve()

    def _write_last(self) -> None:
        """Write all that is left: there is nobody any more who could go on later."""
        rest, self._rest = self._rest, None
        if rest is not None and self._transport is not None:
            self._transport.write(rest)
        self._flush()

    def _give_up_fragments(self) -> None:
        if self._fragments is not None:
            self._fragments.give_up()

    def _let_senders_go(self) -> None:
        self._room = SENT
        self._ws._crowded = None
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _look_at_writing(self) -> None:
        """Give up a peer that has taken nothing since the last time."""
        timeout = self._limits.write_timeout
        transport = self._transport
        if timeout is None or transport is None:
            return
        taken = self._handed_over - transport.get_write_buffer_size()
        if taken <= self._taken:
            self._give_up(PeerTimeout(f"The peer has taken nothing for {timeout:g} s (Limits.write_timeout)"))
        else:
            self._taken = taken
            self._write_timer = self._loop.call_later(timeout, self._look_at_writing)


def _write_gathered(transport: Any, pieces: list[bytes]) -> None:
    """Have the kernel take pieces as they are, and the loop the rest."""
    if type(transport) is not PLAIN_TRANSPORT:
        transport.writelines(pieces)
        return
    sent = 0
    if not transport.get_write_buffer_size():
        with suppress(OSError):  # what it is, asyncio will find out as well
            sent = os.writev(transport.get_extra_info("socket").fileno(), pieces[:MAX_PIECES])
    for piece in pieces:
        if sent < len(piece) and not transport.is_closing():
            transport.write(memoryview(piece)[sent:] if sent else piece)
        sent = max(sent - len(piece), 0)


class Drained(Sent):
    """Be awaited until the peer has taken enough of what was sent, or is gone."""

    def __init__(self, transport: Outlet) -> None:
        self.transport = transport

    def __await__(self) -> Generator[Any, None, None]:
        transport = self.transport
        while transport._room is self:
            if transport._drained is None:
                transport._drained = transport._loop.create_future()
            yield from asyncio.shield(transport._drained).__await__()
