"""What every server does with a request, whatever carries it: choose a class, agree, make it.

An adapter for a server hands its request in as a `Request` and gets back the 101 to send
and the WebSocket to drive, or a HandshakeError that `refuse` makes an answer of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, Headers, OriginRule, Request, Response, ServerPolicy, negotiate, negotiate_hosted
from ..limits import DEFAULT_LIMITS, Limits
from ..websocket import WebSocket

__all__ = ["Acceptor", "Handlers", "environ_of", "plain"]

Handlers = type[WebSocket] | Mapping[str, type[WebSocket]] | Callable[[Request], type[WebSocket] | None]


@dataclass(frozen=True, kw_only=True)
class Acceptor:
    """Hold what a server agrees to.

    ``handlers`` is one class for every path, a dict from path to class, or a function from
    a `Request` to a class, None for 404.
    """

    handlers: Handlers
    protocols: Sequence[str] = ()
    origins: Sequence[OriginRule] = ()
    deflate: bool | PerMessageDeflateFactory | None = True
    headers: Sequence[tuple[str, str]] = ()
    limits: Limits = DEFAULT_LIMITS
    heartbeat_freq: float | None = None
    policy: ServerPolicy = field(init=False)

    def __post_init__(self) -> None:
        deflate = PerMessageDeflateFactory() if self.deflate is True else self.deflate
        policy = ServerPolicy(
            protocols=self.protocols,
            origins=self.origins,
            extensions=[deflate] if deflate else [],
            headers=self.headers,
        )
        object.__setattr__(self, "policy", policy)

    def accept(self, request: Request) -> tuple[type[WebSocket], Accepted]:
        """Choose the class and agree; raises HandshakeError with the status of the refusal."""
        accepted = negotiate(request, self.policy)
        return self._route(request), accepted

    def accept_hosted(self, request: Request) -> tuple[type[WebSocket], str | None]:
        """Choose the class and the subprotocol where the host shakes hands itself."""
        subprotocol = negotiate_hosted(request, self.policy)
        return self._route(request), subprotocol

    def make(self, handler: type[WebSocket], accepted: Accepted, sock: Any, environ: dict[str, Any]) -> WebSocket:
        """Make the WebSocket for a request that was accepted."""
        protocols = [] if accepted.subprotocol is None else [accepted.subprotocol]
        ws = handler(sock, protocols, [extension.name for extension in accepted.extensions], environ)
        if self.heartbeat_freq is not None:
            ws.heartbeat_freq = self.heartbeat_freq
        ws._configure(self.limits, accepted.extensions)
        return ws

    def _route(self, request: Request) -> type[WebSocket]:
        handlers = self.handlers
        if isinstance(handlers, type):
            return handlers
        path = _path_and_query(request)[0]
        found = handlers.get(path) if isinstance(handlers, Mapping) else handlers(request)
        if found is None:
            raise HandshakeError(f"No WebSocket at {path}", HTTPStatus.NOT_FOUND.value)
        return found


def plain(response: Response) -> Response:
    """Complete a plain answer, behind which the connection is closed."""
    headers = Headers(response.headers)
    if "Content-Length" not in headers:
        headers.add("Content-Length", str(len(response.body)))
    if "Connection" not in headers:
        headers.add("Connection", "close")
    return Response(response.status, headers, response.reason, response.body)


def environ_of(request: Request, scheme: str, local: Any, peer: Any) -> dict[str, Any]:
    """Describe a request as WSGI does (PEP 3333), for ``ws.environ``.

    ``local`` and ``peer`` are socket addresses; a Unix socket's path or None is fine.
    """
    path, query = _path_and_query(request)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "SERVER_PROTOCOL": request.version,
        "wsgi.url_scheme": scheme,
    }
    if isinstance(local, tuple):
        environ["SERVER_NAME"], environ["SERVER_PORT"] = str(local[0]), str(local[1])
    if isinstance(peer, tuple):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(peer[0]), str(peer[1])
    for name, value in request.headers.items():
        if "_" in name:
            continue  # it could pass for the header with "-", which a proxy has checked
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        joint = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ


def _path_and_query(request: Request) -> tuple[str, str]:
    """Split the target, of which the whole URL is a valid form (RFC 9112 3.2.2)."""
    target = request.target
    if not target.startswith("/"):
        rest = target.partition("://")[2]
        start = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
        target = rest[start:]
    path, _, query = target.partition("?")
    return path or "/", query
