"""The one hub of a process, which whoever serves it has joined to a bus.

    from ws4py_ng.pubsub import process_hub

    hub = process_hub(history=50)

The program is the same for one process, for the workers of `ws4py-ng serve --workers 4`, and for
many hosts with `--bus redis://...`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .bus import Bus
from .hub import Hub

__all__ = ["bus_factory", "close_process_hub", "current_hub", "join_process_hub", "process_hub"]

_lock = threading.Lock()
_hub: Hub | None = None
_make_bus: Callable[[], Bus] | None = None


def process_hub(**options: Any) -> Hub:
    """Return the hub of this process, which is made by the first call, with the options of `Hub` but ``bus``.

    Without a bus (see `join_process_hub`, which `ws4py-ng serve` calls) it is this process' alone. Raises
    RuntimeError for options in a later call.
    """
    global _hub
    with _lock:
        if _hub is None:
            _hub = Hub(None if _make_bus is None else _make_bus(), **options)
        elif options:
            raise RuntimeError(f"The hub of this process is made already, without {', '.join(options)}: say it first")
        return _hub


def current_hub() -> Hub | None:
    """Return the hub of this process if there is one."""
    return _hub


def join_process_hub(make_bus: Callable[[], Bus]) -> None:
    """Say what joins `process_hub` to others, before anybody has asked for it: who serves a program does.

    Raises RuntimeError when the hub is there.
    """
    global _make_bus
    with _lock:
        if _hub is not None:
            raise RuntimeError("The hub of this process is made already, without a bus")
        _make_bus = make_bus


def close_process_hub() -> None:
    """Close the hub of this process, if there is one; the next call of `process_hub` makes another."""
    global _hub
    with _lock:
        hub, _hub = _hub, None
    if hub is not None:
        hub.close()


def bus_factory(url: str) -> Callable[[], Bus]:
    """Return what makes the bus that a URL names.

    ``redis://``, ``rediss://`` and ``redis+unix:///path`` are Redis' pub/sub, with ``streams+`` before that
    its streams; ``nats://`` and ``tls://`` are NATS. Raises ValueError for any other, ModuleNotFoundError
    when the library is not installed, which names the extra.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or not rest:
        raise ValueError(f"bus {url!r}, expected a URL like redis://host, streams+redis://host or nats://host")
    streams = scheme.startswith("streams+")
    scheme = scheme.removeprefix("streams+")
    if scheme in ("redis", "rediss", "redis+unix"):
        with _Extra("redis"):
            from .redis import RedisBus, RedisStreamBus
        kind = RedisStreamBus if streams else RedisBus
        address = f"{scheme.removeprefix('redis+')}://{rest}"
        return lambda: kind(address)
    if scheme in ("nats", "tls") and not streams:
        with _Extra("nats"):
            from .nats import NatsBus
        return lambda: NatsBus(url)
    raise ValueError(f"bus {url!r}: {scheme!r} is none of redis, rediss, redis+unix, nats, tls, nor streams+redis")


class _Extra:
    """Name the extra of a library that is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("ws4py_ng"):
            raise ModuleNotFoundError(
                f"{error.name} is not installed: pip install 'ws4py-ng[{self._name}]'", name=error.name
            ) from error
