"""What an endpoint needs of whatever carries its bytes, and what it has without."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["NO_TRANSPORT", "Transport"]


class Transport(Protocol):
    """Carry bytes out for an `Endpoint`, and keep its senders apart."""

    @property
    def guard(self) -> AbstractContextManager[object]:
        """Held while a frame is encoded and put into the outbox; never while it is sent."""

    def written(self) -> Any:
        """Take note that the outbox grew: send it now, or soon. What it returns `send` returns."""

    @property
    def fragments(self) -> AbstractContextManager[object]:
        """Held while a message is sent in fragments: entering it waits for one's turn."""

    def now(self) -> float:
        """Return the time in seconds of a monotonic clock."""


class _NoTransport:
    """Leave the outbox to whoever drives the session by hand."""

    def __init__(self) -> None:
        self.guard = self

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...

    def written(self) -> None: ...

    @property
    def fragments(self) -> AbstractContextManager[object]:
        return self

    def now(self) -> float:
        return 0.0


NO_TRANSPORT: Transport = _NoTransport()
