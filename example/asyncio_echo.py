"""A server on asyncio, and a page at the same port: ``python example/asyncio_echo.py [PORT]``.

A function serves each connection. The client is asyncio's as well, and talks to the server:
``python example/asyncio_echo.py --client URL``.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from ws4py_ng.client.asyncioclient import connect
from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.server.asyncioserver import serve

PAGE = b"There is a WebSocket here\n"


async def echo(ws: Any) -> None:
    """Send back what comes, until the peer closes."""
    async for message in ws:
        await ws.send(message.data, message.is_binary)


def page(request: Request) -> Response | None:
    """Answer who asks for no WebSocket."""
    is_plain = request.headers.get("Upgrade") is None
    return Response(200, Headers({"Content-Type": "text/plain"}), body=PAGE) if is_plain else None


async def talk(url: str) -> None:
    """Be the client; leaving the block closes."""
    async with connect(url) as ws:
        await ws.send("hello")
        print(await ws.receive(timeout=10))


async def run(port: int) -> None:
    """Serve until Ctrl-C; leaving the block closes every connection with 1001."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    async with serve(echo, "127.0.0.1", port, process_request=page) as server:
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
        await stop.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        asyncio.run(talk(sys.argv[2]))
    else:
        asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
