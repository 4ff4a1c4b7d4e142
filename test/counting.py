"""Count what work costs: system calls, calls of functions, memory. No clock is looked at."""

from __future__ import annotations

import gc
import select
import socket
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from test.drivers import as_role
from ws4py_ng.endpoint import Endpoint
from ws4py_ng.limits import Limits
from ws4py_ng.websocket import WebSocket

MIB = 1024 * 1024
LIMITS = Limits(max_message_size=64 * MIB, max_fragments=1 << 20, ping_interval=None)


class Echo(WebSocket):
    """Send back what comes."""

    def received_message(self, message: Any) -> None:
        self.send(message.data, message.is_binary)


class Sink(WebSocket):
    """Note how long the messages are."""

    def __init__(self, sock: Any = None) -> None:
        super().__init__(sock)
        self.sizes: list[int] = []

    def received_message(self, message: Any) -> None:
        self.sizes.append(len(message.data))


@contextmanager
def system_calls() -> Iterator[Counter[str]]:
    """Count the calls of methods of sockets and of what waits for them, in this thread.

    The methods of C are seen through the profiler, whoever calls them: none of the tested code
    knows that it is counted.
    """
    seen: Counter[str] = Counter()
    kinds = (socket.socket, select.poll().__class__, *((select.epoll,) if hasattr(select, "epoll") else ()))
    names = {"recv", "recv_into", "recvmsg", "send", "sendall", "sendmsg", "sendto", "poll", "select"}

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in names:
            owner = getattr(function, "__self__", None)
            if isinstance(owner, kinds) or (owner is select and function is select.select):
                seen[function.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def calls(work: Callable[[], object]) -> int:
    """Count the functions that are called, those of Python and of C."""
    count = 0

    def note(frame: FrameType, event: str, function: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@contextmanager
def memory() -> Iterator[None]:
    """Trace memory; what is garbage already does not count."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def peak(work: Callable[[], object]) -> int:
    """Return how many bytes more were held, at most, while something was done; within `memory`."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    work()
    _, most = tracemalloc.get_traced_memory()
    return most - before


def session_of(endpoint: Endpoint, role: str = "server", deflate: bool = False) -> Generator[Any, Any, Any]:
    """Begin a session by hand."""
    as_role(endpoint, role, LIMITS, deflate)
    session = endpoint.session()
    step = next(session)
    assert isinstance(step, int)
    return session


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """Cut bytes into pieces of a size."""
    return (data[start : start + size] for start in range(0, len(data), size))
