"""Greenlets in the blocking driver: what gevent and eventlet have in common.

A socket of theirs lets other greenlets run while it waits. Its one timeout serves both
directions: whoever reads or writes wakes up after it and looks at the time himself.
`gevent_kit` and `eventlet_kit` bring the rest, and name their libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from ..codes import DRAIN_REASON, GOING_AWAY
from ..endpoint import Endpoint
from ..exc import ConnectionClosed
from .blocking import BlockingTransport, Kit
from .channels import LINGER, PlainChannel

__all__ = [
    "FAREWELL",
    "CooperativeChannel",
    "Sleep",
    "adopt",
    "dismiss",
    "look_for",
    "look_until",
    "serve",
]

# What lets others run for so many seconds: a kit's own.
Sleep = Callable[[float], object]

# How much is written at once: each slice that the peer takes shows that it is alive.
SLICE = 64 * 1024
# How long the Close frame of a connection that is dismissed may take to be written.
FAREWELL = 1.0
# How often it is asked what nobody tells.
LOOK = 0.5
GLANCE = 0.01


class CooperativeChannel(PlainChannel):
    """Wrap a socket of gevent or eventlet."""

    def __init__(
        self,
        sock: Any,
        pause: Callable[[], object],
        shut: Callable[[Any, int], object],
        recv_below_tls: Callable[[Any, int], bytes],
    ) -> None:
        super().__init__(sock)
        self._pause = pause
        self._shut_socket = shut
        self._recv_below_tls = recv_below_tls
        self._ended_here = False

    # A greenlet sends what nobody may wait for.
    can_send_now = False

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """See `PlainChannel.set_timeouts`."""
        self.write_timeout = write
        self._patient = True
        self.sock.setblocking(True)  # eventlet's TLS does not take a timeout for that
        self.sock.settimeout(min((time for time in (read, write) if time is not None), default=None))

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end."""
        # A peer that always has something to say would keep all others waiting.
        self._pause()
        try:
            return super().recv(size)
        except TimeoutError:
            raise
        except OSError:
            if self._ended_here:  # gevent wakes by an error whoever waits where we shut down
                return b""
            raise

    def _send_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        for start in range(0, len(view), SLICE):
            super()._send_all(view[start : start + SLICE])

    def _shut(self, how: int) -> None:
        self._ended_here = True
        self._shut_socket(self.sock, how)

    def hang_up(self, linger: float = LINGER) -> None:
        """Say good-bye, in TLS as well, and read on until the peer has done so."""
        if hasattr(self.sock, "unwrap"):
            self.sock.settimeout(0)
            with suppress(OSError, ValueError):  # the peer may not have said so yet
                self.sock.unwrap()
        super().hang_up(linger)

    def _recv_rest(self, timeout: float) -> bytes:
        if not hasattr(self.sock, "unwrap"):
            return super()._recv_rest(timeout)
        self._pause()
        self._reading = True
        try:
            self.sock.settimeout(timeout)
            return self._recv_below_tls(self.sock, 65536)
        finally:
            self._reading = False
            self._leave()


def adopt(ws: Any, kit: Kit) -> None:
    """Let a WebSocket that was made for threads be served by greenlets."""
    transport = ws._transport if isinstance(ws, Endpoint) else None
    if isinstance(transport, BlockingTransport) and not transport.started and transport._kit is not kit:
        ws._attach(BlockingTransport(ws, transport.channel.sock, transport._limits, kit))


def serve(ws: Any, killed: type[BaseException]) -> None:
    """Serve a WebSocket to its end in this greenlet; when that or the program is ended, close with 1001."""
    if not isinstance(ws, Endpoint):
        ws.run()
        return
    try:
        _serve(ws, killed)
        outlast = getattr(ws, "_outlast", None)  # of what a function serves
        if outlast is not None:
            outlast()
    except BaseException:
        call_off = getattr(ws, "_call_off", None)
        if call_off is not None:
            call_off()
        raise


def _serve(ws: Any, killed: type[BaseException]) -> None:
    try:
        transport = ws._blocking()
        transport.run(ws._read_size)
        transport.hang_up()
    except (killed, KeyboardInterrupt, SystemExit):
        dismiss(ws)
        raise
    finally:
        ws.terminate()


def dismiss(ws: Any) -> None:
    """Close a WebSocket with 1001, without waiting long for its peer."""
    transport = getattr(ws, "_transport", None)
    with suppress(ConnectionClosed, OSError):
        if isinstance(transport, BlockingTransport):
            transport.channel.set_timeouts(FAREWELL, FAREWELL)
        ws.close(GOING_AWAY, DRAIN_REASON)


def look_for(sleep: Sleep, happens: Callable[[], bool], then: Callable[[], object]) -> None:
    """Call ``then`` as soon as something happens, which nobody tells: look now and again."""
    while not happens():
        sleep(LOOK)
    then()


def look_until(sleep: Sleep, happens: Callable[[], bool], timeout: float) -> None:
    """Let others run until something happens, or the time is over."""
    deadline = monotonic() + timeout
    while not happens() and monotonic() < deadline:
        sleep(GLANCE)
