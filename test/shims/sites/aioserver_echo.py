"""The aiohttp example of simple-websocket's manual: ``python -m`` serves it."""

from __future__ import annotations

import sys

from ws4py_ng.shims import install

install("simple_websocket")

from aiohttp import web  # noqa: E402
from simple_websocket import AioServer, ConnectionClosed  # noqa: E402


async def echo(request: web.Request) -> web.Response:
    ws = await AioServer.accept(aiohttp=request)
    try:
        while True:
            await ws.send(await ws.receive())
    except ConnectionClosed:
        pass
    return web.Response(text="")


async def listening(application: web.Application) -> None:
    sys.stdout.write(f"listening on {SOCKET.getsockname()[1]}\n")


if __name__ == "__main__":
    import socket

    SOCKET = socket.create_server(("127.0.0.1", 0))
    application = web.Application()
    application.on_startup.append(listening)
    application.add_routes([web.get("/echo", echo)])
    web.run_app(application, sock=SOCKET, print=None)
