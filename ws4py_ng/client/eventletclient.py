"""The client for eventlet: one greenlet reads, any greenlet may send or `receive`."""

from __future__ import annotations

from typing import Any

from ..transports import eventlet_kit
from .greenlets import GreenletClient

__all__ = ["WebSocketClient"]


class WebSocketClient(GreenletClient):
    """Connect, and be served by the greenlet ``_th``.

    ``receive()`` returns a message, and None at the end; so does iterating.
    """

    _kit = eventlet_kit
    _carrier = "eventlet"
    _th: Any = None

    def handshake_ok(self) -> None:
        """Start the greenlet."""
        self._th = eventlet_kit.eventlet.spawn(self.run)

    def run_forever(self) -> None:
        """Wait until the connection has ended and `closed` has returned."""
        self._th.wait()
