"""When to ping, when to give up, when to beat: timers without a clock (RFC 6455 5.5.2).

Whoever drives a connection calls `tick` with the time, in seconds of any monotonic clock,
and learns when to call it next.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import inf

from .limits import Limits

__all__ = ["Keepalive", "PeerTimeout"]

_serial = count()


class PeerTimeout(TimeoutError):
    """Report a peer that did not answer a Ping or a Close in time."""


class Keepalive:
    """Keep the times of one connection; see `Limits` for what they mean.

    ``latency`` is the time from the last Ping to its Pong, in seconds, None before the
    first. ``active`` is set by whoever receives bytes: any byte is a sign of life.
    """

    __slots__ = (
        *("_beat_at", "_close_at", "_give_up_at", "_limits", "_payload", "_ping_at", "_pinged_at"),
        *("active", "beat", "latency"),
    )

    def __init__(self, limits: Limits, beat: float | None = None) -> None:
        self._limits = limits
        self.beat = beat
        self.latency: float | None = None
        self.active = False
        self._payload: bytes | None = None
        self._pinged_at = 0.0
        # When what is due; inf is never, or not known yet.
        self._ping_at = self._beat_at = self._close_at = inf
        # inf when nothing is awaited: an answer came, or there is no timeout.
        self._give_up_at = inf

    def tick(self, now: float, ping: Callable[[bytes], object], pong: Callable[[bytes], object]) -> float:
        """Send what is due by ``ping`` and ``pong``; return when to come again.

        Raises PeerTimeout when the time of the peer is up.
        """
        if self._give_up_at != inf:
            self._check_alive(now)
        interval = self._limits.ping_interval
        if interval is not None:
            if self._ping_at == inf:
                self._ping_at = now + interval
            elif now >= self._ping_at:
                self._ping_at = now + interval
                if self._give_up_at == inf:
                    self._ping(now, ping)
        if self.beat and (self._beat_at == inf or now >= self._beat_at):
            if self._beat_at != inf:
                pong(b"beep")
            self._beat_at = now + self.beat
        return min(self._ping_at, self._beat_at, self._give_up_at)

    def closing(self, now: float) -> float:
        """Wait for the peer's Close frame; return when to come again."""
        if self._give_up_at != inf:
            self._check_alive(now)
        if self._limits.close_timeout is not None:
            if self._close_at == inf:
                self._close_at = now + self._limits.close_timeout
            elif now >= self._close_at:
                raise PeerTimeout(f"The peer did not end the connection within {self._limits.close_timeout:g} s")
        return min(self._close_at, self._give_up_at)

    def ponged(self, payload: bytes, now: float) -> bool:
        """Take a Pong; tell whether it answers a Ping of ours."""
        if payload != self._payload:
            return False
        self.latency = now - self._pinged_at
        self._payload = None
        self._give_up_at = inf
        return True

    def _ping(self, now: float, ping: Callable[[bytes], object]) -> None:
        timeout = self._limits.ping_timeout
        self._give_up_at = inf if timeout is None else now + timeout
        self._pinged_at = now
        self.active = False
        self._payload = b"ng-%d" % next(_serial)
        ping(self._payload)

    def _check_alive(self, now: float) -> None:
        if self.active:
            self._give_up_at = inf
        elif now >= self._give_up_at:
            raise PeerTimeout(f"The peer was silent for {self._limits.ping_timeout:g} s after a Ping")
