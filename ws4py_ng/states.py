"""The closing handshake as a table (RFC 6455 7.1).

A state says which of the two Close frames has passed. An event is one of them passing,
or the byte stream ending. What the table does not list cannot happen or does not count:
a second Close frame of the peer, data behind it, a second `close()`.
It knows no frames and no bytes.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["NEXT", "Event", "State"]


class State(Enum):
    """Say which Close frames have passed."""

    CONNECTING = "connecting"  # the opening handshake is not done
    OPEN = "open"  # neither
    CLOSING = "closing"  # ours was sent, theirs is awaited
    PEER_CLOSED = "closed by the peer"  # theirs was read, ours is due
    ENDING = "ending"  # both have passed, or the peer is given up; the transport is to be closed
    CLOSED = "closed"  # the transport is gone

    __hash__ = object.__hash__  # that of Enum is a function of Python, and called at each step


class Event(Enum):
    """Name what moves a connection from one state to the next."""

    OPENED = "the opening handshake succeeded"
    CLOSE_SENT = "we sent a Close frame"
    CLOSE_RECEIVED = "the peer's Close frame was read"
    FAILED = "the connection was failed (RFC 6455 7.1.7)"
    ENDED = "the byte stream ended"

    __hash__ = object.__hash__


NEXT: Final[dict[tuple[State, Event], State]] = {
    (State.CONNECTING, Event.OPENED): State.OPEN,
    (State.CONNECTING, Event.ENDED): State.CLOSED,
    (State.OPEN, Event.CLOSE_SENT): State.CLOSING,
    (State.OPEN, Event.CLOSE_RECEIVED): State.PEER_CLOSED,
    (State.OPEN, Event.FAILED): State.ENDING,
    (State.OPEN, Event.ENDED): State.CLOSED,
    (State.CLOSING, Event.CLOSE_RECEIVED): State.ENDING,
    (State.CLOSING, Event.FAILED): State.ENDING,
    (State.CLOSING, Event.ENDED): State.CLOSED,
    (State.PEER_CLOSED, Event.CLOSE_SENT): State.ENDING,
    (State.PEER_CLOSED, Event.FAILED): State.ENDING,
    (State.PEER_CLOSED, Event.ENDED): State.CLOSED,
    (State.ENDING, Event.ENDED): State.CLOSED,
}
