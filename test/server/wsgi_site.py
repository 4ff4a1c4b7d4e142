"""The application that the tests of WSGI hosts serve: WebSockets beside a plain page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from ws4py_ng.limits import Limits
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import WebSocket

__all__ = ["application"]


class Echo(WebSocket):
    """Send back every message; of a text that begins with "?" the rest is a key of the environ."""

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        if message.data.startswith(b"?"):
            self.send(str((self.environ or {}).get(str(message)[1:], "(none)")))
        else:
            self.send(message.data, message.is_binary)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        sys.stdout.write(f"closed {code}\n")
        sys.stdout.flush()


class AsyncHooks(WebSocket):
    """Be impossible here."""

    async def opened(self) -> None: ...


class Unmade(WebSocket):
    """Fail in the constructor."""

    def __init__(self, *args: Any) -> None:
        raise LookupError("no such room")


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer plain requests, and tell what body there is."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    page = f"plain {environ['PATH_INFO']} {len(body)}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(page)))])
    return [page]


application = WebSocketApplication(
    {"/ws": Echo, "/async": AsyncHooks, "/unmade": Unmade},
    app=site,
    protocols=["chat"],
    limits=Limits(ping_interval=None),
)
