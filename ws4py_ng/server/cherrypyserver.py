"""WebSockets in CherryPy: a tool for the paths that serve them, a plugin that runs them.

    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        @cherrypy.expose
        def ws(self):
            cherrypy.request.ws_handler.room = "lobby"

    config = {"/ws": {"tools.websocket.on": True, "tools.websocket.handler_cls": Chat}}
    cherrypy.quickstart(Root(), "/", config)

The page handler runs before the 101 is sent, and may still refuse by `cherrypy.HTTPError`.
Behind the 101 the connection is taken from cheroot, whose thread is free then, and published
on the bus as ``handle-websocket``, where the plugin gives it to its manager.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import cherrypy
from cherrypy.process import plugins

from ..capture.settings import CaptureOption, settings_of
from ..endpoint import NO_TRANSPORT
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, OriginRule, ServerPolicy, negotiate, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..manager import WebSocketManager
from ..transports.blocking import BlockingTransport, check_hooks
from ..transports.handover import Handover, find, host_name
from ..websocket import WebSocket
from .functions import maker_of
from .seats import MAX_CONNECTIONS, Seats
from .wsgiutils import record, request_from_environ

__all__ = ["WebSocketPlugin", "WebSocketTool"]

logger = logging.getLogger("ws4py_ng")

# What only a 101 has.
UPGRADE_HEADERS = (
    *("Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Version"),
)
# CherryPy writes their names in its own way, which some clients do not take.
CHERRYPY_NAME, RFC_NAME = b"Sec-Websocket-", b"Sec-WebSocket-"
WS_VERSION = (8, 13)


class WebSocketTool(cherrypy.Tool):
    """Open WebSockets at the paths where ``tools.websocket.on`` is set.

    Also: ``handler_cls``, a subclass of `WebSocket` or a function of one (`server.functions`), which gets a
    thread of its own beside the manager's; ``protocols``, the subprotocols in our
    order of preference; ``heartbeat_freq``; ``priority``, that of the hook; ``origins``,
    ``deflate``, ``limits`` and ``max_connections`` as `server.wsgi.WebSocketApplication` has them; ``extensions``
    beside permessage-deflate, where names alone mean nothing. ``version`` is ws4py's; 13 it is.
    """

    def __init__(self) -> None:
        super().__init__("before_request_body", self.upgrade)
        self._seats = Seats()

    def _setup(self) -> None:
        conf = self._merged_args()
        priority = conf.pop("priority", None)
        if priority is None:
            priority = self._priority
        hooks = cherrypy.serving.request.hooks
        hooks.attach(self._point, self.callable, priority=priority, **conf)
        hooks.attach("before_finalize", self.complete, priority=priority)
        hooks.attach("after_error_response", self.complete, priority=priority)
        hooks.attach("on_end_resource", self.cleanup_headers, priority=70)
        hooks.attach("on_end_request", self.start_handler, priority=70)

    def upgrade(
        self,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        version: Sequence[int] = WS_VERSION,
        handler_cls: Callable[..., Any] = WebSocket,
        heartbeat_freq: float | None = None,
        origins: Sequence[OriginRule] | None = None,
        deflate: bool | PerMessageDeflateFactory | None = True,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = MAX_CONNECTIONS,
        capture: CaptureOption = None,
    ) -> None:
        """Agree on a WebSocket, or refuse it, and make ``cherrypy.request.ws_handler``."""
        request = cherrypy.serving.request
        request.process_request_body = False
        environ = request.wsgi_environ
        supported = [each for each in extensions or () if not isinstance(each, str | bytes)]
        if deflate:
            supported.append(PerMessageDeflateFactory() if deflate is True else deflate)
        policy = ServerPolicy(protocols=protocols or (), origins=origins or (), extensions=supported)
        try:
            accepted, found = _accept(environ, policy)
        except HandshakeError as error:
            raise _Refusal(error) from error
        chosen = [] if accepted.subprotocol is None else [accepted.subprotocol]
        names = [extension.name for extension in accepted.extensions]
        handler = maker_of(handler_cls)(found.sock, chosen, names, environ.copy(), heartbeat_freq=heartbeat_freq)
        if isinstance(handler, WebSocket):
            try:
                check_hooks(handler)
            except TypeError:
                logger.exception("The application failed to answer %s", request.path_info)
                raise
            try:
                self._seats.take(handler, max_connections)
            except HandshakeError as error:
                raise _Refusal(error) from error
            handler._configure(limits, accepted.extensions)
            recorder = settings_of(capture)
            if recorder is not None:
                record(handler, recorder, "cherrypy", request_from_environ(environ), accepted, policy)
            # What the page handler sends waits until the 101 is sent.
            handler._attach(NO_TRANSPORT)
        request.ws_handler = handler
        request.ws_handover = found
        response = cherrypy.serving.response
        response.status = accepted.response.status_text
        for name, value in accepted.response.headers.items():
            response.headers[name] = value

    def complete(self) -> None:
        """Send no body with a 101, and nothing of a 101 with anything else."""
        response = cherrypy.serving.response
        if not hasattr(cherrypy.serving.request, "ws_handler"):
            return
        if _is_101(response.status):
            response.stream = False
            response.body = b""
            response.headers.pop("Content-Type", None)
        else:
            for name in UPGRADE_HEADERS:
                response.headers.pop(name, None)

    def cleanup_headers(self) -> None:
        """Write the names of headers as RFC 6455 does."""
        response = cherrypy.serving.response
        response.header_list = [
            (RFC_NAME + name[len(RFC_NAME) :] if name.startswith(CHERRYPY_NAME) else name, value)
            for name, value in response.header_list or ()
        ]

    def start_handler(self) -> None:
        """Take the connection and publish it, when the 101 was sent."""
        request = cherrypy.serving.request
        handler, found = getattr(request, "ws_handler", None), getattr(request, "ws_handover", None)
        for name in ("ws_handler", "ws_handover"):
            if hasattr(request, name):
                delattr(request, name)
        if handler is None or found is None or not _is_101(cherrypy.serving.response.output_status):
            return
        sock, ahead = found.take()
        handler.sock = sock
        if isinstance(handler, WebSocket):
            handler._attach(BlockingTransport(handler, sock, handler._limits))
            if ahead:
                handler._tap.received(ahead)
                handler._stream._reader.feed(ahead)
        taken = False
        try:
            taken = bool(cherrypy.engine.publish("handle-websocket", handler, (request.remote.ip, request.remote.port)))
        finally:
            if not taken:
                cherrypy.log("Nobody runs the WebSocket: subscribe a WebSocketPlugin to the engine", "WEBSOCKET")
                handler.terminate()


class WebSocketPlugin(plugins.SimplePlugin):
    """Run the WebSockets that are published on ``bus`` as ``handle-websocket``, in a manager's thread.

    What is published as ``websocket-broadcast`` is sent to all of them. When the bus stops,
    they are closed with 1001. ``manager.poller`` may be replaced before it starts.
    """

    def __init__(self, bus: Any) -> None:
        super().__init__(bus)
        self.manager = WebSocketManager()

    def start(self) -> None:
        """Begin to run WebSockets; again after `stop`."""
        self.bus.log("Starting WebSocket processing")
        self.bus.subscribe("handle-websocket", self.handle)
        self.bus.subscribe("websocket-broadcast", self.broadcast)
        self.manager.start()

    def stop(self) -> None:
        """Close every WebSocket, and run no more."""
        self.bus.log("Terminating WebSocket processing")
        self.bus.unsubscribe("handle-websocket", self.handle)
        self.bus.unsubscribe("websocket-broadcast", self.broadcast)
        self.cleanup()

    def handle(self, ws_handler: Any, peer_addr: Any) -> bool:
        """Run a WebSocket from now on."""
        self.manager.add(ws_handler)
        return True

    def cleanup(self) -> None:
        """Close every WebSocket with 1001, and wait until all have ended."""
        self.manager.close_all()
        self.manager.stop()
        if self.manager.is_alive():
            self.manager.join()

    def broadcast(self, message: Any, binary: bool = False) -> None:
        """Send a message to every WebSocket."""
        self.manager.broadcast(message, binary)


def _accept(environ: dict[str, Any], policy: ServerPolicy) -> tuple[Accepted, Handover]:
    try:
        request = request_from_environ(environ)
    except ValueError as error:
        raise HandshakeError(f"bad request: {error}", 400) from error
    accepted = negotiate(request, policy)
    found = find(environ)
    if found is None or found.host != "cheroot":
        line = (
            f"WebSocketTool works under CherryPy's own server, this is {host_name(environ)}: "
            "put ws4py_ng.server.wsgi.WebSocketApplication(handlers, app=cherrypy.tree) before it"
        )
        cherrypy.log(line, "WEBSOCKET")
        raise HandshakeError(line, 501)
    return accepted, found


class _Refusal(cherrypy.HTTPError):
    """Be a refusal with its headers, some of which HTTPError removes."""

    def __init__(self, error: HandshakeError) -> None:
        super().__init__(refuse(error).status, error.msg)
        self._headers = error.headers

    def set_response(self) -> None:
        """Make the answer of it."""
        super().set_response()
        for name, value in self._headers:
            cherrypy.serving.response.headers[name] = value


def _is_101(status: Any) -> bool:
    text = status.decode("latin-1") if isinstance(status, bytes) else str(status)
    return text.startswith("101")
