"""A session driven by hand, and endpoints to be driven."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from test.chunking import Seen, frames, wire
from test.drivers import Recorder, as_role
from ws4py_ng.endpoint import Ending, Endpoint
from ws4py_ng.messaging import (
    PongControlMessage,
)


class Hand:
    """Drive a session with nothing between it and us: a server's, unless said otherwise."""

    def __init__(self, endpoint: Endpoint, role: str = "server") -> None:
        self.endpoint = endpoint
        self.masked = role == "server"
        as_role(endpoint, role)
        self.session = endpoint.session()
        self.step: Any = None
        self.ending: Ending | None = None

    def start(self) -> Hand:
        return self._resume(self.session.__next__)

    def feed(self, *pieces: Any) -> Hand:
        return self._resume(self.session.send, wire(pieces, self.masked))

    def end(self) -> Hand:
        return self._resume(self.session.send, b"")

    def throw(self, error: BaseException) -> Hand:
        return self._resume(self.session.throw, error)

    def _resume(self, resume: Callable[..., Any], *args: Any) -> Hand:
        try:
            self.step = resume(*args)
        except StopIteration as stop:
            self.ending = stop.value
        return self

    def wait(self) -> Hand:
        """Wait for the async hooks that are pending, as a driver that has a loop does."""
        while self.ending is None and not isinstance(self.step, int):
            try:
                self.step.send(None)
            except StopIteration:
                self._resume(self.session.send, None)
            except Exception as error:  # noqa: BLE001 - what the hook raised belongs to the session
                self._resume(self.session.throw, error)
            else:
                raise AssertionError("these hooks wait for nothing from outside")
        return self

    @property
    def out(self) -> list[Seen]:
        """What was sent since the last time."""
        return frames(self.endpoint.bytes_to_send(), masked=not self.masked)


def begun(endpoint: Any = None, role: str = "server") -> Any:
    """Return the hand that has begun a session; the endpoint is in it."""
    return Hand(endpoint or Recorder(), role).start()


def closed(endpoint: Any) -> list[Any]:
    """Return the calls of `closed` that an endpoint has seen."""
    return [event for event in endpoint.events if event[0] == "closed"]


class Failing(Recorder):
    """Raise in one hook."""

    def __init__(self, hook: str, error: BaseException) -> None:
        super().__init__()
        self.hook, self.error = hook, error

    def raise_in(self, hook: str) -> None:
        if hook == self.hook:
            raise self.error

    def opened(self) -> None:
        super().opened()
        self.raise_in("opened")

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.raise_in("received_message")

    def ponged(self, pong: PongControlMessage) -> None:
        super().ponged(pong)
        self.raise_in("ponged")

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        super().closed(code, reason)
        self.raise_in("closed")


class Async(Recorder):
    """Have only hooks that are awaited; each says when it ends."""

    async def opened(self) -> None:  # type: ignore[override]
        Recorder.opened(self)
        self.events.append(("done",))

    async def received_message(self, message: Any) -> None:  # type: ignore[override]
        Recorder.received_message(self, message)
        self.events.append(("done",))

    async def ponged(self, pong: PongControlMessage) -> None:  # type: ignore[override]
        Recorder.ponged(self, pong)
        self.events.append(("done",))

    async def closed(self, code: int, reason: bytes | str | None = None) -> None:  # type: ignore[override]
        Recorder.closed(self, code, reason)
        self.events.append(("done",))
