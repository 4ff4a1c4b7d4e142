"""Read captures: from blocks to connections, chunk by chunk, as far as that goes.

`read` takes a whole file, `Reader` a file in pieces, as one that grows is followed. What is damaged
is skipped, and stands in ``problems`` with its offset.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, Final, NamedTuple

from ..exc import WebSocketException
from .blocks import COMMENT, INTERFACE, PACKET, SECTION, Block, BlockParser, Problem, options
from .packets import FIN, LINKTYPE_RAW, PSH, RST, SYN, parse_segment
from .writing import FORMAT

__all__ = ["CaptureError", "Chunk", "Connection", "Reader", "Recording", "read"]

_interface = Struct("<HHI")
_packet = Struct("<IIIII")
_GZIP = b"\x1f\x8b"
_SECTION = b"\x0a\x0d\x0d\x0a"
_FLAGS, _TSRESOL = 2, 9
_OUTGOING = 2

MAX_CONNECTIONS: Final = 100_000
"""Connections that are believed to be in one capture: each costs memory."""

_PIECE = 256 * 1024


class CaptureError(WebSocketException, ValueError):
    """Report a file that is no capture, or a capture without what was asked for."""


class Chunk(NamedTuple):
    """Hold what one read brought or one write sent away.

    ``time`` is in seconds since the epoch, by the monotonic clock from the first chunk of the section
    on. Empty ``data`` is the end of that direction, or, with ``error``, of the connection. ``offset``
    is where it stands in the file.
    """

    time: float
    outgoing: bool
    data: bytes
    error: str = ""
    offset: int = 0


@dataclass(eq=False)
class Connection:
    """Hold one connection, as the side saw it that recorded: ``role`` is "server" or "client".

    ``about`` is what was known of it: addresses, what carried it, whether TLS did, how compression
    was set. ``continued`` says that its beginning is in a part of the capture that is not here.
    """

    role: str = "server"
    about: dict[str, Any] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    continued: bool = False

    @property
    def number(self) -> int:
        """Its number in the process that recorded it."""
        return int(self.about.get("connection", 0))

    def incoming(self) -> bytes:
        """Return all that was read."""
        return b"".join(chunk.data for chunk in self.chunks if not chunk.outgoing)

    def outgoing(self) -> bytes:
        """Return all that was written."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.outgoing)


@dataclass(eq=False)
class Recording:
    """Hold what could be read of a capture, and what was wrong with it.

    ``lacks`` says what a file has that has no connection, and what is missing.
    """

    connections: list[Connection] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    source: str = ""
    lacks: str = ""

    def connection(self, number: int | None = None) -> Connection:
        """Return a connection by its place, from 0; the only one when there is only one.

        Raises CaptureError when there is none, or when it is not said which one.
        """
        found = self.connections
        if not found:
            why = self.lacks or (str(self.problems[0]) if self.problems else "nothing was recorded in it so far")
            raise CaptureError(f"There is no connection in {self.source or 'the capture'}: {why}")
        if number is None:
            if len(found) > 1:
                raise CaptureError(f"{self.source or 'The capture'} has {len(found)} connections: say which, from 0")
            return found[0]
        if not -len(found) <= number < len(found):
            raise CaptureError(f"Connection {number} of {len(found)} in {self.source or 'the capture'}")
        return found[number]


class _Interface(NamedTuple):
    connection: Connection
    units: float
    parts: dict[bool, list[bytes]]


