"""`AioServer` and `AioClient`, for asyncio."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from ...client.asyncioclient import Connection as ClientConnection
from ...exc import ConnectionClosed as Closed
from ...exc import HandshakeError
from ...handshake import Headers as HeadHeaders
from ...handshake import Request as HeadRequest
from ...server.acceptor import Acceptor
from ...server.asyncioconversation import AioConnection, converse_on
from ...server.conversation import value_of
from ...transports.kits import LAST_WORDS
from .asgi import WebSocketASGI
from .errors import ConnectionClosed, ConnectionError
from .options import (
    DEFAULT_RECEIVE_BYTES,
    Connected,
    Request,
    header_pairs,
    limits_of,
    payload_of,
    subprotocols_of,
)
from .ws import websocket_url

__all__ = ["AioBase", "AioClient", "AioServer", "ConnectionClosed", "ConnectionError"]


class AioBase(Connected):
    """Send and receive; what `AioServer` and `AioClient` have in common."""

    is_server = False

    async def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message, str or bytes; None if none comes within ``timeout`` seconds.

        Raises ConnectionClosed when the connection is closed and every message was received.
        """
        if self._ws is None:
            raise self._closed()
        try:
            return value_of(await self._ws.receive(timeout))
        except TimeoutError:
            return None
        except Closed:
            raise self._closed() from None

    async def send(self, data: object) -> None:
        """Send bytes as a binary message, and anything else as text, by ``str``. Raises ConnectionClosed."""
        self._check_open()
        payload, binary = payload_of(data)
        try:
            await self._ws.send(payload, binary)
        except Closed:
            raise self._closed() from None

    async def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close with a code, 1000 if there is none, and a message. Raises ConnectionClosed if that was done before."""
        closing = self._put_close(reason, message)
        if closing is not None:
            await closing


class AioServer(AioBase):
    """Serve a WebSocket of aiohttp, or of a socket; made by `accept`, where the parameters are explained."""

    is_server = True

    def __init__(
        self,
        request: Mapping[str, Any],
        subprotocols: str | Sequence[str] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
    ) -> None:
        self.request = request
        self.subprotocols = subprotocols_of(subprotocols)
        self.receive_bytes = receive_bytes
        self.ping_interval = ping_interval
        self.max_message_size = max_message_size
        self.headers: Mapping[str, str] = {}
        self.mode = "unknown"

    @classmethod
    async def accept(
        cls,
        aiohttp: Any = None,
        asgi: tuple[Any, Any, Any] | None = None,
        sock: socket.socket | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: str | Sequence[str] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
    ) -> Any:
        """Accept a WebSocket: of a request of ``aiohttp``, of an ``asgi`` triple of scope, receive and send,
        or of a connected ``sock`` whose request's ``headers`` were read already.

        A Ping is sent every ``ping_interval`` seconds, 20 if it is None; who does not answer is given up. A
        message has at most ``max_message_size`` bytes, 16 MiB if that is None. What an ASGI server reads is
        bounded by that server, which pings as well.

        Raises ValueError when there is not exactly one of the three. A request that is no WebSocket is answered
        here; then `connected` is False.
        """
        if sum(each is not None for each in (aiohttp, asgi, sock)) != 1 or (sock is None) != (headers is None):
            raise ValueError("Expected one of aiohttp=request, asgi=(scope, receive, send), and sock= with headers=")
        if asgi is not None:
            return await WebSocketASGI.accept(*asgi, subprotocols=subprotocols_of(subprotocols))
        request = {"aiohttp": aiohttp, "sock": sock, "headers": headers}
        ws = cls(request, subprotocols, receive_bytes, ping_interval, max_message_size)
        await ws.handshake()
        return ws

    async def handshake(self) -> None:
        """Answer the handshake; `accept` does it."""
        request = self.request["aiohttp"]
        self.headers = self.request["headers"] if request is None else request.headers
        acceptor = Acceptor(
            handlers=AioConnection,
            select_subprotocol=lambda offered: self.choose_subprotocol(Request(list(offered), self.headers)),
            origins=["*"],
            limits=limits_of(self.ping_interval, self.max_message_size),
        )
        if request is None:
            self.mode = "custom"
            head = HeadRequest("GET", "/", HeadHeaders(header_pairs(self.headers)), "HTTP/1.1")
            with suppress(HandshakeError):
                self._ws = await converse_on(self.request["sock"], head, acceptor)
        else:
            from ...server.aiohttp import converse, turn_away  # it may not be there

            self.mode = "aiohttp"
            try:
                self._ws = await converse(request, acceptor)
            except HandshakeError as error:
                await turn_away(request, error)
        if self._ws is not None:
            self.subprotocol = next(iter(self._ws.protocols or ()), None)


class AioClient(AioBase):
    """Connect to ``url``: ``ws``, ``wss``, ``http`` or ``https``; `connect` makes it and connects.

    ``headers`` is a dict or a list of pairs. TLS verifies the server, by ``ssl_context`` if there is one.
    The other parameters are those of `AioServer.accept`.
    """

    def __init__(
        self,
        url: str,
        subprotocols: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.subprotocols = subprotocols_of(subprotocols)
        self.extra_headers = header_pairs(headers)
        self.receive_bytes = receive_bytes
        self.ping_interval = ping_interval
        self.max_message_size = max_message_size
        self._client = ClientConnection(
            websocket_url(url),
            self.subprotocols,
            headers=self.extra_headers,
            ssl_context=ssl_context,
            limits=limits_of(ping_interval, max_message_size),
        )
        self.host, self.port, self.path = self._client.host, self._client.port, self._client.resource

    @classmethod
    async def connect(
        cls,
        url: str,
        subprotocols: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        thread_class: object = None,
        event_class: object = None,
    ) -> Self:
        """Connect. Raises ConnectionError when the server refuses, OSError when nobody answers.

        ``thread_class`` and ``event_class`` are accepted as by the original, and not needed.
        """
        ws = cls(url, subprotocols, headers, receive_bytes, ping_interval, max_message_size, ssl_context)
        await ws.handshake()
        return ws

    async def handshake(self) -> None:
        """Connect and shake hands; `connect` does it."""
        try:
            await self._client.connect()
        except HandshakeError as error:
            raise ConnectionError(error.status, error.msg) from error
        self._ws = self._client
        self.subprotocol = next((each.decode() for each in self._client.protocols or ()), None)

    async def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close, and wait a moment for the server, as the program may end here."""
        await super().close(reason, message)
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self._client.wait_ended()
        except TimeoutError:
            self._client._cancel()
