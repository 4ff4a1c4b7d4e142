"""WebSockets in a tornado application.

    Application([("/chat", WebSocketHandler, {"handler_cls": Chat})])

The request, its cookies and what `prepare` makes of it are tornado's. Behind the handshake the
socket is ours, and the loop reads it, as in `server.asyncioserver`; with TLS the IOStream is.
`tornado.websocket` is not involved. ``await drain(application)`` closes what is open with 1001; a
tornado server knows nothing of it and would just go away. Who then comes gets 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from ..capture.settings import CaptureOption
from ..capture.taps import tap_awaited
from ..capture.untapped import NO_TAP, AnyTap
from ..codes import DRAIN_REASON, GOING_AWAY
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, Headers, OriginRule, Request, Response, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.aio import AsyncioTransport
from ..transports.asynciokit import open_kit
from ..transports.iostream import (
    Application,
    IOStream,
    IOStreamChannel,
    RequestHandler,
    address_of,
    stream_request_body,
    take_out,
)
from ..transports.pulling import PullTransport
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers, environ_of
from .answers import draining, full
from .asyncioconversation import begin, begin_on
from .checks import check_server
from .functions import outlast

__all__ = ["WebSocketHandler", "drain"]

# What tornado sets for every answer, and a 101 has no use for.
_PLAIN = frozenset({"content-type", "content-length", "date", "etag", "server"})

Carrier = AsyncioTransport | PullTransport
# By id(ws), as not all can be hashed. None is on its way to the loop.
_open: WeakKeyDictionary[Application, dict[int, tuple[WebSocket, Carrier | None]]] = WeakKeyDictionary()
_drained: WeakSet[Application] = WeakSet()


@stream_request_body
class WebSocketHandler(RequestHandler):
    """Serve a WebSocket at a route of a `tornado.web.Application`.

    The route's arguments are the parameters of `threadedserver.serve`: ``handler_cls`` is a
    WebSocket class, a dict from path to class, or a function from a `Request` to a class.
    ``ws.environ["tornado.request"]`` is the request. Hooks may be ``async def``.
    """

    def initialize(
        self,
        handler_cls: Handlers,
        *,
        protocols: Sequence[str] = (),
        origins: Sequence[OriginRule] = (),
        deflate: bool | PerMessageDeflateFactory | None = True,
        headers: Sequence[tuple[str, str]] = (),
        heartbeat_freq: float | None = None,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = 10_000,
        capture: CaptureOption = None,
    ) -> None:
        """Take the route's arguments."""
        check_server(max_connections)
        self._max_connections = max_connections
        self.acceptor = Acceptor(
            functions="tasks",
            handlers=handler_cls,
            protocols=protocols,
            origins=origins,
            deflate=deflate,
            headers=headers,
            limits=limits,
            heartbeat_freq=heartbeat_freq,
            capture=capture,
        )

    def prepare(self) -> None:
        """Refuse a body before it comes; where this is overridden, `get` refuses it behind it."""
        headers = self.request.headers
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            self._refuse(refuse(HandshakeError("A request for a WebSocket has no body", 400)))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Name the methods that there are, where another one was asked for (RFC 9110 15.5.6)."""
        if status_code == 405:
            names = [name for name in self.SUPPORTED_METHODS if _has_method(type(self), name.lower())]
            self.set_header("Allow", ", ".join(names))
        super().write_error(status_code, **kwargs)

    def data_received(self, chunk: bytes) -> None:
        """Let a body go: whatever it is for, it is not taken."""

    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands, and serve the connection to its end."""
        try:
            if self.application in _drained:
                raise draining()
            if len(_open.get(self.application, ())) >= self._max_connections:
                raise full(self._max_connections)
            request = self._described()
            handler, accepted = self.acceptor.accept(request)
            connection: Any = self.request.connection
            stream = connection.stream  # detached when no other answer can be wanted any more
            local, peer = address_of(stream, "getsockname"), address_of(stream, "getpeername")
            environ = environ_of(request, self.request.protocol, local, peer)
            environ["tornado.request"] = self.request
            ws = self.acceptor.make(handler, accepted, None, environ)
        except HandshakeError as error:
            self._refuse(refuse(error))
            return
        ws._local_address, ws._peer_address = local, peer
        head = self._head(accepted)
        self.detach()
        self.application.log_request(self)
        tap = NO_TAP
        if self.acceptor.captures:
            tap = self.acceptor.tap("tornado", local, peer, secure=self.request.protocol == "https", rebuilt=True)
            tap.received(request.to_bytes())
        connections = _open.setdefault(self.application, {})
        connections[id(ws)] = ws, None
        try:
            if await self._hand_over(ws, stream, head, tap):
                await _see_through(*connections[id(ws)])
            else:
                await self._serve_stream(ws, stream, head, tap)
        finally:
            connections.pop(id(ws), None)

    async def _hand_over(self, ws: WebSocket, stream: IOStream, head: bytes, tap: AnyTap) -> bool:
        """Let the loop have the socket and begin, if that is not to stay in its stream."""
        taken = take_out(stream)
        if taken is None:
            return False
        sock, leftover = taken
        connections = _open[self.application]

        def start(transport: Any) -> None:
            if id(ws) in connections:  # else this was cancelled
                tap.sent(head)
                transport.write(head)
                connections[id(ws)] = ws, begin(ws, transport, tap, leftover)

        try:
            await begin_on(sock, start)
        finally:
            if connections[id(ws)][1] is None:
                tap.close()
        return True

    async def _serve_stream(self, ws: WebSocket, stream: IOStream, head: bytes, tap: AnyTap) -> None:
        channel = IOStreamChannel(stream)
        tap_awaited(channel, tap)
        ws._keepalive.beat = ws.heartbeat_freq
        async with open_kit() as kit:
            transport = PullTransport(ws, self.acceptor.limits, kit, channel, ws._release)
            ws._attach(transport)
            _open[self.application][id(ws)] = ws, transport
            with suppress(OSError):  # the session will see it as well
                await channel.write([head], lambda: None)
            await transport.run()
            await outlast(ws)

    def _described(self) -> Request:
        request = self.request
        try:
            headers = Headers(request.headers.get_all())
            return Request(str(request.method), str(request.uri), headers, str(request.version))
        except ValueError as error:
            raise HandshakeError(str(error), 400) from error

    def _head(self, accepted: Accepted) -> bytes:
        """Make the 101, with what `prepare` or a mixin has set: cookies first of all."""
        headers = Headers(accepted.response.headers)
        for name, value in self._headers.get_all():
            if name.lower() not in _PLAIN:
                headers.add(name, value)
        for cookie in getattr(self, "_new_cookie", {}).values():
            headers.add("Set-Cookie", cookie.OutputString(None))
        self.set_status(accepted.response.status)
        return Response(accepted.response.status, headers).to_bytes()

    def _refuse(self, response: Response) -> None:
        self.set_status(response.status, response.reason)
        for name, value in response.headers:
            self.set_header(name, value)
        self.finish(response.body)


