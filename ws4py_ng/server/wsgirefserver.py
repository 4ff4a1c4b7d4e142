"""The server of the standard library's wsgiref, for WebSockets beside plain WSGI; not for production.

    server = make_server("", 9000, server_class=WSGIServer,
                         handler_class=WebSocketWSGIRequestHandler,
                         app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.initialize_websockets_manager()
    server.serve_forever()

Each request has a thread until it is answered, so that a slow one holds up nobody; then a
manager serves the WebSockets, all in one thread. For TLS wrap ``server.socket`` with an
SSLContext: the TLS handshake is done in the request's thread as well.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
from contextlib import suppress
from time import monotonic
from typing import Any
from weakref import WeakSet
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler
from wsgiref.simple_server import WSGIServer as _WSGIServer

from ..codes import GOING_AWAY
from ..limits import DEFAULT_LIMITS, Limits
from ..manager import WebSocketManager
from ..transports.handover import read_ahead
from ..websocket import WebSocket
from .wsgiutils import SOCKET_KEYS, WEBSOCKET_KEYS, WebSocketWSGIApplication

__all__ = ["WSGIServer", "WebSocketWSGIApplication", "WebSocketWSGIHandler", "WebSocketWSGIRequestHandler"]

logger = logging.getLogger("ws4py_ng")

# The headers that wsgiref forbids an application, and a 101 needs.
UPGRADE_HEADERS = ("upgrade", "connection")
# How long the answer to a bad request is given to be read before the socket is closed.
LINGER = 1.0
# How long `server_close` waits for requests that are being answered.
PATIENCE = 2.0
# The longest request line that http.server takes.
MAX_REQUEST_LINE = 65536


class _HeadTooLarge(Exception):
    """Report a request head of more bytes than Limits allow."""


class _BoundedReader(io.RawIOBase):
    """Read a socket, while a head is read for a bounded time and a bounded number of bytes.

    A time-out for each read, which is all that a socket has, lets a peer go on for ever with
    a byte now and then.
    """

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock = sock
        self._deadline = None if limits.open_timeout is None else monotonic() + limits.open_timeout
        # The last read may bring some of what is behind the head.
        self._room: int | None = limits.max_head_size + io.DEFAULT_BUFFER_SIZE
        self.heard = False

    def readable(self) -> bool:
        """Be readable."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read once."""
        if self._room is None:
            return self._sock.recv_into(buffer)
        if self._room <= 0:
            raise _HeadTooLarge
        self.set_timeout()
        count = self._sock.recv_into(buffer)
        self._room -= count
        self.heard = True
        return count

    def set_timeout(self) -> None:
        """Let the socket wait no longer than there is time left."""
        if self._deadline is not None:
            self._sock.settimeout(max(self._deadline - monotonic(), 0.001))

    def unbind(self) -> None:
        """Lift the bounds: the head is complete."""
        self._deadline = self._room = None
        self._sock.settimeout(None)


class WebSocketWSGIHandler(ServerHandler):
    """Run an application, and lend it the socket; ``websocket`` is what it made, behind a 101."""

    http_version = "1.1"
    environ: dict[str, Any]
    headers: Any
    headers_sent: bool
    status: str
    request_handler: Any
    upgraded = False
    websocket: Any = None

    def setup_environ(self) -> None:
        """Add the socket to the environ."""
        super().setup_environ()
        for key in SOCKET_KEYS:
            self.environ[key] = self.request_handler.connection

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """Take Upgrade and Connection past wsgiref, which forbids them (PEP 3333)."""
        ours = [pair for pair in headers if pair[0].lower() in UPGRADE_HEADERS]
        write = super().start_response(status, [pair for pair in headers if pair not in ours], exc_info)
        for name, value in ours:
            self.headers.add_header(name, value)
        return write

    def cleanup_headers(self) -> None:
        """Say that a connection has one request; a 101 has no end, and so no length."""
        if self.status.startswith("101"):
            del self.headers["Content-Length"]
            return
        super().cleanup_headers()
        if "Connection" not in self.headers:
            self.headers["Connection"] = "close"

    def finish_content(self) -> None:
        """See that the head is sent, and look what the application has left in the environ."""
        for key in SOCKET_KEYS:
            self.environ.pop(key, None)
        left = [self.environ.pop(key, None) for key in WEBSOCKET_KEYS]
        if not self.status.startswith("101"):
            super().finish_content()
            return
        if not self.headers_sent:
            self.send_headers()
            self._flush()
        self.upgraded = True
        self.websocket = next((each for each in left if each is not None), None)


