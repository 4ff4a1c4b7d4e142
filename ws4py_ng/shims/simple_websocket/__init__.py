"""simple-websocket 1.1, over this package.

    ws = Server.accept(request.environ)     # Flask and any WSGI application
    ws = await AioServer.accept(aiohttp=request)
    ws = Client.connect("ws://localhost:5000/echo")

docs/migrating/simple-websocket.md says what differs.
"""

from __future__ import annotations

from .aiows import AioClient, AioServer
from .errors import ConnectionClosed, ConnectionError
from .ws import Client, Server

__all__ = ["AioClient", "AioServer", "Client", "ConnectionClosed", "ConnectionError", "Server"]
