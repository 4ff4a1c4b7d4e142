"""Converse on a connection of asyncio whose request somebody else has read: send and receive at will."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ..capture.tap import AnyTap
from ..capture.taps import tap_transport
from ..exc import HandshakeError
from ..handshake import Accepted, Request, refuse
from ..receiving import AsyncReceiver
from ..transports.aio import AsyncioTransport
from ..websocket import WebSocket
from .acceptor import Acceptor, environ_of, plain

__all__ = ["AioConnection", "begin", "converse_on", "make"]


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
    transport, _ = await loop.connect_accepted_socket(_Waiting, sock)
    ws = make(acceptor, request, accepted, "http", transport)
    local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    tap = acceptor.tap_hosted("asyncio", local, peer, request, accepted.response, secure=False)
    transport.write(accepted.response.to_bytes())
    begin(ws, transport, tap)
    transport.resume_reading()
    return ws


class _Waiting(asyncio.Protocol):
    """Read nothing before the connection has its driver."""

    def connection_made(self, transport: Any) -> None:
        """Let the peer wait."""
        transport.pause_reading()


def _address(address: Any) -> Any:
    return address[:2] if isinstance(address, tuple) else address
