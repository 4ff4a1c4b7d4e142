"""A socket as the blocking driver wants it: read with a timeout, write all or fail.

`PlainChannel` leaves both timeouts to the kernel, so that a read is one system call.
`TLSChannel` keeps two threads out of one OpenSSL object, which cannot take that.

One thread reads, one at a time writes, and any may close. A socket's number can belong to
another connection as soon as it is closed, so that `close` wakes whoever is in `recv` or
`send`, and the last one out closes.
"""

from __future__ import annotations

import _socket
import errno
import select
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

__all__ = ["DONT_WAIT", "JOIN_LIMIT", "LINGER", "PlainChannel", "TLSChannel", "open_channel"]

# A join costs less than a second system call up to about this size.
JOIN_LIMIT = 128 * 1024
# sendmsg takes at most this many pieces.
MAX_PIECES = 1024
# 0 where there is none: Windows.
DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
# How long a connection that we ended is read on, so that the peer can read our Close frame.
LINGER = 2.0

# What a stand-in for a socket may lack, or raise where a socket raises OSError.
_HARMLESS = (OSError, RuntimeError, AttributeError)
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# The network's ways to lose a connection that Python does not call a ConnectionError.
_LOST = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENOTCONN})


class PlainChannel:
    """Wrap a TCP or Unix socket; of a stand-in only ``recv`` is required."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.write_timeout: float | None = None
        self.read_timeout: float | None = None
        self._patient = False
        self._signalled = False
        self._reading = False
        self._sending = False
        self._closed = False
        self._ending = threading.Lock()

    def set_timeouts(self, read: float | None, write: float | None) -> None:
        """Let `recv` raise TimeoutError after ``read`` seconds, and `send` after ``write``
        seconds in which the peer took nothing."""
        self.read_timeout = read
        self.write_timeout = write
        sock = self.sock
        if _has_kernel_timeouts(sock):
            sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(read))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(write))
            # After a signal Python begins the read again, with the whole timeout (PEP 475), so that
            # frequent signals would keep the timers from their turn. Signals come to the main thread.
            here = threading.current_thread() is threading.main_thread()
            self._signalled = here and read is not None and issubclass(type(sock), _socket.socket)
        elif hasattr(sock, "settimeout"):
            # One timeout for both directions, which may be much too short for writing.
            sock.settimeout(read)
            self._patient = isinstance(sock, socket.socket)

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end."""
        self._reading = True
        try:
            if self._closed:
                return b""
            if self._signalled:
                self._wait(False, self.read_timeout)
            data: bytes = self.sock.recv(size)
            return data
        except BlockingIOError:
            raise TimeoutError("timed out") from None
        except OSError as error:
            if error.errno in _LOST:
                raise _lost(error) from error
            raise
        finally:
            self._reading = False
            self._leave()

    def recv_now(self, size: int) -> bytes | None:
        """Return what is there, without waiting; None if that is nothing."""
        self._reading = True
        try:
            return b"" if self._closed else bytes(self.sock.recv(size, DONT_WAIT))
        except _NOT_NOW:
            return None
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise ConnectionAbortedError(error.errno, str(error)) from error
        finally:
            self._reading = False
            self._leave()

    def send(self, pieces: list[bytes]) -> None:
        """Send all of it."""
        self._sending = True
        try:
            if self._closed:
                raise OSError(errno.EBADF, "the socket was closed here")
            self._send(pieces)
        finally:
            self._sending = False
            self._leave()

    @property
    def can_send_now(self) -> bool:
        """Whether `send_now` can be used: on a socket of the system's own."""
        return DONT_WAIT != 0 and _has_kernel_timeouts(self.sock)

    def send_now(self, piece: memoryview) -> int:
        """Send what the kernel takes without a wait; return how many bytes that were."""
        self._sending = True
        try:
            if self._closed:
                raise OSError(errno.EBADF, "the socket was closed here")
            return self._send_now(piece)
        except _NOT_NOW:
            return 0
        except ValueError as error:
            raise OSError(errno.EBADF, str(error)) from error
        finally:
            self._sending = False
            self._leave()

    def _send_now(self, piece: memoryview) -> int:
        return int(self.sock.send(piece, DONT_WAIT))

    def _send(self, pieces: list[bytes]) -> None:
        try:
            if len(pieces) == 1:
                self._send_all(pieces[0])
            elif sum(map(len, pieces)) <= JOIN_LIMIT or not hasattr(self.sock, "sendmsg") or self._patient:
                self._send_all(b"".join(pieces))
            else:
                self._gather(pieces)
        except BlockingIOError:
            raise self._too_slow() from None

    def _too_slow(self) -> TimeoutError:
        time = "" if self.write_timeout is None else f" for {self.write_timeout:g} s"
        return TimeoutError(f"the peer took nothing{time}")

    def _send_all(self, data: bytes | memoryview) -> None:
        if not self._patient:
            self.sock.sendall(data)
            return
        view, since = memoryview(data), monotonic()
        while view:
            try:
                view = view[self.sock.send(view) :]
                since = monotonic()
            except TimeoutError:
                if self.write_timeout is not None and monotonic() - since >= self.write_timeout:
                    raise self._too_slow() from None

    def _gather(self, pieces: list[bytes]) -> None:
        for start in range(0, len(pieces), MAX_PIECES):
            batch = pieces[start : start + MAX_PIECES]
            sent = self.sock.sendmsg(batch)
            for piece in batch:
                if sent < len(piece):
                    self._send_all(memoryview(piece)[sent:] if sent else piece)
                    sent = 0
                else:
                    sent -= len(piece)

    def _wait(self, writes: bool, timeout: float | None) -> None:
        number = self.sock.fileno()
        if number < 0:
            raise OSError(errno.EBADF, "the socket was closed here")
        if sys.platform == "win32":
            wanted: tuple[list[int], list[int]] = ([], [number]) if writes else ([number], [])
            ready: Any = any(select.select(*wanted, [], timeout))
        else:
            poll = select.poll()
            poll.register(number, select.POLLOUT if writes else select.POLLIN)
            ready = poll.poll(None if timeout is None else max(timeout, 0) * 1000)
        if not ready:
            raise TimeoutError("timed out")

    def pending(self) -> bool:
        """Tell whether bytes wait above the socket, where a selector does not see them."""
        return False

    # Ending

    def hang_up(self, linger: float = LINGER) -> None:
        """End our half, and read on until the peer has ended its own, for a bounded time:
        closing at once could destroy the Close frame that is on its way to the peer."""
        self._shut(socket.SHUT_WR)
        deadline = monotonic() + linger
        while (left := deadline - monotonic()) > 0:
            self.set_timeouts(left, left)
            if not self.recv(65536):
                break

    def stop_reading(self) -> None:
        """Let whoever waits in `recv` see the end."""
        with suppress(*_HARMLESS), self._ending:
            self._shut(socket.SHUT_RD)

    def cut(self) -> None:
        """End the connection at once; whoever waits in `recv` or `send` wakes up."""
        with suppress(*_HARMLESS), self._ending:
            self._shut(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection at once, and close the socket as soon as nobody uses it."""
        self._closed = True
        self.cut()
        self._leave()

    def _leave(self) -> None:
        """Close the socket if that is wanted and nobody is left who uses it."""
        if self._closed and not (self._reading or self._sending):
            with suppress(*_HARMLESS), self._ending:
                self.sock.close()

    def _shut(self, how: int) -> None:
        if hasattr(self.sock, "shutdown"):
            self.sock.shutdown(how)


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
            if isinstance(error, ssl.SSLError) or error.errno in _LOST:
                raise _lost(error) from error
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
        # The peer may not have said good-bye yet, or still send: what it sends is no matter any more.
        with self._lock, suppress(ssl.SSLError, ValueError):
            self.sock.unwrap()
        self._shut(socket.SHUT_WR)
        deadline = monotonic() + linger
        self._reading = True
        try:
            while not self._closed and (left := deadline - monotonic()) > 0:
                self._wait(False, left)
                if not socket.socket.recv(self.sock, 65536):
                    break
        finally:
            self._reading = False
            self._leave()

    def _shut(self, how: int) -> None:
        # SSLSocket.shutdown() forgets TLS: whoever reads or sends would go on in plain text.
        socket.socket.shutdown(self.sock, how)


def open_channel(sock: Any) -> PlainChannel:
    """Wrap a socket in the channel that fits it."""
    return TLSChannel(sock) if isinstance(sock, ssl.SSLSocket) else PlainChannel(sock)


def _has_kernel_timeouts(sock: Any) -> bool:
    """Tell whether the kernel does the waiting: not after gevent's monkey patching, nor on Windows."""
    return isinstance(sock, _socket.socket) and sys.platform != "win32"


def _lost(error: OSError) -> ConnectionError:
    """Call a lost connection by that name, so that nobody takes it for a bug."""
    return ConnectionAbortedError(errno.ECONNABORTED, str(error))


def _timeval(seconds: float | None) -> bytes:
    whole = int(seconds or 0)
    micro = int(((seconds or 0) - whole) * 1_000_000)
    if seconds is not None and not (whole or micro):
        micro = 1000
    return struct.pack("@ll", whole, micro)
