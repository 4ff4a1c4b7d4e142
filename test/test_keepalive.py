"""Timers without a clock: every time here is a number in a test."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from ws4py_ng.keepalive import Keepalive, PeerTimeout
from ws4py_ng.limits import Limits


class Timers:
    """Tick a `Keepalive`, and take note of what it sends."""

    def __init__(self, beat: float | None = None, **limits: Any) -> None:
        self.it = Keepalive(Limits(**limits), beat)
        self.sent: list[tuple[str, bytes]] = []
        self.pings = 0

    def tick(self, now: float) -> float:
        return self.it.tick(now, self._ping, lambda data: self.sent.append(("pong", data)))

    def _ping(self, payload: bytes) -> None:
        self.pings += 1
        self.sent.append(("ping", payload))

    @property
    def payload(self) -> bytes:
        """What the last Ping carried."""
        return next(data for kind, data in reversed(self.sent) if kind == "ping")


def test_a_ping_is_due_after_each_interval() -> None:
    timers = Timers()
    assert 120.0 == timers.tick(100)
    assert 120.0 == timers.tick(119.9)
    assert 0 == timers.pings
    assert 140.0 == timers.tick(120)
    assert 1 == timers.pings
    timers.it.ponged(timers.payload, 120.5)
    assert 140.0 == timers.tick(130)
    assert 160.0 == timers.tick(140)
    assert 2 == timers.pings


def test_a_driver_that_comes_late_pings_once() -> None:
    timers = Timers()
    timers.tick(0)
    assert 520.0 == timers.tick(500)
    assert 1 == timers.pings


def test_the_latency_is_that_of_the_last_ping() -> None:
    timers = Timers()
    assert timers.it.latency is None
    for start in (20, 40):
        timers.tick(start - 20)
        timers.tick(start)
        assert timers.it.ponged(timers.payload, start + 0.25)
        assert 0.25 == timers.it.latency


def test_the_latency_is_measured_when_data_came_before_the_pong() -> None:
    timers = Timers()
    timers.tick(0)
    timers.tick(20)
    timers.it.active = True
    timers.tick(21)
    assert timers.it.ponged(timers.payload, 22)
    assert 2 == timers.it.latency


def test_a_pong_that_answers_nothing_is_somebody_elses() -> None:
    timers = Timers()
    assert not timers.it.ponged(b"", 0)
    assert not timers.it.ponged(b"ng-0", 0)
    timers.tick(0)
    timers.tick(20)
    assert not timers.it.ponged(b"other", 21)
    assert timers.it.ponged(timers.payload, 21)
    assert not timers.it.ponged(timers.payload, 22)
    assert 1 == timers.it.latency


def test_pings_of_two_connections_differ() -> None:
    first, second = Timers(), Timers()
    for timers in (first, second):
        timers.tick(0)
        timers.tick(20)
    assert first.payload != second.payload


def test_a_peer_that_stays_silent_is_given_up() -> None:
    timers = Timers(ping_interval=20, ping_timeout=5)
    timers.tick(0)
    assert 25.0 == timers.tick(20)
    assert 25.0 == timers.tick(24.9)
    with pytest.raises(PeerTimeout, match="silent for 5 s after a Ping"):
        timers.tick(25)


def test_any_byte_is_a_sign_of_life() -> None:
    timers = Timers(ping_interval=20, ping_timeout=5)
    timers.tick(0)
    timers.tick(20)
    timers.it.active = True
    assert 40.0 == timers.tick(25)
    assert 45.0 == timers.tick(40)
    with pytest.raises(PeerTimeout):
        timers.tick(45)


def test_a_byte_before_the_ping_is_none() -> None:
    timers = Timers(ping_interval=20, ping_timeout=5)
    timers.tick(0)
    timers.it.active = True
    timers.tick(20)
    with pytest.raises(PeerTimeout):
        timers.tick(25)


def test_a_timeout_longer_than_the_interval_waits_for_one_ping() -> None:
    timers = Timers(ping_interval=10, ping_timeout=25)
    timers.tick(0)
    assert [20.0, 30.0, 35.0] == [timers.tick(now) for now in (10, 20, 30)]
    assert 1 == timers.pings
    with pytest.raises(PeerTimeout):
        timers.tick(35)


def test_without_a_timeout_pings_go_on_and_nobody_is_given_up() -> None:
    timers = Timers(ping_timeout=None)
    assert [20.0, 40.0, 60.0, 80.0] == [timers.tick(now) for now in (0, 20, 40, 60)]
    assert 3 == timers.pings
    assert timers.it.ponged(timers.payload, 61)
    assert 1 == timers.it.latency


def test_without_an_interval_nothing_is_due() -> None:
    timers = Timers(ping_interval=None)
    assert inf == timers.tick(0)
    assert inf == timers.tick(1e9)
    assert [] == timers.sent


def test_a_heartbeat_is_a_pong_beside_the_pings() -> None:
    timers = Timers(beat=8.0)
    assert [8.0, 16.0, 20.0, 24.0] == [timers.tick(now) for now in (0, 8, 16, 20)]
    assert [("pong", b"beep"), ("pong", b"beep"), ("ping", timers.payload)] == timers.sent


def test_closing_is_bounded() -> None:
    timers = Timers(close_timeout=10)
    assert 110.0 == timers.it.closing(100)
    assert 110.0 == timers.it.closing(109.9)
    with pytest.raises(PeerTimeout, match="within 10 s"):
        timers.it.closing(110)


def test_closing_is_never_due_in_the_past() -> None:
    timers = Timers(beat=3.0, close_timeout=100)
    timers.tick(0)
    assert 102.0 == timers.it.closing(2)
    for now in (3, 19, 20, 21, 50, 101):
        assert now < timers.it.closing(now)
    assert [] == timers.sent


def test_a_ping_that_waits_for_its_pong_still_counts_when_closing() -> None:
    timers = Timers(ping_interval=20, ping_timeout=5, close_timeout=100)
    timers.tick(0)
    timers.tick(20)
    assert 25.0 == timers.it.closing(21)
    with pytest.raises(PeerTimeout, match="silent"):
        timers.it.closing(25)


def test_closing_without_a_timeout_waits_for_ever() -> None:
    timers = Timers(close_timeout=None, ping_interval=None)
    assert inf == timers.it.closing(0)
    assert inf == timers.it.closing(1e9)


def test_a_timeout_is_a_timeout() -> None:
    assert issubclass(PeerTimeout, TimeoutError)
