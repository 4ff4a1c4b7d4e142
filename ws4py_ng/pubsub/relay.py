"""A bus among the processes of one host: over a socket to their parent, who passes on, and keeps nothing.

A process has a `RelayBus`, its parent a `Relay` that holds the other end of each. A process that does not
keep up loses what does not fit into its bound, and is told how much that was; the others are not
held up and the parent's memory does not fill. What a process has handed over is passed on even if it
is killed in the next moment.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from .bus import BusStatus
from .checks import MAX_TOPIC
from .line import Line

__all__ = ["Relay", "RelayBus"]

logger = logging.getLogger("ws4py_ng")

# Bytes behind the head, bytes of the topic, verb.
_HEAD = Struct("!IIB")
_NUMBER = Struct("!Q")
MIB = 1024 * 1024
# Longer than any message that a hub should carry: what claims to be longer is nonsense.
MAX_FRAME = 64 * MIB
READ_SIZE = 256 * 1024


class _Verb(IntEnum):
    PUBLISH = 1
    SUBSCRIBE = 2
    UNSUBSCRIBE = 3
    LOST = 4


class _Frame(NamedTuple):
    verb: int
    topic: bytes
    raw: bytes
    whole: bytes


def _pack(verb: _Verb, topic: bytes = b"", raw: bytes = b"") -> bytes:
    return _HEAD.pack(len(topic) + len(raw), len(topic), verb) + topic + raw


class _Frames:
    """Cut what is read into frames. Raises ValueError for what nobody has packed."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[_Frame]:
        """Give the frames that are complete."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _HEAD.size:
                length, topic_length, verb = _HEAD.unpack_from(buffer, start)
                if length > MAX_FRAME or topic_length > length:
                    raise ValueError(f"expected at most {MAX_FRAME} bytes between processes, got {length}")
                end = start + _HEAD.size + length
                if len(buffer) < end:
                    break
                whole = bytes(buffer[start:end])
                start = end
                split = _HEAD.size + topic_length
                yield _Frame(verb, whole[_HEAD.size : split], whole[split:], whole)
        finally:
            del buffer[:start]


class RelayBus(Line):
    """Publish to the processes that have the same parent; ``sock`` is connected to its `Relay`.

    In the order of each process that publishes, at most once: what a process cannot take in time it loses,
    which `BusStatus.lost` counts.
    """

    name = "relay"
    errors = (OSError, EOFError)
    largest = MAX_FRAME - MAX_TOPIC

    def __init__(self, sock: socket.socket, *, max_queued: int = 10_000, max_queued_bytes: int = 16 * MIB) -> None:
        super().__init__(max_queued=max_queued, max_queued_bytes=max_queued_bytes)
        self._sock: socket.socket | None = sock
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lost = 0

    @property
    def status(self) -> BusStatus:
        """How it is doing."""
        return replace(super().status, lost=self._lost)

    async def _connect(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            raise ConnectionResetError("the parent is gone")
        self._reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=READ_SIZE)

    async def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _write(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def _follow(self, topics: list[str]) -> None:
        await self._write(b"".join(_pack(_Verb.SUBSCRIBE, topic.encode()) for topic in topics))

    async def _unfollow(self, topic: str) -> None:
        await self._write(_pack(_Verb.UNSUBSCRIBE, topic.encode()))

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        await self._write(b"".join(_pack(_Verb.PUBLISH, topic.encode(), raw) for topic, raw in batch))

    async def _listen(self) -> None:
        assert self._reader is not None
        frames = _Frames()
        while data := await self._reader.read(READ_SIZE):
            for frame in frames.feed(data):
                if frame.verb == _Verb.PUBLISH:
                    self._came(frame.topic.decode(), frame.raw)
                elif frame.verb == _Verb.LOST:
                    lost = _NUMBER.unpack(frame.raw)[0]
                    self._lost += lost
                    logger.warning("%d publishes of other processes are lost: this one did not keep up", lost)
        raise ConnectionResetError("the parent is gone")


class Relay:
    """Pass publishes on among processes; for the running loop of their parent.

    ``max_pending`` bytes wait for one of them at most.
    """

    def __init__(self, max_pending: int = 16 * MIB) -> None:
        self._max_pending = max_pending
        self._followers: dict[bytes, dict[_Wire, None]] = {}
        self._wires: set[_Wire] = set()
        self.lost = 0
        """Publishes that a process has not got, as it did not keep up."""

    async def add(self, sock: socket.socket) -> None:
        """Let one more process take part, until it hangs up."""
        await asyncio.get_running_loop().create_unix_connection(lambda: _Wire(self, self._max_pending), sock=sock)

    def close(self) -> None:
        """Hang up on all."""
        for wire in list(self._wires):
            wire.abort()

    def _joined(self, wire: _Wire) -> None:
        self._wires.add(wire)

    def _left(self, wire: _Wire) -> None:
        self._wires.discard(wire)
        for topic in list(wire.topics):
            self._unfollow(wire, topic)

    def _unfollow(self, wire: _Wire, topic: bytes) -> None:
        wire.topics.discard(topic)
        followers = self._followers.get(topic)
        if followers is not None:
            followers.pop(wire, None)
            if not followers:
                del self._followers[topic]

    def _take(self, wire: _Wire, frames: Iterator[_Frame]) -> None:
        """Do what one process says, in its order."""
        reached: dict[_Wire, None] = {}
        for frame in frames:
            if frame.verb == _Verb.PUBLISH:
                for other in self._followers.get(frame.topic, ()):
                    if other is not wire:
                        self.lost += not other.offer(frame.whole)
                        reached[other] = None
            elif frame.verb == _Verb.SUBSCRIBE:
                wire.topics.add(frame.topic)
                self._followers.setdefault(frame.topic, {})[wire] = None
            elif frame.verb == _Verb.UNSUBSCRIBE:
                self._unfollow(wire, frame.topic)
        for other in reached:
            other.flush()


class _Wire(asyncio.Protocol):
    """Be the parent's end of one process."""

    def __init__(self, relay: Relay, max_pending: int) -> None:
        self.topics: set[bytes] = set()
        self._relay = relay
        self._max_pending = max_pending
        self._frames = _Frames()
        self._pending: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._is_behind = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._relay._joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Take part no more."""
        self._transport = None
        self._relay._left(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what the process says."""
        try:
            self._relay._take(self, self._frames.feed(data))
        except ValueError as error:
            logger.error("A process talks nonsense to the others, which is not passed on: %s", error)
            self.abort()

    def pause_writing(self) -> None:
        """Take note that the process does not keep up."""
        self._is_behind = True

    def resume_writing(self) -> None:
        """Tell the process, which keeps up again, what it has lost."""
        self._is_behind = False
        self._tell_lost()

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        if lost and self._transport is not None:
            self._transport.write(_pack(_Verb.LOST, raw=_NUMBER.pack(lost)))

    def offer(self, frame: bytes) -> bool:
        """Have a frame sent by `flush`, unless too much waits; a single one always may."""
        if self._transport is None:
            return True  # it is gone, which is another matter
        waits = self._size + self._transport.get_write_buffer_size()
        if waits and waits + len(frame) > self._max_pending:
            self._lost += 1
            return False
        self._pending.append(frame)
        self._size += len(frame)
        return True

    def flush(self) -> None:
        """Send what was offered, in one go."""
        pieces, self._pending, self._size = self._pending, [], 0
        if pieces and self._transport is not None:
            self._transport.write(b"".join(pieces))
        if not self._is_behind:
            self._tell_lost()

    def abort(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()
