"""A chat room in FastAPI, with a REST route that speaks into it: ``python example/fastapi_chat.py [PORT]``.

ws4py-ng connect ws://127.0.0.1:9000/room/
curl -X POST 'http://127.0.0.1:9000/say?text=hello'
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import WebSocket


async def tell(text: str) -> int:
    """Send to everybody in the room; wait for nobody."""
    members = room.connections
    for member in members:
        with suppress(ConnectionClosed, BufferError):  # has just left, or does not read
            member.send(text)
    return len(members)


class Member(WebSocket):
    """Pass on what one member says."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:
        await tell(str(message))


room = WebSocketApplication(Member)
app = FastAPI()
app.mount("/room", room)


@app.post("/say")
async def say(text: str) -> dict[str, int]:
    """Speak into the room."""
    return {"heard_by": await tell(text)}


def main() -> None:
    """Serve until Ctrl-C."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


if __name__ == "__main__":
    main()
