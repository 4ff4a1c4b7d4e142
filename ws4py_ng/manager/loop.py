"""What a manager's thread does: ask which sockets are ready, and let each connection have its turn.

Four rules keep one connection from harming the others.

* The lock is held to change the books, never to poll, to send, or to call a hook.
* What the poller reports is looked up again; what is not in the books is unregistered.
* Who does not read is not read either, and is ended when that goes on (`ManagedTransport`).
* A sweep, about once a second, finds what no poller reports: timers, and sockets that were
  closed by somebody else.

A connection is in ``websockets``; in ``_slow`` as well while its peer has to catch up; in
``_leaving`` instead when we have ended it, until its peer has read our Close frame.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from ..endpoint import Endpoint
from ..transports.blocking import THREADS, BlockingTransport
from ..transports.channels import LINGER
from ..transports.managed import ManagedTransport

__all__ = ["Loop", "descriptor_of"]

logger = logging.getLogger("ws4py_ng")

# Seconds between two sweeps, at most: the precision of timers.
SWEEP = 1.0
# Seconds after which a peer that has to catch up is tried again, if the poller does not tell.
RETRY = 0.05
# Seconds that functions may take at the end to return.
MOMENT = 1.0
# Seconds to wait after a poller has failed.
POLL_PAUSE = 0.1


@dataclass
class _Leaving:
    """Hold a connection that we have ended, until its peer has read that."""

    websocket: Any
    transport: ManagedTransport
    deadline: float
    half_closed: bool = False


class Loop:
    """Keep the books of a manager, and serve those who are in them.

    A websocket that is none of ours is served by what ws4py's has: ``sock.fileno``,
    ``opened``, ``once``, ``terminated``, ``terminate``.
    """

    def __init__(self, poller: Any, make_writers: Callable[[], Any]) -> None:
        self.lock = threading.Lock()
        self.websockets: dict[int, Any] = {}
        self.running = False
        self.poller = poller
        self._slow: dict[int, Any] = {}
        self._leaving: dict[int, _Leaving] = {}
        # Who has to catch up is polled for room to send, which ws4py's pollers do not know. An epoll or
        # kqueue has a descriptor itself, which the other poller reports; elsewhere a turn has to come.
        self._make_writers = make_writers
        self._writers: Any = None
        self._noted: deque[Any] = deque()  # to be looked at in the next turn
        self._functions: list[Any] = []  # of connections that have ended: they have not returned yet
        self._waker: tuple[socket.socket, socket.socket] | None = None
        self._own: set[int] = set()
        self._runner: int | None = None
        self._period = SWEEP
        self._sweep_at = self._retry_at = 0.0

    # The books

    def _find(self, websocket: Any) -> int | None:
        """Return the descriptor under which a websocket is in the books."""
        fd = descriptor_of(websocket)
        if fd is not None:
            return fd if self.websockets.get(fd) is websocket else None
        return next((fd for fd, each in self.websockets.copy().items() if each is websocket), None)

    def _take_over(self, websocket: Any) -> ManagedTransport | None:
        """Give it a transport that does not wait in this thread, if it is one of ours."""
        transport = websocket._transport if isinstance(websocket, Endpoint) else None
        if not isinstance(transport, BlockingTransport):
            return None
        managed = transport if isinstance(transport, ManagedTransport) else ManagedTransport(transport)
        managed.fell_behind = partial(self._note, websocket)
        websocket._transport = managed
        return managed

    def _enter(self, fd: int, websocket: Any) -> None:
        """Put it into the books, instead of one that somebody else has closed: else its
        descriptor could not be in use again."""
        transport = _managed(websocket)
        if transport is not None:
            self._period = min(self._period, max(transport._granularity() or SWEEP, RETRY))
        displaced = None
        try:
            with self.lock:
                leaving = self._leaving.pop(fd, None)
                displaced = self.websockets.get(fd) if leaving is None else leaving.websocket
                if displaced is not None:
                    self._strike(fd)
                self.poller.register(fd)
                self.websockets[fd] = websocket
        finally:
            if displaced is not None:
                self._terminate(displaced)

    def _strike(self, fd: int) -> None:
        """Take it out of the books; the lock is held."""
        self.websockets.pop(fd, None)
        self._slow.pop(fd, None)
        self._unregister(fd)

    def _unregister(self, fd: int) -> None:
        for poller in (self.poller, self._writers):
            if poller is not None:
                # Some mind what they do not know, or what is no descriptor at all.
                with suppress(OSError, ValueError, KeyError, TypeError):
                    poller.unregister(fd)

    def _listen(self, fd: int, ws: Any, transport: ManagedTransport) -> None:
        """Let the poller report what a connection waits for: bytes, or room to send."""
        with self.lock:
            leaving = self._leaving.get(fd)
            known = self.websockets.get(fd) if leaving is None else leaving.websocket
            if known is not ws or descriptor_of(ws) != fd:
                return
            self._unregister(fd)
            if not transport.behind:
                if not transport.paused:
                    self.poller.register(fd)
            elif not transport.being_written:
                self._writers.register_writer(fd)

    # The thread

    def _begin(self) -> None:
        self._waker = socket.socketpair()
        for end in self._waker:
            end.setblocking(False)
        self._runner = threading.get_ident()
        self._sweep_at = 0.0
        self._writers = self._make_writers()
        self._own = {self._waker[0].fileno()}
        if hasattr(self._writers, "fileno"):
            self._own.add(self._writers.fileno())
        with self.lock:
            for fd in self._own:
                self.poller.register(fd)

    def _note(self, websocket: Any) -> None:
        """Let the thread look at a websocket, at once."""
        waker = self._waker
        if waker is None:  # it looks at all of them when it begins
            return
        self._noted.append(websocket)
        self._wake()

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None and self._runner != threading.get_ident():
            with suppress(OSError):  # it is full: that will do
                waker[1].send(b"!")

    def _turn(self) -> None:
        for fd in self._ready():
            self._take(fd, self._serve)
        if self._slow or self._leaving:
            for fd in self._writers.poll():
                self._take(fd, self._serve)
        while self._noted:
            noted = self._noted.popleft()
            known = None
            with suppress(Exception):  # nonsense, which the sweep will meet
                known = self._find(noted)
            if known is not None:
                self._take(known, self._check, noted)
        now = monotonic()
        if now >= self._retry_at and (self._slow or self._leaving):
            self._retry_at = now + RETRY
            for fd, ws in self._slow.copy().items():
                self._take(fd, self._catch_up, ws)
            for fd, leaving in self._leaving.copy().items():
                self._take(fd, self._see_off, leaving)
        if now >= self._sweep_at:
            self._sweep_at = now + self._period
            for fd, ws in self.websockets.copy().items():
                self._take(fd, self._check, ws)

    def _take(self, fd: int, turn: Callable[..., None], *args: Any) -> None:
        """Let one connection have its turn; whatever nonsense it makes of that ends it, and no other."""
        try:
            turn(fd, *args)
        except BaseException as error:
            if THREADS.ends_all(error):
                raise
            ws = self.websockets.get(fd)
            leaving = self._leaving.get(fd)
            ws = leaving.websocket if ws is None and leaving is not None else ws
            logger.exception("Terminating websocket %s", type(ws).__name__)
            with self.lock:
                self._leaving.pop(fd, None)
                self._strike(fd)
            if ws is not None:
                self._terminate(ws)

    def _ready(self) -> Iterator[int]:
        try:
            yield from self.poller.poll()
        except (OSError, ValueError) as error:
            logger.error("%s failed: %s", type(self.poller).__name__, error)
            time.sleep(POLL_PAUSE)

    def _wind_up(self) -> None:
        """Give those a moment who have been told to close."""
        if not self.websockets and not self._leaving:
            return
        deadline = monotonic() + LINGER
        alarm = threading.Timer(LINGER, self._wake)  # for a poller that waits for longer
        alarm.daemon = True
        with suppress(RuntimeError):  # none can be started when the interpreter ends
            alarm.start()
        while (self.websockets or self._leaving) and monotonic() < deadline:
            self._turn()
        alarm.cancel()

    def _let_go(self) -> None:
        with self.lock:
            left = [*self.websockets.values(), *(each.websocket for each in self._leaving.values())]
            for book in (self.websockets, self._slow, self._leaving, self._noted):
                book.clear()
            self.poller.release()
            if self._writers is not None:
                self._writers.release()
            waker, self._waker = self._waker, None
            self._writers = self._runner = None
            self._own = set()
        for end in waker or ():
            end.close()
        for ws in left:
            self._terminate(ws)
        self._outlast()

    def _outlast(self) -> None:
        """Give functions a moment to return that have served connections (`server.functions`)."""
        deadline = monotonic() + MOMENT
        with self.lock:
            functions, self._functions = self._functions, []
        for ws in functions:
            ws._outlast(max(deadline - monotonic(), 0))

    # One connection's turn

    def _serve(self, fd: int) -> None:
        ws = self.websockets.get(fd)
        leaving = self._leaving.get(fd)
        if ws is not None and fd in self._slow:
            self._catch_up(fd, ws)
        elif ws is not None:
            if not self._survives(ws, lambda: not ws.terminated and ws.once()) or descriptor_of(ws) != fd:
                self._end(fd, ws)
        elif leaving is not None:
            self._see_off(fd, leaving)
        elif fd in self._own:
            with suppress(OSError):
                self._waker[0].recv(4096)  # type: ignore[index]
        else:
            with self.lock:
                if fd not in self.websockets and fd not in self._leaving:
                    self._unregister(fd)

    def _check(self, fd: int, ws: Any) -> None:
        """Find out what no poller reports: it is closed, fell behind, or a timer is due."""
        transport = _managed(ws)
        had_paused = transport is not None and transport.paused
        if descriptor_of(ws) != fd or (ws.terminated if transport is None else transport.over):
            self._end(fd, ws)
        elif transport is not None and not self._survives(ws, transport.tick):
            self._end(fd, ws, lingers=had_paused)
        elif transport is not None and transport.behind and fd not in self._slow:
            self._slow[fd] = ws
            self._listen(fd, ws, transport)
        elif transport is not None and (had_paused or transport.paused):
            self._go_on(fd, ws, transport)

    def _catch_up(self, fd: int, ws: Any) -> None:
        """Send more of what a peer has not taken yet; read it again when that is done."""
        transport = _managed(ws)
        if transport is not None and not transport.catch_up():
            if self._survives(ws, transport.check_progress):
                self._listen(fd, ws, transport)
            else:
                self._end(fd, ws, lingers=False)
            return
        self._slow.pop(fd, None)
        if transport is not None:
            self._go_on(fd, ws, transport)

    def _go_on(self, fd: int, ws: Any, transport: ManagedTransport) -> None:
        """Read again who was not read for a while, if that is over."""
        self._listen(fd, ws, transport)
        if not transport.paused and transport.channel.pending():
            self._serve(fd)  # no poller sees what TLS has read ahead

    def _end(self, fd: int, ws: Any, lingers: bool = True) -> None:
        """Part with a connection that is over; ``lingers`` for a peer that may be there still."""
        transport = _managed(ws)
        with self.lock:
            if self.websockets.get(fd) is not ws:
                return  # a hook has removed it
            self._strike(fd)
        if transport is None or not lingers or not self._survives(ws, transport.leave):
            self._terminate(ws)
            return
        leaving = _Leaving(ws, transport, monotonic() + (transport.close_timeout or LINGER))
        with self.lock:
            self._leaving[fd] = leaving
        self._see_off(fd, leaving)

    def _see_off(self, fd: int, leaving: _Leaving) -> None:
        """Go on with leaving: send what is left, end our half, wait for the peer to end its own."""
        ws, transport = leaving.websocket, leaving.transport
        if monotonic() >= leaving.deadline or descriptor_of(ws) != fd:
            done = True
        elif leaving.half_closed:
            done = transport.see_off()
        elif not transport.catch_up():
            done = False
            self._listen(fd, ws, transport)
        elif transport.being_written:  # our Close frame, by another thread: no poller tells when it is done
            done = False
        else:
            done = transport.half_close()
            leaving.half_closed = True
            leaving.deadline = monotonic() + LINGER
            self._listen(fd, ws, transport)
        if done:
            with self.lock:
                if self._leaving.get(fd) is leaving:
                    del self._leaving[fd]
                    if fd not in self.websockets:
                        self._unregister(fd)
            self._terminate(ws)

    def _survives(self, ws: Any, step: Callable[[], object]) -> bool:
        """Take a step with one websocket; what goes wrong there ends nothing else."""
        try:
            return bool(step())
        except BaseException as error:
            if THREADS.ends_all(error):
                raise
            logger.exception("Terminating websocket %s", type(ws).__name__)
            return False

    def _terminate(self, ws: Any) -> None:
        try:
            ws.terminate()
        except BaseException as error:
            if THREADS.ends_all(error):
                raise
            logger.exception("Terminating websocket %s failed", type(ws).__name__)
        if getattr(ws, "_is_running", False):
            with self.lock:
                self._functions = [each for each in (*self._functions, ws) if each._is_running]


def descriptor_of(websocket: Any) -> Any:
    """Return the descriptor of its socket, None when that is closed."""
    sock = websocket.sock
    if sock is None:
        return None
    fd = sock.fileno()
    return None if fd == -1 else fd


def _managed(websocket: Any) -> ManagedTransport | None:
    """Return the transport that we gave it, None for one that is none of ours or is terminated."""
    transport = websocket._transport if isinstance(websocket, Endpoint) else None
    return transport if isinstance(transport, ManagedTransport) else None
