"""Give a server's pool back the thread that a conversation holds.

A function that converses within a request keeps its thread until it returns. In a pool of so many
threads so many WebSockets would keep everybody else waiting.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["lend_place"]

_lock = threading.Lock()


def lend_place(host: str) -> Callable[[], None] | None:
    """Let the server's pool have one thread more, as long as a conversation keeps one of it.

    Returns what takes that back; None where threads are not counted. gunicorn's worker for threads has a
    pool of the standard library, whose size can be raised only where that keeps it.
    """
    if host != "gunicorn":
        return None
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    pool = getattr(worker, "tpool", None)
    if not isinstance(pool, ThreadPoolExecutor) or not isinstance(getattr(pool, "_max_workers", None), int):
        return None

    def change(by: int) -> None:
        with _lock:
            pool._max_workers += by

    change(1)
    return lambda: change(-1)
