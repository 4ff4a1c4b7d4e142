"""An endpoint without a network: what it sends waits in memory, and time passes when told to.

For one thread. Each step of `MemoryTransport` is a generator of the awaitables that async
hooks left: `run` is for hooks that wait for nothing but this connection, `run_async` for
those that need an event loop. It knows no socket and no clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from math import inf
from typing import TYPE_CHECKING, Any

from ..endpoint import NO_TRANSPORT, SENT, Ending, Endpoint, Sent, Step
from ..keepalive import PeerTimeout
from ..states import State
from .fragments import OwnFragments

if TYPE_CHECKING:
    from ..endpoint.sender import Sender
    from ..shared import SharedMessage

__all__ = ["Clock", "MemoryTransport", "Turn", "run", "run_async"]

Turn = Generator[Awaitable[object], None, None]


class Clock:
    """Hold a time, in seconds, that passes only when it is set."""

    def __init__(self, time: float = 0.0) -> None:
        self.time = time


class MemoryTransport:
    """Drive one endpoint by hand.

    `start`, `feed`, `break_off` and `tick` do nothing before they are run. ``need`` is how
    many bytes the session asked for last, ``ending`` how it ended, ``next_tick`` when to
    call `tick` again.
    """

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.need = 0
        self.ending: Ending | None = None
        self.next_tick = -inf
        self.guard = NO_TRANSPORT.guard
        self.fragments = OwnFragments()
        self._session: Generator[Step, Any, Ending] | None = None
        self._ticked = State.CONNECTING
        endpoint._transport = self

    # What an endpoint wants of its transport

    def written(self) -> Sent:
        """Leave the outbox to `take`."""
        return SENT

    def now(self) -> float:
        """Return the time of the clock."""
        return self.clock.time

    def ends_all(self, error: BaseException) -> bool:
        """Say that it does: let whoever drives it see what a hook raised."""
        return True

    home = None

    def call_home(self, callback: Callable[[], object]) -> None:
        """Call a function."""
        callback()

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Leave a message that others are sent as well to `take`, unless much waits for it already."""
        return sender._put(message, self.endpoint._limits.max_outbox)

    def push(self) -> None:
        """Leave the outbox to `take`."""

    # What whoever drives it does

    def take(self) -> bytes:
        """Return what the endpoint has sent since the last time."""
        return self.endpoint.bytes_to_send()

    def start(self) -> Turn:
        """Begin the session, so that `opened` is called; once."""
        if self._session is None and self.ending is None:
            self._session = Endpoint.session(self.endpoint)
            yield from self._resume(self._session.__next__)

    def feed(self, data: bytes) -> Turn:
        """Give the session bytes, none at the end."""
        if self._session is not None:
            yield from self._resume(self._session.send, data)

    def break_off(self, error: Exception) -> Turn:
        """Tell the session what broke."""
        if self._session is not None:
            yield from self._resume(self._session.throw, error)

    def tick(self) -> Turn:
        """Look at the timers if it is time to, or if the endpoint's state has changed."""
        state = self.endpoint._state
        if self._session is None or (self.clock.time < self.next_tick and state is self._ticked):
            return
        self._ticked = state
        try:
            self.next_tick = self.endpoint._tick(self.clock.time)
        except PeerTimeout as error:
            yield from self.break_off(error)

    def _resume(self, resume: Callable[..., Step], *args: Any) -> Turn:
        session = self._session
        assert session is not None
        try:
            step = resume(*args)
            while not isinstance(step, int):
                try:
                    yield step
                except Exception as error:  # noqa: BLE001 - the session's to judge
                    step = session.throw(error)
                else:
                    step = session.send(None)
            self.need = step
        except StopIteration as stop:
            self.ending = stop.value
            self._session = None
            self.next_tick = inf
            terminate = getattr(self.endpoint, "terminate", None)
            if terminate is not None:
                terminate()


def run(turn: Turn) -> None:
    """Run a turn, and async hooks that wait for nothing from outside.

    Raises RuntimeError for a hook that needs an event loop.
    """
    try:
        hook = next(turn)
        while True:
            waiting = hook.__await__()
            try:
                next(waiting)
            except StopIteration:
                hook = next(turn)
            except Exception as error:  # noqa: BLE001 - the session's to judge
                hook = turn.throw(error)
            else:
                break
    except StopIteration:
        return
    getattr(waiting, "close", lambda: None)()
    turn.close()
    raise RuntimeError("A hook waits for what only an event loop can bring: use the methods that are awaited")


async def run_async(turn: Turn) -> None:
    """Run a turn, and await the async hooks in the running loop."""
    try:
        hook = next(turn)
        while True:
            try:
                await hook
            except Exception as error:  # noqa: BLE001 - the session's to judge
                hook = turn.throw(error)
            else:
                hook = next(turn)
    except StopIteration:
        return
