"""One worker: an asyncio server (on uvloop where that is installed) that does as its parent says.

It answers `/healthz`, and `/metrics` with the figures of all workers, which the parent has; a request for
a WebSocket on these paths is the application's.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import count
from types import ModuleType
from typing import Any

from ..handshake import Headers, Request, Response, is_websocket_request
from ..metrics import CONTENT_TYPE, Meter, metered
from ..pubsub.process import close_process_hub
from ..server.asynciolistener import Listener
from ..server.asyncioserver import serve
from ..websocket import WebSocket
from .control import Control
from .place import Place

__all__ = ["Worker", "health"]

uvloop: ModuleType | None
try:
    import uvloop
except ImportError:
    uvloop = None

# Seconds that the parent may take to ask all workers for their figures.
PATIENCE = 5.0

Answer = Callable[[Request], Response | None]


class Worker:
    """Serve a class at a `Place`, until the parent says so, is gone, or SIGTERM comes.

    ``over`` is how many seconds closing all connections may take (`asyncioserver.Server.shutdown`),
    ``metrics`` whether connections are counted. ``options`` are those of `asyncioserver.serve`.
    """

    def __init__(
        self,
        place: Place,
        handler: type[WebSocket],
        *,
        over: float,
        metrics: bool,
        process_request: Answer | None = None,
        **options: Any,
    ) -> None:
        self._place = place
        self._over = over
        self._meter = Meter() if metrics else None
        self._handler = handler if self._meter is None else metered(handler, self._meter)
        self._process_request = process_request
        self._options = options
        self._slots = [[socket.socket(fileno=number) for number in slot] for slot in _distinct(place.listeners)]
        self._adopted: dict[int, list[Listener]] = {}
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._ids = count()
        self._draining = asyncio.Event()

    def run(self) -> int:
        """Serve; return the exit status."""
        with asyncio.Runner(loop_factory=None if uvloop is None else uvloop.new_event_loop) as runner:
            runner.run(self._main())
        for sock in (each for slot in self._slots for each in slot):
            sock.close()
        close_process_hub()
        return 0

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._draining.set)
        for ours in (signal.SIGINT, signal.SIGHUP):  # of the whole terminal: the parent knows what to do
            loop.add_signal_handler(ours, lambda: None)
        control = await Control.open(socket.socket(fileno=self._place.control))
        own = self._slots[self._place.slot % len(self._slots)]
        server = serve(self._handler, sock=own[0], process_request=self._answer, **self._options)
        self._control, self._server = control, server
        async with server:
            rest = [server.listen_on(own[1:])]
            obeying = asyncio.create_task(self._obey())
            control.send("ready")
            await self._draining.wait()
            for listener in [*rest, *(each for found in self._adopted.values() for each in found)]:
                listener.stop()
            await server.shutdown(self._over)
            control.send("farewell", figures=self._figures())
            obeying.cancel()
            await asyncio.gather(obeying, return_exceptions=True)
        await control.close()

    async def _obey(self) -> None:
        async for message in self._control.messages():
            match message["verb"]:
                case "drain":
                    self._draining.set()
                case "adopt" if not self._draining.is_set():
                    slot = message["slot"]
                    self._adopted[slot] = [self._server.listen_on(self._slots[slot])]
                case "release":
                    for listener in self._adopted.pop(message["slot"], ()):
                        listener.stop()
                case "report":
                    self._control.send("figures", id=message["id"], figures=self._figures())
                case "metrics":
                    asked = self._asked.pop(message["id"], None)
                    if asked is not None and not asked.done():
                        asked.set_result(message["text"])
        self._draining.set()  # the parent is gone

    def _figures(self) -> dict[str, Any] | None:
        return None if self._meter is None else asdict(self._meter.figures(self._server.connections))

    # What is answered by plain HTTP

    def _answer(self, request: Request) -> Response | Awaitable[Response | None] | None:
        given = self._process_request(request) if self._process_request is not None else None
        if given is not None or is_websocket_request(request):
            return given
        path = request.target.partition("?")[0]
        if path == "/healthz":
            return health(not self._draining.is_set())
        if path == "/metrics" and self._meter is not None:
            return self._metrics()
        return None

    async def _metrics(self) -> Response:
        number = next(self._ids)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self._control.send("ask", id=number)
        try:
            text = await asyncio.wait_for(asked, PATIENCE)
        except TimeoutError:
            return _plain(503, "The parent of the workers does not answer\n")
        finally:
            self._asked.pop(number, None)
        return Response(200, Headers([("Content-Type", CONTENT_TYPE)]), body=text.encode())


def health(serves: bool) -> Response:
    """Answer a health check."""
    return _plain(200, "ok\n") if serves else _plain(503, "draining\n", ("Retry-After", "1"))


def _plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, Headers([("Content-Type", "text/plain; charset=utf-8"), *headers]), body=text.encode())


def _distinct(slots: list[list[int]]) -> list[list[int]]:
    """Name each descriptor once: where all slots share their sockets, there is one."""
    return [slot for index, slot in enumerate(slots) if slot not in slots[:index]]
