"""The limits: frames that were made once are sent, and the bytes of the answers are counted, nothing else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ..load import connect
from ..setup import Setup
from ..wire import BINARY, client_frame, server_frame
from .orders import Order, next_order

READ_SIZE = 256 * 1024


class Count:
    """Count bytes for a client: how many frames to send now."""

    def __init__(self, order: Order) -> None:
        payload = b"x" * order.size
        self.frame = client_frame(BINARY, payload)
        self.first = min(order.window, order.count)
        self.size = len(server_frame(BINARY, payload))
        self._to_send = order.count - self.first
        self._to_come = order.count * self.size

    def came(self, size: int) -> int:
        """Note bytes that came; tell how many frames to send."""
        answered = self._to_come // self.size
        self._to_come -= size
        number = min(answered - self._to_come // self.size, self._to_send)
        self._to_send -= number
        return number

    @property
    def is_done(self) -> bool:
        """Whether all bytes have come."""
        return self._to_come == 0


def threads(setup: Setup) -> None:
    """Talk by a socket that blocks."""
    sock, _ = connect(setup)
    buffer = bytearray(READ_SIZE)
    word = "ready"
    while (order := next_order(word)) is not None:
        count = Count(order)
        sock.sendall(count.frame * count.first)
        while not count.is_done:
            number = count.came(sock.recv_into(buffer))
            if number:
                sock.sendall(count.frame * number)
        word = "done"


class Client(asyncio.BufferedProtocol):
    """Send as many as were answered."""

    count: Count
    done: asyncio.Event
    buffer = memoryview(bytearray(READ_SIZE))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold it."""
        self.transport: Any = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Read into one that is there."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count."""
        number = self.count.came(nbytes)
        if number:
            self.transport.write(self.count.frame * number)
        elif self.count.is_done:
            self.done.set()


async def _asyncio(setup: Setup) -> None:
    sock: socket.socket = connect(setup)[0]
    sock.setblocking(False)
    _, client = await asyncio.get_running_loop().create_connection(Client, sock=sock)
    word = "ready"
    while (order := next_order(word)) is not None:
        client.count, client.done = Count(order), asyncio.Event()
        client.transport.write(client.count.frame * client.count.first)
        await client.done.wait()
        word = "done"


def asyncio_(setup: Setup) -> None:
    """Talk by asyncio."""
    asyncio.run(_asyncio(setup))


def uvloop_(setup: Setup) -> None:
    """Talk by uvloop."""
    import uvloop

    uvloop.run(_asyncio(setup))
