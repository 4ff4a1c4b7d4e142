"""Connections of which messages were kept and no bytes: their frames as they may have been.

Each message is one frame, masked with zeros where the client sent it; ``rebuilt`` is true of such a connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from .._core import encode_frame
from ..handshake import Headers, Request, Response
from .reading import Chunk, Connection

__all__ = ["add_end", "add_frame", "headers_of", "rebuilt"]

# What a rebuilt connection cannot have: frames are not compressed any more.
_LEFT_OUT = frozenset({"sec-websocket-extensions"})


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Give the headers of a handshake, without pseudo-headers of HTTP/2. Raises ValueError for what is none."""
    headers = Headers()
    for name, value in pairs:
        if not name.startswith(":") and name.lower() not in _LEFT_OUT:
            headers.add(name, value.replace("\n", ", "))
    return headers


def rebuilt(transport: str, secure: bool, begun: float, request: Request, response: Response) -> Connection:
    """Begin a connection, as its client saw it, by the two heads. Raises ValueError for a time that is none."""
    begun = _time(begun)
    about = {"role": "client", "transport": transport, "secure": secure, "rebuilt": True}
    chunks = [Chunk(begun, True, request.to_bytes()), Chunk(begun, False, response.to_bytes())]
    return Connection("client", about, chunks)


def add_frame(connection: Connection, time: float, outgoing: bool, opcode: int, payload: bytes) -> None:
    """Add a frame, which is a whole message. Raises ValueError, or TypeError for a payload that is no bytes."""
    if not isinstance(payload, bytes):
        raise TypeError(f"a payload that is {type(payload).__name__}, expected bytes")
    frame = bytes(encode_frame(0x80 | opcode, payload, bytes(4) if outgoing else None))
    connection.chunks.append(Chunk(_time(time), outgoing, frame))


def add_end(connection: Connection, time: float, outgoing: bool) -> None:
    """Add the end of one direction."""
    connection.chunks.append(Chunk(_time(time), outgoing, b""))


def _time(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"a time of {value}")
    return float(value)
