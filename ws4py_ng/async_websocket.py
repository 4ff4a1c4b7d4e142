"""ws4py's name for a WebSocket on asyncio. Any `ws4py_ng.websocket.WebSocket` serves as well.

loop.create_server(lambda: WebSocketProtocol(EchoWebSocket), host, port)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import websocket
from .messaging import BinaryMessage, TextMessage

__all__ = ["EchoWebSocket", "WebSocket"]


class WebSocket(websocket.WebSocket):
    """Be a WebSocket on asyncio; ``proto`` is the protocol that serves it.

    Hooks may be ``async def``. What `send` and `close` return may be awaited, and need not be.
    """

    def __init__(
        self,
        proto: Any = None,
        protocols: Sequence[Any] | None = None,
        extensions: Sequence[Any] | None = None,
        environ: dict[str, Any] | None = None,
        heartbeat_freq: float | None = None,
    ) -> None:
        super().__init__(None, protocols, extensions, environ, heartbeat_freq)
        self.proto = proto

    @property
    def started(self) -> bool:
        """Whether `opened` was called."""
        return self._begun

    def _release(self) -> None:
        super()._release()
        self.proto = None


class EchoWebSocket(WebSocket):
    """Send back every message as it came."""

    def received_message(self, message: TextMessage | BinaryMessage) -> Any:
        """Send it back."""
        return self.send(message.data, message.is_binary)
