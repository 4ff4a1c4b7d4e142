"""asyncio (and uvloop): a session driven by a protocol's callbacks, one flush for each read.

As long as the hooks are plain functions everything happens in the callback that brings the
bytes. The first async hook moves the connection into a task of its own, for good: hooks
then run one after the other in one task, as timeouts and context variables expect.

While a hook is awaited, or the peer does not keep up, nothing is read and the session rests. A
peer with much to say is interrupted every few milliseconds, so that others have their turn. The
sending half is `Outlet`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..endpoint import SENT, Ending, Endpoint, Step
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..limits import LARGE_READ
from .async_hooks import AsyncHooks
from .fastnet import reads_ahead
from .grid import Grid, Late
from .outlet import Drained
from .parting import Parting, read_buffer

if TYPE_CHECKING:
    from ..limits import Limits

__all__ = ["AsyncioTransport"]

# What is due in more seconds than this may be late by a moment, together with others (`Grid`).
FAR = 5.0
# Seconds that one peer may keep the loop busy before others have their turn ...
BREATH = 0.004
# ... and the fewest bytes that are read at once to keep to it.
SIP = 1024
FIRST_PORTION = 16 * SIP


class AsyncioTransport(AsyncHooks):
    """Drive a WebSocket from an asyncio transport; `take_over` begins.

    ``ending`` says how the session ended. ``on_end`` is called with this when `closed` has
    returned, ``on_gone`` when the connection is closed as well; `wait_ended` and `wait_gone` wait for that.
    """

    __slots__ = (
        "_at_eof",
        "_busy",
        "_ended",
        "_gone",
        "_held",
        "_into",
        "_lasting",
        "_parting",
        "_portion",
        "_resting",
        "_sip",
        "_timer",
        "_view",
        "_waited_for",
        "_why",
        "ending",
        "on_end",
        "on_gone",
    )

    def __init__(self, ws: Endpoint, limits: Limits) -> None:
        super().__init__(ws, limits)
        self._into = self._view = read_buffer(self._loop, max(limits.read_size, LARGE_READ))
        self._set_portion(min(limits.read_size, FIRST_PORTION))
        self._busy = 0.0
        self._resting = False  # the session waits for the peer to keep up
        self._held = False  # reading is paused
        self._at_eof = False
        self._timer: asyncio.TimerHandle | Late | None = None
        self._why: PeerTimeout | None = None
        self._parting: Parting | None = None
        self._ended = self._gone = False
        self._waited_for: asyncio.Event | None = None  # made when somebody waits for either
        self._lasting: asyncio.Task[None] | None = None
        self.ending: Ending | None = None
        self.on_end: Callable[[AsyncioTransport], object] | None = None
        self.on_gone: Callable[[AsyncioTransport], object] | None = None

    def take_over(self, transport: Any, leftover: bytes = b"") -> None:
        """Begin, behind the opening handshake; ``leftover`` came behind its head."""
        ws: Any = self._ws  # a WebSocket, which is above us
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=self._limits.max_outbox)
        ws._keepalive.beat = ws.heartbeat_freq
        self._session = Endpoint.session(ws)
        if leftover:
            ws._stream._reader.feed(leftover)
        self._turn(None)
        if ws._state is not self._ticked:  # while an async `opened` is awaited
            self._look_at_timers()
        if self._held:
            self._loop.call_soon(self._pause)  # uvloop reads behind `connection_made`, even if that has paused

    # What the loop calls

    def get_buffer(self, sizehint: int) -> memoryview:
        """Let the loop read into the buffer that all connections share."""
        # The rest of a large payload is no work but a copy: there is no need to sip.
        view = self._into = self._sip if self._wanted <= self._portion else self._view
        return view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read; the session copies what it wants to keep of it."""
        data = self._into[:nbytes]
        if self._session is None or self._task is not None or self._resting or self._held:
            self._received(data.tobytes())
        elif nbytes < self._portion:
            self._busy = 0.0
            self._turn(data)
        else:
            started = monotonic()
            self._turn(data)
            self._pace(monotonic() - started)

    def _pace(self, took: float) -> None:
        """Read less at once if that takes long, and more if it does not; let others have their turn."""
        if took > BREATH:
            self._set_portion(max(self._portion // 2, SIP))
        elif took < BREATH / 4 and self._portion < self._limits.read_size:
            self._set_portion(min(self._portion * 2, self._limits.read_size))
        self._busy += took
        if self._busy > BREATH:
            self._busy = 0.0
            if not self._held and self._session is not None:
                self._hold()
                self._loop.call_soon(self._go_on)

    def _set_portion(self, size: int) -> None:
        self._portion = size
        self._sip = read_buffer(self._loop, size)

    def eof_received(self) -> bool:
        """Take the end of what the peer sends."""
        self._received(b"")
        transport = self._transport
        # We close by ourselves, once what waits is sent. TLS has no half that stays open.
        return transport is not None and transport.can_write_eof() is True

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection is gone."""
        self._transport = None
        self._ws._lost()
        self._let_senders_go()
        self._give_up_fragments()
        self._received(self._why or error or b"")
        self._go_on()
        self._set_gone()

    def _set_gone(self) -> None:
        self._parting = None
        self._gone = True
        self._report_gone()

    def _report_gone(self) -> None:
        if self._waited_for is not None:
            self._waited_for.set()
        if self._ended and self._gone:
            on_gone, self.on_gone = self.on_gone, None
            if on_gone is not None:
                on_gone(self)

    def _stall(self) -> None:
        """Rest until the peer reads: our answers to what it sends would fill the memory."""
        self._hold()

    def _relieve(self) -> None:
        """Go on."""
        if self._resting or self._backlog:
            self._loop.call_soon(self._go_on)
        else:
            self._unhold()

    def _hold(self) -> None:
        transport = self._transport
        if not self._held and transport is not None and not transport.is_closing():
            self._held = True
            if reads_ahead(transport):
                self._loop.call_soon(self._pause)
            else:
                transport.pause_reading()

    def _pause(self) -> None:
        """Stop reading; what came since then waits in the backlog."""
        if self._held and self._transport is not None:
            self._transport.pause_reading()

    def _unhold(self) -> None:
        transport = self._transport
        if not self._held or transport is None or transport.is_closing():
            return
        if self._room is SENT and not self._backlog and not self._resting:
            self._held = False
            transport.resume_reading()
            # Nobody can be blamed for a silence that we did not listen to.
            self._ws._keepalive.active = True

    # The session

    def _received(self, data: bytes | Exception) -> None:
        """Give the session what came: bytes, none at the end, or what broke."""
        if not data:
            if self._at_eof:
                return
            self._at_eof = True
        if self._session is None:
            return
        if self._task is None and not self._resting and not self._held:
            self._give(data)
            return
        self._ws._keepalive.active = True
        self._backlog = [*self._backlog, data]
        self._hold()
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _go_on(self) -> None:
        """Let the session, which rests or was held, go on; a task does so by itself."""
        if self._session is None or self._task is not None:
            return
        if self._resting:
            self._resting = False
            self._turn(None)
        until = monotonic() + BREATH
        while self._backlog and self._session is not None and self._task is None and not self._resting:
            data, *self._backlog = self._backlog
            self._give(data)
            if self._backlog and monotonic() > until:
                self._loop.call_soon(self._go_on)
                return
        self._unhold()

    def _give(self, data: bytes | Exception) -> None:
        if isinstance(data, Exception):
            self._turn(None, data)
        else:
            self._turn(data)

    def _turn(self, data: bytes | memoryview | None, error: Exception | None = None) -> None:
        """Let the session run as far as it goes: with what came, without, or with what broke."""
        session: Any = self._session
        outbox = self._ws._outbox
        if self._room is SENT:
            outbox.cork = self._limits.max_outbox
        self._in_turn = True
        try:
            step: Step = session.send(data) if error is None else session.throw(error)
            while step is SENT:
                step = session.send(None)
        except StopIteration as stop:
            self._in_turn = False
            outbox.cork = 0
            self._finish(stop.value)
            return
        except BaseException:  # KeyboardInterrupt, SystemExit: the program ends
            self._in_turn = False
            outbox.cork = 0
            self._finish(None)
            raise
        self._in_turn = False
        outbox.cork = 0
        if outbox.size:
            self._flush()
        if type(step) is int:
            self._wanted = step
            if self._ws._state is not self._ticked:
                self._look_at_timers()
        elif isinstance(step, Drained) and step.transport is self:
            self._resting = True
            if self._room is SENT:
                self._loop.call_soon(self._go_on)
        else:
            self._start_task(step)

    def _finish(self, ending: Ending | None) -> None:
        """Let go of the session, and hang up."""
        self.ending = ending
        self._session = None
        self._write_last()
        self._let_senders_go()
        self._give_up_fragments()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport, self._transport = self._transport, None
        if transport is not None:
            clean = ending is not None and ending.clean
            self._parting = Parting(
                transport,
                heard_out=self._at_eof or (clean and not transport.can_write_eof()),
                patience=self._limits.close_timeout if clean else None,
                on_gone=self._set_gone,
            )
        self._backlog = ()
        ws: Any = self._ws
        ws._release()
        outlast = getattr(ws, "_outlast", None)  # of what a function serves
        if outlast is None:
            self._set_ended()
        else:
            self._lasting = self._loop.create_task(outlast())
            self._lasting.add_done_callback(self._set_ended)

    def _set_ended(self, *args: object) -> None:
        self._lasting = None
        self._ended = True
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end(self)
        self._report_gone()

    # Time

    def _look_at_timers(self) -> None:
        """Ping, give up, or come again later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._session is None:
            return
        self._ticked = self._ws._state
        if self._held:
            self._ws._keepalive.active = True
        loop = self._loop
        now = loop.time()
        try:
            when = self._ws._tick(now)
        except PeerTimeout as error:
            self._give_up(error)
        except ConnectionClosed:
            return
        else:
            if when < inf:
                if when - now > FAR:
                    self._timer = Grid.of(loop).call_at(loop, when, self._look_at_timers)
                else:
                    self._timer = loop.call_at(when, self._look_at_timers)

    def _give_up(self, error: PeerTimeout) -> None:
        session = self._session
        if session is not None and self._task is None and not self._resting:
            self._turn(None, error)
        else:
            self._why = error
            self._ws._lost()
            self.cut_off()

    def cut_off(self) -> None:
        """End the connection as it is; from any thread."""
        if get_ident() != self._thread:
            with suppress(RuntimeError):  # the loop is closed, and with it the connection
                self._loop.call_soon_threadsafe(self.cut_off)
        elif self._parting is not None:
            self._parting.cut_off()
        elif self._transport is not None:
            self._transport.abort()

    def cancel(self) -> None:
        """Cancel a hook or a function that nothing else can end; `closed` is called as ever."""
        super().cancel()
        call_off = getattr(self._ws, "_call_off", None)
        if call_off is not None:
            call_off()

    @property
    def has_ended(self) -> bool:
        """Whether the session has ended and `closed` has returned."""
        return self._ended

    async def wait_ended(self) -> None:
        """Wait until the session has ended and `closed` has returned."""
        while not self._ended:
            await self._wait_for_change()

    async def wait_gone(self) -> None:
        """Wait until the connection is closed as well."""
        while not (self._ended and self._gone):
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        if self._waited_for is None or self._waited_for.is_set():
            self._waited_for = asyncio.Event()
        await self._waited_for.wait()
