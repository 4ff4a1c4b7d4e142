"""A server on trio, and a page at the same port: ``python example/trio_echo.py [PORT]``.

The client is trio's as well, and talks to the server: ``python example/trio_echo.py --client URL``.
"""

from __future__ import annotations

import signal
import sys

import trio

from ws4py_ng.client.trioclient import WebSocketClient
from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.trioserver import serve
from ws4py_ng.websocket import WebSocket

PAGE = b"There is a WebSocket here\n"


class Echo(WebSocket):
    """Send back what comes, in its own time."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:
        await trio.sleep(0.01)
        await self.send(message.data, message.is_binary)


class Client(WebSocketClient):
    """Print what comes, and who closed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.answered = trio.Event()

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        print(message)
        self.answered.set()

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        print("closed:", code)


def page(request: Request) -> Response | None:
    """Answer who asks for no WebSocket."""
    is_plain = request.headers.get("Upgrade") is None
    return Response(200, Headers({"Content-Type": "text/plain"}), body=PAGE) if is_plain else None


async def talk(url: str) -> None:
    """Be the client; leaving the block closes."""
    async with Client(url) as ws:
        await ws.send("hello")
        await ws.answered.wait()


async def run(port: int) -> None:
    """Serve until Ctrl-C; leaving the block closes every connection with 1001."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async with serve(Echo, "127.0.0.1", port, process_request=page) as server:
            print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
            async for _ in signals:
                break


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        trio.run(talk, sys.argv[2])
    else:
        trio.run(run, int(sys.argv[1]) if len(sys.argv) > 1 else 9000)
