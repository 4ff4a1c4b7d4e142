"""A chat of many rooms, in as many processes as you like: ``python example/hub_chat.py [PORT [BUS]]``.

Each path is a room. Who comes in sees the last ten lines and who is there; who cannot keep up loses the
oldest lines. BUS joins processes: ``redis://localhost``, or ``nats://localhost``:

    python example/hub_chat.py 9001 redis://localhost
    python example/hub_chat.py 9002 redis://localhost
    ws4py-ng connect 'ws://127.0.0.1:9001/lobby?name=Ada'
    ws4py-ng connect 'ws://127.0.0.1:9002/lobby?name=Bob'
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from urllib.parse import parse_qs

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.pubsub import Bus, Hub, Presence
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.websocket import WebSocket


def bus_of(url: str) -> Bus:
    """Make the bus of a URL; the library that it needs is imported here."""
    if url.startswith("nats:"):
        from ws4py_ng.pubsub.nats import NatsBus

        return NatsBus(url)
    from ws4py_ng.pubsub.redis import RedisBus

    return RedisBus(url)


def left(presence: Presence) -> None:
    """Tell those who stay; the process that it was in does, if it can."""
    if not presence.process:
        hub.publish(presence.topic, f"* {presence.info} has left")


hub: Hub


class Member(WebSocket):
    """Be somebody in a room."""

    room = "/"
    name = "somebody"

    def opened(self) -> None:
        environ = self.environ or {}
        self.room = environ.get("PATH_INFO", "/")
        self.name = parse_qs(environ.get("QUERY_STRING", "")).get("name", [self.name])[0][:32]
        there = ", ".join(str(each.info) for each in hub.presence(self.room))
        self.send(f"* here: {there or 'nobody'}")
        hub.subscribe(self, self.room, info=self.name)
        hub.publish(self.room, f"* {self.name} has come in")

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        if isinstance(message, BinaryMessage):
            self.close(1003, "This room takes text only")
        else:
            hub.publish(self.room, f"{self.name}: {message.text}")


async def main() -> None:
    """Serve until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    async with serve(Member, "127.0.0.1", port) as server:
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    bus = bus_of(sys.argv[2]) if len(sys.argv) > 2 else None
    hub = Hub(bus, policy="drop_oldest", history=10, left=left, presence_interval=2.0)
    with hub, suppress(KeyboardInterrupt):
        asyncio.run(main())
