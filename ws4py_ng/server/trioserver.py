"""A server for trio.

    async with serve(EchoWebSocket, "127.0.0.1", 9000) as server:
        await server.serve_forever()

Or in a nursery: ``await nursery.start(serve(EchoWebSocket).run)``. Each connection is a task,
its hooks run in that task. Leaving the `async with` closes every connection with 1001; a
cancellation does as well, where that is possible without a wait for the peer.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from inspect import isawaitable
from types import TracebackType
from typing import Any

from ..capture.settings import CaptureOption
from ..capture.taps import tap_awaited
from ..codes import DRAIN_REASON, GOING_AWAY
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, OriginRule, Request, Response, receive_request, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.pulling import LINGER, PullTransport
from ..transports.trio_ import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    Nursery,
    SocketListener,
    SocketStream,
    Task,
    TaskStatus,
    TrioChannel,
    current_task,
    lineage,
    listen,
    move_on_after,
    open_kit,
    open_nursery,
    secure,
    sleep,
)
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers, environ_of
from .answers import STRANGERS, checked, draining, failure, full, plain
from .checks import check_server
from .functions import outlast
from .listening import BACK_OFF, HOPELESS, Shortage, close_listener, listen_unix

__all__ = ["Server", "serve"]

logger = logging.getLogger("ws4py_ng")

HEAD_READ_SIZE = 4096

# Its answer, None to go on with the WebSocket, may be awaited.
ProcessRequest = Callable[[Request], Response | Awaitable[Response | None] | None]


class Server:
    """Accept connections and serve each in a task; made by `serve`.

    As an async context manager it listens from the beginning and calls `shutdown` at the end.
    """

    def __init__(
        self,
        acceptor: Acceptor,
        where: tuple[str | None, int, socket.socket | None, str | None],
        ssl_context: ssl.SSLContext | None = None,
        process_request: ProcessRequest | None = None,
        max_connections: int = 10_000,
    ) -> None:
        self.acceptor = acceptor
        self.ssl_context = ssl_context
        self.process_request = process_request
        self.max_connections = max_connections
        self.listeners: list[SocketListener] = []
        self._where = where
        # By what carries them, as not all WebSockets can be hashed.
        self._connections: dict[PullTransport, WebSocket] = {}
        self._tasks: dict[PullTransport, Task] = {}
        self._visitors: dict[CancelScope, Task] = {}
        # In a hook of whose `shutdown` was called.
        self._callers: dict[PullTransport, WebSocket] = {}
        self._accepting = CancelScope()
        self._draining = False
        self._shortage = Shortage()
        self._stopped = Event()
        self._manager: Any = None
        self._nursery: Nursery | None = None

    @property
    def address(self) -> Any:
        """The first address that is listened on: ``(host, port)``, or a path."""
        address = self.listeners[0].socket.getsockname()
        return address[:2] if isinstance(address, tuple) else address

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.address[1])

    @property
    def connections(self) -> set[WebSocket]:
        """The WebSockets that are open now."""
        return set(self._connections.values())

    async def __aenter__(self) -> Server:
        host, port, sock, unix_path = self._where
        self.listeners = await listen(host, port, sock if unix_path is None else listen_unix(unix_path))
        self._manager = open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self._accept, self._nursery)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        nursery, self._nursery = self._nursery, None
        assert nursery is not None
        try:
            if error is None:
                await self.shutdown()
                await self._see_off(self._callers)
        finally:
            nursery.cancel_scope.cancel()
            # What ended the block is no error of the nursery's, and reaches the caller as it is.
            await self._manager.__aexit__(None, None, None)

    async def run(self, task_status: TaskStatus[Server] = TASK_STATUS_IGNORED) -> None:
        """Listen and serve until `shutdown` is called; for ``await nursery.start(server.run)``."""
        async with self:
            task_status.started(self)
            await self.serve_forever()

    async def serve_forever(self) -> None:
        """Serve until `shutdown` is called or the task is cancelled."""
        await self._stopped.wait()

    async def shutdown(self) -> None:
        """Stop accepting, close every connection with 1001, and wait until all have ended,
        at most ``limits.close_timeout`` seconds; what is left then is cut off.

        Twice is no harm. Called by a hook, it does not wait for that hook's own connection.
        """
        if self._draining:
            return
        self._draining = True
        here = lineage()
        self._accepting.cancel()
        for scope, task in self._visitors.items():
            if task not in here:
                scope.cancel()
        connections = dict(self._connections)
        for ws in connections.values():
            ws.close(GOING_AWAY, DRAIN_REASON)
        self._callers = {carrier: connections.pop(carrier) for carrier, task in self._tasks.items() if task in here}
        await self._see_off(connections)
        self._stopped.set()

    async def _see_off(self, connections: Mapping[PullTransport, WebSocket]) -> None:
        """Wait until connections have ended, for a bounded time, and cut off what is left."""
        timeout = self.acceptor.limits.close_timeout
        with move_on_after(float("inf") if timeout is None else timeout):
            for transport, ws in connections.items():
                await transport.wait_ended()
                await outlast(ws)
        for transport in connections:
            transport.cut_off()

    async def _accept(self, nursery: Nursery) -> None:
        try:
            with self._accepting:
                async with open_nursery() as accepting:
                    for listener in self.listeners:
                        accepting.start_soon(self._accept_on, listener, nursery)
        finally:
            for listener in self.listeners:
                close_listener(listener.socket)

    async def _accept_on(self, listener: SocketListener, nursery: Nursery) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                await self._wait_for_better_times(error)
            else:
                nursery.start_soon(self._visit, stream)

    async def _wait_for_better_times(self, error: OSError) -> None:
        """Go on after `accept` failed, but not at once."""
        if error.errno in HOPELESS:
            raise error
        self._shortage.log(error)
        await sleep(BACK_OFF)

    async def _visit(self, stream: SocketStream) -> None:
        """Serve one connection, whose errors are its own."""
        channel = TrioChannel(stream)
        try:
            await self._receive(stream, channel)
        except ssl.SSLError as error:
            logger.debug("No TLS: %s", error)
        except OSError as error:
            logger.debug("No WebSocket: %s", error)
        except Exception:
            logger.exception("A connection failed")
        finally:
            channel.cut_off()

    async def _receive(self, stream: SocketStream, channel: TrioChannel) -> None:
        """Read the request, within the time for that, and settle it."""
        if len(self._connections) + len(self._visitors) >= self.max_connections + STRANGERS:
            if self.ssl_context is None:
                await self._refuse(channel, full(self.max_connections))
            return
        timeout = self.acceptor.limits.open_timeout
        refusal: HandshakeError | None = None
        reading = receive_request(self.acceptor.limits)
        heard = False
        received: tuple[Request, bytes] | None = None
        answer: Response | None = None
        with move_on_after(float("inf") if timeout is None else timeout) as scope:
            self._visitors[scope] = current_task()
            try:
                if self.ssl_context is not None:
                    channel = TrioChannel(await secure(stream, self.ssl_context, server_side=True))
                if self.acceptor.captures:
                    local, peer = channel.address("getsockname"), channel.address("getpeername")
                    tap_awaited(channel, self.acceptor.tap("trio", local, peer, secure=self.ssl_context is not None))
                next(reading)
                while received is None:
                    data = await channel.read(HEAD_READ_SIZE)
                    heard = heard or bool(data)
                    try:
                        reading.send(data)
                    except StopIteration as stop:
                        received = stop.value
                answer = await self._decide(received[0])
            except HandshakeError as error:
                refusal = error
            finally:
                del self._visitors[scope]
        if self._draining:
            refusal = draining()
        elif scope.cancelled_caught:
            # Browsers open connections that they may not need: those get no answer.
            refusal = HandshakeError("No whole request in time (Limits.open_timeout)", 408 if heard else None)
        if refusal is not None:
            await self._refuse(channel, refusal)
        elif received is not None:
            await self._settle(channel, *received, answer)

    async def _decide(self, request: Request) -> Response | None:
        """Ask ``process_request``, which may take its time."""
        if self.process_request is None:
            return None
        try:
            answer = self.process_request(request)
            answer = await answer if isawaitable(answer) else answer
            return None if answer is None else checked(answer)
        except Exception as error:  # noqa: BLE001 - what the application raises is its own bug
            return failure(error, request)

    async def _settle(self, channel: TrioChannel, request: Request, leftover: bytes, answer: Response | None) -> None:
        """Answer a request, and serve the WebSocket to its end if there is one."""
        try:
            chosen = answer or self._ask(channel, request)
        except Exception as error:  # noqa: BLE001
            chosen = failure(error, request)
        if isinstance(chosen, Response):
            await self._answer(channel, chosen, request.method)
            return
        accepted, ws = chosen
        if leftover:
            ws._stream._reader.feed(leftover)
        async with open_kit() as kit:
            transport = PullTransport(ws, self.acceptor.limits, kit, channel, ws._release)
            # Who is being accepted counts. What is sent to it before, a Close as well, waits for that.
            self._connections[transport], self._tasks[transport] = ws, current_task()
            try:
                with suppress(OSError):  # the session will see it as well
                    await channel.write([accepted.response.to_bytes()], lambda: None)
                ws._attach(transport)
                await transport.run()
                await outlast(ws)
            finally:
                del self._connections[transport], self._tasks[transport]

    def _ask(self, channel: TrioChannel, request: Request) -> tuple[Accepted, WebSocket]:
        handler, accepted = self.acceptor.accept(request)
        if len(self._connections) >= self.max_connections:
            raise full(self.max_connections)
        local, peer = channel.address("getsockname"), channel.address("getpeername")
        environ = environ_of(request, "http" if self.ssl_context is None else "https", local, peer)
        ws = self.acceptor.make(handler, accepted, None, environ)
        ws._local_address, ws._peer_address = local, peer
        ws._keepalive.beat = ws.heartbeat_freq
        return accepted, ws

    async def _refuse(self, channel: TrioChannel, error: HandshakeError) -> None:
        logger.debug("Refused a WebSocket: %s", error)
        if error.status is not None:
            await self._answer(channel, refuse(error))

    async def _answer(self, channel: TrioChannel, response: Response, method: str = "GET") -> None:
        with move_on_after(LINGER):
            await channel.write([plain(response, method).to_bytes()], lambda: None)
            await channel.hang_up(False)


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
    """Return a `Server`, which listens once it is entered or run.

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
    return Server(acceptor, (host, port, sock, unix_path), ssl_context, process_request, max_connections)
