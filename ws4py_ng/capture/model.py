"""What a recording shows: frames, messages, sizes, latencies, gaps, the close, and what broke a rule.

Plain data, of which a terminal, a page or JSON only choose and render. Rules are judged by the library's
own `Stream`, one for each direction, so that what is marked here is what would be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..codes import BINARY, CLOSE, CONTINUATION, NO_STATUS_RECEIVED, PING, PONG, TEXT, describe
from ..exc import ProtocolError
from ..limits import Limits
from ..messaging import CloseControlMessage
from ..streaming import Stream
from .conversation import Conversation, codec, understand
from .frames import Frame, FrameScanner
from .reading import Chunk, Connection

__all__ = ["FrameRow", "Inspection", "Inspector", "MessageRow", "inspect"]

_LIMITS: Final = Limits(max_message_size=64 * 1024 * 1024, max_fragments=1 << 40)
"""Hostile captures may hold bombs as well."""


@dataclass(eq=False)
class FrameRow:
    """Show one frame. ``time`` is in seconds from the connection's first chunk, when the frame was whole.

    ``gap`` is the time since the frame before, of either side; ``latency`` that of a Pong since its Ping.
    ``message`` is the number of the message that it belongs to, None for control frames and while that
    is not complete.
    """

    number: int
    time: float
    from_client: bool
    outgoing: bool
    frame: Frame
    gap: float = 0.0
    latency: float | None = None
    message: int | None = None
    violation: str = ""

    @property
    def text(self) -> str:
        """What the payload says, if that can be shown: text, or a close code and its reason."""
        frame = self.frame
        if frame.opcode == CLOSE:
            return _close_text(frame.payload)
        if frame.rsv or frame.opcode == BINARY:
            return ""
        return frame.payload.decode("utf-8", "replace")

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        frame = self.frame
        return {
            "frame": self.number,
            "time": round(self.time, 9),
            "from": "client" if self.from_client else "server",
            "opcode": frame.opcode,
            "name": frame.name,
            "fin": frame.fin,
            "rsv": frame.rsv,
            "masked": frame.key is not None,
            "offset": frame.offset,
            "size": frame.size,
            "gap": round(self.gap, 9),
            "latency": self.latency,
            "message": self.message,
            "violation": self.violation,
        }


@dataclass(eq=False)
class MessageRow:
    """Show one message: ``size`` is that of its data, ``wire_size`` that of its payloads as they travelled."""

    number: int
    time: float
    from_client: bool
    outgoing: bool
    is_text: bool
    data: bytes
    wire_size: int
    frames: int
    compressed: bool

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return len(self.data)

    @property
    def ratio(self) -> float | None:
        """How many times the data is larger than what travelled; None if it was not compressed."""
        return self.size / max(self.wire_size, 1) if self.compressed else None

    @property
    def text(self) -> str:
        """The text; of binary data, hex."""
        return self.data.decode("utf-8", "replace") if self.is_text else self.data.hex(" ")

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "message": self.number,
            "time": round(self.time, 9),
            "from": "client" if self.from_client else "server",
            "kind": "text" if self.is_text else "binary",
            "size": self.size,
            "wire_size": self.wire_size,
            "frames": self.frames,
            "ratio": self.ratio,
            "data": self.text,
        }


@dataclass(eq=False)
class Inspection:
    """Hold all that there is to be seen of one connection.

    ``violations`` and ``ends`` are sentences; ``latencies`` are those of Pings, in seconds; ``close`` says
    who closed first, with which code, and what that means; "" if nobody did.
    """

    conversation: Conversation
    frames: list[FrameRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    close: str = ""

    @property
    def longest_gap(self) -> float:
        """The longest time in which neither side sent a frame."""
        return max((row.gap for row in self.frames), default=0.0)

    @property
    def ratio(self) -> float | None:
        """How many times the data of all compressed messages is larger than what travelled."""
        found = [row for row in self.messages if row.compressed]
        return sum(row.size for row in found) / max(sum(row.wire_size for row in found), 1) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values, frames and messages included."""
        conversation = self.conversation
        request, response = conversation.request, conversation.response
        return {
            "connection": conversation.connection.about | {"role": conversation.connection.role},
            "request": None if request is None else [request.method, request.target, request.headers.items()],
            "response": None if response is None else [response.status, response.headers.items()],
            "faults": [head.fault for head in (conversation.request_head, conversation.response_head) if head.fault],
            "frames": [row.to_dict() for row in self.frames],
            "messages": [row.to_dict() for row in self.messages],
            "latencies": self.latencies,
            "longest_gap": self.longest_gap,
            "ratio": self.ratio,
            "close": self.close,
            "violations": self.violations,
            "ends": self.ends,
        }


