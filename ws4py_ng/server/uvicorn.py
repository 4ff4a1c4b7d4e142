"""Our own protocol inside uvicorn: ``uvicorn --ws ws4py_ng.server.uvicorn:WSProtocol app:app``.

Every ASGI application gets its events, from our frames: limits, compression and keepalive
are ours, set by uvicorn's ``--ws-max-size``, ``--ws-ping-interval``, ``--ws-ping-timeout`` and
``--ws-per-message-deflate``. A `WebSocketApplication`, wherever it is mounted, is served without
events: its accept travels through all middlewares, and what comes behind goes from the
socket to the hooks as in `server.asyncioserver`.

It follows what uvicorn calls on such a class, and imports nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ..capture.settings import Capture, open_tap, settings_of
from ..capture.taps import tap_transport
from ..codes import DRAIN_REASON, GOING_AWAY, INTERNAL_ERROR, NORMAL_CLOSURE
from ..exc import ConnectionClosed, HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, Headers, Request, Response, ServerPolicy, negotiate, receive_request, refuse
from ..handshake.environ import split_target
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.aio import AsyncioTransport
from ..transports.parting import Parting
from ..websocket import WebSocket
from .answers import draining, plain
from .asgi import DENIAL, EXTENSION, Scope
from .asgievents import Bridge, Events, HostEvent

__all__ = ["WSProtocol"]

logger = logging.getLogger("uvicorn.error")


class _Left(ConnectionResetError):
    """Report a send to a peer that has left, in the way that ASGI wants: as an OSError."""


class WSProtocol(asyncio.Protocol):
    """Serve one connection that uvicorn has found to be a WebSocket."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._server = server_state
        self._state = app_state
        self._loop = asyncio.get_running_loop()
        self._limits = _limits_of(config)
        self._deflate: bool | PerMessageDeflateFactory | None = bool(config.ws_per_message_deflate)
        self._reading = receive_request(DEFAULT_LIMITS)
        next(self._reading)
        self._transport: Any = None
        self._request: Request | None = None
        self._scope: Scope = {}
        self._early = bytearray()
        self._events = Events(config.ws_max_queue, self._limits.max_message_size)
        self._denial: HostEvent | None = None
        self._accepted: Accepted | None = None
        self._response = b""
        self._recorder = settings_of(None)
        self._direct = False
        self._ws: WebSocket | None = None
        self._answered = False
        self._adopted = False
        self._stopping = False
        self._carrier: AsyncioTransport | Parting | None = None
        self._closed = asyncio.Event()

    # What uvicorn and its loop call

    def connection_made(self, transport: Any) -> None:
        """Take note of the transport, and be counted."""
        self._transport = transport
        self._early += _overread(transport)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Read the request; what comes behind it waits, bounded, until the application has accepted."""
        if self._request is not None:
            self._keep(data)
            return
        try:
            self._reading.send(data)
        except StopIteration as stop:
            self._request, leftover = stop.value
            self._keep(leftover)
            self._begin(self._request)
        except HandshakeError as error:
            self._refuse_soon(error)

    def eof_received(self) -> bool:
        """Let the loop close."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the application, if it has not accepted; behind that the session does."""
        self._gone()
        self._events.disconnect()

    def shutdown(self) -> None:
        """Close: uvicorn restarts or ends."""
        self._stopping = True
        if self._ws is not None:
            self._ws.close(GOING_AWAY, DRAIN_REASON)
        elif not self._answered:
            self._refuse(draining())

    # The opening handshake

    def _keep(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > self._limits.max_outbox:
            self._transport.pause_reading()

    def _begin(self, request: Request) -> None:
        try:
            self._negotiate(None)
        except HandshakeError as error:
            self._refuse_soon(error)
            return
        self._scope = self._scope_of(request)
        # uvicorn makes us the protocol when this has returned, which must not be behind our successor.
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        task = self._loop.create_task(self._run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _negotiate(self, subprotocol: str | None) -> Accepted:
        """Agree on all but what the application decides: the Origin, and the subprotocol."""
        assert self._request is not None
        deflate = PerMessageDeflateFactory() if self._deflate is True else self._deflate
        policy = ServerPolicy(
            select_subprotocol=lambda offered: subprotocol, origins=["*"], extensions=[deflate] if deflate else []
        )
        return negotiate(self._request, policy)

    def _scope_of(self, request: Request) -> Scope:
        _, path, query = split_target(request.target)
        secure = self._transport.get_extra_info("sslcontext") is not None
        root = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if secure else "ws",
            "server": _address(self._transport.get_extra_info("sockname")),
            "client": _address(self._transport.get_extra_info("peername")),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": root.encode("ascii") + path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers],
            "subprotocols": request.headers.tokens("Sec-WebSocket-Protocol"),
            "state": self._state.copy(),
            "extensions": {DENIAL: {}, EXTENSION: self},
        }

    def _refuse_soon(self, error: HandshakeError) -> None:
        # uvicorn makes us the protocol when `data_received` has returned, which must not be behind our successor.
        self._loop.call_soon(self._refuse, error)

    def _refuse(self, error: HandshakeError) -> None:
        if not self._answered and not self._transport.is_closing():
            self._answer(refuse(error))

    def _answer(self, response: Response) -> None:
        self._transport.write(plain(response).to_bytes())
        self._answered = True
        self._log(str(response.status))
        # What the peer has sent meanwhile must not become a RST, which could take our answer away.
        self._carrier = Parting(self._transport, heard_out=False, patience=None, on_gone=self._parted)

    def _parted(self) -> None:
        self.connection_lost(None)

    def _accept(self, event: HostEvent) -> None:
        accepted = self._negotiate(event.get("subprotocol"))
        headers = Headers(accepted.response.headers)
        for name, value in [*self._server.default_headers, *event.get("headers", ())]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        self._response = Response(101, headers).to_bytes()
        self._transport.write(self._response)
        self._accepted, self._answered = accepted, True
        self._log("[accepted]")
        if not self._direct:
            self._adopt(Bridge(self._events))

    def _adopt(self, ws: WebSocket) -> AsyncioTransport:
        """Let a WebSocket have the connection."""
        assert self._accepted is not None
        self._adopted = True
        self._ws = ws
        ws._configure(self._limits, self._accepted.extensions)
        carrier = self._carrier = AsyncioTransport(ws, self._limits)
        carrier.on_end, carrier.on_gone = self._ended, self._gone
        ws._attach(carrier)
        early, self._early = bytes(self._early), bytearray()
        self._transport.resume_reading()
        carrier.take_over(self._tapped(early), early)
        if self._stopping:
            ws.close(GOING_AWAY, DRAIN_REASON)
        return carrier

    def _tapped(self, early: bytes) -> Any:
        """Return the transport, or one that records, where that is wanted."""
        if self._recorder is None or self._request is None:
            return self._transport
        info = self._transport.get_extra_info
        secure = info("sslcontext") is not None
        tap = open_tap(
            self._recorder,
            "server",
            "uvicorn",
            info("sockname"),
            info("peername"),
            secure=secure,
            deflate=self._deflate,
            rebuilt=True,
        )
        tap.received(self._request.to_bytes())
        tap.sent(self._response)
        if early:
            tap.received(early)
        return tap_transport(self._transport, tap)

    def _ended(self, carrier: AsyncioTransport) -> None:
        self._ws = None

    def _gone(self, carrier: AsyncioTransport | None = None) -> None:
        # uvicorn waits for those who are in this set; what is closed only by the end of its loop is lost.
        self._server.connections.discard(self)
        self._carrier = None
        self._closed.set()

    def _log(self, outcome: str) -> None:
        client = _address(self._transport.get_extra_info("peername"))
        where = f"{client[0]}:{client[1]}" if client else ""
        target = "" if self._request is None else self._request.target
        logger.info('%s - "WebSocket %s" %s', where, target, outcome)

    # A `WebSocketApplication`: `server.asgi.Host`

    def offer(
        self, limits: Limits, deflate: bool | PerMessageDeflateFactory | None, recorder: Capture | None = None
    ) -> None:
        """Let the application's limits count, where uvicorn's are not stricter."""
        self._direct = True
        self._recorder = recorder
        size = min(limits.max_message_size, self._limits.max_message_size)
        self._limits = replace(limits, max_message_size=size)
        self._deflate = self._deflate and deflate

    async def serve(self, ws: WebSocket) -> None:
        """Serve the connection to its end."""
        if self._transport.is_closing() or self._accepted is None:
            return
        ws.extensions = [extension.name for extension in self._accepted.extensions]
        carrier = self._adopt(ws)
        try:
            await carrier.wait_ended()
        except asyncio.CancelledError:
            if self._carrier is None:  # the connection is gone, but the function that served it goes on
                carrier.cancel()
            raise

    # Any other application

    async def _run(self) -> None:
        """Be the task that uvicorn waits for, and cancels when its patience ends."""
        try:
            await self._run_application()
            await self._closed.wait()
        except asyncio.CancelledError:
            if self._carrier is not None:
                self._carrier.cut_off()
            if isinstance(self._carrier, AsyncioTransport):
                self._carrier.cancel()
            raise

    async def _run_application(self) -> None:
        code = INTERNAL_ERROR
        try:
            await self._config.loaded_app(self._scope, self._events.receive, self._send)
            code = NORMAL_CLOSURE
        except _Left:
            pass
        except Exception:
            logger.exception("Exception in ASGI application\n")
        finally:
            self._scope = {}  # which refers to us
            self._events.leave()
            if self._ws is not None:
                self._ws.close(code)
            elif not self._answered:
                self._refuse(HandshakeError("Internal Server Error", 500))
            elif self._accepted is not None and not self._adopted:
                self._transport.close()

    async def _send(self, event: HostEvent) -> None:
        kind = event["type"]
        if not self._answered:
            self._decide(kind, event)
        elif isinstance(self._ws, Bridge) and kind in ("websocket.send", "websocket.close"):
            with suppress(ConnectionClosed):
                sent = self._ws.pass_on(kind, event)
                if sent is not None:
                    await sent
                return
            raise _Left("The WebSocket is closed")
        elif self._accepted is not None or self._stopping:
            raise _Left("The WebSocket is closed")
        else:
            raise RuntimeError(f"ASGI event {kind!r} behind the answer")

    def _decide(self, kind: str, event: HostEvent) -> None:
        """Take the application's answer to the handshake."""
        if self._transport.is_closing():
            raise _Left("The peer has left")
        if kind == "websocket.accept":
            self._accept(event)
        elif kind == "websocket.close":
            self._answer(refuse(HandshakeError("Forbidden", 403)))
        elif kind == f"{DENIAL}.start":
            self._denial = {**event, "body": b""}
        elif kind == f"{DENIAL}.body" and self._denial is not None:
            self._denial["body"] += event.get("body", b"")
            if not event.get("more_body", False):
                headers = Headers()
                for name, value in self._denial.get("headers", ()):
                    headers.add(name.decode("latin-1"), value.decode("latin-1"))
                self._answer(Response(self._denial["status"], headers, body=self._denial["body"]))
        else:
            expected = f"'websocket.accept', 'websocket.close' or '{DENIAL}.start'"
            raise RuntimeError(f"ASGI event {kind!r}, expected {expected}")


def _overread(transport: Any) -> bytes:
    """Return what uvicorn has read behind the request, and would drop.

    With h11 its parser, which is the protocol still, has it. With httptools nobody does. A client
    has to wait for our answer (RFC 6455 4.1), but one that does not is not to lose a message.
    """
    parser = getattr(transport.get_protocol(), "conn", None)
    behind: bytes = b"" if parser is None else parser.trailing_data[0]
    return behind


def _limits_of(config: Any) -> Limits:
    return Limits(
        max_message_size=config.ws_max_size,
        ping_interval=config.ws_ping_interval or None,
        ping_timeout=config.ws_ping_timeout or None,
    )


def _address(address: Any) -> tuple[str, int | None] | None:
    if isinstance(address, tuple):
        return str(address[0]), int(address[1])
    return (address, None) if address else None
