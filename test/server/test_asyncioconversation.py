"""A conversation on a socket whose request somebody else has read; nothing of it is lost on any loop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from test.client.peers import frame, request
from ws4py_ng.capture.untapped import NO_TAP
from ws4py_ng.handshake import Headers, Request
from ws4py_ng.server.acceptor import Acceptor
from ws4py_ng.server.asyncioconversation import AioConnection, begin, begin_on, converse_on
from ws4py_ng.websocket import WebSocket

from .aiopeers import Run

# More than a socket holds by itself.
MUCH = bytes(4 << 20)


def described() -> Request:
    """Describe a good request."""
    lines = [line.partition(": ") for line in request().decode().split("\r\n")[1:-2]]
    return Request("GET", "/", Headers((name, value) for name, _, value in lines), "HTTP/1.1")


def test_what_comes_before_the_answer_is_not_lost(run: Run) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            theirs.send(frame(1, b"early") + frame(8, b"\x03\xe8"))
            ws = await converse_on(ours, described(), Acceptor(handlers=AioConnection))
            assert isinstance(ws, AioConnection)
            assert ["early"] == [str(message) async for message in ws]
            while await asyncio.get_running_loop().sock_recv(theirs, 4096):
                pass

    run(main)


def test_who_rests_from_the_first_turn_on_is_not_read(run: Run) -> None:
    class Talker(WebSocket):
        def opened(self) -> None:
            self.send(MUCH)

    async def main() -> None:
        transports: list[Any] = []

        def start(transport: Any) -> None:
            transports.append(transport)
            carriers.append(begin(ws, transport, NO_TAP))

        acceptor, carriers = Acceptor(handlers=Talker), []
        handler, accepted = acceptor.accept(described())
        ws = acceptor.make(handler, accepted, None, {})
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            await begin_on(ours, start)
            await asyncio.sleep(0)
            assert not transports[0].is_reading()
            carriers[0].cut_off()
            await carriers[0].wait_gone()

    run(main)
