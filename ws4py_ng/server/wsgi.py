"""WebSockets in a WSGI application, under any server that hands over its socket.

    application = WebSocketApplication({"/chat": Chat}, app=site)

Flask: ``app.wsgi_app = WebSocketApplication({"/chat": Chat}, app=app.wsgi_app)``. Django: the
same around ``get_wsgi_application()``.

Under Werkzeug's development server, gunicorn (sync and gthread), cheroot, wsgiref and Django's
runserver an open WebSocket holds no worker: one thread in each process serves all of them.
A function that serves a WebSocket has a thread of its own there for as long as it runs, beside
that one, and holds no worker either. It costs that thread: some 30 KiB of memory while it waits,
where a class takes 4, and a change of threads for each message. At the end of the process it is
waited for a second at most, when its connection has been closed with 1001.

Under gevent and eventlet (gunicorn's gevent worker, gevent.pywsgi, eventlet.wsgi) it stays in
its greenlet, and a function runs in another one beside that, which is killed at the end. Servers
that give no socket away (waitress, granian, hypercorn, uvicorn as WSGI) get a 501 that names the
way that works: `ws4py_ng.server.asgi`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from ..capture.settings import CaptureOption
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, OriginRule, Request, negotiate, refuse
from ..limits import DEFAULT_LIMITS, Limits
from ..transports.blocking import check_hooks
from ..transports.handover import Environ, Handover, StartResponse, find, host_name, protocol_of, takes_hop_by_hop
from ..websocket import WebSocket
from .acceptor import Acceptor, Handlers
from .answers import plain
from .checks import check_server
from .crew import close_all, crew_of
from .seats import MAX_CONNECTIONS, Seats
from .wsgiutils import SOCKET_KEYS, WEBSOCKET_KEYS, request_from_environ

__all__ = ["Opening", "WebSocketApplication", "close_all", "not_here"]

logger = logging.getLogger("ws4py_ng")

# Headers that PEP 3333 keeps from applications; some servers mind.
HOP_BY_HOP = ("connection", "upgrade")
# What an environ holds of the server's own, and would keep alive as long as the WebSocket.
PLUMBING = frozenset(
    {
        *("eventlet.input", "eventlet.posthooks", "eventlet.set_idle", "gunicorn.socket", "werkzeug.request"),
        *("werkzeug.socket", "wsgi.early_hints", "wsgi.errors", "wsgi.file_wrapper", "wsgi.input", *SOCKET_KEYS),
    }
)

Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class WebSocketApplication:
    """Serve WebSockets by WSGI; ``app`` gets whatever else comes, else that is answered 426.

    ``handlers`` is one class or function of a WebSocket (`server.functions`) for every path, a dict from path
    (below where this is mounted) to these, or a function from a ``request`` to these. A WebSocket for another
    path goes to ``app``, too, whatever rule it breaks. Of ``protocols`` the first that a client offers is chosen;
    ``origins`` lists web sites that may connect beside the server's own, ``["*"]`` all. More than
    ``max_connections`` at once in a process get 503: the server knows them no longer, and does not count them.
    """

    def __init__(
        self,
        handlers: Handlers,
        *,
        app: Application | None = None,
        protocols: Sequence[str] = (),
        origins: Sequence[OriginRule] = (),
        deflate: bool | PerMessageDeflateFactory | None = True,
        headers: Sequence[tuple[str, str]] = (),
        heartbeat_freq: float | None = None,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = MAX_CONNECTIONS,
        capture: CaptureOption = None,
    ) -> None:
        self.app = app
        check_server(max_connections)
        self.max_connections = max_connections
        self._seats = Seats()
        self.acceptor = Acceptor(
            functions="threads",
            handlers=handlers,
            protocols=protocols,
            origins=origins,
            deflate=deflate,
            headers=headers,
            heartbeat_freq=heartbeat_freq,
            limits=limits,
            capture=capture,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Be the application."""
        if self.app is not None and not _is_for_us(environ):
            return self.app(environ, start_response)
        try:
            try:
                request = request_from_environ({**environ, "SERVER_PROTOCOL": protocol_of(environ)})
            except ValueError as error:
                raise HandshakeError(f"bad request: {error}", 400) from error
            if self.app is None:
                handler, accepted = self.acceptor.accept(request)
            else:
                # How another path is asked for is the application's business.
                handler, accepted = self.acceptor.route(request), negotiate(request, self.acceptor.policy)
        except HandshakeError as error:
            if error.status == 404 and self.app is not None:
                return self.app(environ, start_response)
            return _refused(error, environ, start_response)
        try:
            opening = Opening(self.acceptor, request, handler, accepted, environ, start_response, self._admit)
            return self._open(opening, environ)
        except HandshakeError as error:
            return _refused(error, environ, start_response)

    def _admit(self, ws: WebSocket) -> None:
        self._seats.take(ws, self.max_connections)

    def _open(self, opening: Opening, environ: Environ) -> Iterable[bytes]:
        if opening.lent is not None:
            return opening.leave_to_server()
        found = find(environ)
        if found is None:
            raise not_here(environ)
        kit = found.kit
        with crew_of(environ).opening(kit):
            return opening.hand_to_manager(found) if kit is None else opening.stay(found, kit)


