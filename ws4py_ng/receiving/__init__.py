"""Receive when you like: `receive`, iteration, pieces, instead of a hook for each message.

`Inbox` holds what came and is not received yet, in bounded memory. `BlockingReceiver` and
`AsyncReceiver` are mixed into a WebSocket, and wait on it. A connection is always read by somebody
of its own, a thread, a greenlet or the loop: so Pings are answered and a Close is noticed while
the program is busy with something else, or only sends. When the inbox is full nothing is read
until there is room (`Limits.max_inbox`): TCP then stops the peer. Pings wait as well meanwhile,
so that a program that receives nothing for long is given up by a peer that pings.
"""

from __future__ import annotations

from .awaited import AsyncReceiver
from .blocking import BlockingReceiver
from .inbox import Inbox
from .stream import PieceStream

__all__ = ["AsyncReceiver", "BlockingReceiver", "Inbox", "PieceStream"]
