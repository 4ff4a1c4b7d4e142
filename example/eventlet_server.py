"""A WebSocket in a program that runs on eventlet: ``python example/eventlet_server.py [PORT]``.

eventlet's own documentation discourages new programs; gevent or asyncio do the same.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from ws4py_ng.server.eventletserver import WebSocketApplication, WSGIServer
from ws4py_ng.websocket import EchoWebSocket


def main() -> None:
    """Serve until Ctrl-C; then every connection is closed with 1001."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    server = WSGIServer(("127.0.0.1", port), WebSocketApplication({"/echo": EchoWebSocket}), log_output=False)
    print(f"listening on ws://127.0.0.1:{server.server_port}/", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
