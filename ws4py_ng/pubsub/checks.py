"""What a hub refuses of its application: names and bounds that make no sense."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import iscoroutinefunction

from ..endpoint import Endpoint
from .bus import Bus

__all__ = [
    "MAX_TOPIC",
    "check_bus",
    "check_callbacks",
    "check_interval",
    "check_member",
    "check_topic",
    "check_whole",
    "keys_of",
]

# Bytes of a topic's name in UTF-8: NATS hangs up on who says more than 4 KiB in a line, and escaped it is threefold.
MAX_TOPIC = 1024
# Seconds: a day. Who says nothing for three of them is gone, and a thread cannot wait for ever.
MAX_INTERVAL = 86_400


def check_bus(bus: object, stamp: object) -> None:
    """Raise TypeError for what is no bus, ValueError for one without offsets if they are asked for."""
    if bus is not None and (isinstance(bus, type) or not isinstance(bus, Bus)):
        raise TypeError(f"bus is {bus!r:.60}, expected a Bus, such as pubsub.redis.RedisBus(url)")
    if stamp is not None and (bus is None or not bus.ordered):
        raise ValueError("stamp needs a bus with offsets, such as pubsub.redis.RedisStreamBus")


def check_callbacks(**callbacks: object) -> None:
    """Raise TypeError for what cannot be called, and for what would have to be awaited."""
    for name, callback in callbacks.items():
        if callback is not None and (not callable(callback) or iscoroutinefunction(callback)):
            raise TypeError(f"{name} is {callback!r:.60}, expected a function, and no async one: nobody awaits it")


def check_interval(interval: object) -> None:
    """Raise TypeError for what is no number, ValueError for none at which processes could tell that they are alive."""
    if interval is None:
        return
    if not isinstance(interval, int | float):
        raise TypeError(f"presence_interval is {interval!r:.60}, expected a number of seconds")
    if not 0 < interval <= MAX_INTERVAL:
        raise ValueError(f"presence_interval is {interval!r}, expected more than 0 seconds, {MAX_INTERVAL} at most")


def check_member(websocket: object, name: str = "websocket") -> None:
    """Raise TypeError for what is no WebSocket of ours."""
    if not isinstance(websocket, Endpoint):
        raise TypeError(f"{name} is {websocket!r:.60}, expected a WebSocket")


def check_whole(least: int, **settings: object) -> None:
    """Raise TypeError for what is no whole number, ValueError for less than ``least``."""
    for name, value in settings.items():
        if not isinstance(value, int):
            raise TypeError(f"{name} is {value!r:.60}, expected a whole number")
        if value < least:
            raise ValueError(f"{name} is {value!r}, expected {least} or more")


def check_topic(topic: object) -> None:
    """Raise ValueError for what cannot be a topic, on any bus."""
    if not isinstance(topic, str) or not topic:
        raise ValueError(f"A topic is a str that is not empty, got {topic!r:.60}")
    if topic[0] == "\0":
        raise ValueError(f"A topic that begins with NUL is the hub's own, got {topic!r:.60}")
    if not topic.isascii() or len(topic) > MAX_TOPIC:
        size = len(topic.encode("utf-8"))  # UnicodeEncodeError, for half a surrogate pair, is a ValueError
        if size > MAX_TOPIC:
            raise ValueError(f"A topic has at most {MAX_TOPIC} bytes in UTF-8, got {size}: {topic!r:.60}")


def keys_of(exclude: Endpoint | Iterable[Endpoint] | None) -> frozenset[int]:
    """Return what a hub knows members by. Raises TypeError for what is none."""
    if exclude is None:
        return frozenset()
    everybody = (exclude,) if isinstance(exclude, Endpoint) or not isinstance(exclude, Iterable) else tuple(exclude)
    for each in everybody:
        check_member(each, "exclude")
    return frozenset(map(id, everybody))
