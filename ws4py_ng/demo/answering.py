"""Answer plain HTTP requests from a table of files, beside WebSockets on the same port.

It knows requests and responses and no server: `Files.answer` is what a server calls ``process_request``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus

from ..handshake import Headers, Request, Response, is_websocket_request
from ..handshake.origin import is_host

__all__ = ["Files"]

# Only what this server sends may run, and only this server may be talked to. The two Cross-Origin
# headers give the page a clock of microseconds, for the round-trip times.
HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://{host}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Files:
    """Answer requests that are no WebSocket from ``files``: path -> (content type, body).

    Paths in ``websockets`` are left to the server, whatever is asked there. ``hint`` tells who asks for
    something else what there is.
    """

    def __init__(self, files: Mapping[str, tuple[str, bytes]], websockets: Collection[str], hint: str) -> None:
        self._files = files
        self._websockets = websockets
        self._hint = hint

    def answer(self, request: Request) -> Response | None:
        """Answer by plain HTTP; None for a WebSocket, and for what should be one."""
        if is_websocket_request(request) or _path(request) in self._websockets:
            return None
        answer = self._answer(request)
        answer.headers.add("Content-Length", str(len(answer.body)))
        for name, value in HEADERS:
            answer.headers.add(name, value)
        return Response(answer.status, answer.headers) if request.method == "HEAD" else answer

    def _answer(self, request: Request) -> Response:
        path, host = _path(request), request.headers.get("Host", "")
        if not is_host(host):
            return _plain(HTTPStatus.BAD_REQUEST, "A request needs a Host")
        if request.method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not served here", ("Allow", "GET, HEAD"))
        if path not in self._files:
            return _plain(HTTPStatus.NOT_FOUND, f"Nothing at {path}: {self._hint}")
        kind, body = self._files[path]
        headers = Headers([("Content-Type", kind), ("Content-Security-Policy", POLICY.format(host=host))])
        return Response(HTTPStatus.OK.value, headers, body=body)


def _path(request: Request) -> str:
    return request.target.partition("?")[0]


def _plain(status: HTTPStatus, text: str, *more: tuple[str, str]) -> Response:
    headers = Headers([("Content-Type", "text/plain; charset=utf-8"), *more])
    return Response(status.value, headers, body=f"{text}\n".encode())
