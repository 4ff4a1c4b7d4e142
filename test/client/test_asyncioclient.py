"""The client for asyncio and uvloop; what all transports keep is in the contract."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from test.client.peers import Peer, RawServer, server_context
from ws4py_ng.client import asyncioclient
from ws4py_ng.client.asyncioclient import WebSocketClient
from ws4py_ng.exc import ConnectionClosed, HandshakeError
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket

Main = Callable[[], Coroutine[Any, Any, None]]
WAIT = 60.0  # only a hang takes that long


class Client(WebSocketClient):
    """Note what comes."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.seen: list[Any] = []
        self._came = asyncio.Event()

    def received_message(self, message: Any) -> Any:
        self.seen.append(message.data)
        self._came.set()

    async def came(self, number: int) -> None:
        """Wait until so many messages have come."""
        while len(self.seen) < number:
            self._came.clear()
            await self._came.wait()

    def closed(self, code: int, reason: bytes | str | None = None) -> Any:
        self.seen.append(code)


class Told(EchoWebSocket):
    """Note how it ended."""

    codes: list[int]

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.codes.append(code)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    """Run a coroutine, on each loop; nothing is left open behind it."""

    async def bounded(main: Main) -> None:
        async with asyncio.timeout(WAIT):
            await main()

    def run_it(main: Main) -> None:
        new_loop = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(bounded(main))
        gc.collect()  # what nobody has closed warns now, and a warning is an error

    return run_it


def url(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


def test_leaving_the_block_closes_with_1000(run: Any) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0) as server:
            async with Client(url(server), protocols=["chat"]) as ws:
                assert ("127.0.0.1", server.port) == ws.peer_address
                await ws.send("hello")
                await ws.came(1)
            assert [b"hello", 1000] == ws.seen
            with pytest.raises(ConnectionClosed):
                ws.send("too late")
            with pytest.raises(RuntimeError, match="connects once"):
                await ws.connect()

    run(main)


def test_without_a_block_it_is_connected_and_waited_for(run: Any) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0) as server:
            ws = Client(url(server))
            await ws.wait_ended()
            await ws.connect()
            ws.send([b"one ", b"two"], binary=True)
            await ws.came(1)
            ws.close(4000)
            await ws.wait_ended()
            assert [b"one two", 4000] == ws.seen

    run(main)


def test_hooks_may_be_async_and_opened_is_called_before_what_follows_connect(run: Any) -> None:
    class Asking(Client):
        async def opened(self) -> None:
            self.seen.append("opened")
            await self.send("asked")

        async def received_message(self, message: Any) -> None:
            await asyncio.sleep(0)
            super().received_message(message)

    async def main() -> None:
        async with serve(EchoWebSocket, port=0) as server, Asking(url(server)) as ws:
            await ws.came(2)
        assert ["opened", b"asked", 1000] == ws.seen

    run(main)


def test_an_error_in_the_block_comes_out_as_it_is_and_the_server_is_told_1001(run: Any) -> None:
    async def main() -> None:
        Told.codes = []
        async with serve(Told, port=0) as server:
            with pytest.raises(LookupError, match="mine"):
                async with Client(url(server)) as ws:
                    raise LookupError("mine")
            assert [1001] == ws.seen
        assert [1001] == Told.codes

    run(main)


def test_a_cancelled_block_closes_with_1001(run: Any) -> None:
    async def main() -> None:
        Told.codes = []
        entered = asyncio.Event()

        async def stay() -> None:
            async with Client(url(server)):
                entered.set()
                await asyncio.Event().wait()

        async with serve(Told, port=0) as server:
            task = asyncio.create_task(stay())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [1001] == Told.codes

    run(main)


def test_a_hook_that_never_returns_does_not_keep_the_block(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncioclient, "LAST_WORDS", 0.05)

    class Stuck(Client):
        async def received_message(self, message: Any) -> None:
            super().received_message(message)
            await asyncio.Event().wait()

    async def main() -> None:
        async with serve(EchoWebSocket, port=0) as server:
            async with Stuck(url(server), limits=Limits(close_timeout=0.05)) as ws:
                ws.send("stay")
                await ws.came(1)
            assert [b"stay", 1006] == ws.seen

    run(main)


def test_a_server_that_does_not_answer_the_close_is_left(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncioclient, "LAST_WORDS", 0.05)

    class Silent(WebSocket):
        async def received_message(self, message: Any) -> None:
            arrived.set()
            await leave.wait()

    async def main() -> None:
        nonlocal arrived, leave
        arrived, leave = asyncio.Event(), asyncio.Event()
        async with serve(Silent, port=0) as server:
            async with Client(url(server), limits=Limits(close_timeout=0.05)) as ws:
                ws.send("wait")
                await arrived.wait()
            assert [1006] == ws.seen
            leave.set()

    arrived = leave = asyncio.Event()
    run(main)


