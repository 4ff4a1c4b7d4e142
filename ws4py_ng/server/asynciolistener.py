"""Accept connections in an event loop, and keep accepting when the system is short of something.

The loops' own servers log and retry a thousandfold when there are no descriptors left, and say
nothing to those whom a program has no room for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from .asynciovisitor import Visitor

__all__ = ["Listener", "listen_unix"]

logger = logging.getLogger("ws4py_ng")

# No listener any more. Any other error of accept() passes: the system is short of something
# that others may give back, or it reports an error of the new connection (accept(2)).
HOPELESS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
BACK_OFF = 0.5
LOG_INTERVAL = 5.0
AF_UNIX: Final = getattr(socket, "AF_UNIX", None)
# Connections that are accepted before others have their turn.
BATCH = 64


class Listener:
    """Accept on some sockets, and make a visitor for each connection, until `close`."""

    def __init__(
        self,
        sockets: list[socket.socket],
        make_visitor: Callable[[], Visitor],
        ssl_context: ssl.SSLContext | None,
        open_timeout: float | None,
    ) -> None:
        self.sockets = sockets
        self._make_visitor = make_visitor
        self._tls = ssl_context
        # A handshake of TLS without a timeout gets the loop's own.
        self._timeouts = {} if ssl_context is None else {"ssl_handshake_timeout": open_timeout}
        self._loop = asyncio.get_running_loop()
        self._quiet_until = 0.0
        self._closed = False
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        for sock in sockets:
            sock.setblocking(False)
            self._watch(sock)

    def stop(self) -> None:
        """Accept nobody any more; who has been accepted goes on, and the sockets stay open."""
        self._closed = True
        for sock in self.sockets:
            with suppress(NotImplementedError, ValueError):
                self._loop.remove_reader(sock.fileno())
        for task in self._accepting:
            task.cancel()

    async def close(self) -> None:
        """Stop, also for those who are not through with TLS yet."""
        self.stop()
        # Without TLS there is nothing to wait for on the way to a transport.
        for task in self._opening if self._tls is not None else ():
            task.cancel()
        await asyncio.gather(*self._accepting, *self._opening, return_exceptions=True)
        for sock in self.sockets:
            path = sock.getsockname() if sock.family == AF_UNIX else None
            sock.close()
            if path and isinstance(path, str):
                with suppress(OSError):
                    os.unlink(path)

    def _watch(self, listener: socket.socket) -> None:
        if self._closed:
            return
        try:
            self._loop.add_reader(listener.fileno(), self._accept, listener)
        except NotImplementedError:  # Windows
            self._accepting.append(self._loop.create_task(self._keep_accepting(listener)))

    def _accept(self, listener: socket.socket) -> None:
        """Accept those who wait, until others have their turn."""
        for _ in range(BATCH):
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # the peer has thought better of it
            except OSError as error:
                self._loop.remove_reader(listener.fileno())
                self._wait_for_better_times(listener, error)
                return
            self._admit(sock)

    async def _keep_accepting(self, listener: socket.socket) -> None:
        try:
            while True:
                sock, _ = await self._loop.sock_accept(listener)
                self._admit(sock)
        except OSError as error:
            self._wait_for_better_times(listener, error)

    def _wait_for_better_times(self, listener: socket.socket, error: OSError) -> None:
        """Go on after `accept` failed, but not at once, and do not fill the log with it."""
        if error.errno in HOPELESS:
            logger.error("Cannot accept connections any more: %s", error)
            return
        now = self._loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_INTERVAL
            logger.warning("Cannot accept connections for now: %s", error)
        self._loop.call_later(BACK_OFF, self._watch, listener)

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family != AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open(sock))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, sock: socket.socket) -> None:
        """Make a transport of a socket, through TLS if there is."""
        visitor = self._make_visitor()
        try:
            await self._loop.connect_accepted_socket(lambda: visitor.protocol, sock, ssl=self._tls, **self._timeouts)
        except OSError as error:
            logger.debug("No WebSocket: %s", error)
            visitor.connection_failed()
        except BaseException:
            visitor.connection_failed()
            raise


def listen_unix(path: str) -> socket.socket:
    """Listen on a path; a socket that a dead server has left there is replaced."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"Cannot listen on {path}: {error.strerror}") from error
    return sock
