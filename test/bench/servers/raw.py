"""The limits: what comes is sent back as it is, without any WebSocket behind the handshake."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..setup import Setup

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([^\r]*)", re.IGNORECASE)
READ_SIZE = 256 * 1024


def answer(head: bytes) -> bytes:
    """Make the smallest answer to a handshake that a client takes."""
    found = KEY.search(head)
    accept = base64.b64encode(hashlib.sha1(found[1].strip() + GUID).digest()) if found else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def strict_answer(head: bytes) -> bytes:
    """Make an answer by our own handshake, which checks all that RFC 6455 and RFC 9112 want."""
    from ws4py_ng.handshake import negotiate, receive_request

    reading = receive_request()
    next(reading)
    try:
        reading.send(head)
    except StopIteration as stop:
        return negotiate(stop.value[0]).response.to_bytes()
    raise ValueError("a part of a head")


class Echo(asyncio.Protocol):
    """Send back what comes."""

    answer = staticmethod(answer)
    members: set[Any] = set()  # noqa: RUF012
    broadcast = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self.transport: Any = transport
        self.head: bytes | None = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.members.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        """Answer the request, then all that comes."""
        if self.head is None:
            if self.broadcast:
                self.publish(data)
            else:
                self.transport.write(data)
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.transport.write(self.answer(self.head))
            self.head = None
            self.members.add(self.transport)

    def publish(self, data: bytes) -> None:
        """Write a short frame, whose key is 0, to everybody."""
        frame = data[:1] + bytes([data[1] & 0x7F]) + data[6:]
        for member in self.members:
            member.write(frame)


class StrictEcho(Echo):
    """Do so behind a handshake that is not minimal."""

    answer = staticmethod(strict_answer)


class BufferedEcho(asyncio.BufferedProtocol):
    """Send back what comes; the loop reads into a buffer that is there already."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self.transport: Any = transport
        self.head: bytes | None = b""
        self.buffer = memoryview(bytearray(READ_SIZE))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer the request, then all that comes; a transport may keep what it is given."""
        data = bytes(self.buffer[:nbytes])
        if self.head is None:
            self.transport.write(data)
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.transport.write(answer(self.head))
            self.head = None


async def _serve(
    setup: Setup,
    protocol: Callable[[], asyncio.BaseProtocol] = Echo,
    create_server: Any = lambda loop, *args, **options: loop.create_server(*args, **options),
) -> None:
    Echo.broadcast = setup.broadcast
    # asyncio allocates 256 KiB at each read. Once a larger block was given back, as in any program
    # that has run for a while, malloc does not go to the system for each of them.
    bytearray(1 << 20)
    loop = asyncio.get_running_loop()
    server = await create_server(loop, protocol, sock=setup.listen(), ssl=setup.tls(), backlog=4096)
    await server.serve_forever()


def loop(setup: Setup) -> None:
    """Echo by an asyncio protocol."""
    asyncio.run(_serve(setup))


def strict(setup: Setup) -> None:
    """Echo behind our own handshake, without a WebSocket: what is left to be saved there."""
    asyncio.run(_serve(setup, StrictEcho))


def buffered(setup: Setup) -> None:
    """Echo by an asyncio protocol with a buffer of its own."""
    asyncio.run(_serve(setup, BufferedEcho))


def fastnet(setup: Setup) -> None:
    """Do so over the transports of aiofastnet, as picows does, and we do for TLS."""
    import aiofastnet

    asyncio.run(_serve(setup, BufferedEcho, aiofastnet.create_server))


def uvloop(setup: Setup) -> None:
    """Echo by the same protocol under uvloop."""
    import uvloop

    uvloop.run(_serve(setup))


def _echo(sock: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(4096)
    sock.sendall(answer(head))
    buffer = memoryview(bytearray(READ_SIZE))
    while got := sock.recv_into(buffer):
        sock.sendall(buffer[:got])


def thread(setup: Setup) -> None:
    """Echo by a blocking thread for each connection."""
    listener = setup.listen()
    tls = setup.tls()
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True)
        threading.Thread(target=_echo, args=(sock,), daemon=True).start()


def tornado(setup: Setup) -> None:
    """Echo by an IOStream of tornado."""
    from tornado.iostream import IOStream, StreamClosedError
    from tornado.tcpserver import TCPServer

    class Server(TCPServer):  # type: ignore[misc]
        async def handle_stream(self, stream: IOStream, address: object) -> None:
            with suppress(StreamClosedError):
                await stream.write(answer(await stream.read_until(b"\r\n\r\n")))
                stream.set_nodelay(True)
                while True:
                    await stream.write(await stream.read_bytes(READ_SIZE, partial=True))

    async def run() -> None:
        sock = setup.listen()
        sock.setblocking(False)
        Server().add_sockets([sock])
        await asyncio.Event().wait()

    asyncio.run(run())
