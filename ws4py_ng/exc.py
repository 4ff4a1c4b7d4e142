"""Everything that this package raises.

Two kinds, told apart by who is at fault: `ProtocolError` is the peer's and carries
the close code that answers it; every other one is raised at the caller who misused
the API or asked for a connection that cannot be had. Names that ws4py had keep their
meaning.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ConnectionClosed",
    "FrameTooLargeException",
    "HandshakeError",
    "InvalidBytesError",
    "InvalidCloseError",
    "ProtocolError",
    "ProtocolException",
    "StreamClosed",
    "TextFrameEncodingException",
    "UnsupportedFrameTypeException",
    "WebSocketException",
]


class WebSocketException(Exception):
    """Be the base of what goes wrong on a WebSocket."""


class ProtocolException(WebSocketException):
    """Report that the peer broke RFC 6455 (ws4py's name)."""


class ProtocolError(ProtocolException):
    """Report that the peer broke a rule; ``code`` is the close code that answers it.

    Only `Endpoint.session` turns it into a Close frame (RFC 6455 7.1.7).
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class InvalidCloseError(ProtocolError):
    """Report a Close frame with a payload of one byte or a forbidden code (RFC 6455 7.4)."""


class FrameTooLargeException(WebSocketException):
    """Report a frame whose length cannot be built or accepted."""


class UnsupportedFrameTypeException(WebSocketException):
    """Kept so that ws4py programs can import it; never raised."""


class TextFrameEncodingException(WebSocketException):
    """Kept so that ws4py programs can import it; never raised."""


class InvalidBytesError(WebSocketException):
    """Kept so that ws4py programs can import it; never raised."""


class StreamClosed(Exception):
    """Kept so that ws4py programs can import it; never raised."""


class ConnectionClosed(WebSocketException, RuntimeError):
    """Report a send on a WebSocket that is closing or closed, or a receive behind its last message.

    ``code`` and ``reason`` are how it was closed, where that is known: always for a receive. A
    RuntimeError as well, which is what ws4py raised.
    """

    def __init__(self, msg: str, code: int | None = None, reason: str = "") -> None:
        super().__init__(msg)
        self.code = code
        self.reason = reason


class HandshakeError(WebSocketException):
    """Report an opening handshake that failed (RFC 6455 4).

    ``status`` is the HTTP status that the peer gave (client) or gets (server), None when
    there was no HTTP answer at all. ``headers`` are pairs of str, ``body`` is what came
    behind the head, bounded.
    """

    def __init__(
        self,
        msg: str,
        status: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(msg)
        if status is not None and not isinstance(status, int):
            raise TypeError(f"status is {status!r}, expected an int or None")
        if not isinstance(body, bytes):
            raise TypeError(f"body is {type(body).__name__}, expected bytes")
        self.msg = msg
        self.status = status
        self.headers = list(headers)
        self.body = body

    def __str__(self) -> str:
        return self.msg
