"""What a driver for async libraries wants of them: a `Kit`, and a `Channel` to carry a connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["LAST_WORDS", "Channel", "Event", "Kit", "Scope"]

# How long a connection whose task is cancelled may take to say 1001 and to call `closed`.
LAST_WORDS = 1.0


class Event(Protocol):
    """Let one task wait for another."""

    def set(self) -> None:
        """Let them go."""

    async def wait(self) -> object:
        """Wait."""


class Scope(Protocol):
    """Enclose what `cancel` interrupts; whether it did is seen by what did not happen."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: Any) -> bool | None: ...

    def cancel(self) -> None:
        """Interrupt what is awaited inside."""


class Kit(Protocol):
    """Name what the async libraries do each in their own way."""

    def now(self) -> float:
        """Return the time in seconds of a monotonic clock."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Callable[[], object]:
        """Call a function later; return what calls it off."""

    @property
    def home(self) -> object:
        """What all connections of one loop have in common."""

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """Call a function soon, at the request of another thread; raises RuntimeError when all is over."""

    def spawn(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task beside the connection, which ends before the connection does."""

    def event(self) -> Event:
        """Return a new event."""

    def scope(self) -> Scope:
        """Return a scope to be cancelled from outside."""

    async def breathe(self) -> None:
        """Let all others have their turn."""

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised, no Exception, ends more than its connection."""

    def last_words(self) -> AbstractContextManager[object]:
        """Let a task that is cancelled wait inside, for at most LAST_WORDS seconds."""


class Channel(Protocol):
    """Carry a connection's bytes, or its host's events. All of it raises OSError when that broke."""

    async def read(self, size: int) -> Any:
        """Return what came, at most about ``size`` bytes; nothing at the end."""

    async def write(self, pieces: list[Any], moved: Callable[[], object]) -> None:
        """Send, and call ``moved`` whenever something was taken; return when all was."""

    async def hang_up(self, heard_out: bool) -> None:
        """End what we send, and read until the peer has ended as well. ``heard_out``: it has no more to say."""

    def cut_off(self) -> None:
        """End the connection as it is, and whatever waits for it; twice is no harm."""
