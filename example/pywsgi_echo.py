"""A WebSocket and a page under gevent's own server: ``python example/pywsgi_echo.py [PORT]``.

`gevent_server.py` shows ours, whose `stop` closes the connections with 1001.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer whatever asks for no WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"There is a WebSocket at /echo.\n"]


def main() -> None:
    """Serve until Ctrl-C, or SIGTERM."""
    application = WebSocketApplication({"/echo": EchoWebSocket}, app=page)
    server = WSGIServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), application, log=None)
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, server.stop)
    print(f"listening on ws://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
