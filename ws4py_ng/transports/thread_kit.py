"""Threads, by the names that `gevent_kit` and `eventlet_kit` have: one thread for each connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..codes import DRAIN_REASON, GOING_AWAY
from .blocking import THREADS
from .cooperative import look_for, look_until

__all__ = ["KIT", "adopt", "close_all", "serve", "wait_until", "watch"]

KIT = THREADS


def adopt(ws: Any) -> None:
    """Leave a WebSocket as it is: it was made for threads."""


def serve(ws: Any) -> None:
    """Serve a WebSocket to its end in this thread."""
    ws.run()


def close_all(websockets: Iterable[Any]) -> None:
    """Close WebSockets with 1001, without waiting for any peer."""
    for ws in websockets:
        ws._part(GOING_AWAY, DRAIN_REASON)


def watch(happens: Callable[[], bool], then: Callable[[], object]) -> None:
    """Call ``then`` as soon as something happens, which nobody tells."""
    threading.Thread(target=look_for, args=(time.sleep, happens, then), daemon=True).start()


def wait_until(happens: Callable[[], bool], timeout: float) -> None:
    """Wait until something happens, or the time is over; others run meanwhile."""
    look_until(time.sleep, happens, timeout)
