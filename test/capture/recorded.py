"""Record small conversations, by real servers and clients on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ws4py_ng.capture.settings import CaptureOption
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server import asyncioserver, threadedserver
from ws4py_ng.websocket import EchoWebSocket

LARGE = bytes(range(256)) * 800  # more than one packet, and more than one read


class Talker(WebSocketClient):
    """Send three messages when it is open, and close behind the third answer."""

    answers = 0

    def opened(self) -> None:
        self.send("hello")
        self.send(["in ", "two"])
        self.send(LARGE, binary=True)

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        self.answers += 1
        if self.answers == 3:
            self.close(reason="done")


def talk(port: int, capture: CaptureOption = False, **options: Any) -> None:
    """Have a conversation with an echo server."""
    client = Talker(f"ws://127.0.0.1:{port}/room?token=secret&x=1", capture=capture, **options)
    client.connect()
    client.run_forever()


def with_threads(capture: CaptureOption, talks: Callable[[int], None] = talk, **options: Any) -> None:
    """Have a conversation with a server of threads that records."""
    with threadedserver.serve(EchoWebSocket, "127.0.0.1", 0, capture=capture, **options) as server:
        server.start()
        talks(server.port)


def with_asyncio(capture: CaptureOption, talks: Callable[[int], None] = talk, **options: Any) -> None:
    """Have a conversation with a server of asyncio that records."""

    async def serve() -> None:
        async with asyncioserver.serve(EchoWebSocket, "127.0.0.1", 0, capture=capture, **options) as server:
            await asyncio.to_thread(talks, server.port)

    asyncio.run(serve())


def with_client(capture: CaptureOption, **options: Any) -> None:
    """Have a conversation that the client records."""
    with_threads(False, lambda port: talk(port, capture), **options)


def recorded(path: Path) -> bytes:
    """Record a conversation in a server of threads; return the file."""
    with_threads(path)
    return path.read_bytes()
