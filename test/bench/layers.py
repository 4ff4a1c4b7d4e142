"""Where the time of a message goes: the same bytes, through more and more of the layers, without any network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ws4py_ng._core import FrameReader
from ws4py_ng.limits import Limits
from ws4py_ng.streaming import Stream
from ws4py_ng.websocket import WebSocket

from .clients.orders import next_order
from .setup import MAX_MESSAGE, Setup
from .table import Entry, both_builds, tabulate
from .wire import BINARY, client_frame

LIMITS = Limits(max_message_size=MAX_MESSAGE, ping_interval=None)
Feed = Callable[[bytes], object]


class Sink(WebSocket):
    """Take a message."""

    def received_message(self, message: Any) -> None:
        """Take it."""


class Echo(WebSocket):
    """Send it back."""

    def received_message(self, message: Any) -> None:
        """Send it back."""
        self.send(message.data, message.is_binary)


def _run(feed: Feed) -> None:
    """Feed as many messages as is asked for, a window at once."""
    word = "ready"
    while (order := next_order(word)) is not None:
        chunk = client_frame(BINARY, b"x" * order.size) * order.window
        for _ in range(order.count // order.window):
            feed(chunk)
        word = "done"


def reader(setup: Setup) -> None:
    """Parse frames."""
    frames = FrameReader(True, MAX_MESSAGE, MAX_MESSAGE)

    def feed(chunk: bytes) -> None:
        frames.feed(chunk)
        while frames.try_frame():
            pass

    _run(feed)


class Calls:
    """Call a hook and a ``send`` that do nothing, as written by whoever uses a library."""

    def received_message(self, message: bytes) -> None:
        """Send it back, to nowhere."""
        self.send(message, True)

    def send(self, payload: bytes, binary: bool = False) -> None:
        """Do nothing."""


def calls(setup: Setup) -> None:
    """Parse frames, and do nothing but to call a hook, which calls ``send``: no library with such a hook costs less."""
    frames = FrameReader(True, MAX_MESSAGE, MAX_MESSAGE)
    nothing = Calls()

    def feed(chunk: bytes) -> None:
        frames.feed(chunk)
        while frames.try_frame():
            nothing.received_message(frames.payload)

    _run(feed)


def stream(setup: Setup) -> None:
    """Make messages of them."""
    messages = Stream(limits=LIMITS)

    def feed(chunk: bytes) -> None:
        messages._reader.feed(chunk)
        while messages.try_message() is not None:
            pass

    _run(feed)


def _session(ws: WebSocket) -> None:
    ws._configure(LIMITS)
    session = ws.session()
    next(session)

    def feed(chunk: bytes) -> None:
        session.send(chunk)
        ws.bytes_to_send()

    _run(feed)


def session(setup: Setup) -> None:
    """Run a session whose hook is empty."""
    _session(Sink())


def echo(setup: Setup) -> None:
    """Run a session whose hook sends the message back."""
    _session(Echo())


LAYERS = tabulate(
    both_builds(
        [
            Entry("ng/1-reader", "test.bench.layers:reader"),
            Entry("ng/1-reader+calls", "test.bench.layers:calls"),
            Entry("ng/2-stream", "test.bench.layers:stream"),
            Entry("ng/3-session", "test.bench.layers:session"),
            Entry("ng/4-echo", "test.bench.layers:echo"),
        ]
    )
)
