"""The pollers of a manager: each tells what is ready, and waits when nothing is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from ws4py_ng import manager as module
from ws4py_ng.manager import EPollPoller, KQueuePoller, SelectPoller, best_poller


@pytest.fixture(params=[EPollPoller, SelectPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Any]:
    found = request.param(timeout=0.01)
    yield found
    found.release()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_a_poller_reports_what_can_be_read(poller: Any, pair: Any) -> None:
    poller.register(pair[0].fileno())
    poller.register(pair[0].fileno())
    assert [] == list(poller.poll())
    pair[1].send(b"x")
    assert [pair[0].fileno()] == list(poller.poll())
    poller.unregister(pair[0].fileno())
    poller.unregister(pair[0].fileno())
    assert [] == list(poller.poll())


def test_a_poller_reports_what_can_be_written(poller: Any, pair: Any) -> None:
    poller.register_writer(pair[0].fileno())
    poller.register_writer(pair[0].fileno())
    assert [pair[0].fileno()] == list(poller.poll())
    poller.unregister(pair[0].fileno())
    assert [] == list(poller.poll())


def test_a_poller_can_be_used_again_after_release(poller: Any, pair: Any) -> None:
    pair[1].send(b"x")
    poller.register(pair[0].fileno())
    poller.release()
    begun = monotonic()
    assert [] == list(poller.poll())
    assert 0.009 <= monotonic() - begun
    poller.unregister(pair[0].fileno())
    poller.register(pair[0].fileno())
    assert [pair[0].fileno()] == list(poller.poll())


def test_select_names_the_descriptor_that_is_closed_and_waits_without_any(pair: Any) -> None:
    poller = SelectPoller(timeout=0.01)
    assert [] == poller.poll()
    closed, other = socket.socketpair()
    fd = closed.fileno()
    poller.register(pair[0].fileno())
    poller.register(fd)
    closed.close()
    other.close()
    assert [fd] == poller.poll()


def test_select_refuses_a_descriptor_that_it_cannot_take() -> None:
    with pytest.raises(ValueError, match="below 1024, got 1024: use EPollPoller"):
        SelectPoller().register(1024)


class FakeKQueue:
    """Play a kqueue: what was changed, and events for what is registered."""

    def __init__(self) -> None:
        self.closed = False
        self.registered: set[tuple[int, str]] = set()

    def close(self) -> None:
        self.closed = True
        self.registered.clear()

    def control(self, changes: Any, count: int, timeout: float | None = None) -> list[Any]:
        if self.closed:
            raise ValueError("I/O operation on closed kqueue object")
        for fd, kind, flags in changes or ():
            if flags == "add":
                self.registered.add((fd, kind))
            elif (fd, kind) not in self.registered:
                raise FileNotFoundError
            else:
                self.registered.remove((fd, kind))
        return [SimpleNamespace(ident=fd) for fd, _ in sorted(self.registered)][:count]


@pytest.fixture
def bsd(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "KQ_FILTER_READ": "read",
        "KQ_FILTER_WRITE": "write",
        "KQ_EV_ADD": "add",
        "KQ_EV_DELETE": "delete",
    }
    fake = SimpleNamespace(kqueue=FakeKQueue, kevent=lambda *event: event, **names)
    monkeypatch.setattr(module, "select", fake)


@pytest.mark.usefixtures("bsd")
def test_kqueue_is_a_poller_as_the_others_are() -> None:
    poller = best_poller(0.001)
    assert isinstance(poller, KQueuePoller)
    poller.register(7)
    poller.register_writer(8)
    assert [7, 8] == poller.poll()
    poller.unregister(7)
    poller.unregister(7)
    assert [8] == poller.poll()
    poller.release()
    assert [] == poller.poll()
    poller.unregister(8)
    poller.register(9)
    assert [9] == poller.poll()


def test_the_best_poller_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(best_poller(), EPollPoller)
    monkeypatch.setattr(module, "select", SimpleNamespace())
    assert isinstance(best_poller(0.5), SelectPoller)
