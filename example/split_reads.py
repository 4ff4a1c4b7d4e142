"""Find a bug that shows only when a message is split over two reads, by a replay.

Run it: it records a conversation, replays it as it was, which is fine, and then with one more cut at
every offset, which is not. Prints the first difference.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path

from ws4py_ng.capture import replay
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import WebSocket

# A request, and two messages of a client that sends both at once: "header" and "body".
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MESSAGES = b"\x81\x86\0\0\0\0header\x81\x84\0\0\0\0body"
FRAME_HEADER = 6  # of a short frame with its mask
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class Letters(WebSocket):
    """Take letters of two messages, and say at the header how long the body is going to be."""

    is_header = True

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        """Take a part of a letter."""
        if self.is_header:
            # The bug: a frame of the body is there already, but perhaps not all of it.
            self.send(f"{message}, and {len(self.buf) - FRAME_HEADER} bytes will follow")
        else:
            self.send(f"got {message}")
        self.is_header = not self.is_header


def main() -> int:
    """Record, replay, and say what was found."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "letters.wscap")
        with serve(Letters, "127.0.0.1", 0, capture=path) as server:
            server.start()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(REQUEST)
                client.recv(1000)
                client.sendall(MESSAGES)
                answers = b""
                while b"got body" not in answers:
                    answers += client.recv(1000)
                client.sendall(CLOSE)
                client.recv(1000)
        print("as it was recorded:", replay(path, Letters))
        print("cut at every offset:", found := replay(path, Letters, splits="every"))
        print(found.difference)
    return 0 if found.difference is None else 1


if __name__ == "__main__":
    sys.exit(main())
