"""A connection behind its handshake: what was asked for and agreed, and the bytes of both sides.

What a replay and an inspection both have to know first. It knows no transport.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

from ..exc import HandshakeError
from ..extensions import PerMessageDeflate
from ..extensions.header import parse_extensions
from ..handshake import Request, Response, receive_request, receive_response
from ..limits import Limits
from .reading import Chunk, Connection

__all__ = ["Conversation", "Head", "codec", "understand"]

_GENEROUS: Final = Limits(max_head_size=1024 * 1024, max_line_size=1024 * 1024, max_headers=10_000)
_DEFAULT_BITS: Final = 12


@dataclass(eq=False)
class Head:
    """Hold one head of the handshake: its bytes, or what is wrong with it."""

    raw: bytes = b""
    fault: str = ""


@dataclass(eq=False)
class Conversation:
    """Hold a connection's handshake, and the chunks behind it.

    ``request`` and ``response`` are None when they did not come, or are no HTTP. ``chunks`` are those
    of the WebSocket, none if there is none.
    """

    connection: Connection
    request: Request | None = None
    response: Response | None = None
    request_head: Head = field(default_factory=Head)
    response_head: Head = field(default_factory=Head)
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Whether both heads are there, or in an earlier part, so that what comes is all behind them."""
        return self.connection.continued or (self.request is not None and self.response is not None)

    @property
    def is_websocket(self) -> bool:
        """Whether the server agreed."""
        return self.response is not None and self.response.status == 101

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self.response.headers.get("Sec-WebSocket-Protocol") if self.response is not None else None

    @property
    def deflate(self) -> list[tuple[str, str | None]] | None:
        """The parameters of permessage-deflate that were agreed on; None without it."""
        if self.response is None:
            return None
        try:
            agreed = parse_extensions(self.response.headers.get_all("Sec-WebSocket-Extensions"))
        except ValueError:
            return None
        return next((params for name, params in agreed if name == PerMessageDeflate.name), None)

    def data(self, outgoing: bool) -> bytes:
        """Return all bytes of one direction behind the handshake."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.outgoing is outgoing)


def understand(connection: Connection) -> Conversation:
    """Tell a connection's handshake from its frames. A broken handshake has no frames behind it."""
    found = Conversation(connection)
    if connection.continued:
        found.chunks = list(connection.chunks)
        return found
    asking = connection.role == "client"
    readers: dict[bool, _HeadReader | None] = {
        asking: _HeadReader(receive_request(_GENEROUS)),
        not asking: _HeadReader(receive_response(_GENEROUS)),
    }
    for chunk in connection.chunks:
        reader = readers[chunk.outgoing]
        if reader is None or not chunk.data:
            found.chunks.append(chunk)
            continue
        leftover = reader.feed(chunk.data)
        if leftover is None:
            continue
        readers[chunk.outgoing] = None
        _take(found, reader, chunk.outgoing is asking)
        if leftover:
            found.chunks.append(chunk._replace(data=leftover))
    for outgoing, reader in readers.items():
        if reader is not None:
            _take(found, reader, outgoing is asking)
    return found


def _take(found: Conversation, reader: _HeadReader, is_request: bool) -> None:
    head = Head(bytes(reader.raw), reader.fault)
    if is_request:
        found.request_head, found.request = head, reader.message
    else:
        found.response_head, found.response = head, reader.message


class _HeadReader:
    """Drive one of the handshake's generators by chunks."""

    def __init__(self, reading: Generator[int, Any, tuple[Any, bytes]]) -> None:
        self._reading = reading
        self.raw = bytearray()
        self.message: Any = None
        self.fault = ""
        next(reading)

    def feed(self, data: bytes) -> bytes | None:
        """Add bytes; return those behind the head, None before its end."""
        self.raw += data
        if self.fault:
            return None
        try:
            self._reading.send(data)
        except StopIteration as stop:
            self.message, leftover = stop.value
            if leftover:
                del self.raw[-len(leftover) :]
            return bytes(leftover)
        except HandshakeError as error:
            self.fault = str(error)
        return None


def codec(conversation: Conversation, as_client: bool) -> PerMessageDeflate | None:
    """Make the codec that one side had, from what was agreed and what is known of its settings."""
    params = conversation.deflate
    if params is None:
        return None
    agreed = dict(params)
    known: Any = {}
    if (conversation.connection.role == "client") is as_client:
        known = conversation.connection.about.get("deflate") or {}
    me, peer = ("client", "server") if as_client else ("server", "client")
    own_bits = _bits(agreed.get(f"{me}_max_window_bits"))
    if as_client and known:
        mine = known.get("client_max_window_bits")
        own_bits = min(own_bits, mine if type(mine) is int else _DEFAULT_BITS)
    settings = {name: known[name] for name in ("level", "mem_level", "threshold") if type(known.get(name)) is int}
    return PerMessageDeflate(
        own_window_bits=own_bits,
        own_no_context_takeover=f"{me}_no_context_takeover" in agreed,
        peer_window_bits=_bits(agreed.get(f"{peer}_max_window_bits")),
        peer_no_context_takeover=f"{peer}_no_context_takeover" in agreed,
        **settings,
    )


def _bits(value: str | None) -> int:
    return int(value) if value is not None and value.isdigit() and 8 <= int(value) <= 15 else 15
