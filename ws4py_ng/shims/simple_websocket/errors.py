"""What simple-websocket raises."""

from __future__ import annotations

from ...codes import NO_STATUS_RECEIVED

__all__ = ["ConnectionClosed", "ConnectionError", "SimpleWebsocketError"]


class SimpleWebsocketError(RuntimeError):
    """Be the base of both."""


class ConnectionError(SimpleWebsocketError):
    """Report a handshake that failed; ``status_code`` is the HTTP status, if there was one."""

    def __init__(self, status_code: int | None = None, reason: str = "") -> None:
        self.status_code = status_code
        super().__init__(f"Connection error: {status_code}" + (f" {reason}" if reason else ""))


class ConnectionClosed(SimpleWebsocketError):
    """Report that the connection is closed: ``reason`` is the close code, ``message`` what was said with it."""

    def __init__(self, reason: int = NO_STATUS_RECEIVED, message: str | None = None) -> None:
        self.reason = reason
        self.message = message
        super().__init__(f"Connection closed: {reason} {message or ''}")
