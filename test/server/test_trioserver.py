"""The server for trio; what all transports keep is in the contract."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from test.client.peers import close_frame, frame, request
from test.descriptors import none_left
from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake import Response
from ws4py_ng.limits import Limits
from ws4py_ng.server import listening, trioserver
from ws4py_ng.server.trioserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket


class Echo(EchoWebSocket):
    """Note how it ended."""

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        codes.append(code)


codes: list[int] = []
FOR_EVER = Limits(close_timeout=None)


def on_trio(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be an async function, with a bound that only a hang reaches."""

    async def bounded() -> None:
        with trio.fail_after(60):
            await test()

    def wrapped() -> None:
        codes.clear()
        trio.run(bounded)

    return wrapped


async def opened(server: Server, path: str = "/") -> trio.SocketStream:
    """Connect and shake hands."""
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    await stream.send_all(request(port=server.port, line=f"GET {path} HTTP/1.1"))
    assert (await until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return stream


async def until(stream: trio.abc.ReceiveStream, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = await stream.receive_some(1)
        assert piece, data
        data += piece
    return data


async def rest(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(piece) async for piece in stream])


@on_trio
async def test_leaving_the_block_closes_with_1001() -> None:
    async with serve(Echo, port=0) as server:
        stream = await opened(server)
        await stream.send_all(frame(1, b"hello"))
        assert b"\x81\x05hello" == await until(stream, b"hello")
        assert 1 == len(server.connections)

        async def answer() -> None:
            assert b"\x88\x19\x03\xe9Server is shutting down" == await until(stream, b"down")
            await stream.send_all(close_frame(1001))
            assert b"" == await rest(stream)
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            await server.shutdown()
            await server.shutdown()
            await server.serve_forever()
    assert [1001] == codes


@on_trio
async def test_it_runs_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve(Echo, port=0).run)
        stream = await opened(server)
        await stream.send_all(close_frame(4000))
        assert close_frame(4000, mask=False) == await rest(stream)
        await stream.aclose()
        await server.shutdown()
    assert [4000] == codes


@on_trio
async def test_a_cancelled_server_says_1001_and_ends_at_once() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve(Echo, port=0).run)
        stream = await opened(server)
        await stream.send_all(frame(1, b"x"))
        await until(stream, b"x")
        nursery.cancel_scope.cancel()
    assert [1006] == codes
    assert b"\x88\x02\x03\xe9" == await rest(stream)
    await stream.aclose()


@on_trio
async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    streams = []

    async def fail() -> None:
        async with serve(Echo, port=0) as server:
            streams.append(await opened(server))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()
    (stream,) = streams
    assert [1006] == codes
    await stream.aclose()


@on_trio
async def test_a_unix_socket_serves() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(FileNotFoundError):
            await serve(Echo, unix_path=f"{folder}/not/there").__aenter__()
        path = Path(folder) / "socket"
        async with serve(Echo, unix_path=str(path)) as server:
            assert str(path) == server.address
            stream = await trio.open_unix_socket(str(path))
            await stream.send_all(request())
            await until(stream, b"\r\n\r\n")
            await stream.send_all(close_frame(1000))
            assert close_frame(1000, mask=False) == await rest(stream)
            await stream.aclose()


@on_trio
async def test_the_path_of_a_dead_server_is_replaced_and_ours_removed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        for _ in range(2):
            async with serve(Echo, unix_path=str(path)), await trio.open_unix_socket(str(path)) as stream:
                await stream.send_all(request())
                await until(stream, b"\r\n\r\n")
                await stream.send_all(close_frame(1000))
                assert close_frame(1000, mask=False) == await rest(stream)
            assert not path.exists()


@pytest.mark.parametrize("serves", ["hook", "function"])
def test_shutdown_in_a_hook_does_not_wait_for_that_hook(serves: str) -> None:
    class Stopper(Echo):
        async def received_message(self, message: Any) -> None:  # type: ignore[override]
            await server.shutdown()

    async def stop(ws: Any) -> None:
        await ws.receive()
        await server.shutdown()

    async def main() -> None:
        nonlocal server
        server = serve({"/": Echo, "/stop": Stopper if serves == "hook" else stop}, port=0, limits=FOR_EVER)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            other, stream = await opened(server), await opened(server, "/stop")
            await stream.send_all(frame(1, b"stop"))
            for each in (other, stream):
                assert b"\x88\x19\x03\xe9Server is shutting down" == await until(each, b"down")
                await each.send_all(close_frame(1001))
                assert b"" == await rest(each)
                await each.aclose()

    server: Any = None
    on_trio(main)()
    assert [1001] * (2 if serves == "hook" else 1) == codes


