"""The client for tornado, in ws4py's way and awaited; what all transports keep is in the contract."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from ws4py_ng.client.tornadoclient import TornadoWebSocketClient
from ws4py_ng.exc import HandshakeError
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.server.threadedserver import serve as serve_by_threads
from ws4py_ng.websocket import EchoWebSocket


class Client(TornadoWebSocketClient):
    """Note what comes."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.seen: list[Any] = []
        self.ended = asyncio.Event()

    def opened(self) -> Any:
        self.seen.append("opened")
        self.send("hello")

    def received_message(self, message: Any) -> Any:
        self.seen.append(message.data)
        self.close(4000, "enough")

    def closed(self, code: int, reason: bytes | str | None = None) -> Any:
        self.seen.append(code)
        self.ended.set()
        if self.io_loop is not None:
            self.io_loop.stop()

    def unhandled_error(self, error: Exception) -> None:
        self.seen.append(type(error))


class Quiet(Client):
    def closed(self, code: int, reason: bytes | str | None = None) -> Any:
        self.seen.append(code)


@contextmanager
def loop() -> Iterator[IOLoop]:
    """Be a program of old, that makes a loop and starts it when all is set up."""
    io_loop = IOLoop(make_current=False)
    try:
        yield io_loop
    finally:
        io_loop.close(all_fds=True)


def test_ws4pys_idiom_connect_then_start_the_loop() -> None:
    with serve_by_threads(EchoWebSocket, port=0) as server, loop() as io_loop:
        server.start()
        ws = Client(f"ws://127.0.0.1:{server.port}/", protocols=["chat"], io_loop=io_loop)
        assert ws.sock is None
        ws.connect()
        io_loop.start()
        io_loop.run_sync(ws.wait_ended)
        assert ["opened", b"hello", 4000] == ws.seen


def test_ws4pys_idiom_with_nobody_there() -> None:
    with serve_by_threads(EchoWebSocket, port=0) as server:
        gone = f"ws://127.0.0.1:{server.port}/"
    with loop() as io_loop:
        ws = Client(gone, io_loop=io_loop)
        ws.connect()
        io_loop.start()
        io_loop.run_sync(ws.wait_ended)
        assert [ConnectionRefusedError, 1006] == ws.seen


def in_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be a coroutine."""
    return lambda: asyncio.run(test())  # type: ignore[arg-type]


@in_loop
async def test_connect_may_be_awaited() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        ws = Quiet(f"ws://127.0.0.1:{server.port}/")
        await ws.connect()
        assert ws.io is not None
        assert ("127.0.0.1", server.port) == ws.peer_address
        await ws.wait_ended()
        assert ["opened", b"hello", 4000] == ws.seen
        with pytest.raises(RuntimeError, match="connects once"):
            ws.connect()


@in_loop
async def test_what_fails_is_raised_at_who_awaits_and_told_to_nobody_else() -> None:
    async with serve({}, port=0) as server:
        gone = f"ws://127.0.0.1:{server.port}/"
        ws = Quiet(gone)
        with pytest.raises(HandshakeError) as caught:
            await ws.connect()
        assert 404 == caught.value.status
        assert [] == ws.seen
    with pytest.raises(ConnectionRefusedError):
        await Quiet(gone).connect()


@in_loop
async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(TimeoutError, match=r"did not answer within 0\.05 s"):
            await Quiet(address, limits=Limits(open_timeout=0.05)).connect()


@in_loop
async def test_a_connect_is_called_off_by_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        ws = Quiet(address, limits=Limits(open_timeout=None))
        connecting = asyncio.ensure_future(ws.connect())
        with (await asyncio.to_thread(silent.accept))[0]:
            ws.close()
            with pytest.raises(ConnectionAbortedError, match="while it was being opened"):
                await connecting
        early = Quiet(address)
        early.close()
        with pytest.raises(ConnectionAbortedError, match="before it connected"):
            early.connect()
        assert [] == ws.seen + early.seen


@in_loop
async def test_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        with pytest.raises(FileNotFoundError):
            await Quiet(f"ws+unix://{path}").connect()
        async with serve(EchoWebSocket, unix_path=str(path)):
            ws = Quiet(f"ws+unix://{path}")
            await ws.connect()
            await ws.wait_ended()
            assert ["opened", b"hello", 4000] == ws.seen
