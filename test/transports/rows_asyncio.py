"""Rows of the contract: asyncio, server and client, on Python's loop and on uvloop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ws4py_ng.client.asyncioclient import WebSocketClient, connect
from ws4py_ng.server.asyncioserver import Server, serve

from .contract import ClientRow, Options, Row, RunningClient, RunningServer, ServerRow
from .diary import WAIT
from .handlers import client_class, note_failure, routes, tag_of
from .rows_threads import client_options, server_options
from .scripts import SCRIPTS, follow_async

__all__ = ["ROWS", "LoopThread", "RunningCoroutine"]


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
        return await serve(routes("tasks"), "127.0.0.1", 0, **server_options(options))

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._thread.call(self.server.shutdown())
            self._thread.stop()


class AsyncioServer(ServerRow):
    """`server.asyncioserver` on the loop that Python brings."""

    functions = True
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


async def _connect(hooks: str, url: str, options: Options) -> None:
    try:
        client = client_class(hooks, WebSocketClient)(url, **client_options(options))
        await client.connect()
    except Exception as error:  # noqa: BLE001 - the case judges it
        note_failure(url, error)
    else:
        await client.wait_ended()


async def _pull(script: str, url: str, options: Options) -> None:
    async with connect(url, **client_options(options)) as ws:
        await follow_async(SCRIPTS[script](tag_of(url)), ws, asyncio.sleep)


class RunningCoroutine:
    """Run a coroutine in a loop and a thread of their own."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._thread = threading.Thread(target=self._run, args=[coroutine, new_loop], daemon=True)
        self._thread.start()

    def _run(self, coroutine: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.get_loop().slow_callback_duration = WAIT
            runner.run(coroutine)

    def wait(self, seconds: float = WAIT) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the client does not end"


class AsyncioClient(ClientRow):
    """`client.asyncioclient` on the loop that Python brings."""

    name = "asyncio"
    async_hooks = True
    send_blocks = False
    pulls = True

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new loop."""
        return asyncio.new_event_loop()

    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        return RunningCoroutine(_connect(hooks, url, options), self.new_loop)

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        return RunningCoroutine(_pull(script, url, options), self.new_loop)


class UvloopClient(AsyncioClient):
    """The same on uvloop."""

    name = "uvloop"
    needs = ("uvloop",)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        import uvloop

        return uvloop.new_event_loop()


ROWS: list[Row] = [AsyncioServer(), UvloopServer(), AsyncioClient(), UvloopClient()]
