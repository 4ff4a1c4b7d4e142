"""A server for asyncio and uvloop.

async with serve(EchoWebSocket, "127.0.0.1", 9000) as server:
    await server.serve_forever()
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any

from ..capture.settings import CaptureOption
from ..codes import DRAIN_REASON, GOING_AWAY
from ..extensions import PerMessageDeflateFactory
from ..handshake import OriginRule
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.aio import AsyncioTransport
from ..transports.parting import LINGER
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers
from .answers import STRANGERS, draining, full
from .asynciolistener import Listener
from .asynciopatience import Patience
from .asynciovisitor import ProcessRequest, Visitor
from .checks import check_server
from .listening import listen_everywhere, listen_unix

__all__ = ["Server", "serve"]

# How long connections that were cut off, and hooks that were cancelled, may take to end.
CUT_OFF = 1.0
# How many of those who were turned away are given time to read why.
MAX_PARTING = 64
# Where connections are closed one after the other: no slower than this.
CLOSES_PER_SECOND = 200


class Server:
    """Accept connections and serve each in the running loop; made by `serve`.

    As an async context manager it listens from the beginning and calls `shutdown` at the end.
    """

    def __init__(
        self,
        acceptor: Acceptor,
        listen: Callable[[], list[socket.socket]],
        ssl_context: ssl.SSLContext | None = None,
        process_request: ProcessRequest | None = None,
        max_connections: int = 10_000,
    ) -> None:
        self.acceptor = acceptor
        self.ssl_context = ssl_context
        self.process_request = process_request
        self.max_connections = max_connections
        self._listen = listen
        self._listener: Listener | None = None
        self._address: Any = None
        self._visitors: set[Visitor] = set()
        self._parting: dict[Visitor, None] = {}
        self._connections: dict[AsyncioTransport, WebSocket] = {}
        self._patience = Patience(acceptor.limits.open_timeout)
        # Made once for all connections.
        self._on_end, self._on_gone = self._ended, self._gone
        self._draining = False
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def address(self) -> Any:
        """The first address that is listened on: ``(host, port)``, or a path."""
        assert self._address is not None, "the server does not listen yet: await server.start()"
        return self._address[:2] if isinstance(self._address, tuple) else self._address

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.address[1])

    @property
    def connections(self) -> set[WebSocket]:
        """The WebSockets that are open now."""
        return {ws for carrier, ws in self._connections.items() if not carrier.has_ended}

    def __await__(self) -> Generator[Any, None, Server]:
        return self.start().__await__()

    async def __aenter__(self) -> Server:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.shutdown()

    async def start(self) -> Server:
        """Listen; the address is bound when this returns."""
        if self._listener is None:
            sockets = self._listen()
            self._address = sockets[0].getsockname()
            self._listener = self.listen_on(sockets)
        return self

    def listen_on(self, sockets: list[socket.socket]) -> Listener:
        """Accept on more sockets, until `Listener.stop`; they stay the caller's."""
        return Listener(sockets, self._visit, self.ssl_context, self.acceptor.limits.open_timeout)

    async def serve_forever(self) -> None:
        """Serve until `shutdown` is called or the task is cancelled."""
        await self.start()
        await self._stopped.wait()

    async def shutdown(self, over: float = 0.0) -> None:
        """Stop accepting, close every connection with 1001, and wait until all have ended,
        at most ``limits.close_timeout`` seconds; what is left then is cut off.

        With ``over`` the Close frames leave over so many seconds, or as many as it takes at 200 a second,
        so that not all peers come back at once; who is about to shake hands is let through before.
        Twice is no harm. Called by a hook, it does not wait for that hook's own connection.
        """
        if self._listener is None:
            return
        if self._draining:
            await self._stopped.wait()
            return
        self._draining = True
        try:
            if over > 0:
                await self._close_slowly(over)
            await self._listener.close()
            for visitor in list(self._visitors):
                visitor.refuse(draining())
            for ws in list(self._connections.values()):
                ws.close(GOING_AWAY, DRAIN_REASON)
            await self._wait(lambda: all(each.has_ended for each in self._others()), self.acceptor.limits.close_timeout)
            for carrier in self._others():
                if not carrier.has_ended:
                    carrier.cut_off()
                    carrier.cancel()
            await self._wait(self._are_all_gone, LINGER)
        finally:
            leftover: list[AsyncioTransport | Visitor] = [*self._others(), *self._visitors, *self._parting]
            for each in leftover:
                each.cut_off()
            await self._wait(self._are_all_gone, CUT_OFF)
            self._patience.end()
            self._stopped.set()

    async def _close_slowly(self, over: float) -> None:
        assert self._listener is not None
        self._listener.stop()
        loop = asyncio.get_running_loop()
        end = loop.time() + over
        await self._wait(lambda: not self._visitors, over / 2)
        leaving = list(self._connections.values())
        span = min(end - loop.time(), len(leaving) / CLOSES_PER_SECOND)
        begun = loop.time()
        for index, ws in enumerate(leaving):
            pause = begun + span * index / len(leaving) - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            ws.close(GOING_AWAY, DRAIN_REASON)

    def _others(self) -> list[AsyncioTransport]:
        return [carrier for carrier in self._connections if not carrier.is_here]

    def _are_all_gone(self) -> bool:
        return not (self._visitors or self._parting or self._others())

    async def _wait(self, condition: Callable[[], bool], timeout: float | None) -> None:
        """Wait until a condition holds, for a bounded time."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if deadline is None else deadline - loop.time())
            except TimeoutError:
                return

    # Connections come, are served, and go

    def _visit(self) -> Visitor:
        refusal = draining() if self._draining else None
        if len(self._connections) + len(self._visitors) >= self.max_connections + STRANGERS:
            refusal = full(self.max_connections)
        visitor = Visitor(self.acceptor, self._patience, self.process_request, refusal, self._admit)
        visitor.on_settled, visitor.on_gone, visitor.on_adopted = self._settled, self._left, self._adopted
        self._visitors.add(visitor)
        return visitor

    def _admit(self) -> None:
        if len(self._connections) >= self.max_connections:
            raise full(self.max_connections)

    def _settled(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        self._parting[visitor] = None
        if len(self._parting) > MAX_PARTING:
            next(iter(self._parting)).cut_off()

    def _adopted(self, ws: WebSocket, carrier: AsyncioTransport) -> None:
        self._connections[carrier] = ws
        carrier.on_end, carrier.on_gone = self._on_end, self._on_gone

    def _ended(self, carrier: AsyncioTransport) -> None:
        self._changed.set()

    def _gone(self, carrier: AsyncioTransport) -> None:
        self._connections.pop(carrier, None)
        self._changed.set()

    def _left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        self._parting.pop(visitor, None)
        self._changed.set()


def serve(
    handlers: Handlers,
    host: str | None = "127.0.0.1",
    port: int = 9000,
    *,
    ssl_context: ssl.SSLContext | None = None,
    sock: socket.socket | None = None,
    unix_path: str | None = None,
    process_request: ProcessRequest | None = None,
    protocols: Sequence[str] = (),
    origins: Sequence[OriginRule] = (),
    deflate: bool | PerMessageDeflateFactory | None = True,
    headers: Sequence[tuple[str, str]] = (),
    heartbeat_freq: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    max_connections: int = 10_000,
    capture: CaptureOption = None,
) -> Server:
    """Return a `Server`, which listens once it is awaited or entered.

    The parameters are those of `threadedserver.serve`. Hooks may be ``async def``, ``process_request`` too.
    """
    check_server(max_connections, process_request, ssl_context)
    acceptor = Acceptor(
        functions="tasks",
        handlers=handlers,
        protocols=protocols,
        origins=origins,
        deflate=deflate,
        headers=headers,
        limits=limits,
        heartbeat_freq=heartbeat_freq,
        capture=capture,
    )

    def listen() -> list[socket.socket]:
        if unix_path is not None:
            return [listen_unix(unix_path)]
        return [sock] if sock is not None else listen_everywhere(host, port)

    return Server(acceptor, listen, ssl_context, process_request, max_connections)
