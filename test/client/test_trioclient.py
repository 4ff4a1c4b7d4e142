"""The client for trio; what all transports keep is in the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from ws4py_ng.client.trioclient import WebSocketClient
from ws4py_ng.exc import ConnectionClosed, HandshakeError
from ws4py_ng.limits import Limits
from ws4py_ng.server.trioserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket


class Client(WebSocketClient):
    """Note what comes."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.seen: list[Any] = []
        self._came = trio.Event()

    def received_message(self, message: Any) -> Any:
        self.seen.append(message.data)
        came, self._came = self._came, trio.Event()
        came.set()

    async def came(self, number: int) -> None:
        """Wait until so many messages have come."""
        while len(self.seen) < number:
            await self._came.wait()

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.seen.append(code)


def on_trio(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be an async function, with a bound that only a hang reaches."""

    async def bounded() -> None:
        with trio.fail_after(60):
            await test()

    return lambda: trio.run(bounded)


def url(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


@on_trio
async def test_leaving_the_block_closes_with_1000() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        async with Client(url(server)) as ws:
            assert ("127.0.0.1", server.port) == ws.peer_address
            await ws.send("hello")
            await ws.came(1)
        assert [b"hello", 1000] == ws.seen
        with pytest.raises(ConnectionClosed):
            ws.send("too late")
        with pytest.raises(RuntimeError, match="connects once"):
            await ws.__aenter__()


@on_trio
async def test_it_runs_in_a_nursery() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        async with trio.open_nursery() as nursery:
            ws = await nursery.start(Client(url(server)).run)
            ws.send([b"one ", b"two"], binary=True)
            await ws.came(1)
            ws.close(4000)
        assert [b"one two", 4000] == ws.seen


@on_trio
async def test_an_error_in_the_block_comes_out_as_it_is_and_the_server_is_told_1001() -> None:
    codes: list[int] = []

    class Told(EchoWebSocket):
        def closed(self, code: int, reason: Any = None) -> None:
            codes.append(code)

    async with serve(Told, port=0) as server:
        with pytest.raises(LookupError, match="mine"):
            async with Client(url(server)) as ws:
                raise LookupError("mine")
        assert [1006] == ws.seen
    assert [1001] == codes


@on_trio
async def test_cancellation_ends_it_at_once() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        with trio.CancelScope() as scope:
            async with Client(url(server)) as ws:
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert [1006] == ws.seen


@on_trio
async def test_cancellation_between_the_handshake_and_the_block_leaves_nothing_behind() -> None:
    class Hasty(Client):
        def process_handshake_header(self, headers: bytes) -> tuple[list[bytes], list[bytes]]:
            scope.cancel()
            return super().process_handshake_header(headers)

    async with serve(EchoWebSocket, port=0) as server:
        ws = Hasty(url(server))
        with trio.CancelScope() as scope:
            async with ws:
                pytest.fail("the block was entered")
        assert scope.cancelled_caught
        assert [1006] == ws.seen
        async with Client(url(server)) as another:
            await another.send("still here")
            await another.came(1)


@on_trio
async def test_a_refusal_and_nobody_there() -> None:
    async with serve({}, port=0) as server:
        gone = url(server)
        with pytest.raises(HandshakeError) as caught:
            await Client(gone).__aenter__()
        assert 404 == caught.value.status
        assert b"No WebSocket at /\n" == caught.value.body
    with pytest.raises(ConnectionRefusedError):
        await Client(gone).__aenter__()


@on_trio
async def test_a_server_that_says_nothing_is_given_up() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    silent = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"
    with pytest.raises(TimeoutError, match=r"did not answer within 0\.05 s"):
        await Client(silent, limits=Limits(open_timeout=0.05)).__aenter__()
    await listener.aclose()


@on_trio
async def test_a_connect_is_called_off_by_close() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    silent = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"
    ws = Client(silent, limits=Limits(open_timeout=None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_accept_and_close, listener, ws)
        with pytest.raises(ConnectionAbortedError, match="while it was being opened"):
            await ws.__aenter__()
    await listener.aclose()
    early = Client(silent)
    early.close()
    with pytest.raises(ConnectionAbortedError, match="before it connected"):
        await early.__aenter__()
    assert [] == ws.seen + early.seen


async def _accept_and_close(listener: trio.SocketListener, ws: Client) -> None:
    async with await listener.accept() as stream:
        assert await stream.receive_some(1)
        await trio.to_thread.run_sync(ws.close)


@on_trio
async def test_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        async with serve(EchoWebSocket, unix_path=str(path)), Client(f"ws+unix://{path}") as ws:
            await ws.send("hello")
            await ws.came(1)
        assert b"hello" == ws.seen[0]
