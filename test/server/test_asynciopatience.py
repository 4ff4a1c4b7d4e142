"""One timer for all who are waited for: who came first is late first, and nobody before his time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ws4py_ng.server.asynciopatience import Patience


class Clock:
    """Stand in for a loop whose time is an argument."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Any:
        clock, timer = self, (when, callback)

        class Handle:
            def cancel(self) -> None:
                clock.timers.remove(timer)

        self.timers.append(timer)
        return Handle()

    def advance(self, to: float) -> None:
        """Let the time pass, and what is due be called."""
        self.now = to
        for timer in [each for each in self.timers if each[0] <= to]:
            self.timers.remove(timer)
            timer[1]()


class Guest:
    def __init__(self, late: list[Guest]) -> None:
        self._late = late

    def too_late(self) -> None:
        self._late.append(self)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: found)
    return found


def test_each_has_the_same_time_by_one_timer(clock: Clock) -> None:
    late: list[Guest] = []
    first, second, third = Guest(late), Guest(late), Guest(late)
    patience = Patience(10)
    patience.wait_for(first)
    clock.advance(104)
    patience.wait_for(second)
    patience.wait_for(third)
    assert 1 == len(clock.timers)
    clock.advance(110)
    assert [first] == late
    patience.forget(second)
    patience.forget(second)
    assert [114] == [when for when, _ in clock.timers]
    clock.advance(114)
    assert [first, third] == late
    assert [] == clock.timers


def test_who_is_forgotten_is_not_late_and_who_comes_later_has_all_his_time(clock: Clock) -> None:
    late: list[Guest] = []
    first, second = Guest(late), Guest(late)
    patience = Patience(10)
    patience.wait_for(first)
    patience.forget(first)
    clock.advance(109)
    patience.wait_for(second)
    clock.advance(110)
    assert [] == late
    clock.advance(119)
    assert [second] == late


def test_without_a_timeout_nobody_is_late(clock: Clock) -> None:
    Patience(None).wait_for(Guest([]))
    assert [] == clock.timers


def test_the_end_leaves_no_timer(clock: Clock) -> None:
    patience = Patience(10)
    patience.wait_for(Guest([]))
    patience.end()
    patience.end()
    assert [] == clock.timers
