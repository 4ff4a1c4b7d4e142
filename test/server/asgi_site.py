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


# In frameworks: each an application with a page at / and our routes below what stands here; `in_quart` and so on.

MOUNTED = {"starlette": "/ws", "fastapi": "/ws", "quart": "", "django": ""}


def starlette() -> Any:
    """Mount it in Starlette."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    page = Route("/", lambda request: PlainTextResponse("plain"))
    return Starlette(routes=[page, Mount("/ws", WebSocketApplication(ROUTES, protocols=["chat"]))])


def fastapi() -> Any:
    """Mount it in FastAPI."""
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    site = FastAPI()
    site.add_api_route("/", lambda: PlainTextResponse("plain"))
    site.mount("/ws", WebSocketApplication(ROUTES, protocols=["chat"]))
    return site


def quart() -> Any:
    """Put it before Quart."""
    from quart import Quart

    site = Quart(__name__)
    site.add_url_rule("/", view_func=lambda: "plain")
    return WebSocketApplication(ROUTES, http=site, protocols=["chat"])


def django() -> Any:
    """Put it before Django."""
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    urls = (path("", lambda request: HttpResponse("plain")),)
    settings.configure(ROOT_URLCONF=urls, SECRET_KEY="x", ALLOWED_HOSTS=["*"])
    return WebSocketApplication(ROUTES, http=get_asgi_application(), protocols=["chat"])


class _Lazy:
    """Be an application that is made when it is first asked for, so that others run without its framework."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if self._made is None:
            self._made = self._make()
        await self._made(scope, receive, send)


in_starlette, in_fastapi, in_quart, in_django = map(_Lazy, (starlette, fastapi, quart, django))