def _has_method(kind: type[WebSocketHandler], name: str) -> bool:
    return getattr(kind, name) is not getattr(RequestHandler, name)


async def drain(application: Application, timeout: float | None = None) -> None:
    """Close every WebSocket of an application with 1001, let no more in, and wait until all have ended.

    What is left after ``timeout`` seconds, by default ``limits.close_timeout``, is cut off.
    """
    _drained.add(application)
    connections = _open.get(application, {})
    arriving = [key for key, (_, carrier) in connections.items() if carrier is None]
    while any(key in connections and connections[key][1] is None for key in arriving):
        await asyncio.sleep(0)  # each takes two turns of the loop
    carriers = [(ws, carrier) for ws, carrier in connections.values() if carrier is not None]
    for ws, _ in carriers:
        ws.close(GOING_AWAY, DRAIN_REASON)
    if timeout is None:
        timeout = max((ws._limits.close_timeout or inf for ws, _ in carriers), default=inf)
    waiting = [asyncio.ensure_future(_wait(ws, carrier)) for ws, carrier in carriers]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=None if timeout == inf else timeout)
        for task in late:
            task.cancel()
    for _, carrier in carriers:
        carrier.cut_off()
    await asyncio.sleep(0)  # in which the loop closes what was cut off


async def _see_through(ws: WebSocket, carrier: Carrier | None) -> None:
    """Wait for the end. Who cancels that ends the connection: the peer is told 1001, and `closed` is called."""
    try:
        await _wait(ws, carrier)
    except asyncio.CancelledError:
        ws.close(GOING_AWAY)
        if isinstance(carrier, AsyncioTransport):
            carrier.cut_off()
            carrier.cancel()
            async with open_kit() as kit:
                with kit.last_words():
                    await carrier.wait_gone()
        raise


async def _wait(ws: WebSocket, carrier: Carrier | None) -> None:
    """Wait until a connection is closed, and all that is called for it has returned."""
    if isinstance(carrier, AsyncioTransport):
        await carrier.wait_gone()
    elif carrier is not None:
        await carrier.wait_ended()
        await outlast(ws)
