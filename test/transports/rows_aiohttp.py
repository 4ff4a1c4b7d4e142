"""Rows of the contract: aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from aiohttp import web

from ws4py_ng.server.aiohttp import websocket_handler

from .contract import Options, Row, RunningServer, ServerRow
from .handlers import routes
from .rows_asyncio import LoopThread
from .rows_threads import server_options

__all__ = ["ROWS"]


class _Server:
    def __init__(self, options: Options) -> None:
        self._thread = LoopThread(asyncio.new_event_loop)
        self._stopped = False
        self._is_secure = options.tls
        self._thread.call(self._start(options))

    async def _start(self, options: Options) -> None:
        arguments = server_options(options)
        context = arguments.pop("ssl_context")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", websocket_handler(routes("tasks"), **arguments))
        self._runner = web.AppRunner(app, shutdown_timeout=options.all_limits.close_timeout)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.address: Any = self._runner.addresses[0]

    async def _stop(self) -> None:
        # Python 3.11 trips over a connection that it accepts just as the listener is closed: have them all accepted.
        if not self._is_secure:
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
        await self._runner.cleanup()

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._thread.call(self._stop())
            self._thread.stop()


class AiohttpServer(ServerRow):
    """`server.aiohttp`."""

    name = "aiohttp"
    needs = ("aiohttp",)
    async_hooks = True
    functions = True
    send_blocks = False
    leaves_out: ClassVar[Mapping[str, str]] = {
        "a_request_that_does_not_come_is_408": "aiohttp reads the request, and closes without an answer",
        "a_head_that_is_too_large_is_431": "aiohttp reads the head; its limit for a header is 8 KiB, its answer 400",
    }

    def start(self, options: Options) -> RunningServer:
        return _Server(options)


ROWS: list[Row] = [AiohttpServer()]
