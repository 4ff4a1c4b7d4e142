"""ws4py's name for a WebSocket server as an asyncio protocol.

    server = await loop.create_server(lambda: WebSocketProtocol(EchoWebSocket), host, port)

It is the protocol behind `asyncioserver.serve`, which also drains, and knows its connections.
"""

from __future__ import annotations

from typing import Any

from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers
from .asynciopatience import Patience
from .asynciovisitor import Visitor

__all__ = ["WebSocketProtocol"]

# Kept so that programs can import them.
LF, CRLF, SPACE, EMPTY = b"\n", b"\r\n", b" ", b""


class WebSocketProtocol(Visitor):
    """Serve one connection; ``ws`` is its WebSocket once the handshake is done.

    ``handler_cls`` and ``options`` are those of `Acceptor`: a class, or a dict from path to class;
    ``protocols``, ``origins``, ``limits`` and so on.
    """

    def __init__(self, handler_cls: Handlers, **options: Any) -> None:
        acceptor = Acceptor(handlers=handler_cls, functions="tasks", **options)
        super().__init__(acceptor, Patience(acceptor.limits.open_timeout))

    def close(self) -> None:
        """Close the WebSocket, or the connection that has not become one."""
        if self.ws is not None:
            self.ws.close()
        else:
            self.cut_off()

    def _settle(self) -> None:
        super()._settle()
        self._patience.end()

    def _made(self, ws: WebSocket) -> None:
        super()._made(ws)
        if hasattr(ws, "proto"):
            ws.proto = self
