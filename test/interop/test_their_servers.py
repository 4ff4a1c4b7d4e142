"""Our threaded client with the servers of others."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websockets.asyncio.server
import websockets.sync.server
from aiohttp import WSMsgType, web
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from test.client.peers import (
    WAIT,
    Peer,
    RawServer,
    client_context,
    client_spy,
    get,
    open_client,
    server_context,
)
from test.interop import wsproto_peer
from test.interop.loop import Loop
from ws4py_ng.limits import MIB

PIECES = ["a" * 1000, "", "\u20ac", "b" * 70000]


@contextmanager
def websockets_sync(deflate: bool, context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve by the threaded server of websockets."""

    def handle(ws: websockets.sync.server.ServerConnection) -> None:
        for message in ws:
            if message == "close me":
                ws.close(4002, "later")
            elif message == "fragments":
                ws.send(PIECES)
            elif message == "ping me":
                assert ws.ping(b"are you there?").wait(WAIT)
                ws.send("pong: are you there?")
            else:
                ws.send(message)

    server = websockets.sync.server.serve(
        handle,
        "127.0.0.1",
        0,
        subprotocols=["v2"],  # type: ignore[list-item]
        compression="deflate" if deflate else None,
        ssl=context,
        max_size=None,
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.socket.close()


@contextmanager
def websockets_asyncio(deflate: bool, context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve by the asyncio server of websockets."""

    async def handle(ws: websockets.asyncio.server.ServerConnection) -> None:
        async for message in ws:
            if message == "close me":
                await ws.close(4002, "later")
            elif message == "fragments":
                await ws.send(PIECES)
            elif message == "ping me":
                await (await ws.ping(b"are you there?"))
                await ws.send("pong: are you there?")
            else:
                await ws.send(message)

    async def start() -> websockets.asyncio.server.Server:
        return await websockets.asyncio.server.serve(
            handle,
            "127.0.0.1",
            0,
            subprotocols=["v2"],  # type: ignore[list-item]
            compression="deflate" if deflate else None,
            ssl=context,
            max_size=None,
        )

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    with Loop() as loop:
        server = loop.do(start())
        try:
            yield next(iter(server.sockets)).getsockname()[1]
        finally:
            loop.do(stop())


@contextmanager
def aiohttp(deflate: bool, context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve by aiohttp."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=["v2"], compress=deflate, max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            if message.data == "close me":
                await ws.close(code=4002, message=b"later")
            elif message.data == "fragments":
                await ws.send_str("".join(PIECES))  # it has no way to send fragments
            elif message.data == "ping me":
                await ws.ping(b"are you there?")  # it keeps the Pong to itself
                await ws.send_str("pong: are you there?")
            elif message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get("/", handle)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return runner, runner.addresses[0][1]

    with Loop() as loop:
        runner, port = loop.do(start())
        try:
            yield port
        finally:
            loop.do(runner.cleanup())


@contextmanager
def wsproto(deflate: bool, context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve by wsproto."""

    def handle(peer: Peer) -> None:
        ws = wsproto_peer.accept(peer.sock, ["v2"], deflate)
        while True:
            message = ws.receive()
            if isinstance(message, CloseConnection):
                ws.send(message.response())
                return
            if message == "close me":
                ws.finish(CloseConnection(4002, "later"))
                return
            if message == "fragments":
                ws.send_fragments(PIECES)
            elif message == "ping me":
                ws.send(Ping(b"are you there?"))
                pong = ws.receive()
                assert isinstance(pong, Pong)
                ws.send(TextMessage(f"pong: {bytes(pong.payload).decode()}"))
            else:
                ws.send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    with RawServer(handle, context) as server:
        yield server.port


SERVERS = (websockets_sync, websockets_asyncio, aiohttp, wsproto)
EACH = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.__name__)


@contextmanager
def talking(server: Any, deflate: bool = True, tls: bool = False, kind: Any = None) -> Iterator[Any]:
    """Run a server, and connect our client to it."""
    options = {"ssl_context": client_context()} if tls else {}
    with server(deflate, server_context() if tls else None) as port:
        url = f"{'wss' if tls else 'ws'}://localhost:{port}/"
        with open_client(url, protocols=["v1", "v2"], deflate=deflate, kind=kind, **options) as client:
            yield client


@EACH
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_messages_come_back_as_they_were(server: Any, deflate: bool, tls: bool) -> None:
    with talking(server, deflate, tls) as client:
        assert [b"v2"] == client.protocols
        assert deflate == bool(client.extensions)
        messages = ["", "hello \u20ac", b"", b"\x00\xff" * 100, "\u20ac" * (MIB // 3), bytes(range(256)) * (MIB // 256)]
        for message in messages:
            client.send(message, binary=isinstance(message, bytes))
            assert message == get(client.messages)


@EACH
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_fragments_are_put_together_on_both_sides(server: Any, deflate: bool) -> None:
    with talking(server, deflate) as client:
        client.send("fragments")
        assert "".join(PIECES) == get(client.messages)
        client.send(["one ", "two ", "", "\u20ac" * 5000])
        assert "one two " + "\u20ac" * 5000 == get(client.messages)


@EACH
def test_pings_are_answered_on_both_sides(server: Any) -> None:
    answered = threading.Event()
    pongs: list[bytes] = []
    kind = client_spy(ponged=lambda self, pong: (pongs.append(pong.data), answered.set()))
    with talking(server, kind=kind) as client:
        client.ping("hello")
        assert answered.wait(WAIT)
        client.send("ping me")
        assert "pong: are you there?" == get(client.messages)
    assert [b"hello"] == pongs


@EACH
def test_the_client_closes(server: Any) -> None:
    with talking(server) as client:
        client.close(4001, "bye \u20ac")
        # aiohttp closes with 1000, whatever our Close said.
        assert ((1000, b"") if server is aiohttp else (4001, "bye \u20ac".encode())) == get(client.endings)


@EACH
def test_the_server_closes(server: Any) -> None:
    with talking(server) as client:
        client.send("close me")
        assert (4002, b"later") == get(client.endings)


@EACH
def test_a_whole_mib_in_many_small_messages(server: Any) -> None:
    with talking(server) as client:
        messages = [f"{i}:" + "x" * 1000 for i in range(1000)]
        for message in messages:
            client.send(message)
        assert messages == [get(client.messages) for _ in messages]
