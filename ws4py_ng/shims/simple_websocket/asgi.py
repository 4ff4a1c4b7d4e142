"""A WebSocket by the events of an ASGI server, which reads and writes the frames."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from ...codes import NO_STATUS_RECEIVED, NORMAL_CLOSURE
from .errors import ConnectionClosed
from .options import Request, payload_of

__all__ = ["WebSocketASGI"]

Event = dict[str, Any]


class WebSocketASGI:
    """Send and receive; made by `AioServer.accept`."""

    def __init__(
        self,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
        subprotocols: Sequence[str] | None = None,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._coming: asyncio.Future[Event] | None = None
        self.subprotocols = list(subprotocols or ())
        self.subprotocol: str | None = None
        self.connected = False
        self.close_reason = NO_STATUS_RECEIVED
        self.close_message: str | None = None

    @classmethod
    async def accept(
        cls,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
        subprotocols: Sequence[str] | None = None,
    ) -> Self:
        """Accept a WebSocket. Raises ValueError for a scope of another kind, ConnectionClosed if the peer has left."""
        if scope["type"] != "websocket":
            raise ValueError(f"ASGI scope of type {scope['type']!r}, expected 'websocket'")
        ws = cls(scope, receive, send, subprotocols)
        if (await receive())["type"] != "websocket.connect":
            raise ConnectionClosed()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        ws.subprotocol = ws.choose_subprotocol(Request(scope.get("subprotocols") or [], headers))
        await send({"type": "websocket.accept", "subprotocol": ws.subprotocol})
        ws.connected = True
        return ws

    def choose_subprotocol(self, request: Request) -> str | None:
        """Choose the first that the client offers and we know; to be overridden."""
        return next((each for each in request.subprotocols if each in self.subprotocols), None)

    async def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message, str or bytes; None if none comes within ``timeout`` seconds.

        Raises ConnectionClosed when the connection is closed.
        """
        if not self.connected:
            raise ConnectionClosed(self.close_reason, self.close_message)
        coming = self._coming
        if coming is None:
            coming = self._coming = asyncio.ensure_future(self._receive())
        await asyncio.wait([coming], timeout=timeout)  # who is cancelled loses nothing
        if not coming.done():
            return None
        self._coming = None
        event = coming.result()
        if event["type"] == "websocket.disconnect":
            self._ended(event.get("code") or NO_STATUS_RECEIVED, event.get("reason") or None)
            raise ConnectionClosed(self.close_reason, self.close_message)
        text: str | None = event.get("text")
        data: bytes | None = event.get("bytes")
        return data if text is None else text

    async def send(self, data: object) -> None:
        """Send bytes as a binary message, and anything else as text, by ``str``. Raises ConnectionClosed."""
        if not self.connected:
            raise ConnectionClosed(self.close_reason, self.close_message)
        payload, binary = payload_of(data)
        try:
            await self._send({"type": "websocket.send", "bytes" if binary else "text": payload})
        except OSError:  # what ASGI has for a peer that has left
            self._ended(self.close_reason, self.close_message)
            raise ConnectionClosed(self.close_reason, self.close_message) from None

    async def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close with a code, 1000 if there is none, and a message. Raises ConnectionClosed if that was done before."""
        if not self.connected:
            raise ConnectionClosed(self.close_reason, self.close_message)
        code = int(reason or NORMAL_CLOSURE)
        self._ended(code, message)
        await self._send({"type": "websocket.close", "code": code, "reason": message or ""})

    def _ended(self, code: int, message: str | None) -> None:
        self.connected = False
        self.close_reason, self.close_message = code, message
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
