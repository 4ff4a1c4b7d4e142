"""Rows of the contract: trio, server and client."""

from __future__ import annotations

import queue
import threading
from typing import Any

import trio

from ws4py_ng.client.trioclient import WebSocketClient, connect
from ws4py_ng.server.trioserver import Server, serve

from .contract import ClientRow, Options, Row, RunningClient, RunningServer, ServerRow
from .diary import WAIT
from .handlers import client_class, note_failure, routes, tag_of
from .rows_threads import client_options, server_options
from .scripts import SCRIPTS, follow_async

__all__ = ["ROWS"]


class _Server:
    def __init__(self, options: Options) -> None:
        self._started: queue.SimpleQueue[Server | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=[options], name="contract trio", daemon=True)
        self._thread.start()
        started = self._started.get(timeout=WAIT)
        if isinstance(started, BaseException):
            raise started
        self.server = started
        self.address: Any = started.address

    def _run(self, options: Options) -> None:
        try:
            trio.run(self._serve, options)
        except BaseException as error:
            self._started.put(error)
            raise

    async def _serve(self, options: Options) -> None:
        async with serve(routes("tasks"), "127.0.0.1", 0, **server_options(options)) as server:
            self._token = trio.lowlevel.current_trio_token()
            self._stop = trio.Event()
            self._started.put(server)
            await self._stop.wait()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._token.run_sync_soon(self._stop.set)
            self._thread.join(WAIT)
            assert not self._thread.is_alive(), "trio does not end"


class TrioServer(ServerRow):
    """`server.trioserver`."""

    functions = True
    name = "trio"
    needs = ("trio",)
    async_hooks = True
    send_blocks = False

    def start(self, options: Options) -> RunningServer:
        return _Server(options)


async def _connect(hooks: str, url: str, options: Options) -> None:
    try:
        client = client_class(hooks, WebSocketClient)(url, **client_options(options))
        await client.run()
    except Exception as error:  # noqa: BLE001 - the case judges it
        note_failure(url, error)


async def _pull(script: str, url: str, options: Options) -> None:
    async with connect(url, **client_options(options)) as ws:
        await follow_async(SCRIPTS[script](tag_of(url)), ws, trio.sleep)


class _Client:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._thread = threading.Thread(target=trio.run, args=[function, *arguments], daemon=True)
        self._thread.start()

    def wait(self, seconds: float = WAIT) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the client does not end"


class TrioClient(ClientRow):
    """`client.trioclient`."""

    name = "trio"
    needs = ("trio",)
    async_hooks = True
    send_blocks = False
    pulls = True

    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        return _Client(_connect, hooks, url, options)

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        return _Client(_pull, script, url, options)


ROWS: list[Row] = [TrioServer(), TrioClient()]
