"""Converse on a connection of asyncio whose request somebody else has read: send and receive at will."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from ..capture.taps import tap_transport
from ..capture.untapped import AnyTap
from ..exc import HandshakeError
from ..handshake import Accepted, Request, refuse
from ..receiving import AsyncReceiver
from ..transports.aio import AsyncioTransport
from ..websocket import WebSocket
from .acceptor import Acceptor, environ_of
from .answers import plain

__all__ = ["AioConnection", "begin", "begin_on", "converse_on", "make"]


class AioConnection(AsyncReceiver, WebSocket):
    """Send and receive at will, as a server."""


def make(acceptor: Acceptor, request: Request, accepted: Accepted, scheme: str, transport: Any) -> WebSocket:
    """Make the WebSocket for a request that was accepted, with the addresses of its transport."""
    local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    ws = acceptor.make(AioConnection, accepted, None, environ_of(request, scheme, local, peer))
    ws._peer_address, ws._local_address = _address(peer), _address(local)
    return ws


def begin(ws: WebSocket, transport: Any, tap: AnyTap, leftover: bytes = b"") -> AsyncioTransport:
    """Let the loop read a WebSocket behind its handshake."""
    carrier = AsyncioTransport(ws, ws._limits)
    ws._attach(carrier)
    if leftover:
        tap.received(leftover)
    carrier.take_over(tap_transport(transport, tap), leftover)
    return carrier


async def converse_on(sock: socket.socket, request: Request, acceptor: Acceptor) -> WebSocket:
    """Answer the handshake on a connected socket, which is ours from now on, and let the loop read it.

    Raises HandshakeError for a request that was refused: it was answered, and the socket closed.
    """
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        _, accepted = acceptor.accept(request)
    except HandshakeError as error:
        with sock:
            await loop.sock_sendall(sock, plain(refuse(error)).to_bytes())
        raise
    made: list[WebSocket] = []

    def start(transport: Any) -> None:
        ws = make(acceptor, request, accepted, "http", transport)
        made.append(ws)
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        tap = acceptor.tap_hosted("asyncio", local, peer, request, accepted.response, secure=False)
        transport.write(accepted.response.to_bytes())
        begin(ws, transport, tap)

    await begin_on(sock, start)
    return made[0]


async def begin_on(sock: socket.socket, start: Callable[[Any], object]) -> None:
    """Let the loop have a connected socket, which does not block; ``start`` is called with its transport."""
    await asyncio.get_running_loop().connect_accepted_socket(partial(_Beginning, start), sock)


class _Beginning(asyncio.Protocol):
    """Hand the transport on before anything is read: uvloop would begin to, paused or not."""

    def __init__(self, start: Callable[[Any], object]) -> None:
        self._start = start

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._start(transport)


def _address(address: Any) -> Any:
    return address[:2] if isinstance(address, tuple) else address
