"""WebSockets in an aiohttp application.

    app.router.add_get("/chat", websocket_handler(Chat))

The response of the upgrade is aiohttp's, with the cookies and headers that middlewares and
signals give it. Behind it the transport is ours: aiohttp's parser, its queues and its pings
see nothing of the connection. When the server stops, each connection is closed with 1001.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..capture.settings import CaptureOption
from ..capture.taps import tap_transport
from ..capture.untapped import AnyTap
from ..codes import DRAIN_REASON, GOING_AWAY
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Headers, OriginRule, Request, Response, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.aio import AsyncioTransport
from .acceptor import Acceptor, Handlers, environ_of
from .answers import full
from .asyncioconversation import begin, make
from .checks import check_server

if TYPE_CHECKING:
    from ..websocket import WebSocket

__all__ = ["converse", "turn_away", "websocket_handler"]

MOMENT = 0.2


def websocket_handler(
    handlers: Handlers,
    *,
    protocols: Sequence[str] = (),
    origins: Sequence[OriginRule] = (),
    deflate: bool | PerMessageDeflateFactory | None = True,
    headers: Sequence[tuple[str, str]] = (),
    heartbeat_freq: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    max_connections: int = 10_000,
    capture: CaptureOption = None,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a handler for ``app.router.add_get``; the parameters are those of `threadedserver.serve`.

    ``ws.environ["aiohttp.request"]`` is the request. Hooks may be ``async def``.
    """
    check_server(max_connections)
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
    connections: set[int] = set()  # of id(), as not all can be hashed

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            received = _received(request)
            if len(connections) >= max_connections:
                raise full(max_connections)
            handler, accepted = acceptor.accept(received)
        except HandshakeError as error:
            return _refusal(refuse(error))
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The peer has left")
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        environ = environ_of(received, request.scheme, local, peer) | {"aiohttp.request": request}
        ws = acceptor.make(handler, accepted, None, environ)
        ws._peer_address, ws._local_address = _address(peer), _address(local)
        response = _Upgrade(accepted.response)
        connections.add(id(ws))
        try:
            await response.prepare(request)
            tap = acceptor.tap_hosted("aiohttp", local, peer, received, response.answer, request.scheme == "https")
            await _serve(ws, request, limits, tap)
        finally:
            connections.discard(id(ws))
        return response

    return handle


async def converse(request: web.Request, acceptor: Acceptor) -> WebSocket:
    """Take the connection of a request and let the loop read it, while the handler sends and receives.

    Whatever the handler then returns is not sent. Raises HandshakeError, see `turn_away`.
    """
    received = _received(request)
    _, accepted = acceptor.accept(received)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("The peer has left")
    ws = make(acceptor, received, accepted, request.scheme, transport)
    response = _Upgrade(accepted.response)
    await response.prepare(request)
    http: Any = request.protocol
    local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    tap = acceptor.tap_hosted("aiohttp", local, peer, received, response.answer, request.scheme == "https")
    leftover, http._message_tail = http._message_tail, b""
    # What the handler returns would be sent behind our frames.
    http.transport = None
    if transport.is_reading() is False:
        transport.resume_reading()
    carrier = begin(ws, transport, tap, leftover)
    watch = _Watch(ws, carrier, http._manager, transport)
    if http._close:
        watch.close()
    carrier.on_end = lambda carrier: http.connection_lost(None)
    return ws


async def turn_away(request: web.Request, error: HandshakeError) -> None:
    """Answer a refusal where the handler cannot be left to do it, and end the connection."""
    refusal = _refusal(refuse(error))
    await refusal.prepare(request)
    await refusal.write_eof()
    if request.transport is not None:
        request.transport.close()


def _received(request: web.Request) -> Request:
    """Make a `Request` of aiohttp's, whose parser in Python takes more than that in C does, and we do."""
    try:
        return Request(
            request.method,
            request.raw_path,
            Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers),
            f"HTTP/{request.version.major}.{request.version.minor}",
        )
    except ValueError as error:
        raise HandshakeError(str(error), 400) from error


class _Upgrade(web.StreamResponse):
    """Be the 101, and nothing behind it."""

    _length_check = False

    def __init__(self, agreed: Response) -> None:
        super().__init__(status=agreed.status)
        for name, value in agreed.headers:
            self.headers.add(name, value)

    @property
    def answer(self) -> Response:
        """What was sent."""
        return Response(self.status, Headers(self.headers.items()))

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing: the connection is no longer aiohttp's."""


class _Watch:
    """Stand in aiohttp's list of connections for one that it does not know any more, until it is closed."""

    # What aiohttp would wait for before it forgets us.
    _task_handler = None

    def __init__(self, ws: WebSocket, carrier: AsyncioTransport, server: Any, transport: asyncio.Transport) -> None:
        self._ws = ws
        self._carrier = carrier
        self._server = server
        carrier.on_gone = self._gone
        server.connection_made(self, transport)

    def _gone(self, carrier: AsyncioTransport) -> None:
        self._server.connection_lost(self)

    def close(self) -> None:
        """Be told that the server stops."""
        self._ws.close(GOING_AWAY, DRAIN_REASON)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Be told that the server's patience begins to end."""
        carrier = self._carrier
        try:
            # A moment before aiohttp's own patience ends: it does not expect its handler to end just then.
            async with asyncio.timeout(None if timeout is None else max(timeout - MOMENT, timeout / 2)):
                await carrier.wait_ended()
                await carrier.wait_gone()
        except TimeoutError:
            carrier.cut_off()
            carrier.cancel()
            # The loop may be closed behind us, and with it nothing else.
            await carrier.wait_gone()


async def _serve(ws: WebSocket, request: web.Request, limits: Limits, tap: AnyTap) -> None:
    """Take the transport away from aiohttp, and serve the connection to its end."""
    http: Any = request.protocol
    transport = request.transport
    if transport is None:  # the peer has left while the response was prepared
        ws.terminate()
        tap.close()
        return
    carrier = AsyncioTransport(ws, limits)
    ws._attach(carrier)
    leftover, http._message_tail = http._message_tail, b""
    if transport.is_reading() is False:
        transport.resume_reading()  # aiohttp pauses when much comes behind the request
    watch = _Watch(ws, carrier, http._manager, transport)
    try:
        if leftover:
            tap.received(leftover)
        carrier.take_over(tap_transport(transport, tap), leftover)
        if http._close:  # the server has begun to stop while the response was prepared
            watch.close()
        await carrier.wait_ended()
    except asyncio.CancelledError:
        ws.close(GOING_AWAY, DRAIN_REASON)
        carrier.cut_off()
        carrier.cancel()
        raise
    finally:
        # For aiohttp the connection ends here. It must not close what the peer still reads from.
        http.transport = None
        http.connection_lost(None)


def _refusal(response: Response) -> web.Response:
    refusal = web.Response(status=response.status, reason=response.reason, body=response.body)
    for name, value in response.headers:
        refusal.headers[name] = value
    refusal.force_close()
    return refusal


def _address(address: Any) -> Any:
    return address[:2] if isinstance(address, tuple) else address
