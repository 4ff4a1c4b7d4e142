"""Speak to an asyncio server in its own loop, from streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from test.client.peers import request
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import Server

__all__ = ["QUIET", "WAIT", "Peer", "Run", "dial", "meet", "status"]

WAIT = 60.0
QUIET = Limits(ping_interval=None, close_timeout=30, open_timeout=30)
Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Peer:
    """Speak to the server over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def head(self) -> bytes:
        """Read a head of HTTP."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """Read a short frame."""
        first, size = await self.reader.readexactly(2)
        return first, await self.reader.readexactly(size)

    def reset(self) -> None:
        """End the connection with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def dial(server: Server, send: bytes | None = None, tls: ssl.SSLContext | None = None) -> Peer:
    """Connect, and send something: by default a good request."""
    name = "localhost" if tls is not None else None
    if isinstance(server.address, str):
        peer = Peer(*await asyncio.open_unix_connection(server.address, ssl=tls))
    else:
        peer = Peer(*await asyncio.open_connection(*server.address, ssl=tls, server_hostname=name))
    peer.writer.write(request() if send is None else send)
    return peer


async def meet(server: Server, tls: ssl.SSLContext | None = None) -> Peer:
    """Connect and shake hands."""
    peer = await dial(server, tls=tls)
    assert (await peer.head()).startswith(b"HTTP/1.1 101")
    return peer


async def status(peer: Peer) -> int:
    """Read a refusal to its end."""
    head = await peer.head()
    assert not head.startswith(b"HTTP/1.1 101")
    await peer.reader.read()
    return int(head.split()[1])
