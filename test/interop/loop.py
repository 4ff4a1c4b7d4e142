"""An event loop in a thread, for the peers that need one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from test.client.peers import WAIT

T = TypeVar("T")


class Loop:
    """Run coroutines for a thread that has no loop."""

    def __init__(self) -> None:
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name="Loop", daemon=True)

    def __enter__(self) -> Loop:
        self._thread.start()
        self._loop = self._ready.result(WAIT)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._done = asyncio.Event()
        self._ready.set_result(asyncio.get_running_loop())
        await self._done.wait()
        # What a library leaves to be closed some time would be a warning in another test.
        transports: Any = getattr(asyncio.get_running_loop(), "_transports", {})
        for transport in list(transports.values()):
            transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)
