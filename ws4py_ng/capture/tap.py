"""A tap: told what one connection reads and writes, it records that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from time import monotonic_ns
from typing import Any

from ..exc import HandshakeError
from ..handshake import Request, receive_request
from .redaction import Redaction, Released
from .writing import CaptureFile, Line

__all__ = ["Tap"]

logger = logging.getLogger("ws4py_ng")


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
        # None once both heads are through and frames follow.
        self._redaction: Redaction | None = Redaction(secrets, self._line.by_client)
        # A proxy's threads meet there, one for each direction. A greenlet does not wait for itself.
        self._redacting = threading.RLock()
        self._has_secrets = False
        self._at_end = [False, False]

    def __bool__(self) -> bool:
        return True

    def received(self, data: bytes | memoryview) -> None:
        """Record what was read; nothing is the end."""
        if not data:
            self._end(False)
        elif self._redaction is not None:
            self._redact(False, data)
        elif self._file is not None:
            self._file.chunk(self._line, monotonic_ns(), False, data)

    def sent(self, data: bytes | memoryview) -> None:
        """Record what is about to be written."""
        if not data:
            return
        if self._redaction is not None:
            self._redact(True, data)
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
        self._finish(not self._line.by_client)
        if self._file is not None:
            note = type(error).__name__
            if not (self._has_secrets and isinstance(error, HandshakeError)):  # which quotes what is wrong
                note += f": {error}"
            self._file.end(self._line, monotonic_ns(), False, note)

    def close(self) -> None:
        """Record that this end has closed; twice is no harm."""
        if self._closed:
            return
        self._finish(not self._line.by_client)
        self.ended()
        self._closed = True
        file, self._file = self._file, None
        if file is not None:
            file.leave(self._line)

    def _end(self, outgoing: bool) -> None:
        if self._at_end[outgoing] or self._closed:
            return
        self._at_end[outgoing] = True
        self._finish(outgoing)
        if self._file is not None:
            self._file.end(self._line, monotonic_ns(), outgoing)

    def _redact(self, outgoing: bool, data: bytes | memoryview) -> None:
        """Record a part of a head, or what follows no handshake, once and as it may be."""
        with self._redacting:
            if self._redaction is not None:
                self._write(self._redaction, self._redaction.feed(outgoing, monotonic_ns(), bytes(data)))
            elif self._file is not None:
                self._file.chunk(self._line, monotonic_ns(), outgoing, data)

    def _finish(self, outgoing: bool) -> None:
        """Record what was held back of a direction that has ended."""
        with self._redacting:
            if self._redaction is not None:
                self._write(self._redaction, self._redaction.finish(outgoing))

    def _write(self, redaction: Redaction, released: Released) -> None:
        if released:
            self._open(redaction.request or b"")
        if self._file is not None:
            for outgoing, stamp, data in released:
                self._file.chunk(self._line, stamp, outgoing, data)
        self._has_secrets = redaction.has_secrets
        if redaction.done:
            self._redaction = None

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
