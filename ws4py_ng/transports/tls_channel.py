"""A socket with TLS as the blocking driver wants it: two threads are kept out of one OpenSSL object."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from contextlib import suppress

from .channels import DONT_WAIT, LINGER, LOST, PlainChannel, lost

__all__ = ["TLSChannel"]


class TLSChannel(PlainChannel):
    """Wrap an SSLSocket: one thread at a time inside OpenSSL, and none waits there."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._lock = threading.Lock()

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """See `PlainChannel.set_timeouts`."""
        self.sock.setblocking(False)
        self.read_timeout = read
        self.write_timeout = write

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end."""
        self._reading = True
        try:
            return self._recv(size)
        except OSError as error:
            if isinstance(error, ssl.SSLError) or error.errno in LOST:
                raise lost(error) from error
            raise
        finally:
            self._reading = False
            self._leave()

    def _recv(self, size: int) -> bytes:
        while not self._closed:
            try:
                # Not recv(): on a socket without TLS that goes on in plain text.
                with self._lock:
                    return bytes(self.sock.read(size))
            except ssl.SSLWantReadError:
                writes = False
            except ssl.SSLWantWriteError:
                writes = True
            except (ssl.SSLEOFError, ValueError):
                break
            self._wait(writes, self.read_timeout)
        return b""

    def _send(self, pieces: list[bytes]) -> None:
        view = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        while view:
            try:
                with self._lock:
                    view = view[self.sock.write(view) :]
                continue
            except ssl.SSLWantWriteError:
                writes = True
            except ssl.SSLWantReadError:
                writes = False
            except ValueError as error:
                raise OSError(errno.EBADF, str(error)) from error
            try:
                self._wait(writes, self.write_timeout)
            except TimeoutError:
                raise self._too_slow() from None

    @property
    def can_send_now(self) -> bool:
        """Whether `send_now` can be used: when the connection is served."""
        return DONT_WAIT != 0 and self.sock.gettimeout() == 0

    def _send_now(self, piece: memoryview) -> int:
        with self._lock:
            return int(self.sock.write(piece))

    def pending(self) -> bool:
        """Tell whether OpenSSL holds bytes that the socket does not show."""
        with self._lock:
            return bool(self.sock.pending())

    def hang_up(self, linger: float = LINGER) -> None:
        """Say good-bye in TLS, and read on while something comes."""
        self.sock.setblocking(False)
        self.end_tls()
        super().hang_up(linger)

    def end_tls(self) -> None:
        """Say good-bye in TLS (RFC 8446 6.1), on a socket that does not block."""
        # The peer may not have said good-bye yet, or still send: what it sends is no matter any more.
        # Whoever closes the socket meanwhile waits, as its descriptor could be another connection's next.
        with self._lock, self._ending, suppress(OSError, ValueError):
            self.sock.unwrap()

    def _recv_rest(self, timeout: float) -> bytes:
        # Below TLS, which is at an end.
        self._reading = True
        try:
            self._wait(False, timeout)
            return socket.socket.recv(self.sock, 65536)
        finally:
            self._reading = False
            self._leave()

    def _shut(self, how: int) -> None:
        # SSLSocket.shutdown() forgets TLS: whoever reads or sends would go on in plain text.
        socket.socket.shutdown(self.sock, how)
