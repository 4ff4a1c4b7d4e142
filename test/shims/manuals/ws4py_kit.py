"""What the two files on ws4py's manual share: classes that take note, pairs of sockets, an echo, programs."""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websockets.sync.server
from ws4py.client.threadedclient import WebSocketClient
from ws4py.websocket import WebSocket

from test.client.peers import Peer
from test.programs import Program

__all__ = ["PROTOCOLS", "WAIT", "Noted", "NotedClient", "NotedWebSocket", "echoing", "pair", "program"]

# The original hangs now and then.
WAIT = 20 if os.environ.get("WS4PY_NG_INSTALL") else 5
PROTOCOLS = ["http-only", "chat"]


class Noted:
    """Take note of the hooks; to be mixed into a class of ws4py."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.notes: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.kept: list[Any] = []
        super().__init__(*args, **options)

    def opened(self) -> None:
        self.notes.put(("opened",))

    def received_message(self, message: Any) -> None:
        self.kept.append(message)
        self.notes.put((type(message).__name__, bytes(message.data)))

    def ponged(self, pong: Any) -> None:
        self.notes.put((type(pong).__name__, bytes(pong.data)))

    def closed(self, code: int, reason: Any = None) -> None:
        self.notes.put(("closed", code, reason if isinstance(reason, str) else (reason or b"").decode()))

    def unhandled_error(self, error: Exception) -> None:
        self.notes.put(("error", isinstance(error, OSError)))

    def next(self) -> tuple[Any, ...]:
        return self.notes.get(timeout=WAIT)


class NotedWebSocket(Noted, WebSocket):
    pass


class NotedClient(Noted, WebSocketClient):
    pass


def pair() -> tuple[socket.socket, Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Peer(socket.create_connection(listener.getsockname()))
        client.sock.settimeout(WAIT)
        return listener.accept()[0], client


@contextmanager
def echoing(**options: Any) -> Iterator[int]:
    """Serve an echo by another library; give the port."""

    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    serve = websockets.sync.server.unix_serve if "path" in options else websockets.sync.server.serve
    where = () if "path" in options else ("127.0.0.1", 0)
    with serve(echo, *where, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield 0 if "path" in options else server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(WAIT)


@contextmanager
def program(code: str, *arguments: object) -> Iterator[Program]:
    """Run a program that imports ws4py."""
    start = "import test.shims.plugin, sys, logging\n"
    with Program([sys.executable, "-W", "ignore", "-c", start + code, *map(str, arguments)]) as running:
        yield running
