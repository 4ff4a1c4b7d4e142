"""What an endpoint needs of whatever carries its bytes, and what it has without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from ..shared import SharedMessage
    from .sender import Sender

__all__ = ["NO_TRANSPORT", "SENT", "Fragments", "Sent", "Tenant", "Transport"]


class Fragments(Protocol):
    """Keep senders apart while a message is sent in fragments; entered by who sends an iterable."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: Any) -> None: ...

    def wait(self, send: Callable[[], Any], size: int) -> Any:
        """Send a message of so many bytes when the one in progress is complete: wait for that, or
        return what can be awaited."""

    def send(self, pieces: AsyncIterator[bytes], opcode: int) -> Any:
        """Send the pieces of an async iterator as they come, in a task; return what can be awaited.

        Raises TypeError where there is no event loop.
        """


class Guard(Protocol):
    """Be a lock, that of threads or another."""

    def acquire(self) -> object:
        """Wait for it."""

    def release(self) -> None:
        """Let it go."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: Any) -> None: ...


class Transport(Protocol):
    """Carry bytes out for an `Endpoint`, and keep its senders apart."""

    @property
    def guard(self) -> Guard:
        """Held while a frame is encoded and put into the outbox; never while it is sent."""

    def written(self) -> Any:
        """Take note that the outbox grew: send it now, or soon. What it returns `send` returns."""

    @property
    def fragments(self) -> Fragments:
        """Held while a message is sent in fragments: entering it waits for one's turn."""

    def now(self) -> float:
        """Return the time in seconds of a monotonic clock."""

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised, no Exception, ends whoever drives the connection: a thread, a task, the
        program. Else it is a failure of the hook."""

    # For who sends to many, and waits for none of them

    @property
    def home(self) -> object:
        """What all connections of one loop have in common; None if any thread may deal with this one."""

    def call_home(self, callback: Callable[[], object]) -> None:
        """Call a function in the loop's thread: now if this is it, else soon. Raises RuntimeError when it is closed."""

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Send a message that others are sent as well, and wait for nobody; from any thread.

        False if the peer has to catch up first, or a message in fragments to end: then the
        tenants of the connection are told when there is room. Raises ConnectionClosed.
        """

    def push(self) -> None:
        """Send the outbox as far as that needs no waiting, and the rest by and by; from any thread."""


class Tenant(Protocol):
    """Be told what becomes of a connection, in whatever thread that is noticed; must not block nor raise."""

    def has_room(self) -> None:
        """Take note that `Transport.post` may succeed again."""

    def ended(self) -> None:
        """Take note that the connection has ended."""


class Sent:
    """Be what `send` returns where it does not block: await it, or leave it."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


# There is nothing to wait for: the peer keeps up.
SENT: Final = Sent()


class _NoTransport:
    """Leave the outbox to whoever drives the session by hand."""

    def __init__(self) -> None:
        self.guard = self

    def acquire(self) -> None: ...

    def release(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...

    def written(self) -> None: ...

    @property
    def fragments(self) -> Fragments:
        return self

    def wait(self, send: Callable[[], Any], size: int) -> Any:
        raise RuntimeError("send() from within the iterable that is being sent: nobody else could end it")

    def send(self, pieces: AsyncIterator[bytes], opcode: int) -> Any:
        raise TypeError("Cannot send an async iterable: no event loop drives this connection")

    def now(self) -> float:
        return 0.0

    def ends_all(self, error: BaseException) -> bool:
        return True

    home = None

    def call_home(self, callback: Callable[[], object]) -> None:
        callback()

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        return sender._put(message, DEFAULT_LIMITS.max_outbox)

    def push(self) -> None: ...


NO_TRANSPORT: Transport = _NoTransport()
