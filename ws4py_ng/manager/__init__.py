"""Many WebSockets in one thread: `WebSocketManager`, and the pollers that tell it what came.

`SelectPoller`, `EPollPoller` and `KQueuePoller` know descriptors and nothing else; they reach
the operating system through this module's ``select``, where tests put a stand-in. What the
thread does with a connection is in `loop`.
"""

from __future__ import annotations

import logging
import select
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from ..codes import GOING_AWAY
from ..endpoint import Endpoint
from ..exc import ConnectionClosed
from ..messaging import Message
from ..pubsub.hub import Hub
from ..transports.managed import never_waiting
from .loop import Loop, descriptor_of

__all__ = ["EPollPoller", "KQueuePoller", "Poller", "SelectPoller", "WebSocketManager", "best_poller"]

logger = logging.getLogger("ws4py_ng")

# select() has room for descriptors below this one, on POSIX.
FD_SETSIZE = 1024
# The topic of a broadcast, which all connections are in that it finds.
ALL = "all"
# How many events are taken from a kqueue at once.
KQUEUE_BATCH = 1024


class Poller(Protocol):
    """Say what a manager needs of a poller; one of your own will do.

    It may be used again after `release`, when the manager is started again.
    """

    def register(self, fd: int) -> None:
        """Report this descriptor from now on when it can be read."""

    def unregister(self, fd: int) -> None:
        """Do not report it any more."""

    def poll(self) -> Iterable[int]:
        """Wait for a short time at most; return the descriptors that are ready."""

    def release(self) -> None:
        """Let go of everything."""


class SelectPoller:
    """Poll by ``select``: everywhere, with at most some 1000 descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        self._fds: list[int] = []
        self._writers: list[int] = []
        self.timeout = timeout

    def release(self) -> None:
        """Let go of everything."""
        self._fds = []
        self._writers = []

    def register(self, fd: int) -> None:
        """Report this descriptor when it can be read. Raises ValueError if select() cannot."""
        if sys.platform != "win32" and fd >= FD_SETSIZE:
            raise ValueError(f"select() takes descriptors below {FD_SETSIZE}, got {fd}: use EPollPoller")
        if fd not in self._fds:
            self._fds.append(fd)

    def register_writer(self, fd: int) -> None:
        """Report this descriptor when it can be written."""
        if fd not in self._writers:
            self._writers.append(fd)

    def unregister(self, fd: int) -> None:
        """Do not report it any more."""
        for fds in (self._fds, self._writers):
            with suppress(ValueError):
                fds.remove(fd)

    def poll(self) -> list[int]:
        """Wait for ``timeout`` seconds at most; return the descriptors that are ready."""
        if not self._fds and not self._writers:
            time.sleep(self.timeout)
            return []
        try:
            readable, writable, _ = select.select(self._fds, self._writers, [], self.timeout)
        except (OSError, ValueError):
            return [fd for fd in [*self._fds, *self._writers] if not _is_open(fd)]
        return [*readable, *writable] if writable else list(readable)


def _is_open(fd: int) -> bool:
    """Tell whether select() takes this; one that it does not take spoils the whole list."""
    try:
        select.select([fd], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


class EPollPoller:
    """Poll by ``epoll``: on Linux, with any number of descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        self.poller: Any = select.epoll()
        self.timeout = timeout

    def fileno(self) -> int:
        """Return the descriptor that is ready when one of ours is."""
        return int(self.poller.fileno())

    def release(self) -> None:
        """Let go of everything."""
        self.poller.close()

    def register(self, fd: int) -> None:
        """Report this descriptor when it can be read."""
        self._add(fd, select.EPOLLIN | select.EPOLLPRI)

    def register_writer(self, fd: int) -> None:
        """Report this descriptor when it can be written."""
        self._add(fd, select.EPOLLOUT)

    def _add(self, fd: int, events: int) -> None:
        if getattr(self.poller, "closed", False):
            self.poller = select.epoll()
        with suppress(OSError):  # it is registered already, or closed
            self.poller.register(fd, events)

    def unregister(self, fd: int) -> None:
        """Do not report it any more."""
        with suppress(OSError, ValueError):  # the kernel has forgotten it, or we are released
            self.poller.unregister(fd)

    def poll(self) -> list[int]:
        """Wait for ``timeout`` seconds at most; return the descriptors that are ready."""
        try:
            return [fd for fd, _ in self.poller.poll(timeout=self.timeout)]
        except ValueError:  # we are released
            time.sleep(self.timeout)
        return []


def _bsd() -> Any:
    """Return the module `select`, untyped: mypy knows it as it is where mypy runs."""
    return select


