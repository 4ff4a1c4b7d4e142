"""The page served by plain HTTP, below a path that nobody can guess. It knows requests and no server.

A recording is for its owner's eyes, and every user and every web page of this machine can reach 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from http import HTTPStatus

from ..handshake import Headers, Request, Response
from .page import page

__all__ = ["Site"]

_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cache-Control", "no-cache"),
)


class Site:
    """Answer requests for one page; ``data`` is called for each, and returns what `encode` has made.

    ``path`` is where the page is. With ``follow`` the page asks again and again, by the ETag of what it has.
    """

    def __init__(self, data: Callable[[], bytes], *, follow: bool = False) -> None:
        self._data = data
        self._follow = follow
        self.path = f"/{secrets.token_urlsafe(16)}/"

    def answer(self, request: Request) -> Response:
        """Answer a request, whatever it asks for."""
        answer = self._answer(request)
        answer.headers.add("Content-Length", str(len(answer.body)))
        for name, value in _HEADERS:
            answer.headers.add(name, value)
        return Response(answer.status, answer.headers) if request.method == "HEAD" else answer

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _say(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not served here")
        is_page = secrets.compare_digest(request.target, self.path)
        if not is_page and not secrets.compare_digest(request.target, f"{self.path}data"):
            return _say(HTTPStatus.NOT_FOUND, "Nothing here: the page is at the address that `inspect --web` printed")
        data = self._data()
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = Headers([("ETag", tag)])
        if is_page:
            headers.add("Content-Type", "text/html; charset=utf-8")
            return Response(HTTPStatus.OK.value, headers, body=page(data, follow=self._follow))
        if request.headers.get("If-None-Match") == tag:
            return Response(HTTPStatus.NOT_MODIFIED.value, headers)
        headers.add("Content-Type", "application/octet-stream")
        return Response(HTTPStatus.OK.value, headers, body=data)


def _say(status: HTTPStatus, text: str) -> Response:
    headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
    return Response(status.value, headers, body=f"{text}\n".encode())
