"""What a driver knows of a capture, and the tap of a connection that is not recorded.

Drivers are not asked whether somebody listens. Where nobody does, nothing is wrapped, and the
handshake, which is not hot, talks to `NO_TAP`.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["NO_TAP", "AnyTap"]


class AnyTap(Protocol):
    """Be what the code that carries bytes knows of a capture; false where nothing is recorded."""

    def __bool__(self) -> bool: ...

    def received(self, data: bytes | memoryview) -> None:
        """Record what was read; nothing is the end."""

    def sent(self, data: bytes | memoryview) -> None:
        """Record what is about to be written."""

    def ended(self) -> None:
        """Record that nothing more is written; once."""

    def failed(self, error: BaseException) -> None:
        """Record what broke the connection."""

    def close(self) -> None:
        """Record that this end has closed; twice is no harm."""


class _NoTap:
    def __bool__(self) -> bool:
        return False

    def received(self, data: bytes | memoryview) -> None: ...

    def sent(self, data: bytes | memoryview) -> None: ...

    def ended(self) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def close(self) -> None: ...


NO_TAP: AnyTap = _NoTap()
