"""The server that clients are measured with: raw sockets, so that it favours nobody."""

from __future__ import annotations

import socket
import time

from .servers.raw import answer
from .wire import BINARY, FIN, MASKED, head, masked, server_frame

PATIENCE = 60.0


class Answering:
    """Listen, take one client, and answer each of its frames by one of the same length."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> None:
        """Take the client, and shake hands."""
        self._sock, _ = self._listener.accept()
        self._listener.close()
        self._sock.settimeout(PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += self._sock.recv(4096)
        self._sock.sendall(answer(request))

    def serve(self, count: int, size: int) -> float:
        """Answer so many frames; return the seconds it took from the first."""
        opening = head(BINARY, size, True)
        frame_size = len(opening) + 4 + size
        reply = server_frame(BINARY, b"x" * size)
        batch = memoryview(reply * max((1 << 20) // len(reply), 1))
        most = len(batch) // len(reply)
        buffer = bytearray(1 << 20)
        pending = b""
        seen = answered = 0
        begun = 0.0
        while answered < count:
            got = self._sock.recv_into(buffer)
            if not got:
                raise ConnectionError("the client hung up")
            begun = begun or time.perf_counter()
            # Each piece has its head and its bytes checked where a frame begins.
            data = pending + bytes(buffer[:got]) if pending else bytes(buffer[:got])
            complete = len(data) // frame_size
            for start in (0, (complete - 1) * frame_size) if complete else ():
                self._check(data[start : start + frame_size], opening, size)
            pending = data[complete * frame_size :]
            seen += complete
            while answered < seen:
                now = min(seen - answered, most)
                self._sock.sendall(batch[: now * len(reply)])
                answered += now
        if seen != count or pending:
            raise AssertionError(f"the client sent {seen} messages and {len(pending)} bytes, expected {count} messages")
        return time.perf_counter() - begun

    @staticmethod
    def _check(frame: bytes, opening: bytes, size: int) -> None:
        if not frame.startswith(opening):
            raise AssertionError(f"the client sent {frame[:14]!r}, expected {opening!r}")
        assert frame[0] & FIN
        assert frame[1] & MASKED
        key = frame[len(opening) : len(opening) + 4]
        if masked(frame[len(opening) + 4 :], key) != b"x" * size:
            raise AssertionError("the client sent another payload")

    def close(self) -> None:
        """Hang up."""
        self._sock.close()
