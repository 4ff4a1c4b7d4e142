"""The applications of the tests under ASGI servers: on asyncio and on trio, alone and in frameworks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket, WebSocket

Event = dict[str, Any]


def say(*words: object) -> None:
    """Tell the test."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Echo(EchoWebSocket):
    """Echo, and tell how it ended."""

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        text = reason.decode() if isinstance(reason, bytes) else reason
        say("closed", type(self).__name__, code, repr(text))


class AsyncEcho(Echo):
    """Echo by hooks that are awaited, whatever the library is."""

    async def received_message(self, message: TextMessage | BinaryMessage) -> None:  # type: ignore[override]
        for piece in ("one of ", "three"):
            await self.send(piece)
        await self.send(message.data, message.is_binary)


class Closer(Echo):
    """Close."""

    def received_message(self, message: TextMessage | BinaryMessage) -> None:  # type: ignore[override]
        self.close(4001, "go away")


class Failing(Echo):
    """Fail."""

    def received_message(self, message: TextMessage | BinaryMessage) -> None:  # type: ignore[override]
        raise LookupError("on purpose")


async def plain(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """Be another application."""
    if scope["type"] == "lifespan":
        kind = ""
        while kind != "lifespan.shutdown":
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"plain"})


ROUTES: dict[str, type[WebSocket]] = {"/echo": Echo, "/async": AsyncEcho, "/closer": Closer, "/failing": Failing}
app = WebSocketApplication(ROUTES, http=plain, protocols=["chat"], headers=[("X-Served-By", "us")])


async def by_events(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """Be an application of somebody else's, that knows nothing of ours."""
    if scope["type"] != "websocket":
        return await plain(scope, receive, send)
    await receive()
    if scope["path"] == "/denied":
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"tea")]})
        await send({"type": "websocket.http.response.body", "body": b"tea", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"pot"})
        return None
    if scope["path"] == "/refused":
        return await send({"type": "websocket.close"})
    if scope["path"] == "/silent":
        return None
    accept = {"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]}
    await send({**accept, "headers": [(b"x-served-by", b"them")]})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            say("disconnected", event["code"], repr(event.get("reason")))
            return None
        if event.get("text") == "fail":
            raise LookupError("on purpose")
        if event.get("text") == "leave":
            return None
        if event.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "go away"})
            continue
        await send({"type": "websocket.send", **{key: event.get(key) for key in ("text", "bytes")}})


def quart() -> Any:
    """Put it before Quart."""
    from quart import Quart

    site = Quart(__name__)
    site.add_url_rule("/", view_func=lambda: "plain")
    return WebSocketApplication(ROUTES, http=site)


def django() -> Any:
    """Put it before Django."""
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ROOT_URLCONF=(path("", lambda request: HttpResponse("plain")),), SECRET_KEY="x", ALLOWED_HOSTS=["*"]
    )
    return WebSocketApplication(ROUTES, http=get_asgi_application())