class Opening:
    """Open one WebSocket whose request was accepted; ``admit`` may still refuse it, by a HandshakeError."""

    def __init__(
        self,
        acceptor: Acceptor,
        request: Request,
        handler: type[WebSocket],
        accepted: Accepted,
        environ: Environ,
        start_response: StartResponse | None,
        admit: Callable[[WebSocket], None] = lambda ws: None,
    ) -> None:
        self._acceptor = acceptor
        self._admit = admit
        self._request = request
        self._handler = handler
        self._accepted = accepted
        self._environ = environ
        self._start_response = start_response

    @property
    def lent(self) -> Any:
        """The socket that a server of ours lends, None under any other."""
        return next((self._environ[key] for key in SOCKET_KEYS if self._environ.get(key) is not None), None)

    def _make(self, sock: Any) -> WebSocket:
        """Make the WebSocket. What the application's constructor raises is its own bug."""
        try:
            ws = self._acceptor.make(self._handler, self._accepted, sock, _kept(self._environ, sock))
            check_hooks(ws)
            self._admit(ws)
            self._record(ws)
            return ws
        except HandshakeError:
            raise
        except Exception:
            logger.exception("The application failed to answer %s", self._environ.get("PATH_INFO"))
            raise HandshakeError("Internal server error", 500) from None

    def _record(self, ws: WebSocket) -> None:
        """Record the connection, if that is wanted; its handshake as the server tells of it."""
        if self._acceptor.captures:
            secure = self._environ.get("wsgi.url_scheme") == "https"
            local, peer = ws.local_address, ws.peer_address
            ws._record(
                self._acceptor.tap_hosted("wsgi", local, peer, self._request, self._accepted.response, secure=secure)
            )

    def _answer(self) -> Any:
        """Tell the server what is answered; return its function ``write``."""
        response = self._accepted.response
        assert self._start_response is not None
        return self._start_response(response.status_text, response.headers.items())

    def leave_to_server(self) -> Iterable[bytes]:
        """Leave the WebSocket in the environ, for a server of ours; see `wsgiutils`."""
        ws = self._make(self.lent)
        self._environ.update(dict.fromkeys(WEBSOCKET_KEYS, ws))
        self._answer()
        return []

    def hand_to_manager(self, found: Handover) -> Iterable[bytes]:
        """Take the connection from a threaded server."""
        sock, ahead = found.take()
        status = self._accepted.response.status_text
        try:
            ws = self._make(sock)
            sock.settimeout(self._acceptor.limits.open_timeout)
            sock.sendall(self._accepted.response.to_bytes())
            sock.settimeout(None)
        except HandshakeError as error:
            answer = plain(refuse(error))
            status = answer.status_text
            with suppress(OSError):
                sock.sendall(answer.to_bytes())
            sock.close()
        except OSError as error:
            logger.debug("No WebSocket: %s", error)
            sock.close()
        else:
            _feed(ws, ahead)
            crew_of(self._environ).manage(ws, found.stopping)
        # For its log: what the server answers reaches nobody any more.
        assert self._start_response is not None
        self._start_response(status, [])
        return []

    def stay(self, found: Handover, kit: ModuleType) -> Iterable[bytes]:
        """Serve the connection in its greenlet, and leave the server when it has ended."""
        ws = self._make(found.sock)
        kit.adopt(ws)
        ahead = found.buffered()
        if found.informed:
            write = self._answer()
            if found.answers:
                write(b"")
        if not found.answers:
            found.sock.settimeout(self._acceptor.limits.open_timeout)
            found.sock.sendall(self._accepted.response.to_bytes())
        _feed(ws, ahead)
        crew_of(self._environ).serve_here(ws, kit, found.stopping)
        return found.leave()

    def converse(self, found: Handover, kit: ModuleType) -> WebSocket:
        """Take the connection, for somebody who reads beside the application."""
        if self._start_response is not None and found.informed and not found.answers:
            self._answer()
        sock, ahead = found.take()
        try:
            ws = self._make(sock)
            kit.adopt(ws)
            sock.settimeout(self._acceptor.limits.open_timeout)
            sock.sendall(self._accepted.response.to_bytes())
        except BaseException:
            sock.close()
            raise
        transport: Any = ws._transport
        # Whoever sends before it is read does not wait longer than that, either.
        transport.channel.set_timeouts(None, self._acceptor.limits.write_timeout)
        _feed(ws, ahead)
        return ws


