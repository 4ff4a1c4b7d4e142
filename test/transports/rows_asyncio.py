"""Rows of the contract: the asyncio server, on Python's loop and on uvloop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ws4py_ng.server.asyncioserver import Server, serve

from .contract import Options, Row, RunningServer, ServerRow
from .diary import WAIT
from .handlers import ROUTES
from .rows_threads import server_options

__all__ = ["ROWS", "LoopThread"]


class LoopThread:
    """Run an event loop in a thread of its own."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self.loop = self._runner.get_loop()
        # How busy the machine is, is nothing to be logged under -X dev.
        self.loop.slow_callback_duration = WAIT
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="contract loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._runner:
            self._runner.run(self._wait_ended())

    async def _wait_ended(self) -> None:
        await self._ended.wait()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop; return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT)

    def stop(self) -> None:
        """End the loop and the thread."""
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the loop does not end"


class _Server:
    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop], options: Options) -> None:
        self._thread = LoopThread(new_loop)
        self._stopped = False
        self.server: Server = self._thread.call(self._start(options))
        self.address = self.server.address

    async def _start(self, options: Options) -> Server:
        return await serve(ROUTES, "127.0.0.1", 0, **server_options(options))

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._thread.call(self.server.shutdown())
            self._thread.stop()


class AsyncioServer(ServerRow):
    """`server.asyncioserver` on the loop that Python brings."""

    name = "asyncio"
    async_hooks = True
    send_blocks = False

    def start(self, options: Options) -> RunningServer:
        return _Server(asyncio.new_event_loop, options)


class UvloopServer(AsyncioServer):
    """The same on uvloop."""

    name = "uvloop"
    needs = ("uvloop",)

    def start(self, options: Options) -> RunningServer:
        import uvloop

        return _Server(uvloop.new_event_loop, options)


ROWS: list[Row] = [AsyncioServer(), UvloopServer()]
