"""Members of a hub in memory, each with the peer that reads what it is sent, when it is told to."""

from __future__ import annotations

from typing import Any

from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.testing import Link, pair
from ws4py_ng.websocket import WebSocket

__all__ = ["Person", "Reader"]

# What a memory transport takes before its member is behind: a few short messages.
SMALL = Limits(max_outbox=32, ping_interval=None)


class Reader(WebSocket):
    """Keep what comes, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str | bytes] = []
        self.ending: tuple[int, Any] | None = None

    def received_message(self, message: Any) -> None:
        self.got.append(str(message) if message.is_text else message.data)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.ending = code, reason


class Person:
    """Hold both ends of a connection: ``ws`` is the one that joins hubs."""

    def __init__(
        self, *, limits: Limits = SMALL, deflate: PerMessageDeflateFactory | None = None, role: str = "server"
    ) -> None:
        self.link: Link = pair(Reader, Reader, limits=limits, deflate=deflate)
        self.link.run_until_idle()
        self.ws: Any = getattr(self.link, role)
        self.peer: Any = self.link.client if role == "server" else self.link.server

    def read(self) -> list[str | bytes]:
        """Let the peer read; return what it has got since the last time."""
        self.link.run_until_idle()
        got, self.peer.got = self.peer.got, []
        return got
