"""Rows of the contract: tornado, server and client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from ws4py_ng.client.tornadoclient import TornadoWebSocketClient, connect
from ws4py_ng.server.tornadoserver import WebSocketHandler, drain

from .contract import ClientRow, Options, Row, RunningClient, RunningServer, ServerRow
from .handlers import client_class, note_failure, routes, tag_of
from .rows_asyncio import LoopThread, RunningCoroutine
from .rows_threads import client_options, server_options
from .scripts import SCRIPTS, follow_async

__all__ = ["ROWS"]


class _Server:
    def __init__(self, options: Options) -> None:
        self._thread = LoopThread(asyncio.new_event_loop)
        self._stopped = False
        self._thread.call(self._start(options))

    async def _start(self, options: Options) -> None:
        arguments: dict[str, Any] = {"handler_cls": routes("tasks"), **server_options(options)}
        self._application = Application([("/.*", WebSocketHandler, arguments)])
        self._server = HTTPServer(self._application, ssl_options=arguments.pop("ssl_context"))
        sockets = bind_sockets(0, "127.0.0.1")
        self.address: Any = sockets[0].getsockname()
        self._server.add_sockets(sockets)

    async def _stop(self) -> None:
        self._server.stop()
        await drain(self._application)
        await self._server.close_all_connections()

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._thread.call(self._stop())
            self._thread.stop()


class TornadoServer(ServerRow):
    """`server.tornadoserver`."""

    functions = True
    name = "tornado"
    needs = ("tornado",)
    async_hooks = True
    send_blocks = False
    leaves_out: ClassVar[Mapping[str, str]] = {
        "a_request_that_does_not_come_is_408": (
            "tornado reads the request; an hour (idle_connection_timeout) is its limit, and it does not answer"
        ),
        "a_head_that_is_too_large_is_431": (
            "tornado reads the head; 64 KiB (max_header_size) is its limit, and it does not answer"
        ),
    }

    def start(self, options: Options) -> RunningServer:
        return _Server(options)


async def _connect(hooks: str, url: str, options: Options) -> None:
    try:
        client = client_class(hooks, TornadoWebSocketClient)(url, **client_options(options))
        await client.connect()
    except Exception as error:  # noqa: BLE001 - the case judges it
        note_failure(url, error)
    else:
        await client.wait_ended()


async def _pull(script: str, url: str, options: Options) -> None:
    async with connect(url, **client_options(options)) as ws:
        await follow_async(SCRIPTS[script](tag_of(url)), ws, asyncio.sleep)


class TornadoClient(ClientRow):
    """`client.tornadoclient`."""

    name = "tornado"
    needs = ("tornado",)
    async_hooks = True
    send_blocks = False
    pulls = True

    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        return RunningCoroutine(_connect(hooks, url, options), asyncio.new_event_loop)

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        return RunningCoroutine(_pull(script, url, options), asyncio.new_event_loop)


ROWS: list[Row] = [TornadoServer(), TornadoClient()]
