"""The end of an asyncio connection: let the peer read our last words before the socket is closed.

Who closes a socket while bytes of the peer wait unread sends a RST, and that can destroy what the
peer has not read yet: the Close frame or the HTTP answer that says why. So we end our half only,
and read on, for a bounded time. TLS has no half: there we read until the peer is quiet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["LINGER", "Parting", "read_buffer"]

# How long a connection that we ended is read on.
LINGER = 2.0
# A TLS peer that was silent for so long has said all that it will.
QUIET = 0.2

# Bytes are taken out of the buffer before the loop can read again: one serves all. By size.
_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, memoryview]] = WeakKeyDictionary()
PROACTOR = getattr(asyncio, "ProactorEventLoop", None)


def read_buffer(loop: asyncio.AbstractEventLoop, size: int) -> memoryview:
    """Return the buffer of this loop; Windows' proactor fills one while it reads another."""
    if PROACTOR is not None and isinstance(loop, PROACTOR):
        return memoryview(bytearray(size))
    views = _buffers.get(loop)
    if views is None:
        views = _buffers[loop] = {}
    view = views.get(size)
    if view is None:
        largest = max(views.values(), key=len, default=memoryview(b""))
        view = views[size] = largest[:size] if len(largest) >= size else memoryview(bytearray(size))
    return view


class Parting(asyncio.BufferedProtocol):
    """Take a transport over, hang up, and call ``on_gone`` when it is closed.

    ``heard_out``: the peer has nothing more to say that we would have to read. ``patience`` is for
    what still waits to be sent.
    """

    def __init__(
        self, transport: Any, *, heard_out: bool, patience: float | None, on_gone: Callable[[], object]
    ) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._view = read_buffer(self._loop, 4096)
        self._on_gone: Callable[[], object] | None = on_gone
        self._heard = False
        self._timer: asyncio.TimerHandle | None = None
        transport.set_protocol(self)
        limit = LINGER if patience is None or not transport.get_write_buffer_size() else max(LINGER, patience)
        self._deadline = self._loop.time() + limit
        if transport.is_closing():
            return
        transport.resume_reading()
        if heard_out:
            self._close()
        elif transport.can_write_eof():
            try:
                transport.write_eof()
            except OSError:  # the peer has reset the connection, and the loop does not know yet
                transport.abort()
                return
            self._timer = self._loop.call_at(self._deadline, self.cut_off)
        else:
            self._listen()

    def _listen(self) -> None:
        """Wait until the peer is quiet."""
        self._heard = False
        self._timer = self._loop.call_later(QUIET, self._look)

    def _look(self) -> None:
        if self._heard and self._loop.time() < self._deadline:
            self._listen()
        else:
            self._deadline = max(self._deadline, self._loop.time() + QUIET)
            self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self.cut_off)
        self._transport.close()

    def cut_off(self) -> None:
        """End the connection as it is."""
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Let the loop read what nobody wants any more."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Drop it."""
        self._heard = True

    def eof_received(self) -> bool:
        """See that the peer has ended as well."""
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._close()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of everything."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        on_gone, self._on_gone = self._on_gone, None
        if on_gone is not None:
            on_gone()
