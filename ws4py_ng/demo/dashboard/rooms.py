"""The server of the dashboard: a hub with a topic for each room, and one more for how everybody is doing.

What passes is JSON. A page says

    {"do": "hello", "name": "Ada", "policy": "drop_oldest", "max_pending": 1048576}
    {"do": "join", "room": "cellar", "since": "1767225600000-0"}    since: the last offset it has, or null
    {"do": "leave", "room": "cellar"}
    {"do": "ping", "id": 7, "rtt": 1.5}
    {"do": "slow", "policy": "conflate"}                            add a viewer who cannot keep up

and is told ``hello`` (who serves it), ``value``, ``status`` (of each process, once a second), ``pong`` and ``error``.
It runs under every server and transport of the package: no hook is async, and the hub takes any thread.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from math import isfinite
from secrets import token_hex
from typing import Any, ClassVar

from ..._core import BUILD
from ..._version import __version__
from ...codes import TRY_AGAIN_LATER
from ...exc import ConnectionClosed
from ...limits import Limits
from ...messaging import BinaryMessage, TextMessage
from ...pubsub import Bus, Hub, Policy, Presence
from ...websocket import WebSocket
from .producer import Producer
from .slow import SlowViewer

__all__ = ["DEFAULT_ROOMS", "LIMITS", "LIVE_PATH", "Dashboard", "Viewer"]

LIVE_PATH = "/dashboard/live"
DEFAULT_ROOMS = ("cellar", "kitchen", "greenhouse")
STATUS = "~status"
# A minute of two processes, and some more.
HISTORY = 600
KIB = 1024
# What may wait for a page: far more than one comes back to after a while.
MAX_PENDING = 1024 * KIB
# What is in a transport's outbox cannot be conflated any more: keep it short. And who does not even
# read that it is over holds up nobody who stops the server.
LIMITS = Limits(max_outbox=8 * KIB, close_timeout=2.0)
STATUS_EVERY = 1.0
STATUS_PAUSE = 0.1
MAX_LISTED = 50
MAX_NAME = 32
MAX_SLOW = 3
SLOW_SECONDS = 60.0
BUS_PATIENCE = 5.0


class Viewer(WebSocket):
    """Do as one page says; `Dashboard` makes the subclass that is served."""

    dashboard: ClassVar[Dashboard]
    name = "somebody"
    policy = Policy.DROP_OLDEST
    rtt: float | None = None

    def opened(self) -> None:
        """Say who serves."""
        self.dashboard.enter(self)
        self._say(self.dashboard.hello())

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        """Do it, or say what is wrong with it."""
        try:
            order = json.loads(message.data)
            do = {
                "hello": self._hello,
                "join": self._join,
                "leave": self._leave,
                "ping": self._ping,
                "slow": self._slow,
            }
            do[order["do"]](order)
        except ConnectionClosed:
            pass
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            self._say({"is": "error", "text": f"{type(error).__name__}: {error}"[:200]})

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Be forgotten; the hub has forgotten already."""
        self.dashboard.leave(self)

    def _hello(self, order: dict[str, Any]) -> None:
        self.name = str(order["name"])[:MAX_NAME]
        self.policy = Policy(order.get("policy", Policy.DROP_OLDEST))
        patience = min(int(order.get("max_pending", MAX_PENDING)), MAX_PENDING)
        # How everybody is doing: of what is out of date there nobody wants to know.
        hub = self.dashboard.hub
        hub.subscribe(self, STATUS, policy=Policy.CONFLATE, max_pending=patience, replay=False)

    def _join(self, order: dict[str, Any]) -> None:
        room = self.dashboard.check_room(order["room"])
        hub = self.dashboard.hub
        hub.unsubscribe(self, room)  # who joins again wants what it has missed
        # Without a bus that has offsets all that is kept is sent: the page knows what it has.
        hub.subscribe(self, room, policy=self.policy, since=order.get("since") or None)

    def _leave(self, order: dict[str, Any]) -> None:
        self.dashboard.hub.unsubscribe(self, self.dashboard.check_room(order["room"]))

    def _ping(self, order: dict[str, Any]) -> None:
        rtt = order.get("rtt")
        if rtt is not None and not isfinite(rtt := float(rtt)):  # of which every page would be told, in no JSON
            raise ValueError(f"rtt is {rtt}, expected milliseconds")
        self.rtt = None if rtt is None else round(rtt, 2)
        self._say({"is": "pong", "id": order["id"], "time": time.time()})

    def _slow(self, order: dict[str, Any]) -> None:
        self.dashboard.add_slow(self.local_address, Policy(order["policy"]))

    def _say(self, what: dict[str, Any]) -> None:
        # Whoever is served in an event loop could await this: it is a few bytes, and may be ignored.
        self.send(json.dumps(what))


