"""A viewer who cannot keep up: a raw client that takes a few hundred bytes a second.

A browser always reads, so that a page cannot show what happens to those who do not. This can.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from ...messaging import PongControlMessage, TextMessage

__all__ = ["SlowViewer"]

BITE = 256
PAUSE = 0.5
# As small as they can be, so that it is the server's memory in which messages wait, not the kernels'.
RECEIVE_BUFFER = 2048
SEGMENT = 536
TIMEOUT = 5.0
# And what the server keeps for it there.
MAX_PENDING = 32 * 1024


class SlowViewer(threading.Thread):
    """Join all rooms by ``path`` of a server, and read slowly, for ``seconds`` or until `stop` or the end."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        name: str,
        policy: str,
        rooms: Sequence[str],
        seconds: float = float("inf"),
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._address = address
        self._path = path
        hello = {"do": "hello", "name": name, "policy": policy, "max_pending": MAX_PENDING}
        self._say = [hello, *({"do": "join", "room": each} for each in rooms)]
        self._seconds = seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        """Connect, join, and read; whatever ends the connection is the end."""
        until = monotonic() + self._seconds
        with suppress(OSError), socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            if hasattr(socket, "TCP_MAXSEG"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
            sock.settimeout(TIMEOUT)
            sock.connect(self._address)
            sock.sendall(self._request())
            for each in self._say:
                sock.sendall(TextMessage(json.dumps(each)).single(mask=True))
            while sock.recv(BITE) and not self._stopped.wait(PAUSE) and monotonic() < until:
                # A sign of life (RFC 6455 5.5.3): the server's Pings are far behind in what is still unread.
                sock.sendall(PongControlMessage().single(mask=True))

    def stop(self) -> None:
        """End, and wait for that."""
        self._stopped.set()
        self.join()

    def _request(self) -> bytes:
        host, port = self._address
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        return (
            f"GET {self._path} HTTP/1.1\r\nHost: {where}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
