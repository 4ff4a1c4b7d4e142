"""Run a connection from a list of captured chunks, without a socket.

`WebSocket.session` is a generator. It asks for bytes: a step ``n`` means that it cannot go on
before ``n`` more. Whoever has bytes, any number of them, sends them in; ``b""`` is the end. What
the WebSocket wants to send in turn waits in ``bytes_to_send()``.
"""

from __future__ import annotations

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.websocket import WebSocket

# What a browser sent behind its opening handshake, in the pieces in which recv() returned it:
# "Hello", "Привет" as a text in two fragments with a Ping in between, and Close 1000.
CAPTURED = [
    bytes.fromhex("81 85 37 fa 21 3d 7f"),
    bytes.fromhex("9f 4d 51 58 01 85 10 20 30 40 c0"),
    bytes.fromhex("bf e1 c0 c0 89 84 01 02 03 04 71 6b 6d 63 80 87 10 20 30 40 a8 f0"),
    bytes.fromhex("82 90 a5 f1 b2 88 82 0a 0b 0c 0d 09 e3"),
]


class Printer(WebSocket):
    """Print what happens, and answer."""

    def opened(self) -> None:
        print("opened")

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        print(f"  received {message}")
        self.send(f"{len(message)} characters")

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        print(f"closed with {code}")


def main() -> None:
    """Drive the session by hand: this loop is all that a transport has to do."""
    websocket = Printer()
    session = websocket.session()
    chunks = iter(CAPTURED)
    try:
        need = next(session)
        while True:
            chunk = next(chunks, b"")
            print(f"{need} bytes wanted, {len(chunk)} given")
            need = session.send(chunk)
            print(f"  to send: {websocket.bytes_to_send().hex(' ') or 'nothing'}")
    except StopIteration as stop:
        print(f"  to send: {websocket.bytes_to_send().hex(' ') or 'nothing'}")
        print(f"ended: {stop.value}")


if __name__ == "__main__":
    main()
