"""WebSockets in an aiohttp application: ``python example/aiohttp_echo.py [PORT]``."""

from __future__ import annotations

import socket
import sys

from aiohttp import web

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.aiohttp import websocket_handler
from ws4py_ng.websocket import WebSocket


class Echo(WebSocket):
    """Send back what comes, and wait until the peer keeps up."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:
        await self.send(message.data, message.is_binary)


async def page(request: web.Request) -> web.Response:
    """Be an ordinary page."""
    return web.Response(text="There is a WebSocket at /echo\n")


def main() -> None:
    """Serve until Ctrl-C; every connection is closed with 1001."""
    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/echo", websocket_handler(Echo))
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    web.run_app(app, sock=sock, print=None)


if __name__ == "__main__":
    main()