class Dashboard:
    """Serve rooms: ``viewer`` is the WebSocket class, for `LIVE_PATH` and with `LIMITS`.

    ``bus`` shares the rooms with other processes, each of which has a thermometer in each; one that
    keeps what is published, `pubsub.redis.RedisStreamBus`, lets a page have what it missed, from any of
    them. `start` begins to publish, `close` ends. ``rate`` is readings a second, in each room.
    """

    def __init__(self, rooms: Sequence[str] = DEFAULT_ROOMS, bus: Bus | None = None, rate: float = 4.0) -> None:
        self.rooms = tuple(rooms)
        self.viewer = type("Viewer", (Viewer,), {"dashboard": self})
        self._bus_is_here = threading.Event()
        self._wake = threading.Event()
        self.hub = Hub(
            bus,
            history=HISTORY,
            max_pending=MAX_PENDING,
            joined=self.changed,
            left=self._left,
            moved=self._moved,
            stamp=_stamp if bus is not None and bus.ordered else None,
        )
        self._run = token_hex(4)
        self._name = ""
        self._lock = threading.Lock()
        self._viewers: set[Viewer] = set()
        self._parted: deque[dict[str, Any]] = deque(maxlen=5)
        self._slow: list[SlowViewer] = []
        self._slow_number = 0
        self._producer = Producer(self.rooms, rate, self._publish)
        self._status = threading.Thread(target=self._tell, name="status", daemon=True)
        self._closing = False

    def wait_for_bus(self, timeout: float = BUS_PATIENCE) -> bool:
        """Wait until the bus is there: who resumes before that is not sent what was missed."""
        return self.hub.status.bus.connected or self._bus_is_here.wait(timeout)

    def start(self, name: str) -> None:
        """Begin to publish; ``name`` tells this process from others, now and when it is started again."""
        self._name = name
        self._producer.start()
        self._status.start()

    def close(self) -> None:
        """End: the producer, slow viewers of ours, the hub."""
        self._producer.stop()
        with self._lock:
            slow, self._slow, self._closing = self._slow, [], True
        for each in slow:
            each.stop()
        self._wake.set()
        if self._status.ident is not None:
            self._status.join()
        self.hub.close()

    def __enter__(self) -> Dashboard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What viewers want

    def hello(self) -> dict[str, Any]:
        """Say who serves."""
        bus = self.hub.status.bus.name
        process = {"process": self._name, "pid": os.getpid(), "build": BUILD, "version": __version__, "bus": bus}
        return {"is": "hello", "rooms": self.rooms, **process}

    def check_room(self, room: object) -> str:
        """Return a room's name. Raises ValueError if there is none of it."""
        if room not in self.rooms:
            raise ValueError(f"There is no room {room!r:.60}, expected one of {', '.join(self.rooms)}")
        return str(room)

    def enter(self, viewer: Viewer) -> None:
        """List a viewer."""
        with self._lock:
            self._viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Strike out a viewer."""
        with self._lock:
            self._viewers.discard(viewer)
        self.changed()

    def add_slow(self, address: tuple[str, int], policy: Policy) -> None:
        """Let a viewer come who reads slowly, for a minute. Raises ValueError when there are enough of them."""
        with self._lock:
            self._slow = [each for each in self._slow if each.is_alive()]
            if len(self._slow) >= MAX_SLOW or self._closing:
                raise ValueError(f"There are {len(self._slow)} slow viewers already, at most {MAX_SLOW}")
            self._slow_number += 1
            name = f"slow {self._name}/{self._slow_number}"
            slow = SlowViewer(address, LIVE_PATH, name, policy, self.rooms, SLOW_SECONDS)
            self._slow.append(slow)
            slow.start()

    def changed(self, _: object = None) -> None:
        """Tell soon how everybody is doing."""
        self._wake.set()

    # What is published

    def _publish(self, room: str, number: int, at: float, value: float) -> None:
        reading = {"source": self._name, "run": self._run, "n": number, "time": round(at, 3), "value": value}
        self.hub.publish(room, json.dumps({"is": "value", "room": room, **reading}))

    def _left(self, presence: Presence) -> None:
        """Remember for a while whom the hub has put out: who leaves by himself is terminated before that."""
        viewer = presence.websocket
        if presence.topic == STATUS and isinstance(viewer, Viewer) and not viewer.server_terminated:
            with self._lock:
                self._parted.append({"name": viewer.name, "code": TRY_AGAIN_LATER, "time": time.time()})
        self.changed()

    def _moved(self, connected: bool) -> None:
        if connected:
            self._bus_is_here.set()
        self._wake.set()

    def _tell(self) -> None:
        """Publish how this process is doing: once a second, sooner when something changes, not all the time."""
        while not self._closing:
            self.hub.publish(STATUS, json.dumps(self._how_it_is()))
            time.sleep(STATUS_PAUSE)
            self._wake.wait(STATUS_EVERY)
            self._wake.clear()
        self.hub.publish(STATUS, json.dumps({"is": "status", "process": self._name, "ended": True}))

    def _how_it_is(self) -> dict[str, Any]:
        with self._lock:
            viewers, parted = list(self._viewers), list(self._parted)
        status = self.hub.status
        rows = [self._row(each) for each in viewers[:MAX_LISTED]]
        return {
            "is": "status",
            "process": self._name,
            "pid": os.getpid(),
            "count": len(viewers),
            "rooms": {room: len(self.hub.members(room)) for room in self.rooms},
            "viewers": rows,
            "parted": parted,
            "dropped": status.dropped,
            "bus": {"name": status.bus.name, "connected": status.bus.connected, "queued": status.bus.queued},
        }

    def _row(self, viewer: Viewer) -> dict[str, Any]:
        found = self.hub.member_status(viewer)
        waiting, dropped = (found.pending_messages, found.dropped) if found is not None else (0, 0)
        return {
            "name": viewer.name,
            "rtt": viewer.rtt,
            "policy": viewer.policy,
            "waiting": waiting,
            "dropped": dropped,
        }


def _stamp(topic: str, payload: bytes, offset: str) -> bytes | str:
    """Put the offset into what pages are sent, to resume from."""
    return f'{{"offset": "{offset}", {payload.decode()[1:]}'
