"""A chat room, a thread for each member: ``python example/chat_server.py [PORT]``.

Join with as many of these as you like, under any name:

    ws4py-ng connect 'ws://127.0.0.1:9000/?name=Ada'
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from urllib.parse import parse_qs

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import WebSocket


class Room:
    """Know who is there, and tell all of them. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: set[WebSocket] = set()

    def enter(self, member: WebSocket) -> None:
        """Let a member in."""
        with self._lock:
            self._members.add(member)

    def leave(self, member: WebSocket) -> None:
        """Forget a member."""
        with self._lock:
            self._members.discard(member)

    def tell(self, text: str) -> None:
        """Send to every member; without the lock, as a send waits for who reads slowly."""
        with self._lock:
            members = list(self._members)
        for member in members:
            with suppress(ConnectionClosed):  # has just left
                member.send(text)


room = Room()


class Member(WebSocket):
    """Pass on what one member says."""

    name = "somebody"

    def opened(self) -> None:
        query = parse_qs((self.environ or {}).get("QUERY_STRING", ""))
        self.name = query.get("name", [self.name])[0][:32]
        room.enter(self)
        room.tell(f"* {self.name} has come in")

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        if isinstance(message, BinaryMessage):
            self.close(1003, "This room takes text only")
        else:
            room.tell(f"{self.name}: {message.text}")

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        room.leave(self)
        room.tell(f"* {self.name} has left")


def main() -> None:
    """Serve until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with serve(Member, "127.0.0.1", port) as server, suppress(KeyboardInterrupt):
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