class WebSocketWSGIRequestHandler(WSGIRequestHandler):
    """Read one request and have it answered. ``limits`` bound its head, in size and time."""

    WebSocketWSGIHandler = WebSocketWSGIHandler
    limits: Limits = DEFAULT_LIMITS
    disable_nagle_algorithm = True
    rfile: Any

    def setup(self) -> None:
        """Put bounds on reading."""
        super().setup()
        self.rfile.close()
        self._reader = _BoundedReader(self.connection, self.limits)
        self.rfile = io.BufferedReader(self._reader)

    def handle(self) -> None:
        """Serve the request; what the peer does wrong is answered or dropped, and no error of ours."""
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                self._reader.set_timeout()
                self.connection.do_handshake()
            if not self._receive_head():
                return
        except OSError as error:
            logger.debug("No request from %s: %s", self.client_address, error)
            return
        output: Any = self.wfile
        handler = self.WebSocketWSGIHandler(self.rfile, output, self.get_stderr(), self.get_environ())
        handler.request_handler = self
        handler.run(self.server.get_app())  # type: ignore[attr-defined]
        if handler.upgraded:
            self._hand_over(handler.websocket)

    def _receive_head(self) -> bool:
        try:
            self.raw_requestline = self.rfile.readline(MAX_REQUEST_LINE + 1)
            if len(self.raw_requestline) > MAX_REQUEST_LINE:
                raise _HeadTooLarge
            if not self.parse_request():  # it has answered, or nothing came
                return False
        except _HeadTooLarge:
            self._refuse(431)
            return False
        except TimeoutError:
            # Browsers open connections that they may not need: those get no answer.
            if self._reader.heard:
                self._refuse(408)
            return False
        self._reader.unbind()
        return True

    def _refuse(self, status: int) -> None:
        """Answer what never became a request, and give it a moment to be read."""
        self.requestline = self.request_version = self.command = ""
        deadline = monotonic() + LINGER
        self.connection.settimeout(LINGER)
        self.send_error(status)
        socket.socket.shutdown(self.connection, socket.SHUT_WR)
        while monotonic() < deadline and self.connection.recv(65536):
            pass

    def get_environ(self) -> dict[str, Any]:
        """Add the target as it came."""
        return {**super().get_environ(), "REQUEST_URI": self.path}

    def _hand_over(self, websocket: Any) -> None:
        """Let the server serve a WebSocket; the connection is not ours to close any more."""
        server: Any = self.server
        server.keep(self.request)
        if websocket is None:
            return  # the application has it
        try:
            leftover = read_ahead(self.rfile, self.connection)
            if leftover and isinstance(websocket, WebSocket):
                websocket._tap.received(leftover)
                websocket._stream._reader.feed(leftover)
            server.link_websocket_to_server(websocket)
        except BaseException:
            websocket.terminate()
            raise


class WSGIServer(_WSGIServer):
    """Serve plain WSGI and WebSockets."""

    manager: WebSocketManager
    request_queue_size = 128

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock = threading.Lock()
        self._threads: dict[Any, threading.Thread] = {}
        # Connections that their threads close, and nobody else.
        self._begun: WeakSet[Any] = WeakSet()
        self._kept: set[Any] = set()
        self._closed = False
        super().__init__(*args, **options)

    def initialize_websockets_manager(self) -> None:
        """Start the manager; to be called before the first request. Twice is no harm."""
        with self._lock:
            if not hasattr(self, "manager"):
                self.manager = WebSocketManager()
                self.manager.start()

    def link_websocket_to_server(self, ws: Any) -> None:
        """Let the manager serve a WebSocket."""
        with self._lock:
            manager = getattr(self, "manager", None)
        if manager is None and self._closed:
            ws.close(GOING_AWAY, "Server is shutting down")
            ws.terminate()
            return
        if manager is None:
            raise RuntimeError("Call initialize_websockets_manager() before serve_forever()")
        manager.add(ws)

    def keep(self, request: Any) -> None:
        """Do not close this connection when its request is answered."""
        with self._lock:
            self._kept.add(request)

    def get_request(self) -> Any:
        """Accept a connection, and leave the TLS handshake to its thread."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.do_handshake_on_connect = False  # type: ignore[attr-defined]
        return super().get_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a request."""
        arguments = (request, client_address)
        thread = threading.Thread(target=self._process, args=arguments, name="WSGI request", daemon=True)
        with self._lock:
            self._threads[request] = thread
            self._begun.add(request)
        try:
            thread.start()
        except RuntimeError:  # there are no threads left
            self._begun.discard(request)
            raise

    def _process(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - `handle_error` shows it
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection whose request is answered, unless it has become a WebSocket.

        Of one that has a thread only that does: socketserver calls this as well when Ctrl-C comes
        while it begins the thread.
        """
        with self._lock:
            if request in self._begun and self._threads.get(request) is not threading.current_thread():
                return
            kept = request in self._kept
            self._kept.discard(request)
            self._threads.pop(request, None)
        if not kept:
            super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop: close every WebSocket with 1001, and wait some seconds at most."""
        with self._lock:
            self._closed = True
            answering = list(self._threads.items())
            kept = self._kept.copy()
        for request, _ in answering:
            if request not in kept:  # a WebSocket's peer would seem to have left
                with suppress(OSError):
                    socket.socket.shutdown(request, socket.SHUT_RD)
        deadline = monotonic() + PATIENCE
        for _, thread in answering:
            if thread is not threading.current_thread():
                thread.join(max(deadline - monotonic(), 0))
        with self._lock:
            manager: WebSocketManager | None = vars(self).pop("manager", None)
        if manager is not None:
            manager.close_all()
            manager.stop()
            manager.join()
        super().server_close()
