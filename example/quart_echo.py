"""A WebSocket beside a page in Quart: ``python example/quart_echo.py [PORT]``.

Any ASGI server does: ``hypercorn example/quart_echo:app``.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import uvicorn
from quart import Quart

from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket

app = Quart(__name__)


@app.get("/")
async def page() -> str:
    """Be an ordinary page."""
    return "There is a WebSocket at /echo\n"


# As every middleware of Quart: it gets all that comes, and passes on what is no WebSocket.
app.asgi_app = WebSocketApplication({"/echo": EchoWebSocket}, http=app.asgi_app)  # type: ignore[method-assign]


def main() -> None:
    """Serve until Ctrl-C."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


if __name__ == "__main__":
    main()
