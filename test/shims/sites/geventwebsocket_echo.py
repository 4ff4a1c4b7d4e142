"""The echo of gevent-websocket's README: ``python -m`` serves it."""

from __future__ import annotations

import sys

from ws4py_ng.shims import install

install("geventwebsocket")

from geventwebsocket import Resource, WebSocketApplication, WebSocketServer  # noqa: E402


class EchoApplication(WebSocketApplication):
    """Send back what comes, as it does by itself."""


if __name__ == "__main__":
    server = WebSocketServer(("127.0.0.1", 0), Resource([("/", EchoApplication)]))
    server.start()
    sys.stdout.write(f"listening on {server.server_port}\n")
    server.serve_forever()
