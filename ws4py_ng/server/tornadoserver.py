"""WebSockets in a tornado application.

    Application([("/chat", WebSocketHandler, {"handler_cls": Chat})])

The request, its cookies and what `prepare` makes of it are tornado's. Behind the handshake
the IOStream is ours: `tornado.websocket` is not involved. ``await drain(application)`` closes
what is open with 1001; a tornado server knows nothing of it and would just go away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from weakref import WeakKeyDictionary

from ..capture.settings import CaptureOption
from ..capture.taps import tap_awaited
from ..codes import GOING_AWAY
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, Headers, OriginRule, Request, Response, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.asynciokit import AsyncioKit, open_kit
from ..transports.iostream import Application, IOStreamChannel, RequestHandler
from ..transports.pulling import PullTransport
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers, environ_of
from .functions import outlast

__all__ = ["WebSocketHandler", "drain"]

DRAIN_REASON = "Server is shutting down"

# What tornado sets for every answer, and a 101 has no use for.
_PLAIN = frozenset({"content-type", "content-length", "date", "etag", "server"})

_open: WeakKeyDictionary[Application, dict[WebSocket, PullTransport]] = WeakKeyDictionary()


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

    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands, and serve the connection to its end."""
        try:
            if len(_open.get(self.application, ())) >= self._max_connections:
                raise HandshakeError(f"There are {self._max_connections} connections already", 503)
            request = self._described()
            handler, accepted = self.acceptor.accept(request)
        except HandshakeError as error:
            self._refuse(refuse(error))
            return
        except ValueError as error:
            self._refuse(refuse(HandshakeError(str(error), 400)))
            return
        head = self._head(accepted)
        stream = self.detach()
        self.application.log_request(self)
        channel = IOStreamChannel(stream)
        local, peer = channel.address("getsockname"), channel.address("getpeername")
        if self.acceptor.captures:
            tap = self.acceptor.tap("tornado", local, peer, secure=self.request.protocol == "https", rebuilt=True)
            tap.received(request.to_bytes())
            tap_awaited(channel, tap)
        environ = environ_of(request, self.request.protocol, local, peer)
        environ["tornado.request"] = self.request
        ws = self.acceptor.make(handler, accepted, None, environ)
        ws._local_address, ws._peer_address = local, peer
        ws._keepalive.beat = ws.heartbeat_freq
        async with open_kit() as kit:
            await self._serve(ws, channel, head, kit)

    async def _serve(self, ws: WebSocket, channel: IOStreamChannel, head: bytes, kit: AsyncioKit) -> None:
        transport = PullTransport(ws, self.acceptor.limits, kit, channel, ws._release)
        ws._attach(transport)
        connections = _open.setdefault(self.application, {})
        connections[ws] = transport
        try:
            with suppress(OSError):  # the session will see it as well
                await channel.write([head], lambda: None)
            await transport.run()
            await outlast(ws)
        finally:
            connections.pop(ws, None)

    def _described(self) -> Request:
        request = self.request
        return Request(str(request.method), str(request.uri), Headers(request.headers.get_all()), str(request.version))

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


async def drain(application: Application, timeout: float | None = None) -> None:
    """Close every WebSocket of an application with 1001, and wait until all have ended.

    What is left after ``timeout`` seconds, by default ``limits.close_timeout``, is cut off.
    """
    connections = dict(_open.get(application, {}))
    for ws in connections:
        ws.close(GOING_AWAY, DRAIN_REASON)
    if timeout is None:
        timeout = max((ws._limits.close_timeout or inf for ws in connections), default=inf)
    waiting = [asyncio.ensure_future(_wait(ws, transport)) for ws, transport in connections.items()]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=None if timeout == inf else timeout)
        for task in late:
            task.cancel()
    for transport in connections.values():
        transport.cut_off()


async def _wait(ws: WebSocket, transport: PullTransport) -> None:
    await transport.wait_ended()
    await outlast(ws)
