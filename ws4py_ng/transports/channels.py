"""A socket as the blocking driver wants it: read with a timeout, write all or fail.

`PlainChannel` leaves both timeouts to the kernel, so that a read is one system call.
`TLSChannel` keeps two threads out of one OpenSSL object, which cannot take that.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

__all__ = ["PlainChannel", "TLSChannel", "open_channel"]

# A join costs less than a second system call up to about this size.
JOIN_LIMIT = 128 * 1024
# sendmsg takes at most this many pieces.
MAX_PIECES = 1024
# How long a connection that we ended is read on, so that the peer can read our Close frame.
LINGER = 2.0


class PlainChannel:
    """Wrap a TCP or Unix socket; of a stand-in only ``recv`` is required."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.write_timeout: float | None = None

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """Let `recv` raise TimeoutError after ``read`` seconds, and `send` after ``write``
        seconds in which the peer took nothing."""
        self.write_timeout = write
        settimeout = getattr(self.sock, "settimeout", None)
        if settimeout is None:
            return
        if isinstance(self.sock, socket.socket) and sys.platform != "win32":
            settimeout(None)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(read))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(write))
        else:
            settimeout(read)

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end."""
        try:
            data: bytes = self.sock.recv(size)
        except BlockingIOError:
            raise TimeoutError("timed out") from None
        return data

    def send(self, pieces: list[bytes]) -> None:
        """Send all of it."""
        try:
            if len(pieces) == 1:
                self.sock.sendall(pieces[0])
            elif sum(map(len, pieces)) <= JOIN_LIMIT or not hasattr(self.sock, "sendmsg"):
                self.sock.sendall(b"".join(pieces))
            else:
                self._gather(pieces)
        except BlockingIOError:
            raise TimeoutError(f"the peer took nothing for {self.write_timeout:g} s") from None

    def _gather(self, pieces: list[bytes]) -> None:
        for start in range(0, len(pieces), MAX_PIECES):
            batch = pieces[start : start + MAX_PIECES]
            sent = self.sock.sendmsg(batch)
            for piece in batch:
                if sent < len(piece):
                    self.sock.sendall(memoryview(piece)[sent:] if sent else piece)
                    sent = 0
                else:
                    sent -= len(piece)

    def pending(self) -> bool:
        """Tell whether bytes wait above the socket, where a selector does not see them."""
        return False

    def hang_up(self) -> None:
        """End our half, and read on until the peer has ended its own, for a bounded time:
        closing at once could destroy the Close frame that is on its way to the peer."""
        self.sock.shutdown(socket.SHUT_WR)
        deadline = monotonic() + LINGER
        while (left := deadline - monotonic()) > 0:
            self.set_timeouts(left, left)
            if not self.recv(65536):
                break


class TLSChannel(PlainChannel):
    """Wrap an SSLSocket: one thread at a time inside OpenSSL, and none waits there."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._lock = threading.Lock()
        self.read_timeout: float | None = None

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """See `PlainChannel.set_timeouts`."""
        self.sock.setblocking(False)
        self.read_timeout = read
        self.write_timeout = write

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end."""
        while True:
            try:
                with self._lock:
                    return bytes(self.sock.recv(size))
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            except ssl.SSLEOFError:
                return b""
            self._wait(event, self.read_timeout)

    def send(self, pieces: list[bytes]) -> None:
        """Send all of it."""
        view = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        while view:
            try:
                with self._lock:
                    view = view[self.sock.send(view) :]
                continue
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            except ssl.SSLWantReadError:
                event = select.POLLIN
            self._wait(event, self.write_timeout)

    def _wait(self, event: int, timeout: float | None) -> None:
        poll = select.poll()
        poll.register(self.sock, event)
        if not poll.poll(None if timeout is None else max(timeout, 0) * 1000):
            raise TimeoutError("timed out")

    def pending(self) -> bool:
        """Tell whether OpenSSL holds bytes that the socket does not show."""
        with self._lock:
            return bool(self.sock.pending())

    def hang_up(self) -> None:
        """Say good-bye in TLS, and read on while something comes."""
        with self._lock, suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)
        deadline = monotonic() + LINGER
        while (left := deadline - monotonic()) > 0:
            self._wait(select.POLLIN, left)
            if not socket.socket.recv(self.sock, 65536):
                break


def open_channel(sock: Any) -> PlainChannel:
    """Wrap a socket in the channel that fits it."""
    return TLSChannel(sock) if isinstance(sock, ssl.SSLSocket) else PlainChannel(sock)


def _timeval(seconds: float | None) -> bytes:
    whole = int(seconds or 0)
    micro = int(((seconds or 0) - whole) * 1_000_000)
    if seconds is not None and not (whole or micro):
        micro = 1000
    return struct.pack("@ll", whole, micro)
