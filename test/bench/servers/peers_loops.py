"""Others' servers in event loops, each in the way its documentation shows, without compression and keepalive."""

from __future__ import annotations

import asyncio
from typing import Any

from ..setup import MAX_MESSAGE, Setup


async def _picows(setup: Setup, aiofastnet: bool = True) -> None:
    from picows import WSListener, ws_create_server

    members: set[Any] = set()

    class Echo(WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    class Publisher(WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            members.add(transport)

        def on_ws_disconnected(self, transport: Any) -> None:
            members.discard(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            payload = frame.get_payload_as_bytes()
            for member in members:
                member.send(frame.msg_type, payload)

    kind = Publisher if setup.broadcast else Echo
    options: dict[str, Any] = {"sock": setup.listen(), "ssl": setup.tls(), "backlog": 4096}
    options["use_aiofastnet"] = aiofastnet
    server = await ws_create_server(lambda request: kind(), max_frame_size=MAX_MESSAGE, **options)
    await server.serve_forever()


def picows_(setup: Setup) -> None:
    """Serve by picows."""
    asyncio.run(_picows(setup))


def picows_plain(setup: Setup) -> None:
    """Serve by picows with the transports of asyncio, which write each message at once."""
    asyncio.run(_picows(setup, aiofastnet=False))


def picows_uvloop(setup: Setup) -> None:
    """Serve by picows under uvloop."""
    import uvloop

    uvloop.run(_picows(setup))


def aiohttp_(setup: Setup) -> None:
    """Serve by aiohttp."""
    from aiohttp import WSMsgType, web

    members: set[Any] = set()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=setup.deflate, max_msg_size=MAX_MESSAGE)
        await ws.prepare(request)
        members.add(ws)
        async for message in ws:
            if setup.broadcast:
                for member in members:
                    await member.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)
            else:
                await ws.send_str(message.data)
        members.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    web.run_app(app, sock=setup.listen(), print=None, access_log=None, ssl_context=setup.tls(), backlog=4096)


def websockets_(setup: Setup) -> None:
    """Serve by websockets."""
    from websockets.asyncio.server import broadcast, serve

    async def run() -> None:
        async def echo(ws: Any) -> None:
            async for message in ws:
                if setup.broadcast:
                    broadcast(server.connections, message)
                else:
                    await ws.send(message)

        options: dict[str, Any] = {"sock": setup.listen(), "ssl": setup.tls(), "ping_interval": None}
        compression = "deflate" if setup.deflate else None
        async with serve(echo, compression=compression, max_size=MAX_MESSAGE, **options) as server:
            await server.serve_forever()

    asyncio.run(run())


def tornado_(setup: Setup) -> None:
    """Serve by tornado."""
    from tornado.httpserver import HTTPServer
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler

    class Echo(WebSocketHandler):  # type: ignore[misc]
        def get_compression_options(self) -> dict[str, Any] | None:
            return {} if setup.deflate else None

        def on_message(self, message: str | bytes) -> None:
            self.write_message(message, binary=isinstance(message, bytes))

    async def run() -> None:
        sock = setup.listen()
        sock.setblocking(False)
        application = Application([("/", Echo)], websocket_max_message_size=MAX_MESSAGE)
        HTTPServer(application).add_sockets([sock])
        await asyncio.Event().wait()

    asyncio.run(run())


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Echo as an ASGI application."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")})


def _uvicorn(setup: Setup, ws: str) -> None:
    import uvicorn

    config = uvicorn.Config(
        _app,
        ws=ws,
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=None,
        ws_per_message_deflate=setup.deflate,
    )
    uvicorn.Server(config).run(sockets=[setup.listen()])


def uvicorn_websockets(setup: Setup) -> None:
    """Serve by uvicorn with websockets."""
    _uvicorn(setup, "websockets-sansio")


def uvicorn_wsproto(setup: Setup) -> None:
    """Serve by uvicorn with wsproto."""
    _uvicorn(setup, "wsproto")
