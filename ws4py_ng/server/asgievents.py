"""The events of ASGI, made of a WebSocket of ours for an application of somebody else's.

What a host of ours (`server.uvicorn`) needs to serve any ASGI application. It knows no host.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any

from ..codes import ABNORMAL_CLOSURE, NORMAL_CLOSURE
from ..messaging import BinaryMessage, TextMessage
from ..websocket import WebSocket

__all__ = ["Bridge", "Events", "HostEvent"]

HostEvent = dict[str, Any]


class Events:
    """Hold what the application is to receive; ``most`` messages, of ``max_size`` bytes together, wait for it."""

    def __init__(self, most: int, max_size: int) -> None:
        self.max_size = max_size
        self._most = most
        self._waiting: deque[HostEvent] = deque([{"type": "websocket.connect"}])
        self._size = 0
        self._arrived = asyncio.Event()
        self._room: asyncio.Future[None] | None = None
        self._is_left = False

    async def receive(self) -> HostEvent:
        """Return the next event; this is the ``receive`` of the application."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        event = self._waiting.popleft()
        if not self._waiting:
            self._make_room()
        return event

    def disconnect(self, code: int = ABNORMAL_CLOSURE, reason: str = "") -> None:
        """Tell the application that the connection has ended."""
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def message(self, message: TextMessage | BinaryMessage) -> Awaitable[object] | None:
        """Hand a message over; an awaitable that is returned ends when all has been taken."""
        if self._is_left:
            return None
        key, value = ("text", message.text) if isinstance(message, TextMessage) else ("bytes", message.data)
        self._put({"type": "websocket.receive", key: value})
        self._size += len(message.data)
        if len(self._waiting) < self._most and self._size <= self.max_size:
            return None
        self._room = asyncio.get_running_loop().create_future()
        return self._room

    def leave(self) -> None:
        """Drop what comes from now on: the application has returned."""
        self._is_left = True
        self._make_room()

    def _put(self, event: HostEvent) -> None:
        if not self._is_left:
            self._waiting.append(event)
            self._arrived.set()

    def _make_room(self) -> None:
        self._size = 0
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)


class Bridge(WebSocket):
    """Make events of what comes, and send what the application sends."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def received_message(self, message: TextMessage | BinaryMessage) -> Awaitable[object] | None:
        """Hand a message to the application, or wait until it has taken what there is."""
        return self._events.message(message)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Tell the application."""
        self._events.disconnect(code, reason.decode("utf-8") if isinstance(reason, bytes) else reason or "")

    def pass_on(self, kind: str, event: HostEvent) -> Any:
        """Send what the application sends; returns what `send` does."""
        if kind == "websocket.close":
            return self.close(event.get("code") or NORMAL_CLOSURE, event.get("reason") or "")
        data = event.get("bytes")
        return self.send(event["text"]) if data is None else self.send(data, True)
