"""A page and a WebSocket under whatever serves ASGI: one of these, in this folder.

uvicorn --port 9000 asgi_echo:app
uvicorn --port 9000 --ws ws4py_ng.server.uvicorn:WSProtocol asgi_echo:app
hypercorn --bind 127.0.0.1:9000 asgi_echo:app
granian --interface asgi --port 9000 asgi_echo:app
daphne --port 9000 asgi_echo:app

Then: ``ws4py-ng connect ws://127.0.0.1:9000/echo``.
"""

from __future__ import annotations

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.asgi import Receive, Scope, Send, WebSocketApplication
from ws4py_ng.websocket import WebSocket


class Echo(WebSocket):
    """Send back what comes, and wait until the peer keeps up."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:
        await self.send(message.data, message.is_binary)


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Be an ordinary application, which gets whatever is no WebSocket."""
    if scope["type"] == "lifespan":
        while (kind := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{kind}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"There is a WebSocket at /echo\n"})


app = WebSocketApplication({"/echo": Echo}, http=page)
