"""The client for threads: one thread reads, any thread may send.

    with connect("ws://localhost:9000/") as ws:
        ws.send("hello")
        print(ws.receive(timeout=5))

`WebSocketClient` is to be subclassed instead: its hooks are called as messages come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..receiving import BlockingReceiver
from . import HeaderSource, WebSocketBaseClient
from .block import BlockingBlock

__all__ = ["Connection", "WebSocketClient", "connect"]


class WebSocketClient(WebSocketBaseClient):
    """Connect, and be served by a thread of its own.

    ``connect()`` returns when the handshake is done; the hooks are called in the thread.
    ``run_forever()`` waits for the end. Parameters: see `WebSocketBaseClient`.
    """

    _strict = True

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        heartbeat_freq: float | None = None,
        ssl_options: Mapping[str, Any] | None = None,
        headers: HeaderSource | None = None,
        exclude_headers: Iterable[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, protocols, extensions, heartbeat_freq, ssl_options, headers, exclude_headers, **options)
        self._th = threading.Thread(target=self._run, name="WebSocketClient", daemon=True)
        self._running = threading.Lock()
        self._running.acquire()
        self._has_run = False  # the lock alone does not tell: who was interrupted behind acquire() holds it

    def _run(self) -> None:
        try:
            self.run()
        finally:
            self._has_run = True
            self._running.release()

    @property
    def daemon(self) -> bool:
        """Whether the program may end while the thread runs."""
        return self._th.daemon

    @daemon.setter
    def daemon(self, flag: bool) -> None:
        self._th.daemon = flag

    def handshake_ok(self) -> None:
        """Start the thread."""
        try:
            self._th.start()
        except RuntimeError:
            self._give_up()
            raise

    def run_forever(self) -> None:
        """Wait until the connection has ended and `closed` has returned; Ctrl-C gets through."""
        while self._th.ident is not None and not self._ends_within(1.0):
            pass

    def _ends_within(self, seconds: float) -> bool:
        # Not by join(): before Python 3.13, a Ctrl-C in there makes it take the thread for ended. Nor by an
        # Event, whose lock it may leave in disorder.
        if self._running.acquire(timeout=seconds):
            self._running.release()
        return self._has_run


class Connection(BlockingBlock, BlockingReceiver, WebSocketClient):
    """Send and receive at will; made by `connect`. A thread of its own reads, and answers Pings."""


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Connect and return the `Connection`; as a context manager it closes at the end.

    Parameters: see `WebSocketBaseClient`. Raises what `WebSocketBaseClient.connect` does.
    """
    ws = Connection(url, protocols, **options)
    ws.connect()
    return ws
