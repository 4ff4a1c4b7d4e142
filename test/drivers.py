"""Three ways to run a row of `test/cases.py`: by hand, in memory, over a socket pair."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from test.cases import Case, Event
from test.chunking import Seen, frames
from ws4py_ng.endpoint import Ending, Endpoint
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import DEFAULT_LIMITS, Limits
from ws4py_ng.messaging import PongControlMessage
from ws4py_ng.streaming import Stream
from ws4py_ng.transports.memory import Clock, MemoryTransport, run
from ws4py_ng.websocket import WebSocket


class Recorder(WebSocket):
    """Take note of the hooks, in order."""

    def __init__(self, sock: Any = None) -> None:
        super().__init__(sock)
        self.events: list[Event] = []
        self.errors: list[Exception] = []

    def opened(self) -> None:
        self.events.append(("opened",))

    def received_message(self, message: Any) -> None:
        assert message.completed
        self.events.append(("text", str(message)) if message.is_text else ("binary", message.data))

    def ponged(self, pong: PongControlMessage) -> None:
        self.events.append(("ponged", pong.data))

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.events.append(("closed", code, reason))

    def unhandled_error(self, error: Exception) -> None:
        self.errors.append(error)


class RowRecorder(Recorder):
    """Do as a row says when the connection is open."""

    case: Case

    def opened(self) -> None:
        super().opened()
        self.case.opened(self)


class Result(NamedTuple):
    """Hold what a run of a row has shown."""

    events: list[Event]
    out: list[Seen]
    ending: Ending | None
    errors: list[Exception]


def as_role(endpoint: Endpoint, role: str, limits: Limits = DEFAULT_LIMITS, deflate: bool = False) -> None:
    """Make an endpoint one of a server or a client, behind the opening handshake."""
    if role == "client":
        endpoint._stream = Stream(always_mask=True, expect_masking=False)
    factory = PerMessageDeflateFactory()
    agreed = factory.accept(factory.offer())
    assert agreed is not None
    extension = agreed[1] if role == "server" else factory.confirm(agreed[0])
    if isinstance(endpoint, WebSocket):
        endpoint._configure(limits, [extension] if deflate else [])


def recorder(case: Case, role: str, sock: Any = None) -> RowRecorder:
    """Make an endpoint for a row."""
    endpoint = RowRecorder(sock)
    endpoint.case = case
    as_role(endpoint, role, case.limits, case.deflate)
    return endpoint


def by_hand(case: Case, role: str, chunks: Sequence[bytes]) -> Result:
    """Drive the session with nothing between it and us."""
    endpoint = recorder(case, role)
    session = endpoint.session()
    out = b""
    ending = None
    try:
        step = next(session)
        for chunk in (*chunks, b""):
            assert isinstance(step, int)
            assert step >= 1
            out += endpoint.bytes_to_send()
            step = session.send(chunk)
        raise AssertionError("the session goes on behind the end of the stream")
    except StopIteration as stop:
        ending = stop.value
    out += endpoint.bytes_to_send()
    return Result(endpoint.events, frames(out, masked=role == "client"), ending, endpoint.errors)


def in_memory(case: Case, role: str, chunks: Sequence[bytes]) -> Result:
    """Drive it as `ws4py_ng.testing.pair` does."""
    endpoint = recorder(case, role)
    transport = MemoryTransport(endpoint, Clock())
    run(transport.start())
    out = b""
    for chunk in (*chunks, b""):
        run(transport.feed(chunk))
        out += transport.take()
    return Result(endpoint.events, frames(out, masked=role == "client"), transport.ending, endpoint.errors)


_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="row")


def over_sockets(case: Case, role: str, chunks: Sequence[bytes]) -> Result:
    """Let `WebSocket.run` serve one end of a socket pair in a thread.

    A socket pair of packets delivers each chunk by itself, without any waiting; a stream, for
    rows that are too long for its buffer, may join them.
    """
    kind = socket.SOCK_SEQPACKET if sum(map(len, chunks)) <= 1000 else socket.SOCK_STREAM
    mine, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with mine:
        endpoint = recorder(case, role, theirs)
        transport: Any = endpoint._transport
        done = _worker.submit(endpoint.run)
        _send(mine, chunks)
        out = b"".join(iter(lambda: mine.recv(1 << 20), b""))
    done.result()
    return Result(endpoint.events, frames(out, masked=role == "client"), transport.ending, endpoint.errors)


def _send(sock: socket.socket, chunks: Sequence[bytes]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        for chunk in chunks:
            sock.sendall(chunk)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
