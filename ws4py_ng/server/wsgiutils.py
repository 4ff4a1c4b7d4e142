"""A WSGI application that answers the opening handshake, for servers that lend it their socket.

What such a server has to do: put the connected socket into ``environ["ws4py_ng.socket"]``
(ws4py's key ``ws4py.socket`` will do). When the application has returned and the 101 is sent,
take the WebSocket from ``environ["ws4py_ng.websocket"]`` and `run` it, or `add` it to a
manager; forget both keys, and leave the socket open. `wsgirefserver` is such a server.

PEP 3333 forbids applications the headers Upgrade and Connection, without which there is no
101: a server that insists cannot serve WebSockets this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_from_bytes

from ..capture.settings import Capture, CaptureOption, open_tap, settings_of
from ..endpoint.checks import check_agreement
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, Headers, OriginRule, Request, ServerPolicy, negotiate, refuse
from ..handshake.environ import path_below, split_target
from ..limits import DEFAULT_LIMITS, Limits
from ..websocket import WebSocket
from .functions import maker_of

__all__ = ["WebSocketWSGIApplication", "request_from_environ"]

SOCKET_KEYS = ("ws4py_ng.socket", "ws4py.socket")
WEBSOCKET_KEYS = ("ws4py_ng.websocket", "ws4py.websocket")

# What may stand in a path as it is (RFC 3986 3.3).
_PATH_SAFE = "/:@!$&'()*+,;=~"
_HOP_BY_HOP = ("upgrade", "connection")
_VERSION_KEY = "HTTP_SEC_WEBSOCKET_VERSION"

StartResponse = Callable[..., Any]


def request_from_environ(environ: dict[str, Any]) -> Request:
    """Make the request of what WSGI tells about it.

    Some is lost on that way. A header that came twice is one, joined by commas or the last
    of them, as the server likes. ``_`` in a name has become ``-``. The target is as it was
    only where the server adds RAW_URI or REQUEST_URI; its path begins below where the application
    is mounted, by SCRIPT_NAME. A body in chunks may go unmentioned.

    Raises ValueError for what can be no request.
    """
    headers = Headers()
    for key, value in environ.items():
        if key.startswith("HTTP_") and isinstance(value, str):
            headers.add(key[len("HTTP_") :].replace("_", "-").title(), value)
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers.add(key.replace("_", "-").title(), str(environ[key]))
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    target = sent if sent and not environ.get("SCRIPT_NAME") else _target(environ, sent)
    version = environ.get("SERVER_PROTOCOL") or "HTTP/1.1"
    return Request(environ.get("REQUEST_METHOD", "GET"), target, headers, version)


def _target(environ: dict[str, Any], sent: str) -> str:
    origin, path, query = split_target(sent) if sent else ("", "", environ.get("QUERY_STRING"))
    quoted = quote_from_bytes(environ.get("PATH_INFO", "").encode("latin-1"), _PATH_SAFE) or "/"
    below = path_below(path, environ.get("SCRIPT_NAME", ""), quoted)
    return f"{origin}{below}?{query}" if query else origin + below


class WebSocketWSGIApplication:
    """Answer the opening handshake, and leave a WebSocket of ``handler_cls`` in the environ.

    ``handler_cls`` may be a function of a WebSocket as well (`server.functions`).

    ``protocols`` are the subprotocols in our order of preference, one of which is agreed on.
    ``extensions`` are what `ServerPolicy` takes, beside permessage-deflate; names alone, which
    ws4py took, have nothing behind them and are passed over. ``origins`` as in `ServerPolicy`.
    A request that is refused gets its status, and one line that says why.
    """

    def __init__(
        self,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        handler_cls: Callable[..., Any] = WebSocket,
        *,
        limits: Limits = DEFAULT_LIMITS,
        deflate: bool | PerMessageDeflateFactory = True,
        origins: Sequence[OriginRule] | None = None,
        capture: CaptureOption = None,
    ) -> None:
        if isinstance(handler_cls, Mapping):
            raise TypeError("handler_cls is a dict, expected a class: server.wsgi.WebSocketApplication takes paths")
        check_agreement(deflate, None, limits)
        self.protocols = protocols
        self.extensions = extensions
        self.handler_cls = maker_of(handler_cls)
        self._limits = limits
        self._recorder = settings_of(capture)
        supported = [each for each in extensions or () if not isinstance(each, str | bytes)]
        if deflate:
            supported.append(PerMessageDeflateFactory() if deflate is True else deflate)
        self._policy = ServerPolicy(protocols=protocols or (), origins=origins or (), extensions=supported)

    def make_websocket(
        self, sock: Any, protocols: Sequence[str], extensions: Sequence[str], environ: dict[str, Any]
    ) -> Any:
        """Make the WebSocket, and leave it in the environ; may be overridden."""
        websocket = self.handler_cls(sock, protocols, extensions, environ.copy())
        for key in WEBSOCKET_KEYS:
            environ[key] = websocket
        return websocket

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Be the application."""
        sock = next((environ[key] for key in SOCKET_KEYS if environ.get(key) is not None), None)
        try:
            request = _request(environ)
            accepted = negotiate(request, self._policy)
        except HandshakeError as error:
            return self._refuse(error, environ, start_response, sock is None)
        if sock is None:
            raise RuntimeError(
                f"this server puts no socket into environ[{SOCKET_KEYS[0]!r}]: WebSocketWSGIApplication "
                "works under ws4py_ng.server.wsgirefserver and servers that do the same"
            )
        protocols = [] if accepted.subprotocol is None else [accepted.subprotocol]
        names = [extension.name for extension in accepted.extensions]
        websocket = self.make_websocket(sock, protocols, names, environ)
        configure = getattr(websocket, "_configure", None)
        if configure is not None:
            configure(self._limits, accepted.extensions)
        if self._recorder is not None and isinstance(websocket, WebSocket):
            record(websocket, self._recorder, "wsgi", request, accepted, self._policy)
        start_response(accepted.response.status_text, accepted.response.headers.items())
        return []

    def _refuse(
        self, error: HandshakeError, environ: dict[str, Any], start_response: StartResponse, strict: bool
    ) -> Iterable[bytes]:
        """Answer by plain HTTP; without headers that PEP 3333 forbids, if the server may mind."""
        version = environ.get(_VERSION_KEY)
        if version != "13":
            environ["websocket.version"] = str(version).encode("utf-8")
        response = refuse(error)
        headers = response.headers.items()
        if strict:
            headers = [pair for pair in headers if pair[0].lower() not in _HOP_BY_HOP]
        start_response(response.status_text, headers)
        # RFC 9110 9.3.2; not every server sees to it.
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]


def _request(environ: dict[str, Any]) -> Request:
    try:
        return request_from_environ(environ)
    except ValueError as error:
        raise HandshakeError(f"bad request: {error}", 400) from error


def record(
    websocket: WebSocket,
    recorder: Capture,
    carrier: str,
    request: Request,
    accepted: Accepted,
    policy: ServerPolicy,
) -> None:
    """Record a connection whose handshake a WSGI server has read, and answers."""
    local, peer = websocket.local_address, websocket.peer_address
    deflate = next(iter(policy.extensions), None)
    secure = websocket._is_secure
    tap = open_tap(recorder, "server", carrier, local, peer, secure=secure, deflate=deflate, rebuilt=True)
    tap.received(request.to_bytes())
    tap.sent(accepted.response.to_bytes())
    websocket._record(tap)
