"""tornado: an IOStream as the channel of `PullTransport`, or out of the way. The only module that knows tornado."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler, stream_request_body

__all__ = [
    "Application",
    "IOLoop",
    "IOStream",
    "IOStreamChannel",
    "RequestHandler",
    "address_of",
    "dial",
    "secure",
    "stream_request_body",
    "take_out",
]

# Written at once: the peer is known to take something when it has taken this much.
PORTION = 64 * 1024


async def dial(host: str, port: int, unix_path: str | None = None) -> IOStream:
    """Connect to a host, by whichever of its addresses answers first, or to a Unix socket."""
    try:
        if unix_path is None:
            return await TCPClient().connect(host, port)
        stream = IOStream(socket.socket(socket.AF_UNIX))
        try:
            await stream.connect(unix_path)
        except BaseException:
            stream.close()
            raise
    except StreamClosedError as error:
        raise error.real_error or ConnectionRefusedError(f"Cannot connect to {unix_path or host}") from None
    return stream


async def secure(stream: IOStream, context: ssl.SSLContext, server_hostname: str) -> SSLIOStream:
    """Shake hands by TLS. Raises ssl.SSLError, or ConnectionResetError."""
    try:
        return await stream.start_tls(False, context, server_hostname)
    except StreamClosedError as error:
        if isinstance(error.real_error, ssl.SSLError):
            raise error.real_error from None
        raise ConnectionResetError("The peer has left within the TLS handshake") from error.real_error


def take_out(stream: IOStream) -> tuple[socket.socket, bytes] | None:
    """Take the socket out of a stream, with what that has read ahead; it is closed, and may be closed again.

    None where the stream has to stay what it is: TLS, what waits to be sent, a peer that has left.
    """
    if type(stream) is not IOStream or stream.closed() or stream.writing():
        return None
    try:
        # All that is in its buffer; when there is nothing, what the socket has by now.
        reading: Any = stream.read_bytes(stream.max_buffer_size, partial=True)
    except OSError:
        return None
    if stream.closed():
        return None
    leftover: bytes = reading.result() if reading.done() else b""
    stream.set_nodelay(True)
    shell = stream.socket
    stream.io_loop.remove_handler(shell)
    sock = socket.socket(shell.family, shell.type, shell.proto, shell.detach())
    sock.setblocking(False)
    # The shell holds no descriptor any more: whoever closes the stream, now or later, closes nothing.
    stream.close()
    return sock, leftover


def address_of(stream: IOStream, method: str) -> Any:
    """Return an address, ``getsockname`` or ``getpeername``; None when it is not known any more."""
    try:
        address = getattr(stream.socket, method)()
    except (OSError, AttributeError):  # a stream that is closed has no socket
        return None
    return address[:2] if isinstance(address, tuple) else address


def _end_tls_before_closing(stream: SSLIOStream) -> None:
    """Have the stream end TLS, which tornado does not: it closes the socket when the peer has ended it."""
    close = stream.close_fd

    def end_and_close() -> None:
        with suppress(OSError, ValueError):  # ended already, or there is nobody to be told
            stream.socket.unwrap()
        close()

    stream.close_fd = end_and_close  # type: ignore[method-assign]


class IOStreamChannel:
    """Carry bytes over an IOStream that nobody else uses."""

    def __init__(self, stream: IOStream) -> None:
        self._stream = stream
        self._at_eof = False
        if isinstance(stream, SSLIOStream):
            _end_tls_before_closing(stream)
        if not stream.closed() and stream.socket.family in (socket.AF_INET, socket.AF_INET6):
            stream.set_nodelay(True)

    async def read(self, size: int) -> bytes:
        """Return what came."""
        if self._at_eof:
            return b""
        try:
            reading: Any = self._stream.read_bytes(size, partial=True)
            if reading.done():
                # What is there already is returned without a wait: the others have to have a turn as well.
                await asyncio.sleep(0)
            data: bytes = await reading
        except StreamClosedError as error:
            self._at_eof = True
            if isinstance(error.real_error, ConnectionError):
                raise error.real_error from None
            return b""
        return data

    async def write(self, pieces: list[bytes], moved: Callable[[], object]) -> None:
        """Send bytes."""
        data = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        for start in range(0, len(data), PORTION):
            try:
                await self._stream.write(data[start : start + PORTION])
            except StreamClosedError as error:
                raise ConnectionResetError("The connection is closed") from error.real_error
            moved()

    async def hang_up(self, heard_out: bool) -> None:
        """End what we send, and read until the peer has ended as well."""
        if self._at_eof:
            return
        sock: Any = self._stream.socket
        if isinstance(self._stream, SSLIOStream):
            # Sends the end of TLS; that of the peer is read below, by whatever it looks like.
            with suppress(ssl.SSLError, OSError, ValueError):
                sock.unwrap()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        while await self.read(PORTION):
            pass

    def cut_off(self) -> None:
        """Close the stream."""
        self._stream.close()

    def address(self, method: str) -> Any:
        """Return an address, ``getsockname`` or ``getpeername``; None when it is not known any more."""
        return address_of(self._stream, method)
