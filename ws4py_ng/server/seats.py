"""How many WebSockets may be open at once, where the server that they came from counts them no longer."""

from __future__ import annotations

import threading
from weakref import ref

from ..websocket import WebSocket
from .answers import full

__all__ = ["MAX_CONNECTIONS", "Seats"]

MAX_CONNECTIONS = 10_000


class Seats:
    """Let so many WebSockets in, and keep none of them alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[int, ref[WebSocket]] = {}  # by id(), as not all can be hashed

    def take(self, ws: WebSocket, most: int) -> None:
        """Let a WebSocket in. Raises HandshakeError (503) when ``most`` are open."""
        with self._lock:
            if len(self._taken) >= most:
                # Only here those who have left are looked for.
                self._taken = {key: seat for key, seat in self._taken.items() if _is_open(seat())}
            if len(self._taken) >= most:
                raise full(most)
            self._taken[id(ws)] = ref(ws)


def _is_open(ws: WebSocket | None) -> bool:
    return ws is not None and not ws.terminated
