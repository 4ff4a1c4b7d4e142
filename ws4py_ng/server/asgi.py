"""An ASGI application that serves WebSockets under uvicorn, hypercorn, granian, daphne ...

    app = WebSocketApplication(Chat)                      # every path
    app = WebSocketApplication({"/chat": Chat}, http=site)  # beside another application

Mount it in Starlette, FastAPI or Quart, or put it before Django. The host reads and writes
the frames, so limits on frames, compression and pings are its own; hooks, routing,
subprotocols, the Origin check and closing are as everywhere. Where the host is uvicorn with
`ws4py_ng.server.uvicorn:WSProtocol`, the frames are ours as well.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import quote

from ..capture.settings import Capture, CaptureOption
from ..capture.taps import tap_events
from ..capture.untapped import AnyTap
from ..codes import DRAIN_REASON, GOING_AWAY
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Headers, OriginRule, Request, Response, accept_for, negotiate, refuse
from ..handshake.environ import path_below
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.asynciokit import open_kit
from ..transports.kits import Kit
from ..transports.messages import HostChannel, HostEvent, MessageStream, Receive, Send
from ..transports.pulling import PullTransport
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers, environ_of
from .answers import draining, full
from .checks import check_server
from .functions import outlast

__all__ = ["Application", "Host", "Scope", "WebSocketApplication"]

Scope = dict[str, Any]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Under this name of scope["extensions"] a host of ours gives its `Host`.
EXTENSION = "ws4py_ng"
DENIAL = "websocket.http.response"


class Host(Protocol):
    """Serve a WebSocket without events, once it was accepted; what `server.uvicorn` gives us."""

    def offer(
        self, limits: Limits, deflate: bool | PerMessageDeflateFactory | None, recorder: Capture | None = None
    ) -> None:
        """Say, before the accept, what this application is willing to agree on."""

    async def serve(self, ws: WebSocket) -> None:
        """Serve the connection to its end."""


class WebSocketApplication:
    """Serve WebSockets by ASGI; ``http`` gets plain requests, which are answered 426 without, and the lifespan.

    ``handlers`` is one class or ``async def`` function of a WebSocket (`server.functions`) for every path, a
    dict from path (below where this is mounted) to these, or a function from a ``request`` to these.
    A WebSocket for another path is answered 404: ``http`` gets none.
    ``limits.ping_interval``, ``heartbeat_freq`` and ``deflate`` count only where the frames are ours.
    ``await drain()`` closes what is open with 1001 and lets no more in; the end of the lifespan does as well.
    """

    def __init__(
        self,
        handlers: Handlers,
        http: Application | None = None,
        *,
        protocols: Sequence[str] = (),
        origins: Sequence[OriginRule] = (),
        headers: Sequence[tuple[str, str]] = (),
        deflate: bool | PerMessageDeflateFactory | None = True,
        heartbeat_freq: float | None = None,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = 10_000,
        capture: CaptureOption = None,
    ) -> None:
        check_server(max_connections)
        self.max_connections = max_connections
        self.acceptor = Acceptor(
            functions="tasks",
            handlers=handlers,
            protocols=protocols,
            origins=origins,
            headers=headers,
            deflate=deflate,
            heartbeat_freq=heartbeat_freq,
            limits=limits,
            capture=capture,
        )
        self._http = http
        self._hosted_limits = replace(limits, ping_interval=None)
        self._connections: dict[int, WebSocket] = {}  # by id(), as not all can be hashed
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, of whatever kind."""
        kind = scope["type"]
        if kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._http is not None:
            await self._http(scope, receive, send)
        elif kind == "http":
            await _answer(send, "http.response", refuse(_what_is_missing(scope)))
        else:
            raise ValueError(f"ASGI scope of type {kind!r}, expected 'websocket', 'http' or 'lifespan'")

    @property
    def connections(self) -> set[WebSocket]:
        """The WebSockets that are open now."""
        return set(self._connections.values())

    async def drain(self) -> None:
        """Close every connection with 1001, and answer who comes with 503, until a lifespan begins."""
        self._draining = True
        closing = [ws.close(GOING_AWAY, DRAIN_REASON) for ws in list(self._connections.values())]
        for closed in closing:
            if closed is not None:
                await closed

    def _tap(self, scope: Scope, request: Request, subprotocol: str | None) -> AnyTap:
        """Begin to record a connection of which the host shows messages only."""
        secure = scope.get("scheme") == "wss"
        local, peer = _address(scope, "server"), _address(scope, "client")
        answer = Response(101, Headers([("Upgrade", "websocket"), ("Connection", "Upgrade")]))
        answer.headers.add("Sec-WebSocket-Accept", accept_for(request.headers.get("Sec-WebSocket-Key", "")))
        if subprotocol is not None:
            answer.headers.add("Sec-WebSocket-Protocol", subprotocol)
        return self.acceptor.tap_hosted("asgi", local, peer, request, answer, secure=secure)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> HostEvent:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self._draining = False
            elif event["type"] == "lifespan.shutdown":
                await self.drain()
            return event

        if self._http is not None:
            await self._http(scope, heard, send)
            return
        while True:
            event = await heard()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = await receive()
        if event["type"] != "websocket.connect":
            return  # the peer has left
        limits = self._hosted_limits
        try:
            if self._draining:
                raise draining()
            if len(self._connections) >= self.max_connections:
                raise full(self.max_connections)
            request = request_of(scope)
            handler, subprotocol = self.acceptor.accept_hosted(request)
            ws = handler(None, [] if subprotocol is None else [subprotocol], [], environ_from(scope, request))
        except HandshakeError as error:
            await _refuse(scope, send, error)
            return
        host: Host | None = (scope.get("extensions") or {}).get(EXTENSION)
        if host is not None:
            host.offer(self.acceptor.limits, self.acceptor.deflate, self.acceptor.recorder)
        else:
            ws._stream = MessageStream(limits)  # type: ignore[assignment]
        if self.acceptor.heartbeat_freq is not None:
            ws.heartbeat_freq = self.acceptor.heartbeat_freq
        ws._configure(limits)  # a class that forgets `super().__init__()` is found out before the answer
        ws._peer_address, ws._local_address = _address(scope, "client"), _address(scope, "server")
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in Headers(self.acceptor.headers)]
        accept = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}
        # What is sent to it before it is accepted, a Close as well, waits for that.
        self._connections[id(ws)] = ws
        try:
            await send(accept)
            try:
                if host is not None:
                    await host.serve(ws)
                else:
                    await _serve(ws, limits, receive, send, self._tap(scope, request, subprotocol))
            finally:
                ws.terminate()
        finally:
            del self._connections[id(ws)]


