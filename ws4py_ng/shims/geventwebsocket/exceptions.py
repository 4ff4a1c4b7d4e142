"""What goes wrong on a `WebSocket`."""

from __future__ import annotations

__all__ = ["FrameTooLargeException", "ProtocolError", "WebSocketError"]


class WebSocketError(OSError):
    """Report a connection that is closed: nothing can be sent or received any more."""


class ProtocolError(WebSocketError):
    """Kept for programs that catch it: a peer that breaks the protocol is closed, and `receive` gives None."""


class FrameTooLargeException(ProtocolError):
    """Kept for programs that catch it; see `ProtocolError`."""
