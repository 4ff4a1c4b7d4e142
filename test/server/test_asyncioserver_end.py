"""The end of an asyncio server, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import weakref
from typing import Any, ClassVar

import pytest

from test.client.peers import client_context, frame, request, server_context
from test.server.aiopeers import QUIET, Peer, Run, dial, meet, status
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket

# Shutting down


class Stuck(WebSocket):
    """Wait in a hook for what never comes; note what `closed` says."""

    codes: ClassVar[list[int]]

    async def received_message(self, message: Any) -> None:
        await asyncio.Event().wait()

    async def closed(self, code: int, reason: Any = None) -> None:
        await asyncio.sleep(0)
        self.codes.append(code)


def test_a_hook_that_never_ends_does_not_hold_up_the_end(run: Run) -> None:
    class Handler(Stuck):
        pass

    Handler.codes = []

    async def main() -> None:
        limits = Limits(close_timeout=0.05)
        async with serve(Handler, port=0, limits=limits) as server, await meet(server) as peer:
            peer.writer.write(frame(1, b"go"))
            while not next(iter(server._connections))._task:
                await asyncio.sleep(0)
            await server.shutdown()
            assert (0x88, b"\x03\xe9Server is shutting down") == await peer.frame()
        assert [1006] == Handler.codes

    run(main)


def test_a_hook_may_shut_the_server_down(run: Run) -> None:
    servers = []

    class Quitter(WebSocket):
        async def received_message(self, message: Any) -> None:
            await servers[0].shutdown()
            servers.append("shut down")

    async def main() -> None:
        async with serve(Quitter, port=0, limits=QUIET) as server:
            servers.append(server)
            async with await meet(server) as peer, await meet(server) as other:
                peer.writer.write(frame(1, b"go"))
                for each in (other, peer):
                    assert (0x88, b"\x03\xe9Server is shutting down") == await each.frame()
                    each.writer.write(frame(8, b"\x03\xe9"))
                    each.writer.write_eof()
                assert b"" == await peer.reader.read()
        assert "shut down" == servers[1]

    run(main)


def test_a_shutdown_that_is_cancelled_cuts_all_off(run: Run) -> None:
    async def main() -> None:
        server = await serve(EchoWebSocket, port=0, limits=QUIET)
        async with await meet(server) as peer, await dial(server, b"GET"):
            shutting = asyncio.create_task(server.shutdown())
            await peer.frame()
            shutting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await shutting
            assert not server._connections
            assert not server._visitors

    run(main)


def test_a_server_in_a_task_that_is_cancelled_drains(run: Run) -> None:
    async def main() -> None:
        found: asyncio.Future[Server] = asyncio.get_running_loop().create_future()

        async def program() -> None:
            async with serve(EchoWebSocket, port=0, limits=QUIET) as server:
                found.set_result(server)
                await server.serve_forever()

        task = asyncio.create_task(program())
        async with await meet(await found) as peer:
            task.cancel()
            assert (0x88, b"\x03\xe9Server is shutting down") == await peer.frame()
            peer.writer.write(frame(8, b"\x03\xe9"))
            assert b"" == await peer.reader.read()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_connections_are_closed_one_after_the_other_and_who_is_on_the_way_comes_through(run: Run) -> None:
    times: list[float] = []

    class Late(WebSocket):
        def closed(self, code: int, reason: Any = None) -> None:
            times.append(asyncio.get_running_loop().time())

    async def main() -> None:
        async with serve(Late, port=0, limits=QUIET) as server:
            peers = [await meet(server) for _ in range(9)]
            on_the_way = await dial(server, request()[:10])
            while not server._visitors:
                await asyncio.sleep(0)
            ending = asyncio.create_task(server.shutdown(30.0))
            await asyncio.sleep(0)
            on_the_way.writer.write(request()[10:])
            assert (await on_the_way.head()).startswith(b"HTTP/1.1 101")
            for peer in [*peers, on_the_way]:
                async with peer:
                    first, payload = await peer.frame()
                    assert (0x88, b"\x03\xe9") == (first, payload[:2])
                    peer.writer.write(frame(8, payload[:2]))
                    await peer.reader.read()
            await ending
        assert 10 == len(times)
        assert times == sorted(times)

    run(main)


@pytest.mark.parametrize("turns", range(6))
def test_who_is_accepted_in_the_turn_of_a_slow_end_comes_through_tls(run: Run, turns: int) -> None:
    async def main() -> None:
        server = await serve(EchoWebSocket, port=0, limits=QUIET, ssl_context=server_context())
        assert server._listener is not None
        with server._listener.sockets[0].dup() as of_another_process:
            sock = socket.create_connection(server.address)
            for _ in range(turns):
                await asyncio.sleep(0)
            ending = asyncio.create_task(server.shutdown(30.0))
            for _ in range(3):
                await asyncio.sleep(0)
            try:
                of_another_process.accept()[0].close()
            except BlockingIOError:
                streams = await asyncio.open_connection(sock=sock, ssl=client_context(), server_hostname="localhost")
                async with Peer(*streams) as peer:
                    peer.writer.write(request())
                    assert (await peer.head()).startswith(b"HTTP/1.1 101")
                    assert (0x88, b"\x03\xe9Server is shutting down") == await peer.frame()
                    peer.writer.write(frame(8, b"\x03\xe9"))
            else:
                sock.close()
            await ending

    run(main)


def test_requests_on_their_way_get_503(run: Run) -> None:
    async def main() -> None:
        server = await serve(EchoWebSocket, port=0, limits=QUIET)
        async with await dial(server, b"GET / HT") as peer:
            while not server._visitors:
                await asyncio.sleep(0)
            shutting = asyncio.create_task(server.shutdown())
            assert 503 == await status(peer)
        await shutting

    run(main)


# Nothing is left


class AsyncEcho(WebSocket):
    async def received_message(self, message: Any) -> None:
        await self.send(message.data, message.is_binary)


class Broken(WebSocket):
    def received_message(self, message: Any) -> None:
        raise LookupError("a bug")


class AsyncBroken(WebSocket):
    async def received_message(self, message: Any) -> None:
        raise LookupError("a bug")


class Streaming(WebSocket):
    async def received_message(self, message: Any) -> None:
        async def pieces() -> Any:
            yield "a"
            yield "b"

        sent = self.send(pieces())
        self.send("behind")
        await sent


@pytest.mark.parametrize("handler", [EchoWebSocket, AsyncEcho, Broken, AsyncBroken, Streaming])
@pytest.mark.parametrize("end", ["close", "reset", "violation", "end"])
def test_no_cycle_of_references_is_left(
    run: Run, handler: type[WebSocket], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Log records would hold on to the errors, and those to their frames.
    monkeypatch.setattr(logging.getLogger("ws4py_ng"), "disabled", True)

    async def main() -> None:
        async with serve(handler, port=0, limits=QUIET) as server:
            async with await meet(server) as peer:
                ((carrier, ws),) = server._connections.items()
                left = [weakref.ref(each) for each in (ws, carrier, ws._stream)]
                session = carrier._session
                peer.writer.write(frame(1, b"x"))
                await peer.reader.readexactly(2)
                if end == "reset":
                    peer.reset()
                elif end == "end":
                    peer.writer.write_eof()
                else:
                    peer.writer.write(frame(8, b"\x03\xe8") if end == "close" else frame(1, b"\xff"))
            await carrier.wait_gone()
            del carrier, ws, session
            for _ in range(20):
                await asyncio.sleep(0)
            assert [None] * 3 == [each() for each in left]

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()
