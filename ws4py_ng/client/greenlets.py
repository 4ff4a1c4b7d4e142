"""What the clients of gevent and eventlet have in common."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Full
from types import ModuleType
from typing import Any

from ..endpoint import Transport
from ..messaging import BinaryMessage, TextMessage
from ..states import State
from . import HeaderSource, WebSocketBaseClient
from .tls import client_context

__all__ = ["GreenletBase", "GreenletClient"]

# Messages that wait for `receive`; the next one is not read before there is room.
MAX_WAITING = 128
# How often a reader whose messages nobody receives looks whether the connection is over.
LOOK = 1.0


class _Context:
    """Wrap a socket of the kit's in TLS, by a context of Python's; made when it is needed."""

    def __init__(self, client: WebSocketBaseClient, kit: ModuleType, context: ssl.SSLContext | None) -> None:
        self._client = client
        self._kit = kit
        self._context = context

    def wrap_socket(self, sock: Any, **options: Any) -> Any:
        context = self._context or client_context(self._client.ssl_options)
        return self._kit.wrap_tls(sock, context, **options)


class GreenletBase(WebSocketBaseClient):
    """Connect, while other greenlets run; ``_kit`` is the module that knows how.

    ``connect()`` returns when the handshake is done. Parameters: see `WebSocketBaseClient`.
    """

    _strict = True
    _kit: ModuleType
    _connecting: object

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        heartbeat_freq: float | None = None,
        ssl_options: Mapping[str, Any] | None = None,
        headers: HeaderSource | None = None,
        exclude_headers: Iterable[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, protocols, extensions, heartbeat_freq, ssl_options, headers, exclude_headers, **options)
        self._ssl_context: Any = _Context(self, self._kit, self._ssl_context)

    def connect(self) -> None:
        """Connect, while other greenlets run; see `WebSocketBaseClient.connect`."""
        self._connecting = self._kit.KIT.ident()
        super().connect()

    def close_connection(self) -> None:
        """Close the socket, whatever goes on; errors are of no interest any more."""
        if self._connector and self._connecting is not self._kit.KIT.ident():
            # Another greenlet waits for the server: it wakes up and closes.
            self._cut_off = True
            if self.sock is not None:
                self._kit.KIT.channel(self.sock).cut()
        else:
            super().close_connection()

    def run(self) -> None:
        """Serve the connection to its end, in this greenlet."""
        self._kit.serve(self)

    def _attach(self, transport: Transport) -> None:
        super()._attach(transport)
        self._kit.adopt(self)

    def _resolve(self) -> list[tuple[Any, Any, Any]]:
        socket = self._kit.socket
        if self.unix_socket_path:
            return [(socket.AF_UNIX, 0, self.unix_socket_path)]
        found = socket.getaddrinfo(self.host, self.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        return [(item[0], item[2], item[4]) for item in found]

    def _new_socket(self, family: Any, protocol: Any) -> Any:
        socket = self._kit.socket
        sock = socket.socket(family, socket.SOCK_STREAM, protocol)
        if not self.unix_socket_path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class GreenletClient(GreenletBase):
    """Connect, and be served by a greenlet of its own.

    ``connect()`` returns when the handshake is done. Then `receive`, or override
    `received_message`. Parameters: see `WebSocketBaseClient`.
    """

    def __init__(self, url: str, *args: Any, **options: Any) -> None:
        super().__init__(url, *args, **options)
        self.messages: Any = self._kit.queue.Queue(MAX_WAITING)
        self._forsaken = False

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        """Keep a message for `receive`; wait while too many are kept already."""
        while not self._forsaken:
            try:
                self.messages.put(message, timeout=LOOK)
                return
            except Full:
                # Whoever closes need not receive what comes still.
                self._forsaken = self._state is not State.OPEN

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Let `receive` return None."""
        with suppress(Full):
            self.messages.put_nowait(StopIteration)

    def receive(self, block: bool = True) -> TextMessage | BinaryMessage | None:
        """Return the next message, None when the connection has ended.

        Raises ``queue.Empty`` if there is none and it must not ``block``.
        """
        if self.terminated and self.messages.empty():
            return None
        message: Any = self.messages.get(block=block)
        if message is StopIteration:
            self.messages.put_nowait(StopIteration)  # for the next one who asks
            return None
        received: TextMessage | BinaryMessage = message
        return received

    def __iter__(self) -> Iterator[TextMessage | BinaryMessage]:
        while (message := self.receive()) is not None:
            yield message
