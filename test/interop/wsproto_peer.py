"""A small driver for wsproto over a blocking socket, as client and as server."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from test.client.peers import WAIT

__all__ = ["Connection", "accept", "connect"]


class Connection:
    """Send and receive whole messages."""

    def __init__(self, sock: Any, kind: ConnectionType) -> None:
        sock.settimeout(WAIT)
        self.sock = sock
        self.protocol = WSConnection(kind)
        self.subprotocol: str | None = None
        self.deflated = False
        self._events: list[Event] = []

    def send(self, event: Event) -> None:
        """Send what an event means."""
        self.sock.sendall(self.protocol.send(event))

    def event(self) -> Event:
        """Return the next event."""
        while not self._events:
            data = self.sock.recv(65536)
            self.protocol.receive_data(data or None)
            self._events = list(self.protocol.events())
        return self._events.pop(0)

    def receive(self) -> Any:
        """Return the next message, the payload of a Pong, or the Close; answer Pings."""
        parts: list[Any] = []
        while True:
            event = self.event()
            if isinstance(event, Ping):
                self.send(event.response())
            elif isinstance(event, TextMessage | BytesMessage):
                parts.append(event.data)
                if event.message_finished:
                    return (b"" if isinstance(event, BytesMessage) else "").join(parts)
            else:
                return event

    def send_fragments(self, pieces: Iterable[str]) -> None:
        """Send a text in fragments."""
        pieces = list(pieces)
        for i, piece in enumerate(pieces):
            self.send(TextMessage(piece, message_finished=i == len(pieces) - 1))

    def ping(self, payload: bytes) -> bytes:
        """Ping, and return what the Pong says."""
        self.send(Ping(payload))
        pong = self.receive()
        assert isinstance(pong, Pong)
        return bytes(pong.payload)

    def finish(self, close: CloseConnection | None = None) -> tuple[int, str]:
        """Close, or wait for the peer to do so; return its code and reason."""
        if close is not None:
            self.send(close)
        event = self.receive()
        assert isinstance(event, CloseConnection)
        if close is None:
            self.send(event.response())
        return int(event.code), event.reason or ""


def connect(sock: Any, host: str, subprotocols: list[str], deflate: bool) -> Connection:
    """Shake hands as a client."""
    connection = Connection(sock, ConnectionType.CLIENT)
    extensions = [PerMessageDeflate()] if deflate else []
    connection.send(Request(host=host, target="/", subprotocols=subprotocols, extensions=list(extensions)))
    accepted = connection.event()
    assert isinstance(accepted, AcceptConnection)
    connection.subprotocol = accepted.subprotocol
    connection.deflated = bool(accepted.extensions)
    return connection


def accept(sock: socket.socket, subprotocols: list[str], deflate: bool) -> Connection:
    """Shake hands as a server."""
    connection = Connection(sock, ConnectionType.SERVER)
    request = connection.event()
    assert isinstance(request, Request)
    subprotocol = next((name for name in subprotocols if name in request.subprotocols), None)
    extensions = [PerMessageDeflate()] if deflate else []
    connection.send(AcceptConnection(subprotocol=subprotocol, extensions=list(extensions)))
    return connection