def test_a_server_without_descriptors_goes_on_when_there_are_some(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trioserver, "BACK_OFF", 0.0)
    monkeypatch.setattr(listening, "LOG_INTERVAL", 3600.0)

    async def main() -> None:
        async with serve(Echo, port=0) as server:
            early = await opened(server)
            late = socket.create_connection(server.address)
            # It was not accepted so far: the server had no turn.
            with none_left():
                for i in range(5):
                    await early.send_all(frame(1, b"%d" % i))
                    assert b"\x81\x01%d" % i == await until(early, b"%d" % i)
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(late))
            await stream.send_all(request(port=server.port))
            assert (await until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            for each in (early, stream):
                await each.send_all(close_frame(1000))
                await rest(each)
                await each.aclose()

    on_trio(main)()
    assert 1 == len([entry for entry in caplog.records if "ccept" in entry.getMessage()])


@on_trio
async def test_a_handler_that_cannot_be_made_harms_nobody_else() -> None:
    class Broken(WebSocket):
        def __init__(self, *arguments: Any) -> None:
            raise LookupError("never made")

    async with serve({"/": Echo, "/broken": Broken}, port=0) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(request(port=server.port, line="GET /broken HTTP/1.1"))
        assert (await rest(stream)).startswith(b"HTTP/1.1 500 ")
        await stream.aclose()
        other = await opened(server)
        await other.send_all(close_frame(1000))
        assert close_frame(1000, mask=False) == await rest(other)
        await other.aclose()


@on_trio
async def test_websockets_that_are_equal_are_served_and_closed_each() -> None:
    class Same(Echo):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Same)

    async with serve(Same, port=0) as server, trio.open_nursery() as nursery:
        two = [await opened(server) for _ in range(2)]
        nursery.start_soon(server.shutdown)
        for stream in two:
            assert b"\x88\x19\x03\xe9Server is shutting down" == await until(stream, b"down")
            await stream.send_all(close_frame(1001))
            assert b"" == await rest(stream)
            await stream.aclose()
    assert [1001, 1001] == codes


@on_trio
async def test_process_request_may_answer() -> None:
    def answer(request: Any) -> Response | None:
        if request.target == "/secret":
            raise HandshakeError("who are you?", 401)
        return Response(200, body=b"page") if request.target == "/page" else None

    async with serve(Echo, port=0, process_request=answer) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n")
        data = await rest(stream)
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert data.endswith(b"\r\n\r\npage")
        await stream.aclose()
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(b"GET /secret HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await rest(stream)).startswith(b"HTTP/1.1 401 ")
        await stream.aclose()


@on_trio
async def test_process_request_may_be_async() -> None:
    async def answer(request: Any) -> Response | None:
        await trio.lowlevel.checkpoint()
        if request.target == "/secret":
            raise HandshakeError("who are you?", 401)
        if request.target == "/broken":
            raise OSError("mine")
        if request.target == "/slow":
            await trio.sleep_forever()
        return Response(200, body=b"page") if request.target == "/page" else None

    async with serve(Echo, port=0, process_request=answer, limits=Limits(open_timeout=5)) as server:
        for path, status in (("/page", 200), ("/secret", 401), ("/broken", 500)):
            async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
                await stream.send_all(request(port=server.port, line=f"GET {path} HTTP/1.1"))
                assert (await rest(stream)).startswith(b"HTTP/1.1 %d " % status)
        stream = await opened(server)
        await stream.send_all(close_frame(1000))
        assert close_frame(1000, mask=False) == await rest(stream)
        await stream.aclose()
    async with serve(Echo, port=0, process_request=answer, limits=Limits(open_timeout=1)) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(request(port=server.port, line="GET /slow HTTP/1.1"))
        assert (await rest(stream)).startswith(b"HTTP/1.1 408 ")
        await stream.aclose()


@on_trio
async def test_whoever_is_shaking_hands_at_the_end_gets_503() -> None:
    async with serve(Echo, port=0, limits=Limits(close_timeout=5)) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        while not server._visitors:
            await trio.lowlevel.checkpoint()
        await server.shutdown()
        await stream.send_eof()
        assert (await rest(stream)).startswith(b"HTTP/1.1 503 ")
        await stream.aclose()


@on_trio
async def test_max_connections_holds_for_those_who_come_at_once() -> None:
    async with serve(Echo, port=0, max_connections=1) as server:
        peers = [socket.create_connection(server.address) for _ in range(8)]
        for peer in peers:  # the server has had no turn so far
            peer.sendall(request(port=server.port))
        streams = [trio.SocketStream(trio.socket.from_stdlib_socket(peer)) for peer in peers]
        answers = [await until(stream, b"\r\n\r\n") for stream in streams]
        assert [b"101"] + [b"503"] * 7 == sorted(answer.split()[1] for answer in answers)
        for stream in streams:
            await stream.aclose()


@on_trio
async def test_who_is_being_accepted_as_the_server_ends_gets_1001() -> None:
    class Slow(trioserver.TrioChannel):
        async def write(self, pieces: list[bytes], moved: Callable[[], object]) -> None:
            if pieces[0].startswith(b"HTTP/1.1 101 "):
                ending.set()
                while not server._draining:
                    await trio.lowlevel.checkpoint()
            await super().write(pieces, moved)

    ending = trio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trioserver, "TrioChannel", Slow)
        async with serve(Echo, port=0) as server, trio.open_nursery() as nursery:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            await stream.send_all(request(port=server.port))
            await ending.wait()
            nursery.start_soon(server.shutdown)
            assert (await until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert b"\x88\x19\x03\xe9Server is shutting down" == await until(stream, b"down")
            await stream.send_all(close_frame(1001))
            assert b"" == await rest(stream)
            await stream.aclose()
    assert [1001] == codes