class _Direction:
    """Follow one direction: scan its frames, and let a `Stream` judge them."""

    def __init__(self, conversation: Conversation, from_client: bool) -> None:
        self.scanner = FrameScanner()
        self.stream = Stream(always_mask=not from_client, expect_masking=from_client, limits=_LIMITS)
        extension = codec(conversation, as_client=not from_client)
        if extension is not None:
            self.stream.use_extension(extension)
        self.broken = False
        self.wire_size = 0
        self.fragments: list[FrameRow] = []
        self.compressed = False

    def judge(self, row: FrameRow) -> tuple[Any, str]:
        """Return the message that a frame completes, and what is wrong with it."""
        frame = row.frame
        if frame.opcode < CLOSE:
            if frame.opcode != CONTINUATION:
                self.wire_size = 0
                self.fragments = []
                self.compressed = frame.rsv & 4 != 0
            self.wire_size += frame.size
            self.fragments.append(row)
        if self.broken:
            return None, ""
        try:
            self.stream._reader.feed(frame.raw)
            return self.stream.try_message(), ""
        except ProtocolError as error:
            self.broken = True
            return None, f"{describe(error.code)}: {error.reason}"


def inspect(source: Connection | Conversation) -> Inspection:
    """Look at one connection."""
    conversation = source if isinstance(source, Conversation) else understand(source)
    return _Look(conversation).at(conversation.chunks)


class Inspector:
    """Look at a connection that grows; `update` looks at what is new only, once the handshake is over.

    ``prepare`` is what is done to the connection before.
    """

    def __init__(self, connection: Connection, prepare: Callable[[Connection], Connection] = lambda it: it) -> None:
        self._connection = connection
        self._prepare = prepare
        self._seen = 0
        self._look: _Look | None = None

    def update(self) -> Inspection:
        """Return what there is to be seen by now."""
        chunks, look = self._connection.chunks, self._look
        if look is not None and look.found.conversation.has_begun:
            new = chunks[self._seen :]
            look.found.conversation.chunks += new
        else:
            conversation = understand(self._prepare(self._connection))
            look, new = _Look(conversation), conversation.chunks
        self._look, self._seen = look, len(chunks)
        return look.at(new)


class _Look:
    """Hold what is known of a conversation between two looks at it."""

    def __init__(self, conversation: Conversation) -> None:
        self.found = Inspection(conversation)
        self._is_client = conversation.connection.role == "client"
        self._directions = {way: _Direction(conversation, way is self._is_client) for way in (False, True)}
        chunks = conversation.connection.chunks
        self._start = chunks[0].time if chunks else 0.0
        self._pings: dict[tuple[bool, bytes], float] = {}
        self._last: float | None = None
        self._ends: list[str] = []

    def at(self, chunks: list[Chunk]) -> Inspection:
        """Look at chunks behind those that were looked at before."""
        found = self.found
        for chunk in chunks:
            outgoing, time = chunk.outgoing, chunk.time - self._start
            from_client = outgoing is self._is_client
            if not chunk.data:
                self._ends.append(_end(chunk.error, from_client, time))
                continue
            for frame in self._directions[outgoing].scanner.feed(chunk.data):
                row = FrameRow(len(found.frames), time, from_client, outgoing, frame)
                row.gap = 0.0 if self._last is None else time - self._last
                self._last = time
                found.frames.append(row)
                _look(found, row, self._directions[outgoing], self._pings)
        rests = [len(direction.scanner.rest) for direction in self._directions.values()]
        found.ends = self._ends + [f"a frame was cut off, of which {size} bytes are there" for size in rests if size]
        return found


def _look(found: Inspection, row: FrameRow, direction: _Direction, pings: dict[tuple[bool, bytes], float]) -> None:
    """Judge a frame, and add what it completes."""
    frame = row.frame
    message, row.violation = direction.judge(row)
    if row.violation:
        found.violations.append(f"frame {row.number} of the {_side(row.from_client)}: {row.violation}")
    if frame.opcode == PING:
        pings[row.from_client, frame.payload] = row.time
    elif frame.opcode == PONG and (sent := pings.pop((not row.from_client, frame.payload), None)) is not None:
        row.latency = row.time - sent
        found.latencies.append(row.latency)
    elif frame.opcode == CLOSE and not found.close:
        found.close = f"by the {_side(row.from_client)}: {_close_text(frame.payload)}"
    if frame.opcode >= CLOSE:
        return
    if message is not None and not isinstance(message, CloseControlMessage):
        for fragment in direction.fragments:
            fragment.message = len(found.messages)
        found.messages.append(
            MessageRow(
                number=len(found.messages),
                time=row.time,
                from_client=row.from_client,
                outgoing=row.outgoing,
                is_text=message.opcode == TEXT,
                data=bytes(message.data),
                wire_size=direction.wire_size,
                frames=len(direction.fragments),
                compressed=direction.compressed,
            )
        )


def inspect_all(connections: list[Connection]) -> Iterator[Inspection]:
    """Look at several connections, one after the other."""
    for connection in connections:
        yield inspect(connection)


def _close_text(payload: bytes) -> str:
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_STATUS_RECEIVED
    reason = payload[2:].decode("utf-8", "replace")
    return f"{describe(code)} {reason}".rstrip()


def _end(error: str, from_client: bool, time: float) -> str:
    if error:
        return f"the connection broke after {time:.6f} s: {error}"
    return f"the {_side(from_client)} ended its side after {time:.6f} s"


def _side(from_client: bool) -> str:
    return "client" if from_client else "server"
