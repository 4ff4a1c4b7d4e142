"""Accept connections in an event loop, and keep accepting when the system is short of something.

The loops' own servers log and retry a thousandfold when there are no descriptors left, and say
nothing to those whom a program has no room for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from ..transports.fastnet import opener
from .asynciovisitor import Visitor
from .listening import AF_UNIX, BACK_OFF, HOPELESS, Shortage, close_listener

__all__ = ["Listener"]

logger = logging.getLogger("ws4py_ng")

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
        self._connect = opener(self._loop, "connect_accepted_socket", tls=ssl_context is not None)
        self._shortage = Shortage()
        self._closed = False
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: dict[socket.socket, tuple[Visitor, asyncio.Task[None]]] = {}
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
        tasks = [task for _, task in self._opening.values()]
        for task in tasks if self._tls is not None else ():
            task.cancel()
        await asyncio.gather(*self._accepting, *tasks, return_exceptions=True)
        for sock, (visitor, _) in self._opening.items():  # whose task was cancelled before its first step
            sock.close()
            visitor.connection_failed()
        self._opening.clear()
        for sock in self.sockets:
            close_listener(sock)

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
        """Go on after `accept` failed, but not at once."""
        if error.errno in HOPELESS:
            logger.error("Cannot accept connections any more: %s", error)
            return
        self._shortage.log(error)
        self._loop.call_later(BACK_OFF, self._watch, listener)

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if self._tls is not None and sock.family != AF_UNIX:  # the loops' own transports do so by themselves
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Made here, and not by the task: a server that ends waits for its visitors.
        visitor = self._make_visitor()
        task = self._loop.create_task(self._open(sock, visitor))
        if not task.done():  # as with an eager task factory
            self._opening[sock] = visitor, task

    async def _open(self, sock: socket.socket, visitor: Visitor) -> None:
        """Make a transport of a socket, through TLS if there is."""
        try:
            await self._connect(lambda: visitor.protocol, sock, ssl=self._tls, **self._timeouts)
        except OSError as error:
            logger.debug("No WebSocket: %s", error)
            visitor.connection_failed()
        except BaseException:
            visitor.connection_failed()
            raise
        finally:
            self._opening.pop(sock, None)