async def _serve(ws: WebSocket, limits: Limits, receive: Receive, send: Send, tap: AnyTap) -> None:
    async with _kit_of_the_host() as kit:
        channel = HostChannel(receive, send, kit)
        tap_events(channel, tap)
        transport = PullTransport(ws, limits, kit, channel, ws._release)
        ws._attach(transport)
        await transport.run()
        await outlast(ws)
    if channel.refused is not None:
        # daphne sends few close codes and keeps the connection; for an error it closes, with 1011.
        raise channel.refused


def _kit_of_the_host() -> AbstractAsyncContextManager[Kit]:
    """Return the kit of the library that runs this: hypercorn may be run by trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        from ..transports import trio_

        return trio_.open_kit()
    return open_kit()


def request_of(scope: Scope) -> Request:
    """Make the request that a scope describes; its target begins below where we are mounted.

    Raises HandshakeError for what could not have been one.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :] or "/"
    sent = (scope.get("raw_path") or b"").decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    offered = scope.get("subprotocols")
    try:
        target = path_below(sent, root, quote(path, safe="/:@!$&'()*+,;=~"))
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        if offered and "Sec-WebSocket-Protocol" not in headers:
            # uvicorn with wsproto keeps the header to itself.
            headers.add("Sec-WebSocket-Protocol", ", ".join(offered))
        return Request("GET", f"{target}?{query}" if query else target, headers)
    except ValueError as error:
        raise HandshakeError(str(error), 400) from error


def _what_is_missing(scope: Scope) -> HandshakeError:
    """Say why a request is none for a WebSocket: what the host did not take for one may have tried to be."""
    try:
        request = request_of(scope)
        if "Upgrade" in request.headers:
            negotiate(request)
    except HandshakeError as error:
        return error
    headers = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    return HandshakeError("This is a WebSocket: open it with ws:// or wss://", 426, headers)


def environ_from(scope: Scope, request: Request) -> dict[str, Any]:
    """Describe a scope as WSGI does; the scope itself is ``environ["asgi.scope"]``."""
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    environ = environ_of(request, scheme, _address(scope, "server"), _address(scope, "client"))
    environ["SCRIPT_NAME"] = scope.get("root_path", "")
    environ["asgi.scope"] = scope
    return environ


def _address(scope: Scope, name: str) -> Any:
    """Return an address: ``(host, port)``, the path of a Unix socket, or None."""
    address = scope.get(name)
    if not address:
        return None
    return tuple(address) if address[1] is not None else address[0]


async def _refuse(scope: Scope, send: Send, error: HandshakeError) -> None:
    """Answer by HTTP where the host can, else by a close before the accept, which is a 403."""
    if DENIAL in (scope.get("extensions") or {}):
        await _answer(send, DENIAL, refuse(error))
    else:
        await send({"type": "websocket.close"})


async def _answer(send: Send, kind: str, response: Response) -> None:
    """Send a plain answer; the connection is the host's."""
    headers = [
        (name.lower().encode(), value.encode("latin-1"))
        for name, value in response.headers.items()
        if name.lower() != "connection"
    ]
    await send({"type": f"{kind}.start", "status": response.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body})
