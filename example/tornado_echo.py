"""WebSockets in a tornado application: ``python example/tornado_echo.py [PORT]``.

The client is tornado's as well, and talks to the server: ``python example/tornado_echo.py --client URL``.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from ws4py_ng.client.tornadoclient import TornadoWebSocketClient
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.tornadoserver import WebSocketHandler, drain
from ws4py_ng.websocket import EchoWebSocket


class Page(RequestHandler):
    """Be an ordinary page."""

    def get(self) -> None:
        self.write("There is a WebSocket at /echo\n")


class Client(TornadoWebSocketClient):
    """Say hello, and leave when it came back."""

    async def opened(self) -> None:
        await self.send("hello")

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        print(message)
        self.close(1000, "that is all")

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        print("closed:", code)


async def talk(url: str) -> None:
    """Be the client."""
    client = Client(url)
    await client.connect()
    await client.wait_ended()


async def serve(port: int) -> None:
    """Serve until Ctrl-C, then close every connection with 1001."""
    application = Application([("/", Page), ("/echo", WebSocketHandler, {"handler_cls": EchoWebSocket})])
    server = HTTPServer(application)
    sockets = bind_sockets(port, "127.0.0.1")
    server.add_sockets(sockets)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    print(f"listening on ws://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    await stop.wait()
    server.stop()
    await drain(application)
    await server.close_all_connections()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        asyncio.run(talk(sys.argv[2]))
    else:
        asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
