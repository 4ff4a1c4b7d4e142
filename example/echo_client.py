"""Send three messages, print what comes back: ``python example/echo_client.py [URL]``.

`opened` and `received_message` are called in the client's own thread; the main thread may send
as well, and waits for the end in `run_forever`.
"""

from __future__ import annotations

import sys

from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.messaging import BinaryMessage, TextMessage


class Client(WebSocketClient):
    """Close when as many messages have come back as were sent."""

    missing = 3

    def opened(self) -> None:
        self.send("a line of text")
        self.send(b"\x00\x01\x02\xff", binary=True)
        self.send(["one message, ", "in two fragments"])

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        print(message.data.hex(" ") if isinstance(message, BinaryMessage) else message.text)
        self.missing -= 1
        if not self.missing:
            self.close(1000, "that is all")

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        print(f"closed: {code} {reason.decode() if isinstance(reason, bytes) else reason}")


def main() -> None:
    """Connect, and stay until the connection is closed."""
    client = Client(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9000/")
    client.connect()
    client.run_forever()


if __name__ == "__main__":
    main()
