"""The load generator: raw sockets, so that it favours nobody. It checks every byte of every answer."""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import ssl
import time
from typing import Protocol

from .setup import Setup

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
PATIENCE = 60.0


class Plan(Protocol):
    """Say what is sent, and check what comes."""

    most: int

    def prepare(self, count: int) -> None: ...
    def end_of(self, count: int) -> int: ...
    def piece(self, start: int, end: int) -> memoryview: ...
    def take(self, data: memoryview) -> int: ...
    def finish(self) -> None: ...


def request(port: int, offer: str = "") -> bytes:
    """Make the request of a handshake."""
    extensions = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
    return (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY.decode()}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    ).encode()


def connect(setup: Setup, offer: str = "") -> tuple[socket.socket, str]:
    """Connect and shake hands; return the socket and the extensions that were agreed on."""
    sock = socket.create_connection(("127.0.0.1", setup.port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if setup.certificate is not None:
        context = ssl.create_default_context(cafile=setup.certificate)
        context.check_hostname = False
        sock = context.wrap_socket(sock)
    sock.sendall(request(setup.port, offer))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One by one at the end: nothing behind the head is taken.
        got = sock.recv(1 if len(head) > 100 else 64)
        if not got:
            raise ConnectionError(f"the server hung up in the handshake, after {head!r}")
        head += got
    accept = base64.b64encode(hashlib.sha1(KEY + GUID).digest())
    if not head.startswith(b"HTTP/1.1 101") or accept not in head:
        raise ConnectionError(f"the handshake failed: {head!r}")
    extensions = [
        line.partition(":")[2].strip()
        for line in head.decode("latin-1").split("\r\n")
        if line.lower().startswith("sec-websocket-extensions:")
    ]
    return sock, ", ".join(extensions)


def converse(sock: socket.socket, plan: Plan, count: int, window: int) -> float:
    """Send ``count`` messages, of which ``window`` are on their way at most; return the seconds it took.

    More are sent when half of the window has been answered: how many of them come to the server
    at once does not depend on who is faster.
    """
    plan.prepare(count)
    if window == 1:
        return _one_by_one(sock, plan, count)
    sock.setblocking(False)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    buffer = memoryview(bytearray(min(plan.most, 256 * 1024)))
    sent = answered = 0
    allowed = min(window, count)
    end, total = plan.end_of(allowed), plan.end_of(count)
    begun = time.perf_counter()
    while answered < count:
        moved = False
        if sent < end:
            done = _send(sock, plan.piece(sent, end))
            sent += done
            moved = done > 0
        got = _receive(sock, buffer)
        if got:
            moved = True
            answered = plan.take(buffer[:got])
            if answered >= allowed - window // 2 and sent >= end and sent < total:
                allowed = min(answered + window, count)
                end = plan.end_of(allowed)
        if not moved:
            poll.modify(sock, select.POLLIN | (select.POLLOUT if sent < end else 0))
            if not poll.poll(PATIENCE * 1000):
                raise TimeoutError(f"{answered} of {count} messages were answered, then none for {PATIENCE} s")
    took = time.perf_counter() - begun
    sock.settimeout(PATIENCE)
    plan.finish()
    return took


def _send(sock: socket.socket, piece: memoryview) -> int:
    try:
        return sock.send(piece)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0


def _receive(sock: socket.socket, buffer: memoryview) -> int:
    try:
        got = sock.recv_into(buffer)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0
    if not got:
        raise ConnectionError("the server hung up")
    return got


def _one_by_one(sock: socket.socket, plan: Plan, count: int) -> float:
    sock.settimeout(PATIENCE)
    buffer = memoryview(bytearray(min(plan.most, 256 * 1024)))
    begun = time.perf_counter()
    for number in range(count):
        sock.sendall(plan.piece(plan.end_of(number), plan.end_of(number + 1)))
        while plan.take(buffer[: _receive(sock, buffer)]) <= number:
            pass
    took = time.perf_counter() - begun
    plan.finish()
    return took


class Audience:
    """Many connections that get what one of them has sent."""

    def __init__(self, setup: Setup, size: int) -> None:
        self._poll = select.epoll()
        self._by_fd: dict[int, socket.socket] = {}
        try:
            for _ in range(size):
                sock, _ = connect(setup)
                self._by_fd[sock.fileno()] = sock
                sock.setblocking(False)
                self._poll.register(sock, select.EPOLLIN)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Audience:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def hear(self, frame: bytes, expected: bytes) -> None:
        """Send a frame on the first connection, and wait until everybody has got it."""
        next(iter(self._by_fd.values())).sendall(frame)
        missing = dict.fromkeys(self._by_fd, expected)
        while missing:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"{len(missing)} of {len(self._by_fd)} connections wait for the broadcast")
            for fd, _ in ready:
                data = self._by_fd[fd].recv(65536)
                rest = missing.get(fd, b"")
                if not data or not rest.startswith(data):
                    raise AssertionError(f"the broadcast came as {data[:20]!r}")
                if len(data) == len(rest):
                    del missing[fd]
                else:
                    missing[fd] = rest[len(data) :]

    def close(self) -> None:
        """Hang up."""
        self._poll.close()
        for sock in self._by_fd.values():
            sock.close()