class KQueuePoller:
    """Poll by ``kqueue``: on BSD and macOS, with any number of descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        self.poller: Any = _bsd().kqueue()
        self.timeout = timeout

    def fileno(self) -> int:
        """Return the descriptor that is ready when one of ours is."""
        return int(self.poller.fileno())

    def release(self) -> None:
        """Let go of everything."""
        self.poller.close()

    def register(self, fd: int) -> None:
        """Report this descriptor when it can be read."""
        self._change(fd, _bsd().KQ_FILTER_READ, _bsd().KQ_EV_ADD)

    def register_writer(self, fd: int) -> None:
        """Report this descriptor when it can be written."""
        self._change(fd, _bsd().KQ_FILTER_WRITE, _bsd().KQ_EV_ADD)

    def unregister(self, fd: int) -> None:
        """Do not report it any more."""
        for kind in (_bsd().KQ_FILTER_READ, _bsd().KQ_FILTER_WRITE):
            self._change(fd, kind, _bsd().KQ_EV_DELETE)

    def _change(self, fd: int, kind: int, flags: int) -> None:
        if getattr(self.poller, "closed", False) and flags == _bsd().KQ_EV_ADD:
            self.poller = _bsd().kqueue()
        with suppress(OSError, ValueError):  # it is closed, or was not registered for this
            self.poller.control([_bsd().kevent(fd, kind, flags)], 0)

    def poll(self) -> list[int]:
        """Wait for ``timeout`` seconds at most; return the descriptors that are ready."""
        try:
            return [event.ident for event in self.poller.control(None, KQUEUE_BATCH, self.timeout)]
        except ValueError:  # we are released
            time.sleep(self.timeout)
        return []


def best_poller(timeout: float = 0.1) -> Poller:
    """Return a poller of the best kind that there is here."""
    if hasattr(select, "epoll"):
        return EPollPoller(timeout)
    return KQueuePoller(timeout) if hasattr(select, "kqueue") else SelectPoller(timeout)


class WebSocketManager(Loop, threading.Thread):
    """Serve many WebSockets in one thread, which their hooks must not block for long.

    ``start()``, then ``add()`` them as they come; ``close_all()``, ``stop()`` and ``join()``
    at the end. It can be started again. Nothing waits for a peer: who leaves too much unread
    is closed with 1013, see `ManagedTransport`.
    """

    def __init__(self, poller: Poller | None = None) -> None:
        threading.Thread.__init__(self, name="WebSocketManager")
        Loop.__init__(self, best_poller() if poller is None else poller, lambda: best_poller(0.0))
        self._hub = Hub()

    def __len__(self) -> int:
        return len(self.websockets)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.websockets.copy().values())

    def __contains__(self, websocket: Any) -> bool:
        return self._find(websocket) is not None

    def add(self, websocket: Any) -> None:
        """Serve a websocket from now on; its `opened` is called here and now.

        Raises ValueError if the poller cannot take it: it is terminated then.
        """
        if websocket in self:
            return
        transport = self._take_over(websocket)
        if transport is None:
            websocket.opened()
        elif websocket._start() and transport.channel.pending():
            websocket.once()  # no poller sees what TLS has read ahead
        fd = descriptor_of(websocket)
        if fd is None:
            self._terminate(websocket)
            return
        logger.info("Managing websocket %s, descriptor %s", type(websocket).__name__, fd)
        try:
            self._enter(fd, websocket)
        except ValueError:
            self._terminate(websocket)
            raise
        self._note(websocket)

    def remove(self, websocket: Any) -> None:
        """Serve it no longer, and leave it as it is: `closed` is not called."""
        with self.lock:
            fd = self._find(websocket)
            if fd is None:
                return
            logger.info("Removing websocket %s, descriptor %s", type(websocket).__name__, fd)
            self._strike(fd)
        self._hub.unsubscribe(websocket)

    def close_all(self, code: int = GOING_AWAY, message: str = "Server is shutting down") -> None:
        """Begin the closing handshake with every peer; it does not wait for any."""
        logger.info("Closing all websockets with [%d] '%s'", code, message)
        with never_waiting():
            for ws in self:
                try:
                    ws.close(code=code, reason=message)
                except (OSError, RuntimeError) as error:
                    logger.debug("%s cannot be closed: %s", type(ws).__name__, error)

    def broadcast(self, message: Any, binary: bool = False) -> None:
        """Send a message to every peer; it waits for none, and one that fails is passed over.

        It is a publish to all of them: encoded once, and who leaves more than 1 MiB unread is closed
        with 1013. A class with a ``send`` of its own, and a websocket that is none of ours, is sent to.
        Raises ValueError for bytes that are no text, unless ``binary``.
        """
        shares = isinstance(message, str | bytes | bytearray | memoryview | Message)
        others = []
        for ws in self:
            if shares and isinstance(ws, Endpoint) and type(ws).send is Endpoint.send:
                with suppress(ConnectionClosed):
                    self._hub.subscribe(ws, ALL)
            else:
                others.append(ws)
        if shares:
            self._hub.publish(ALL, message, binary)
        with never_waiting():
            for ws in others:
                if ws.terminated:
                    continue
                try:
                    ws.send(message, binary)
                except Exception as error:  # noqa: BLE001 - whatever it is, the others are to be served
                    logger.debug("%s is passed over in a broadcast: %s", type(ws).__name__, error)

    def start(self) -> None:
        """Begin to serve, in a thread of its own; again after `stop`."""
        if not self.running and self.ident is not None:
            self.join()
            threading.Thread.__init__(self, name=self.name, daemon=self.daemon)
        was_running, self.running = self.running, True
        try:
            threading.Thread.start(self)
        except RuntimeError:
            self.running = was_running
            raise

    def stop(self) -> None:
        """End every connection and serve no more; `join` waits for that, some seconds at most."""
        self.running = False
        if self.is_alive() or self._runner is not None:
            self._wake()
        else:
            self.close_all()
            self._let_go()

    def run(self) -> None:
        """Serve until `stop` is called; in the thread that `start` began, or in the caller's."""
        if threading.current_thread() is not self:
            self.running = True
        try:
            with never_waiting():
                self._begin()
                while self.running:
                    self._turn()
                self.close_all()
                self._wind_up()
        finally:
            self.running = False
            self._let_go()
