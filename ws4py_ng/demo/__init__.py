"""The page of `ws4py-ng demo`: plain HTTP answers beside the WebSocket, from this folder.

It knows requests and responses and no server.
"""

from __future__ import annotations

import html
from http import HTTPStatus
from importlib.resources import files

from .._core import BUILD
from .._version import __version__
from ..handshake import Headers, Request, Response, is_websocket_request
from ..handshake.origin import is_host

__all__ = ["ECHO_PATH", "Page"]

ECHO_PATH = "/echo"
ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#0f766e"/>
<path d="M6 17h5l3-9 5 16 3-7h4" fill="none" stroke="#fff" stroke-width="2.6" stroke-linejoin="round"/>
</svg>
"""
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


class Page:
    """Answer requests that are no WebSocket; ``program`` is how the user calls ws4py-ng."""

    def __init__(self, program: str) -> None:
        folder = files(__name__)
        index = folder.joinpath("index.html").read_text("utf-8")
        for name, value in (("version", __version__), ("build", BUILD), ("program", program), ("echo", ECHO_PATH)):
            index = index.replace("{{" + name + "}}", html.escape(value))
        self._files = {
            "/": ("text/html; charset=utf-8", index.encode()),
            "/app.js": ("text/javascript; charset=utf-8", folder.joinpath("app.js").read_bytes()),
            "/worker.js": ("text/javascript; charset=utf-8", folder.joinpath("worker.js").read_bytes()),
            "/style.css": ("text/css; charset=utf-8", folder.joinpath("style.css").read_bytes()),
            "/favicon.svg": ("image/svg+xml", ICON.encode()),
            # Asked for by browsers that do not look for a <link rel="icon"> first.
            "/favicon.ico": ("image/svg+xml", ICON.encode()),
        }

    def answer(self, request: Request) -> Response | None:
        """Answer by plain HTTP; None for a WebSocket, and for what should be one."""
        if is_websocket_request(request) or _path(request) == ECHO_PATH:
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
            return _plain(HTTPStatus.NOT_FOUND, f"Nothing at {path}: the page is at /, the WebSocket at {ECHO_PATH}")
        kind, body = self._files[path]
        headers = Headers([("Content-Type", kind), ("Content-Security-Policy", POLICY.format(host=host))])
        return Response(HTTPStatus.OK.value, headers, body=body)


def _path(request: Request) -> str:
    return request.target.partition("?")[0]


def _plain(status: HTTPStatus, text: str, *more: tuple[str, str]) -> Response:
    headers = Headers([("Content-Type", "text/plain; charset=utf-8"), *more])
    return Response(status.value, headers, body=f"{text}\n".encode())
