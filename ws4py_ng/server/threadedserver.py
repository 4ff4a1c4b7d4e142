"""A server that needs nothing but Python: one thread for each connection.

It is used like this::

    with serve(EchoWebSocket, "127.0.0.1", 9000) as server:
        server.serve_forever()
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any

from ..capture.settings import CaptureOption
from ..extensions import PerMessageDeflateFactory
from ..handshake import OriginRule
from ..limits import DEFAULT_LIMITS, Limits
from .acceptor import Acceptor, Handlers
from .answers import STRANGERS, draining, full, unavailable
from .checks import check_server
from .functions import is_async
from .listening import BACK_OFF, HOPELESS, Shortage, close_listener, listen_everywhere, listen_unix
from .visitor import ProcessRequest, Visitor

__all__ = ["Server", "serve"]

logger = logging.getLogger("ws4py_ng")

# How long those who were turned away are given to read why, and how many at once.
LINGER = 1.0
MAX_PARTING = 64
# How long connections that were cut off may take to end.
CUT_OFF = 1.0


def serve(
    handlers: Handlers,
    host: str | None = "127.0.0.1",
    port: int = 9000,
    *,
    ssl_context: ssl.SSLContext | None = None,
    sock: socket.socket | None = None,
    unix_path: str | None = None,
    process_request: ProcessRequest | None = None,
    protocols: Sequence[str] = (),
    origins: Sequence[OriginRule] = (),
    deflate: bool | PerMessageDeflateFactory | None = True,
    headers: Sequence[tuple[str, str]] = (),
    heartbeat_freq: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    max_connections: int = 1000,
    capture: CaptureOption = None,
) -> Server:
    """Listen, and return the `Server`; the address is bound when this returns.

    ``handlers`` is a WebSocket class or a function of a WebSocket (`server.functions`), a dict from path to
    these, or a function from a ``request``, as its parameter is called, to these. ``host`` None is every
    interface, ``port`` 0 any free one; or give a listening ``sock``, of TCP or Unix, or the ``unix_path`` of
    one, which is removed at the end. ``process_request`` may answer a request by plain HTTP: a page, a health
    check. Of ``protocols`` the first that a client offers is chosen; ``origins`` lists web sites that may
    connect beside the server's own, ``["*"]`` all. More than ``max_connections`` at once, each of which has a
    thread, get 503; but the requests of 64 more are read, which ``process_request`` may answer. ``capture``
    records connections (`ws4py_ng.capture.Capture`): a path, a directory, a function.
    """
    check_server(max_connections, process_request, ssl_context)
    if process_request is not None and is_async(process_request):
        raise TypeError("process_request is async, but this server has threads: make it a plain function")
    acceptor = Acceptor(
        functions="threads",
        handlers=handlers,
        protocols=protocols,
        origins=origins,
        deflate=deflate,
        headers=headers,
        limits=limits,
        heartbeat_freq=heartbeat_freq,
        capture=capture,
    )
    if unix_path is not None:
        sock = listen_unix(unix_path)
    listeners = [sock] if sock is not None else listen_everywhere(host, port)
    return Server(listeners, acceptor, ssl_context, process_request, max_connections)


class Server:
    """Accept connections and serve each in a thread; made by `serve`.

    As a context manager it calls `shutdown` at the end.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        acceptor: Acceptor,
        ssl_context: ssl.SSLContext | None = None,
        process_request: ProcessRequest | None = None,
        max_connections: int = 1000,
    ) -> None:
        self.listeners = list(listeners)
        self.acceptor = acceptor
        self.ssl_context = ssl_context
        self.process_request = process_request
        self.max_connections = max_connections
        self._changed = threading.Condition()
        self._visitors: set[Visitor] = set()
        self._admitted: set[Visitor] = set()
        self._draining = self._accepts = self._has_left = False
        self._waker, self._wakened = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._parting: dict[Any, float] = {}
        self._shortage = Shortage()

    @property
    def address(self) -> Any:
        """The first address that is listened on: ``(host, port)``, or a path."""
        address = self.listeners[0].getsockname()
        return address[:2] if isinstance(address, tuple) else address

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.address[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.shutdown()

    def start(self) -> None:
        """Run `serve_forever` in a thread of its own."""
        self._thread = threading.Thread(target=self.serve_forever, name="ws4py_ng server", daemon=True)
        self._thread.start()

    def serve_forever(self) -> None:
        """Accept connections until `shutdown` is called."""
        with selectors.DefaultSelector() as selector:
            with self._changed:
                if self._draining:
                    return
                self._accepts = True
                for sock in (*self.listeners, self._wakened):
                    sock.setblocking(False)
                    selector.register(sock, selectors.EVENT_READ)
            try:
                while not self._draining:
                    self._turn(selector)
            finally:
                for sock in self._parting:
                    sock.close()
                self._parting.clear()
                with self._changed:
                    self._accepts = False
                    self._close_waker()

    def shutdown(self) -> None:
        """Stop accepting, close every connection with 1001, and wait until all have ended,
        at most ``limits.close_timeout`` seconds; what is left then is cut off.

        Twice is no harm. Called by a hook, it does not wait for that hook's own connection.
        """
        with self._changed:
            if self._draining:
                return
            self._draining = True
            visitors = list(self._visitors)
        self._waker.send(b"!")
        if self._thread is not None:
            self._thread.join()
        for listener in self.listeners:
            close_listener(listener)
        for visitor in visitors:
            # A peer that does not read would hold us up, and all the others with us.
            try:
                threading.Thread(target=visitor.leave, name="ws4py_ng leave", daemon=True).start()
            except RuntimeError as error:
                logger.warning("Cannot start a thread to close a connection: %s", error)
                visitor.cut_off()
        with self._changed:
            self._changed.wait_for(self._is_empty, self.acceptor.limits.close_timeout)
            visitors = [visitor for visitor in self._visitors if not visitor.is_here]
        for visitor in visitors:
            visitor.cut_off()
        with self._changed:
            # Nothing can hold those up any more but their hooks.
            self._changed.wait_for(self._is_empty, CUT_OFF)
            self._has_left = True
            self._close_waker()

    def _close_waker(self) -> None:
        """Close what wakes `serve_forever`, when that has ended and `shutdown` as well; the lock is held."""
        if self._has_left and not self._accepts:
            self._waker.close()
            self._wakened.close()

    def _is_empty(self) -> bool:
        return all(visitor.is_here for visitor in self._visitors)

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Wait for something to do, and do it."""
        deadline = next(iter(self._parting.values()), None)
        events = selector.select(None if deadline is None else max(0, deadline - monotonic()))
        for key, _ in events:
            if key.fileobj in self._parting:
                self._read_off(selector, key.fileobj)
            elif key.fileobj in self.listeners and not self._draining:
                self._accept(selector, key.fileobj)
        for sock in [sock for sock, deadline in self._parting.items() if deadline <= monotonic()]:
            self._forsake(selector, sock)

    def _accept(self, selector: selectors.BaseSelector, listener: Any) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # the peer has thought better of it
        except OSError as error:
            if not self._draining:
                self._wait_for_better_times(error)
            return
        visitor = Visitor(sock, self.acceptor, self.ssl_context, self.process_request, self._admit)
        with self._changed:
            refusal = draining() if self._draining else None
            if len(self._visitors) >= self.max_connections + STRANGERS:
                refusal = full(self.max_connections)
            if refusal is None:
                self._visitors.add(visitor)
        if refusal is None:
            try:
                threading.Thread(target=self._serve, args=(visitor,), name="ws4py_ng connection", daemon=True).start()
                return
            except RuntimeError as error:
                logger.warning("Cannot start a thread for a connection: %s", error)
                refusal = unavailable("There are no threads left")
                self._forget(visitor)
        sock = visitor.turn_away(refusal)
        if len(self._parting) >= MAX_PARTING:
            self._forsake(selector, next(iter(self._parting)))
        self._parting[sock] = monotonic() + LINGER
        selector.register(sock, selectors.EVENT_READ)

    def _admit(self, visitor: Visitor) -> None:
        with self._changed:
            if len(self._admitted) >= self.max_connections:
                raise full(self.max_connections)
            self._admitted.add(visitor)

    def _wait_for_better_times(self, error: OSError) -> None:
        """Go on after `accept` failed, but not at once."""
        if error.errno in HOPELESS:
            raise error
        self._shortage.log(error)
        with self._changed:
            self._changed.wait(BACK_OFF)

    def _read_off(self, selector: selectors.BaseSelector, sock: Any) -> None:
        """Read what comes from somebody who was turned away: closing at once could destroy the answer."""
        with suppress(BlockingIOError, InterruptedError):
            with suppress(ConnectionError):
                if sock.recv(65536):
                    return
            self._forsake(selector, sock)

    def _forsake(self, selector: selectors.BaseSelector, sock: Any) -> None:
        del self._parting[sock]
        selector.unregister(sock)
        sock.close()

    def _serve(self, visitor: Visitor) -> None:
        try:
            visitor.run()
        finally:
            self._forget(visitor)

    def _forget(self, visitor: Visitor) -> None:
        with self._changed:
            self._visitors.discard(visitor)
            self._admitted.discard(visitor)
            self._changed.notify_all()
