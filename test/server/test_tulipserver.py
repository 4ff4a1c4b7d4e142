"""ws4py's names for WebSockets on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from test.client.peers import frame, request
from test.server.aiopeers import QUIET, Peer, Run
from ws4py_ng import async_websocket
from ws4py_ng.server.tulipserver import WebSocketProtocol
from ws4py_ng.websocket import EchoWebSocket


def test_tulipserver_is_a_protocol_for_create_server(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[WebSocketProtocol] = []

        def protocol() -> WebSocketProtocol:
            made.append(WebSocketProtocol(EchoWebSocket, limits=QUIET))
            return made[-1]

        server = await loop.create_server(protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        async with Peer(*await asyncio.open_connection(*address)) as peer:
            peer.writer.write(request())
            assert (await peer.head()).startswith(b"HTTP/1.1 101")
            peer.writer.write(frame(1, b"hello"))
            assert (0x81, b"hello") == await peer.frame()
            assert made[0].ws is not None
            made[0].close()
            assert (0x88, b"\x03\xe8") == await peer.frame()
            peer.writer.write(frame(8, b"\x03\xe8"))
            assert b"" == await peer.reader.read()
        async with Peer(*await asyncio.open_connection(*address)) as peer:
            peer.writer.write(b"GET")
            while len(made) < 2 or made[1]._transport is None:
                await asyncio.sleep(0)
            made[1].close()
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await peer.reader.read()
        server.close()
        await server.wait_closed()

    run(main)


def test_async_websocket_is_a_websocket_that_knows_its_protocol(run: Run) -> None:
    seen: list[Any] = []

    class Handler(async_websocket.EchoWebSocket):
        def opened(self) -> None:
            seen.extend([self.started, self.proto])

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: WebSocketProtocol(Handler), "127.0.0.1", 0)
        async with Peer(*await asyncio.open_connection(*server.sockets[0].getsockname())) as peer:
            peer.writer.write(request())
            await peer.head()
            peer.writer.write(frame(2, b"hello"))
            assert (0x82, b"hello") == await peer.frame()
            ws = seen[1].ws
            peer.writer.write(frame(8, b"\x03\xe8"))
            await peer.reader.read()
            assert True is seen[0]
            assert None is ws.proto
        server.close()
        await server.wait_closed()

    run(main)