class Reader:
    """Take a capture in pieces of any size; ``recording`` is what it says so far."""

    def __init__(self, source: str = "") -> None:
        self.recording = Recording(source=source)
        self._parser = BlockParser()
        self.recording.problems = self._parser.problems
        self._inflater: Any = None
        self._begin = b""
        self._begun = False
        self._lost = False
        self._is_ours = False
        self._pid: object = None
        self._interfaces: list[_Interface | None] = []
        self._by_number: dict[tuple[object, int], Connection] = {}

    def feed(self, data: bytes) -> None:
        """Add bytes. Raises CaptureError if this cannot be a capture of ours."""
        if self._lost:
            return
        if not self._begun:
            data = self._begin = self._begin + data
            if len(data) < 4:
                return
            self._begun = True
            if data.startswith(_GZIP):
                self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            elif not data.startswith(_SECTION):
                raise CaptureError(f"{self.recording.source or 'This'} is no capture: it begins with {data[:8]!r}")
        for piece in [data] if self._inflater is None else self._inflate(data):
            self._take(self._parser.feed(piece))

    def next_part(self) -> None:
        """Take note that the next bytes are those of the part behind this one."""
        self._take(self._parser.finish())
        self._begun = self._lost = False
        self._begin, self._inflater = b"", None

    def finish(self) -> Recording:
        """Take note that there is no more; return all."""
        if not self._begun:
            self.recording.problems.append(Problem(0, f"the file has {len(self._begin)} bytes, which is no block"))
        self._take(self._parser.finish())
        return self.recording

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        """Undo gzip, in bounded pieces; several files in a row are one."""
        while data and self._inflater is not None:
            try:
                piece = self._inflater.decompress(data, _PIECE)
            except zlib.error as error:
                self._complain(self._parser.offset, f"the compressed data is damaged ({error}); what follows is lost")
                self._lost = True
                return
            yield piece
            data = self._inflater.unconsumed_tail
            if self._inflater.eof:
                data = self._inflater.unused_data
                self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def _take(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            if block.kind == SECTION:
                self._section(block)
            elif block.kind == INTERFACE:
                self._interfaces.append(self._interface(block) if self._is_ours else None)
            elif block.kind == PACKET and self._is_ours:
                self._packet(block)

    def _complain(self, offset: int, what: str) -> None:
        self.recording.problems.append(Problem(offset, what))

    def _section(self, block: Block) -> None:
        self._interfaces = []
        about = _json(options(block.body[16:]).get(COMMENT, b""))
        version = about.get("ws4py_ng.capture")
        self._is_ours = version == FORMAT
        self._pid = about.get("pid")
        if version is None:
            raise CaptureError(
                f"{self.recording.source or 'This'} is a pcapng that something else has written: import it"
            )
        if not self._is_ours:
            self._complain(block.offset, f"a section in format {version!r}, of which this version knows {FORMAT}")

    def _interface(self, block: Block) -> _Interface | None:
        if len(block.body) < _interface.size:
            self._complain(block.offset, "an interface without its head")
            return None
        if _interface.unpack_from(block.body)[0] != LINKTYPE_RAW:
            self._complain(block.offset, "an interface that is none of ours")
            return None
        found = options(block.body[_interface.size :])
        about = _json(found.get(COMMENT, b""))
        role, number = about.get("role"), about.get("connection")
        if role not in ("server", "client") or not isinstance(number, int):
            self._complain(block.offset, "an interface that describes no connection")
            return None
        key = (self._pid, number)
        connection = self._by_number.get(key)
        if connection is None or not about.get("continued"):
            if len(self.recording.connections) >= MAX_CONNECTIONS:
                self._complain(block.offset, f"more than {MAX_CONNECTIONS} connections: this one is left out")
                return None
            connection = Connection(role, about, continued=bool(about.get("continued")))
            self._by_number[key] = connection
            self.recording.connections.append(connection)
        resolution = found.get(_TSRESOL, b"\x06")[:1] or b"\x06"
        units = 2.0 ** -(resolution[0] & 0x7F) if resolution[0] & 0x80 else 10.0 ** -resolution[0]
        return _Interface(connection, units, {False: [], True: []})

    def _packet(self, block: Block) -> None:
        body = block.body
        if len(body) < _packet.size:
            self._complain(block.offset, "a packet without its head")
            return
        number, high, low, size, _ = _packet.unpack_from(body)
        interface = self._interfaces[number] if number < len(self._interfaces) else None
        if number >= len(self._interfaces):
            self._complain(block.offset, f"a packet of interface {number}, of which there are {len(self._interfaces)}")
        if interface is None:
            return
        start = _packet.size
        segment = parse_segment(body[start : start + size]) if size <= len(body) - start else None
        if segment is None:
            self._complain(block.offset, "a packet that is no TCP segment")
            return
        found = options(body[start + size + -size % 4 :])
        flags = int.from_bytes(found.get(_FLAGS, b"")[:4], "little") & 3
        outgoing = flags == _OUTGOING
        self._add(interface, block.offset, (high << 32 | low) * interface.units, outgoing, segment, found)

    def _add(
        self, interface: _Interface, offset: int, time: float, outgoing: bool, segment: Any, found: dict[int, bytes]
    ) -> None:
        """Add a segment; the parts of a chunk are one again."""
        chunks, parts = interface.connection.chunks, interface.parts[outgoing]
        if segment.flags & SYN:
            return
        if segment.data:
            if segment.flags & PSH and not parts:
                chunks.append(Chunk(time, outgoing, segment.data, offset=offset))
                return
            parts.append(segment.data)
            if segment.flags & PSH:
                chunks.append(Chunk(time, outgoing, b"".join(parts), offset=offset))
                parts.clear()
        if segment.flags & RST:
            note = found.get(COMMENT, b"").decode("utf-8", "replace")
            chunks.append(Chunk(time, outgoing, b"", note or "the connection was reset", offset))
        elif segment.flags & FIN:
            chunks.append(Chunk(time, outgoing, b"", offset=offset))


def read(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Recording:
    """Read a capture; parts of one in their order, the oldest first, to have them as one.

    Reads what can be read, also of a file that is still written, cut off or damaged; the rest stands in
    ``problems``. Raises CaptureError for what is no capture at all, OSError for what cannot be opened.
    """
    paths = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(path) for path in source]
    reader = Reader(", ".join(map(str, paths)))
    for number, path in enumerate(paths):
        if number:
            reader.next_part()
        with open(path, "rb") as file:
            while data := file.read(_PIECE):
                reader.feed(data)
    return reader.finish()


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
