"""This project's servers in event loops."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from ws4py_ng.limits import Limits
from ws4py_ng.websocket import WebSocket

from ..setup import MAX_MESSAGE, Setup

LIMITS = Limits(max_message_size=MAX_MESSAGE, ping_interval=None)


class Echo(WebSocket):
    """Send back what comes."""

    def received_message(self, message: Any) -> None:
        """Send it back."""
        self.send(message.data, message.is_binary)


class Publisher(WebSocket):
    """Send what comes to everybody."""

    members: set[WebSocket] = set()  # noqa: RUF012

    def opened(self) -> None:
        """Come in."""
        self.members.add(self)

    def received_message(self, message: Any) -> None:
        """Send it to all."""
        for member in list(self.members):
            member.send(message.data, message.is_binary)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Leave."""
        self.members.discard(self)


def hub_member() -> type[WebSocket]:
    """Make a class that publishes what comes by a hub."""
    from ws4py_ng.pubsub import Hub

    hub = Hub()

    class Member(WebSocket):
        def opened(self) -> None:
            hub.subscribe(self, "all")

        def received_message(self, message: Any) -> None:
            hub.publish("all", message)

    return Member


def handler(setup: Setup) -> type[WebSocket]:
    """Choose the class that serves."""
    if not setup.broadcast:
        return Echo
    return hub_member() if setup.hub else Publisher


async def _serve(setup: Setup) -> None:
    from ws4py_ng.server.asyncioserver import serve

    sock = setup.listen()
    options: dict[str, Any] = {"sock": sock, "ssl_context": setup.tls(), "deflate": setup.deflate, "limits": LIMITS}
    async with serve(handler(setup), **options) as server:
        await server.serve_forever()


def asyncio_(setup: Setup) -> None:
    """Serve by asyncio."""
    asyncio.run(_serve(setup))


def asyncio_hub(setup: Setup) -> None:
    """Serve by asyncio, and publish by a hub."""
    asyncio_(replace(setup, hub=True))


def uvloop_(setup: Setup) -> None:
    """Serve by uvloop."""
    import uvloop

    uvloop.run(_serve(setup))


def trio_(setup: Setup) -> None:
    """Serve by trio."""
    import trio

    from ws4py_ng.server.trioserver import serve

    async def run() -> None:
        sock = setup.listen()
        options: dict[str, Any] = {"ssl_context": setup.tls(), "deflate": setup.deflate, "limits": LIMITS}
        async with serve(handler(setup), sock=sock, **options) as server:
            await server.serve_forever()

    trio.run(run)


def tornado_(setup: Setup) -> None:
    """Serve at a route of tornado."""
    from tornado.httpserver import HTTPServer
    from tornado.web import Application

    from ws4py_ng.server.tornadoserver import WebSocketHandler

    async def run() -> None:
        route = {"handler_cls": handler(setup), "deflate": setup.deflate, "limits": LIMITS}
        sock = setup.listen()
        sock.setblocking(False)
        HTTPServer(Application([("/", WebSocketHandler, route)])).add_sockets([sock])
        await asyncio.Event().wait()

    asyncio.run(run())


def aiohttp_(setup: Setup) -> None:
    """Serve at a route of aiohttp."""
    from aiohttp import web

    from ws4py_ng.server.aiohttp import websocket_handler

    app = web.Application()
    app.router.add_get("/", websocket_handler(handler(setup), deflate=setup.deflate, limits=LIMITS))
    web.run_app(app, sock=setup.listen(), print=None, access_log=None)


def _uvicorn(setup: Setup, ws: str) -> None:
    import uvicorn

    from ws4py_ng.server.asgi import WebSocketApplication

    app = WebSocketApplication(handler(setup), limits=LIMITS, deflate=setup.deflate)
    config = uvicorn.Config(
        app,
        ws=ws,
        loop="asyncio",
        log_level="critical",
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=None,
        ws_per_message_deflate=setup.deflate,
    )
    uvicorn.Server(config).run(sockets=[setup.listen()])


def asgi(setup: Setup) -> None:
    """Serve as an ASGI application, where the frames are those of websockets."""
    _uvicorn(setup, "websockets-sansio")


def uvicorn_(setup: Setup) -> None:
    """Serve under uvicorn, with our frames."""
    _uvicorn(setup, "ws4py_ng.server.uvicorn:WSProtocol")
