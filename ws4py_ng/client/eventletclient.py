"""The client for eventlet: one greenlet reads, any greenlet may send or receive.

    with connect("ws://localhost:9000/") as ws:
        ws.send("hello")
        print(ws.receive(timeout=5))

`WebSocketClient` is ws4py's: its `receive` returns None at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..receiving import BlockingReceiver
from ..transports import eventlet_kit
from .block import BlockingBlock
from .greenlets import GreenletBase, GreenletClient

__all__ = ["Connection", "WebSocketClient", "connect"]


class _Greenlet(GreenletBase):
    """Be served by the greenlet ``_th``."""

    _kit = eventlet_kit
    _carrier = "eventlet"
    _th: Any = None

    def handshake_ok(self) -> None:
        """Start the greenlet."""
        self._th = eventlet_kit.eventlet.spawn(self.run)

    def run_forever(self) -> None:
        """Wait until the connection has ended and `closed` has returned."""
        self._th.wait()


class WebSocketClient(_Greenlet, GreenletClient):
    """Connect, and be served by the greenlet ``_th``.

    ``receive()`` returns a message, and None at the end; so does iterating.
    """


class Connection(BlockingBlock, BlockingReceiver, _Greenlet):
    """Send and receive at will; made by `connect`. A greenlet of its own reads, and answers Pings."""


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Connect and return the `Connection`; as a context manager it closes at the end.

    Parameters: see `WebSocketBaseClient`. Raises what `WebSocketBaseClient.connect` does.
    """
    ws = Connection(url, protocols, **options)
    ws.connect()
    return ws