def _feed(ws: WebSocket, ahead: bytes) -> None:
    """Let a WebSocket read what the server has read of it already."""
    if ahead:
        ws._tap.received(ahead)
        ws._stream._reader.feed(ahead)


def _kept(environ: Environ, sock: Any) -> Environ:
    """Make the environ of the WebSocket: without the server's own, and with what some leave out."""
    kept = {"QUERY_STRING": ""} | {key: value for key, value in environ.items() if key not in PLUMBING}
    if hasattr(sock, "unwrap"):
        kept["wsgi.url_scheme"] = "https"
    if not kept.get("REMOTE_PORT"):
        with suppress(OSError):
            peer = sock.getpeername()
            kept["REMOTE_PORT"] = str(peer[1]) if isinstance(peer, tuple) else ""
    return kept


def _is_for_us(environ: Environ) -> bool:
    """Tell whether a request asks for a WebSocket, even where a proxy has eaten its Upgrade."""
    upgrade = str(environ.get("HTTP_UPGRADE", "")).lower()
    return "websocket" in (token.strip() for token in upgrade.split(",")) or "HTTP_SEC_WEBSOCKET_KEY" in environ


def not_here(environ: Environ) -> HandshakeError:
    name = host_name(environ)
    line = (
        f"{name} gives no socket to a WSGI application: serve WebSockets by ASGI there, "
        "with ws4py_ng.server.asgi.WebSocketApplication under uvicorn, hypercorn or granian"
    )
    logger.error("%s", line)
    return HandshakeError(line, 501)


def _refused(error: HandshakeError, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer by plain HTTP. Whether the connection then ends is the server's business."""
    response = refuse(error)
    headers = [pair for pair in response.headers.items() if pair[0].lower() not in HOP_BY_HOP]
    if "Upgrade" in response.headers and takes_hop_by_hop(environ):
        headers += [("Upgrade", response.headers.get("Upgrade", "")), ("Connection", "Upgrade")]
    start_response(response.status_text, headers)
    # RFC 9110 9.3.2; not every server sees to it.
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]
