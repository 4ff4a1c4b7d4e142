"""Calls that may be late by a moment share a timer of the loop, and are what its timers are otherwise."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from ws4py_ng.transports import grid
from ws4py_ng.transports.grid import GRID, Grid

who: ContextVar[str] = ContextVar("who", default="nobody")


class Loop:
    """Stand in for a loop whose time is what a test says."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.soon: list[Callable[[], None]] = []
        self.errors: list[dict[str, Any]] = []

    def call_at(self, when: float, call: Callable[..., None], *args: object) -> None:
        self.timers.append((when, lambda: call(*args)))

    def call_soon(self, call: Callable[..., None], *args: object) -> None:
        self.soon.append(lambda: call(*args))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def advance(self, to: float) -> None:
        """Call what is due, and what it wants to be called soon."""
        due = [each for each in self.timers if each[0] <= to]
        self.timers = [each for each in self.timers if each[0] > to]
        self.soon += [call for _, call in due]
        while self.soon:
            self.soon.pop(0)()


@pytest.fixture
def loop() -> Any:
    return Loop()


@pytest.mark.parametrize(
    ("times", "points"),
    [
        ([100.01, 100.25, 100.2], [100.25]),  # never early
        ([100.0, 100.01], [100.0, 100.25]),
        ([100.1, 100.3, 100.1, 107.0], [100.25, 100.5, 107.0]),
    ],
)
def test_all_that_are_due_within_a_moment_share_a_timer(loop: Any, times: list[float], points: list[float]) -> None:
    called: list[float] = []
    shared = Grid()
    for when in times:
        shared.call_at(loop, when, lambda when=when: called.append(when))  # type: ignore[misc]
    assert points == [when for when, _ in loop.timers]
    for point in points:
        loop.advance(point)
        assert sorted(called) == sorted(when for when in times if when <= point)
        assert all(point - GRID < when for when in times if when <= point and called.count(when) == 0)
    assert {} == shared._due


def test_who_has_cancelled_is_not_called(loop: Any) -> None:
    called: list[int] = []
    shared = Grid()
    late = [shared.call_at(loop, 100.0, lambda n=n: called.append(n)) for n in range(3)]  # type: ignore[misc]
    late[1].cancel()
    late[1].cancel()
    loop.advance(100.0)
    assert [0, 2] == sorted(called)
    late[0].cancel()


def test_one_who_is_called_may_cancel_another_and_ask_again(loop: Any) -> None:
    called: list[str] = []
    shared = Grid()
    first = shared.call_at(loop, 100.0, lambda: called.append("first"))

    def last() -> None:
        called.append("last")
        first.cancel()
        shared.call_at(loop, 120.0, lambda: called.append("again"))

    shared.call_at(loop, 100.0, last)  # who came last is called first
    loop.advance(100.0)
    assert ["last"] == called
    loop.advance(120.0)
    assert ["last", "again"] == called


def test_each_is_called_in_the_context_in_which_it_asked(loop: Any) -> None:
    seen: list[str] = []
    shared = Grid()
    for name in ("a", "b"):
        token = who.set(name)
        shared.call_at(loop, 100.0, lambda: seen.append(who.get()))
        who.reset(token)
    loop.advance(100.0)
    assert ["a", "b"] == sorted(seen)


def test_one_that_fails_is_reported_and_the_others_are_called(loop: Any) -> None:
    called: list[int] = []
    shared = Grid()
    for n in range(3):
        shared.call_at(loop, 100.0, lambda n=n: called.append(1 // n))  # type: ignore[misc]
    loop.advance(100.0)
    assert [0, 1] == sorted(called)
    assert [ZeroDivisionError] == [type(each["exception"]) for each in loop.errors]


def test_what_ends_the_program_loses_none_of_the_others(loop: Any) -> None:
    called: list[str] = []
    shared = Grid()
    shared.call_at(loop, 100.0, lambda: called.append("other"))

    def interrupted() -> None:
        raise KeyboardInterrupt

    shared.call_at(loop, 100.0, interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.advance(100.0)
    loop.advance(100.0)
    assert ["other"] == called


def test_thousands_who_are_due_at_once_let_others_have_their_turn(loop: Any) -> None:
    called: list[int] = []
    shared = Grid()
    for n in range(3 * grid.BATCH):
        shared.call_at(loop, 100.0, lambda n=n: called.append(n))  # type: ignore[misc]
    (_, call), *_ = loop.timers
    for turn in range(1, 4):
        call()
        assert turn * grid.BATCH == len(called)
        call = loop.soon.pop() if loop.soon else call
    assert [] == loop.soon
    assert {} == shared._due


def test_there_is_one_of_each_loop_and_it_lasts_as_long() -> None:
    def make() -> weakref.ref[asyncio.AbstractEventLoop]:
        loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
        shared = Grid.of(loop)
        shared.call_at(loop, loop.time() + 100, lambda: loop)  # who waits has the loop
        assert Grid.of(loop) is shared is not Grid.of(other)
        del shared
        assert 1 == len(Grid.of(loop)._due)
        loop.close()
        other.close()
        return weakref.ref(loop)

    gone = make()
    gc.collect()
    assert gone() is None
