"""Two WebSockets and a page, a greenlet for each connection: ``python example/gevent_server.py [PORT]``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import gevent

from ws4py_ng.server.geventserver import WSGIServer
from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket, WebSocket


class Clock(WebSocket):
    """Tell the time, again and again."""

    def opened(self) -> None:
        gevent.spawn(self.tick)

    def tick(self) -> None:
        """Send from a greenlet of its own; others may send at the same time."""
        while not self.terminated:
            self.send(datetime.now(UTC).isoformat())
            gevent.sleep(1)


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer whatever asks for no WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"There are WebSockets at /echo and /clock.\n"]


def main() -> None:
    """Serve until Ctrl-C, or SIGTERM; `stop` closes every connection with 1001."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    application = WebSocketApplication({"/echo": EchoWebSocket, "/clock": Clock}, app=page)
    server = WSGIServer(("127.0.0.1", port), application, log=None)
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, server.stop)
    print(f"listening on ws://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
