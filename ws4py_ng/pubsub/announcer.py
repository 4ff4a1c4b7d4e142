"""Tell other processes who is here, and hear it of them: a thread, so that nobody waits for the bus.

What changes is said a moment later, in one message for all that has changed until then. `roster` has what
is said, and what becomes of it when some is lost.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any

from .member import Subscription
from .roster import Absentee, Roster

__all__ = ["MAX_INFO", "PRESENCE", "Announcer", "info_for_others"]

logger = logging.getLogger("ws4py_ng")

# The topic on which it is said; no topic of an application begins like this.
PRESENCE = "\0presence"
# Bytes of what is said of one member, as JSON.
MAX_INFO = 1024
# Bytes of one message, beside one member more: what any broker takes.
PORTION = 64 * 1024
# Seconds in which changes come together.
PAUSE = 0.05
# Seconds between two messages that name everybody, at least: whoever asks meanwhile is answered by one.
REST = 0.5
# Who is silent for so many intervals is gone.
LIVES = 3


class Announcer:
    """Speak and listen for the hub ``name``, with a sign of life every ``interval`` seconds.

    ``books`` locks the hub's books, in which ``subscriptions`` are. ``say`` publishes, ``is_heard`` tells
    whether the bus is there, ``tell`` is called with who has joined (True) or left elsewhere.
    """

    def __init__(
        self,
        name: str,
        interval: float,
        *,
        books: Callable[[], AbstractContextManager[None]],
        subscriptions: Callable[[], Iterable[Subscription]],
        say: Callable[[bytes], object],
        is_heard: Callable[[], bool],
        tell: Callable[[bool, Absentee], object],
    ) -> None:
        self._name = name
        self._interval = interval
        self._books = books
        self._subscriptions = subscriptions
        self._publish = say
        self._is_heard = is_heard
        self._tell = tell
        # Of our own, by the lock of the books.
        self._version = 0
        self._joined: list[str] = []
        self._left: list[int] = []
        # Of others, by a lock that whoever tells of an event may hold already.
        self._lock = threading.RLock()
        self._roster = Roster(LIVES * interval)
        self._asks: set[str] = set()
        self._is_asked = False
        self._said = 0  # the version that others were told of last
        self._is_new = True  # to them, as far as we know
        self._here_at = self._state_at = 0.0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ws4py_ng presence", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Say that nobody is here any more, and end."""
        self._closing.set()
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        if self._is_heard():
            self._say("gone")

    # Of our own

    def note(self, subscription: Subscription, is_there: bool) -> None:
        """Remember to tell of a change; the lock of the books is held."""
        self._version += 1
        if is_there:
            self._joined.append(_entry(subscription))
        else:
            self._left.append(subscription.number)
        self._wake.set()

    # Of others

    @property
    def numbers(self) -> tuple[int, int]:
        """How many other processes there are, and members in topics there."""
        with self._lock:
            return self._roster.processes, self._roster.members

    def present(self, topic: str) -> list[Absentee]:
        """Tell who of other processes is in a topic."""
        with self._lock:
            return self._roster.present(topic)

    def hear(self, origin: bytes, raw: bytes) -> None:
        """Take what another process says."""
        process = origin.hex()
        if process == self._name:
            return
        try:
            said: dict[str, Any] = json.loads(raw)
            with self._lock:
                if said["is"] == "ask":
                    self._is_asked |= not said["of"] or self._name in said["of"]
                elif self._roster.hear(process, said, monotonic()):
                    self._asks.add(process)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("What process %s says of its members is passed over: %r", process, error)
        if self._is_asked or self._asks or self._roster.events:
            self._wake.set()

    def bus_moved(self) -> None:
        """Look at the bus."""
        self._wake.set()

    # The thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._tell_events()
            if self._is_heard():
                due = self._speak(monotonic())
            else:
                due = monotonic() + self._interval
                self._hold_back()
            self._wake.wait(max(due - monotonic(), 0.0))
            self._wake.clear()
            self._tell_events()
            self._closing.wait(PAUSE)

    def _hold_back(self) -> None:
        """Keep nothing for a bus that is away: all is said when it is back."""
        with self._books():
            self._joined, self._left = [], []
        self._is_new = True

    def _tell_events(self) -> None:
        """Tell of others in the order in which it was heard, without a lock."""
        with self._lock:
            events, self._roster.events = self._roster.events, []
        for is_there, member in events:
            self._tell(is_there, member)

    def _speak(self, now: float) -> float:
        """Say what there is to say; return when there is more, if nothing happens."""
        with self._lock:
            if self._is_new:
                self._roster.bear_with(now)
            self._roster.expire(now)
            asks, self._asks = sorted(self._asks), set()
            is_asked = self._is_asked and now >= self._state_at
            self._is_asked = self._is_asked and not is_asked
        with self._books():
            joined, self._joined = self._joined, []
            left, self._left = self._left, []
            before, self._said = self._said, self._version
            version = self._version
            size = sum(map(len, joined))
            tells_all = is_asked or size > PORTION or self._is_new
            everybody = [_entry(each) for each in self._subscriptions()] if tells_all else []
        if self._is_new:
            self._say("ask", of="[]")
            self._is_new = False
        elif asks:
            self._say("ask", of=json.dumps(asks))
        if tells_all:
            self._say_all(version, everybody)
            self._state_at = now + min(self._interval / 4, REST)
        elif joined or left:
            self._say("change", **{"from": before}, v=version, joined=_list(joined), left=_list(map(str, left)))
        if now >= self._here_at:
            self._say("here", v=version)
            self._here_at = now + self._interval
        return self._state_at if self._is_asked else self._here_at

    def _say_all(self, version: int, entries: list[str]) -> None:
        portions: list[list[str]] = [[]]
        size = 0
        for entry in entries:
            if size > PORTION:
                portions.append([])
                size = 0
            portions[-1].append(entry)
            size += len(entry)
        for part, portion in enumerate(portions):
            self._say("state", v=version, part=part, of=len(portions), joined=_list(portion))

    def _say(self, kind: str, **values: object) -> None:
        pairs = "".join(f', "{name}": {value}' for name, value in values.items())
        self._publish(f'{{"is": "{kind}"{pairs}}}'.encode())


def info_for_others(info: object) -> str:
    """Return what is said of a member, as JSON. Raises ValueError for what has none, and for too much."""
    try:
        text = json.dumps(info)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"info is told to other processes as JSON: {error}") from error
    if len(text) > MAX_INFO:
        raise ValueError(f"info is {len(text)} bytes as JSON, expected at most {MAX_INFO}")
    return text


def _entry(subscription: Subscription) -> str:
    return f"[{json.dumps(subscription.topic)}, {subscription.number}, {subscription.said}]"


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"
