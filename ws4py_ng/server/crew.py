"""Who serves the WebSockets that WSGI servers have handed over: one crew for each process.

Those of threaded servers are in a manager's thread, those of gevent and eventlet in their
greenlets. Their server does not know them any more, so that they are closed with 1001 here,
when the process ends.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from ..codes import DRAIN_REASON, GOING_AWAY
from ..manager import WebSocketManager
from .answers import draining

__all__ = ["CREW_KEY", "Crew", "close_all", "crew_of"]

logger = logging.getLogger("ws4py_ng")

# Where a server of ours that has a crew of its own puts it into the environ.
CREW_KEY = "ws4py_ng.crew"
# How long the end of the process waits for peers to answer a Close frame.
PATIENCE = 3.0
# How often a server is asked whether it stops, which it does not tell.
LOOK = 0.5

Stopping = Callable[[], bool]


class Crew:
    """Serve WebSockets until `close_all`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # By what each is to be served that will be answered by a 101 now: its kit, None for the manager.
        self._opening: list[ModuleType | None] = []
        self._manager: WebSocketManager | None = None
        self._greenlets: dict[int, tuple[Any, ModuleType]] = {}  # by id(), as not all can be hashed
        self._closed = False
        self._watched = False

    def __len__(self) -> int:
        manager = self._manager
        return len(self._greenlets) + (0 if manager is None else len(manager))

    @contextmanager
    def opening(self, kit: ModuleType | None) -> Iterator[None]:
        """Enclose the answer to a request until its WebSocket is served: `close_all` waits for that,
        as nobody else knows a connection that is open for its peer already.

        Raises HandshakeError (503) when no more are to be opened.
        """
        with self._changed:
            if self._closed:
                raise draining()
            self._opening.append(kit)
        try:
            yield
        finally:
            with self._changed:
                self._opening.remove(kit)
                self._changed.notify_all()

    def manage(self, ws: Any, stopping: Stopping | None = None) -> None:
        """Let the manager's thread serve a WebSocket, which is `opening`.

        As soon as ``stopping`` says that the server waits for its connections to end, all are closed.
        """
        manager = None
        with suppress(RuntimeError):  # at the end of the interpreter no thread can be started
            manager = self._running_manager()
            if stopping is not None and not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, args=(stopping,), name="WebSocket crew", daemon=True).start()
        if manager is None or not manager.is_alive():
            ws.close(GOING_AWAY, DRAIN_REASON)
            ws.terminate()
            return
        manager.add(ws)

    def _running_manager(self) -> WebSocketManager:
        with self._changed:
            if self._manager is None:
                manager = WebSocketManager()
                # Nothing else would let the interpreter come to its end, which is when we close.
                manager.daemon = True
                manager.start()
                self._manager = manager
            return self._manager

    def _watch(self, stopping: Stopping) -> None:
        while not stopping():
            time.sleep(LOOK)
        self.close_all()

    def serve_here(self, ws: Any, kit: ModuleType, stopping: Stopping | None = None) -> None:
        """Serve a WebSocket, which is `opening`, in the running greenlet, to its end; ``stopping`` as
        for `manage`."""
        self._greenlets[id(ws)] = ws, kit
        if stopping is not None and not self._watched:
            self._watched = True
            kit.watch(stopping, self.close_all)
        try:
            if self._closed:
                ws.close(GOING_AWAY, DRAIN_REASON)
            kit.serve(ws)
        finally:
            del self._greenlets[id(ws)]

    def close_all(self, patience: float = PATIENCE) -> None:
        """Close every WebSocket with 1001, and wait a moment for the peers; serve no more."""
        with self._changed:
            self._closed = True
            kits = {kit for kit in self._opening if kit is not None}
        for kit in kits:
            self._close_greenlets(kit, patience)
        with self._changed:
            self._changed.wait_for(lambda: None not in self._opening, patience)
            manager = self._manager
        if manager is not None and manager.is_alive():
            manager.stop()
            if manager is not threading.current_thread():
                manager.join(patience)

    def _close_greenlets(self, kit: ModuleType, patience: float) -> None:
        kit.close_all([ws for ws, its_kit in self._greenlets.values() if its_kit is kit])
        kit.wait_until(lambda: kit not in self._opening, patience)
        for ws, _ in list(self._greenlets.values()):
            ws.close_connection()
            call_off = getattr(ws, "_call_off", None)  # of what a function serves, which may not heed that
            if call_off is not None:
                call_off()
        kit.wait_until(lambda: kit not in self._opening, LOOK)


_crew = Crew()


def crew_of(environ: dict[str, Any]) -> Crew:
    """Return the crew of the server that a request came to, or that of this process."""
    own = environ.get(CREW_KEY)
    return own if isinstance(own, Crew) else _crew


def close_all() -> None:
    """Close every WebSocket that this process has taken over with 1001.

    It is called at the end of the process by itself. For those who end it otherwise, as by
    ``os._exit``: gunicorn's hook ``worker_exit`` may call it as well.
    """
    _crew.close_all()


def _begin_anew() -> None:
    """Forget in a forked process what is its parent's."""
    global _crew
    _crew = Crew()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
