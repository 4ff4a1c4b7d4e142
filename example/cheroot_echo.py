"""A WebSocket and a page under cheroot, the server of CherryPy: ``python example/cheroot_echo.py [PORT]``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from cheroot.wsgi import Server

from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer whatever asks for no WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"There is a WebSocket at /echo.\n"]


def main() -> None:
    """Serve until Ctrl-C. An open WebSocket holds none of the ten threads."""
    application = WebSocketApplication({"/echo": EchoWebSocket}, app=page)
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), application)
    server.prepare()
    print(f"listening on ws://127.0.0.1:{server.bind_addr[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve()
    server.stop()


if __name__ == "__main__":
    main()
