"""Our own protocol inside uvicorn: ``python example/uvicorn_frames.py [PORT]``.

The same as ``uvicorn --ws ws4py_ng.server.uvicorn:WSProtocol --app-dir example uvicorn_frames:app``.
Frames, compression, pings and limits are ours; the request, TLS and workers are uvicorn's.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import uvicorn

from ws4py_ng.limits import Limits
from ws4py_ng.messaging import BinaryMessage, PongControlMessage, TextMessage
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import WebSocket


class Pinging(WebSocket):
    """Answer with a Ping, which ASGI by its events cannot send, and tell when it came back."""

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        self.ping(message.data[:125])

    def ponged(self, pong: PongControlMessage) -> None:
        self.send(["the pong ", "came back: ", pong.data])


app = WebSocketApplication(Pinging, limits=Limits(max_message_size=64 * 1024))


def main() -> None:
    """Serve until Ctrl-C."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(app, ws="ws4py_ng.server.uvicorn:WSProtocol", log_level="warning")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
