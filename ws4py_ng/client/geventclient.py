"""The client for gevent: one greenlet reads, any greenlet may send or `receive`."""

from __future__ import annotations

from typing import Any

from ..transports import gevent_kit
from .greenlets import GreenletClient

__all__ = ["WebSocketClient"]


class WebSocketClient(GreenletClient):
    """Connect, and be served by the greenlet ``_th``.

    ``receive()`` returns a message, and None at the end; so does iterating. Nothing needs to
    be monkey-patched.
    """

    _kit = gevent_kit
    _carrier = "gevent"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._th = gevent_kit.Greenlet(self.run)

    def handshake_ok(self) -> None:
        """Start the greenlet."""
        self._th.start()

    def run_forever(self) -> None:
        """Wait until the connection has ended and `closed` has returned."""
        self._th.join()
