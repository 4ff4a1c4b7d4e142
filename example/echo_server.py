"""Echo every message, a thread for each connection: ``python example/echo_server.py [PORT]``."""

from __future__ import annotations

import sys
from contextlib import suppress

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import WebSocket


class Echo(WebSocket):
    """Send back what comes, as text or binary as it came."""

    def opened(self) -> None:
        print("a client has come")

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        self.send(message.data, message.is_binary)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        print(f"a client has gone: {code}")


def main() -> None:
    """Serve until Ctrl-C; leaving the `with` closes every connection with 1001."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with serve(Echo, "127.0.0.1", port) as server, suppress(KeyboardInterrupt):
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
