"""A tap: told what one connection reads and writes, it records that.

Drivers are not asked whether somebody listens. Where nobody does, nothing is wrapped, and the
handshake, which is not hot, talks to `NO_TAP`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic_ns
from typing import Any, Protocol

from ..exc import HandshakeError
from ..handshake import Request, receive_request
from .redaction import HeadFilter
from .writing import CaptureFile, Line

__all__ = ["NO_TAP", "AnyTap", "Tap"]

logger = logging.getLogger("ws4py_ng")


class AnyTap(Protocol):
    """Be what the code that carries bytes knows of a capture; false where nothing is recorded."""

    def __bool__(self) -> bool: ...

    def received(self, data: bytes | memoryview) -> None:
        """Record what was read; nothing is the end."""

    def sent(self, data: bytes | memoryview) -> None:
        """Record what is about to be written."""

    def ended(self) -> None:
        """Record that nothing more is written; once."""

    def failed(self, error: BaseException) -> None:
        """Record what broke the connection."""

    def close(self) -> None:
        """Record that this end has closed; twice is no harm."""


class _NoTap:
    def __bool__(self) -> bool:
        return False

    def received(self, data: bytes | memoryview) -> None: ...

    def sent(self, data: bytes | memoryview) -> None: ...

    def ended(self) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def close(self) -> None: ...


NO_TAP: AnyTap = _NoTap()


class Tap:
    """Record one connection, of which nothing was read or written yet."""

    def __init__(
        self,
        open_file: Callable[[Request | None], CaptureFile | None],
        about: dict[str, Any],
        local: Any,
        peer: Any,
        secrets: Iterable[str],
    ) -> None:
        self._open_file = open_file
        self._line = Line(about, local, peer)
        self._file: CaptureFile | None = None
        self._opened = False
        self._closed = False
        self._broken = False
        secrets = tuple(secrets)
        # By direction: what came in, what went out. None once the head is through.
        self._heads: list[HeadFilter | None] = [HeadFilter(secrets), HeadFilter(secrets)]
        self._at_end = [False, False]

    def __bool__(self) -> bool:
        return True

    def received(self, data: bytes | memoryview) -> None:
        """Record what was read; nothing is the end."""
        if not data:
            self._end(False)
        elif self._heads[0] is not None:
            self._filter(False, data)
        elif self._file is not None:
            self._file.chunk(self._line, monotonic_ns(), False, data)

    def sent(self, data: bytes | memoryview) -> None:
        """Record what is about to be written."""
        if not data:
            return
        if self._heads[1] is not None:
            self._filter(True, data)
        elif self._file is not None:
            self._file.chunk(self._line, monotonic_ns(), True, data)

    def ended(self) -> None:
        """Record that nothing more is written; once."""
        if not self._broken:
            self._end(True)

    def failed(self, error: BaseException) -> None:
        """Record what broke the connection; once."""
        if self._broken or self._closed:
            return
        self._broken = True
        self._flush_heads()
        if self._file is not None:
            self._file.end(self._line, monotonic_ns(), False, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Record that this end has closed; twice is no harm."""
        if self._closed:
            return
        self._flush_heads()
        self.ended()
        self._closed = True
        file, self._file = self._file, None
        if file is not None:
            file.leave(self._line)

    def _end(self, outgoing: bool) -> None:
        if self._at_end[outgoing] or self._closed:
            return
        self._at_end[outgoing] = True
        self._flush_heads()
        if self._file is not None:
            self._file.end(self._line, monotonic_ns(), outgoing)

    def _filter(self, outgoing: bool, data: bytes | memoryview) -> None:
        """Record a part of a head, once it may be."""
        head = self._heads[outgoing]
        assert head is not None
        released = head.feed(monotonic_ns(), bytes(data))
        if head.done:
            if outgoing is self._line.by_client:
                self._open(head.head)
            self._heads[outgoing] = None
            self._write(outgoing, released)

    def _flush_heads(self) -> None:
        """Record what was held back, in the order in which it was read and written."""
        for outgoing in (self._line.by_client, not self._line.by_client):
            head = self._heads[outgoing]
            if head is not None:
                self._heads[outgoing] = None
                released = head.finish()
                if released:
                    self._open(b"")
                    self._write(outgoing, released)

    def _write(self, outgoing: bool, chunks: list[tuple[int, bytes]]) -> None:
        file = self._file
        if file is not None:
            for stamp, data in chunks:
                file.chunk(self._line, stamp, outgoing, data)

    def _open(self, head: bytes) -> None:
        """Find the file, once it is known what is asked for."""
        if self._opened or self._closed:
            return
        self._opened = True
        try:
            self._file = self._open_file(_request(head))
        except Exception:  # the application's own function, or a path that cannot be used
            logger.exception("A connection is not captured")
        if self._file is not None:
            self._file.enter()


def _request(head: bytes) -> Request | None:
    """Read a request; None if it is none."""
    reading = receive_request()
    try:
        next(reading)
        if head:
            reading.send(head)
    except StopIteration as stop:
        request: Request = stop.value[0]
        return request
    except HandshakeError:
        return None
    return None
