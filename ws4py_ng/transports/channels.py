"""A socket as the blocking driver wants it: read with a timeout, write all or fail.

`PlainChannel` leaves both timeouts to the kernel, so that a read is one system call; TLS needs
the `TLSChannel` of `tls_channel`.

One thread reads, one at a time writes, and any may close. A socket's number can belong to
another connection as soon as it is closed, so that `close` wakes whoever is in `recv` or
`send`, and the last one out closes.
"""

from __future__ import annotations

import _socket
import errno
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

__all__ = ["DONT_WAIT", "JOIN_LIMIT", "LINGER", "LOST", "PlainChannel", "is_tls", "lost", "open_channel"]

# A join costs less than to hand over pieces up to about this size.
JOIN_LIMIT = 16 * 1024
# sendmsg takes at most this many pieces.
MAX_PIECES = 1024
# 0 where there is none: Windows.
DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
# How long a connection that we ended is read on, so that the peer can read our Close frame.
LINGER = 2.0

# What a stand-in for a socket may lack, or raise where a socket raises OSError.
_HARMLESS = (OSError, RuntimeError, AttributeError)

# The network's ways to lose a connection that Python does not call a ConnectionError.
LOST = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENOTCONN})


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
        self._ending = threading.RLock()  # a signal handler may end what is just being ended

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
            if error.errno in LOST:
                raise lost(error) from error
            raise
        finally:
            self._reading = False
            if self._closed:
                self._leave()

    def recv_now(self, size: int) -> bytes | None:
        """Return what is there, without waiting; None if that is nothing."""
        self._reading = True
        try:
            return b"" if self._closed else bytes(self.sock.recv(size, DONT_WAIT))
        except OSError as error:
            if _may_come(error):
                return None
            if isinstance(error, ConnectionError):
                raise
            raise ConnectionAbortedError(error.errno, str(error)) from error
        finally:
            self._reading = False
            if self._closed:
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
            if self._closed:
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
        except ValueError as error:
            raise OSError(errno.EBADF, str(error)) from error
        except OSError as error:
            if _may_come(error):
                return 0
            raise
        finally:
            self._sending = False
            if self._closed:
                self._leave()

    def _send_now(self, piece: memoryview) -> int:
        return int(self.sock.send(piece, DONT_WAIT))

    def _send(self, pieces: list[bytes]) -> None:
        try:
            if len(pieces) == 1 and not self._patient:
                self.sock.sendall(pieces[0])
            elif len(pieces) == 1:
                self._send_all(pieces[0])
            elif sum(map(len, pieces)) <= JOIN_LIMIT or not hasattr(self.sock, "sendmsg") or self._patient:
                self._send_all(b"".join(pieces))
            else:
                self._gather(pieces)
        except BlockingIOError:
            raise self._too_slow() from None
        except AttributeError:
            if hasattr(self.sock, "sendall"):
                raise
            # A stand-in that only brings data: what is said to it nobody hears.

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
        if not hasattr(select, "poll"):  # Windows, or a program that eventlet has patched
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
        with self._ending:
            self._shut(socket.SHUT_WR)
        deadline = monotonic() + linger
        while not self._closed and (left := deadline - monotonic()) > 0:
            if not self._recv_rest(left):
                break

    def _recv_rest(self, timeout: float) -> bytes:
        """Receive what nobody wants any more, b"" at the end."""
        self.set_timeouts(timeout, timeout)
        return self.recv(65536)

    def forget_now(self) -> bool:
        """Forget what is there, below TLS, without waiting; True when the peer has ended its half, or all of it."""
        self._reading = True
        try:
            return self._closed or not socket.socket.recv(self.sock, 65536, DONT_WAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._reading = False
            if self._closed:
                self._leave()

    def end_writing(self) -> None:
        """Say that nothing more comes from us."""
        with suppress(*_HARMLESS), self._ending:
            self._shut(socket.SHUT_WR)

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


def open_channel(sock: Any) -> PlainChannel:
    """Wrap a socket in the channel that fits it."""
    if is_tls(sock):
        from .tls_channel import TLSChannel  # ssl takes long to import, and is needed by some

        return TLSChannel(sock)
    return PlainChannel(sock)


def is_tls(sock: object) -> bool:
    """Tell whether this is an SSLSocket: not before somebody has imported ssl."""
    if "ssl" not in sys.modules:
        return False
    from ssl import SSLSocket

    return isinstance(sock, SSLSocket)


def _may_come(error: OSError) -> bool:
    """Tell whether an error only says that nothing can be read or sent now."""
    if isinstance(error, BlockingIOError | InterruptedError):
        return True
    if "ssl" not in sys.modules:
        return False
    from ssl import SSLWantReadError, SSLWantWriteError

    return isinstance(error, SSLWantReadError | SSLWantWriteError)


def _has_kernel_timeouts(sock: Any) -> bool:
    """Tell whether the kernel does the waiting: not after gevent's monkey patching, nor on Windows."""
    return isinstance(sock, _socket.socket) and sys.platform != "win32"


def lost(error: OSError) -> ConnectionError:
    """Call a lost connection by that name, so that nobody takes it for a bug."""
    return ConnectionAbortedError(errno.ECONNABORTED, str(error))


def _timeval(seconds: float | None) -> bytes:
    whole = int(seconds or 0)
    micro = int(((seconds or 0) - whole) * 1_000_000)
    if seconds is not None and not (whole or micro):
        micro = 1000
    return struct.pack("@ll", whole, micro)