def test_a_refusal_and_nobody_there(run: Any) -> None:
    async def main() -> None:
        async with serve({}, port=0) as server:
            gone = url(server)
            with pytest.raises(HandshakeError) as caught:
                await Client(gone).connect()
            assert 404 == caught.value.status
            assert b"No WebSocket at /\n" == caught.value.body
        ws = Client(gone)
        with pytest.raises(ConnectionRefusedError):
            await ws.connect()
        assert [] == ws.seen
        assert ws.terminated

    run(main)


def test_what_a_method_of_ours_raises_in_the_handshake_is_raised_at_connect(run: Any) -> None:
    class Choosy(Client):
        def handshake_ok(self) -> None:
            raise LookupError("not this one")

    async def main() -> None:
        async with serve(EchoWebSocket, port=0) as server:
            with pytest.raises(LookupError, match="not this one"):
                await Choosy(url(server)).connect()

    run(main)


def saying(answer: bytes) -> RawServer:
    """Answer with some bytes, and then wait for the client to leave."""

    def script(peer: Peer) -> None:
        peer.send(answer)
        peer.take_rest()

    return RawServer(script)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_server_that_says_nothing_is_given_up(run: Any, scheme: str) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError, match=r"did not answer within 0\.05 s \(Limits\.open_timeout\)"):
            await Client(f"{scheme}://127.0.0.1:{silent.port}/", limits=Limits(open_timeout=0.05)).connect()

    with saying(b"") as silent:
        run(main)


def test_a_refusal_without_an_end_is_a_refusal(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(HandshakeError) as caught:
            await Client(slow.url, limits=Limits(open_timeout=1)).connect()
        assert 403 == caught.value.status

    with saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbecause") as slow:
        run(main)


def test_a_server_that_resets_within_the_handshake_is_an_error(run: Any) -> None:
    def script(peer: Peer) -> None:
        peer.take_head()
        peer.reset()

    async def main() -> None:
        with pytest.raises((ConnectionResetError, HandshakeError)):
            await Client(server.url).connect()

    with RawServer(script) as server:
        run(main)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_cancelled_connect_leaves_nothing_open(run: Any, scheme: str) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        assert peer.take(1)
        arrived.set()
        peer.take_rest()

    async def main() -> None:
        connecting = asyncio.create_task(Client(f"{scheme}://127.0.0.1:{server.port}/").connect())
        await asyncio.to_thread(arrived.wait, WAIT)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with RawServer(script) as server:
        run(main)


@pytest.mark.parametrize("where", ["the loop", "a thread"])
def test_a_connect_is_called_off_by_close(run: Any, where: str) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.take_head()
        arrived.set()
        peer.take_rest()

    async def main() -> None:
        ws = Client(server.url, limits=Limits(open_timeout=None))
        connecting = asyncio.create_task(ws.connect())
        await asyncio.to_thread(arrived.wait, WAIT)
        if where == "the loop":
            ws.close()
        else:
            await asyncio.to_thread(ws.close)
        with pytest.raises(ConnectionAbortedError, match="while it was being opened"):
            await connecting
        early = Client(server.url)
        early.close()
        with pytest.raises(ConnectionAbortedError, match="before it connected"):
            await early.connect()
        assert [] == ws.seen + early.seen

    with RawServer(script) as server:
        run(main)


def test_a_connect_that_is_cancelled_when_it_has_just_succeeded_leaves_nothing_open(run: Any) -> None:
    class Opened(Client):
        def opened(self) -> None:
            self.seen.append("opened")
            connecting[0].cancel()

    connecting: list[asyncio.Task[None]] = []

    async def main() -> None:
        Told.codes = []
        async with serve(Told, port=0) as server:
            ws = Opened(url(server))
            connecting.append(asyncio.create_task(ws.connect()))
            with pytest.raises(asyncio.CancelledError):
                await connecting[0]
        assert ["opened", 1006] == ws.seen
        assert [1006] == Told.codes

    run(main)


def test_a_certificate_of_nobody_is_an_ssl_error(run: Any) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0, ssl_context=server_context()) as server:
            target = f"wss://localhost:{server.port}/"
            with pytest.raises(ssl.SSLCertVerificationError):
                await Client(target).connect()
            async with Client(target, ssl_options={"cert_reqs": ssl.CERT_NONE}) as ws:
                await ws.send("hello")
                await ws.came(1)
            assert [b"hello", 1000] == ws.seen

    run(main)


def test_a_unix_socket(run: Any) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "socket"
            with pytest.raises(FileNotFoundError):
                await Client(f"ws+unix://{path}").connect()
            async with serve(EchoWebSocket, unix_path=str(path)), Client(f"ws+unix://{path}") as ws:
                await ws.send("hello")
                await ws.came(1)
            assert [b"hello", 1000] == ws.seen

    run(main)
