"""WebSockets beside a page in Starlette: ``python example/starlette_echo.py [PORT]``.

Any ASGI server does: ``uvicorn --app-dir example starlette_echo:app``.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket, WebSocket


class Shout(WebSocket):
    """Answer in capitals; hooks may be ``async def``."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:
        await self.send(str(message).upper())


def page(request: Request) -> PlainTextResponse:
    """Be an ordinary page."""
    return PlainTextResponse("There are WebSockets at /echo and /rooms/shout\n")


app = Starlette(
    routes=[
        Route("/", page),
        # An instance, not a function: Starlette calls functions in its own way.
        WebSocketRoute("/echo", WebSocketApplication(EchoWebSocket)),
        # Paths of the application are below where it is mounted.
        Mount("/rooms", WebSocketApplication({"/shout": Shout})),
    ]
)


def main() -> None:
    """Serve until Ctrl-C; uvicorn closes every connection with 1012."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


if __name__ == "__main__":
    main()
