"""What a program that is measured is told, by its command line, and what it answers."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass

MAX_MESSAGE = 64 * 1024 * 1024


@dataclass(frozen=True)
class Setup:
    """How to serve, or whom to talk to."""

    port: int = 0
    deflate: bool = False
    certificate: str | None = None
    broadcast: bool = False
    hub: bool = False

    def to_json(self) -> str:
        """Write it for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Setup:
        """Read it there."""
        return cls(**json.loads(text))

    def tls(self) -> ssl.SSLContext | None:
        """Make the server's TLS context, or none."""
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        return context

    def listen(self) -> socket.socket:
        """Make the socket to serve on, and say where it is."""
        sock = socket.create_server(("127.0.0.1", self.port), backlog=4096)
        announce(sock.getsockname()[1])
        return sock


Program = Callable[[Setup], None]


def announce(port: int) -> None:
    """Tell the parent where we listen."""
    print(port, flush=True)
