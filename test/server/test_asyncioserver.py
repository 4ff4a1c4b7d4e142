"""The asyncio server: how it listens, accepts and refuses."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from test.client.peers import WAIT, client_context, frame, request, server_context
from test.descriptors import none_left
from test.server.aiopeers import QUIET, Peer, Run, dial, meet, status
from ws4py_ng.handshake import Request, Response
from ws4py_ng.limits import Limits
from ws4py_ng.server import asynciolistener, asyncioserver
from ws4py_ng.server.answers import unavailable
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.transports.grid import Late
from ws4py_ng.websocket import EchoWebSocket

# Serving


def test_serve_listens_at_once_and_knows_its_connections(run: Run) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0, limits=QUIET) as server:
            assert server.port == server.address[1] > 0
            async with await meet(server) as peer:
                (ws,) = server.connections
                assert server.address == ws.local_address
                assert peer.writer.get_extra_info("sockname") == ws.peer_address
                assert "/" == ws.environ["PATH_INFO"]  # type: ignore[index]
                peer.writer.write(frame(1, b"hello"))
                assert (0x81, b"hello") == await peer.frame()
        assert set() == server.connections

    run(main)


def test_serve_is_awaited_as_well_and_serves_until_it_is_shut_down(run: Run) -> None:
    async def main() -> None:
        server = await serve(EchoWebSocket, port=0, limits=QUIET)
        serving = asyncio.create_task(server.serve_forever())
        async with await meet(server):
            shutting = asyncio.create_task(server.shutdown())
            again = asyncio.create_task(server.shutdown())
        await shutting
        await again
        await serving
        await server.shutdown()

    run(main)


def test_a_server_that_never_started_is_shut_down_without_ado(run: Run) -> None:
    async def main() -> None:
        await serve(EchoWebSocket, port=0).shutdown()

    run(main)


def test_a_taken_port_is_an_oserror_that_names_it(run: Run) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"port {port}"):
                await serve(EchoWebSocket, port=port)

    run(main)


def test_a_unix_socket_is_served_replaced_and_removed(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "ws")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()

    async def main() -> None:
        async with serve(EchoWebSocket, unix_path=path, limits=QUIET) as server:
            assert path == server.address
            async with await meet(server) as peer:
                peer.writer.write(frame(1, b"hello"))
                assert (0x81, b"hello") == await peer.frame()
        assert not os.path.exists(path)

    run(main)


def test_process_request_may_answer(run: Run) -> None:
    def page(request: Request) -> Response | None:
        return Response(200, body=b"a page") if request.target == "/" else None

    async def main() -> None:
        async with serve(EchoWebSocket, port=0, process_request=page, limits=QUIET) as server:
            peer = await dial(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            async with peer:
                answer = await peer.reader.read()
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert answer.endswith(b"\r\n\r\na page")

    run(main)


def test_an_application_that_fails_is_a_500(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Request) -> Response | None:
        raise OSError("no disk")

    async def main() -> None:
        async with serve(EchoWebSocket, port=0, process_request=broken, limits=QUIET) as server:
            peer = await dial(server)
            async with peer:
                assert 500 == await status(peer)

    run(main)
    assert ["The application failed to answer a request for /"] == [entry.getMessage() for entry in caplog.records]


def test_process_request_may_take_its_time(run: Run) -> None:
    async def main() -> None:
        asked = asyncio.Event()
        decided: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

        async def ask(request: Request) -> Response | None:
            asked.set()
            return await decided if request.target == "/" else Response(200, body=b"a page")

        async with (
            serve(EchoWebSocket, port=0, process_request=ask, limits=QUIET) as server,
            # A frame that comes too early, while nobody knows the answer yet, is not lost.
            await dial(server, request() + frame(1, b"early")) as peer,
        ):
            await asked.wait()
            async with await dial(server, b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n") as other:
                assert (await other.reader.read()).endswith(b"\r\n\r\na page")
            decided.set_result(None)
            assert (await peer.head()).startswith(b"HTTP/1.1 101")
            assert (0x81, b"early") == await peer.frame()

    run(main)


@pytest.mark.parametrize("leaves", [True, False])
def test_who_is_not_answered_by_process_request_is_not_kept(run: Run, leaves: bool) -> None:
    async def main() -> None:
        asked, given_up = asyncio.Event(), asyncio.Event()

        async def never(request: Request) -> Response | None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            return None

        limits = QUIET if leaves else Limits(open_timeout=1)
        async with serve(EchoWebSocket, port=0, process_request=never, limits=limits) as server:
            async with await dial(server) as peer:
                await asked.wait()
                if leaves:
                    peer.writer.transport.abort()
                    await server.shutdown()
                else:
                    assert 408 == await status(peer)
            await given_up.wait()

    run(main)


def test_a_process_request_that_is_given_up_before_it_began_is_begun_all_the_same(run: Run) -> None:
    async def main() -> None:
        async def never(request: Request) -> Response | None:
            await asyncio.Event().wait()  # a coroutine that nobody begins is a warning, and an error here
            return None

        def decide(request: Request) -> Awaitable[Response | None]:
            (visitor,) = server._visitors
            asyncio.get_running_loop().call_soon(visitor.refuse, unavailable("in the loop's next step"))
            return never(request)

        async with (
            serve(EchoWebSocket, port=0, process_request=decide, limits=QUIET) as server,
            await dial(server) as peer,
        ):
            assert 503 == await status(peer)
        gc.collect()

    run(main)


def test_who_is_accepted_in_the_step_that_ends_the_server_is_hung_up_on(run: Run) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0, ssl_context=server_context(), limits=QUIET) as server:
            peer = socket.create_connection(server.address, timeout=WAIT)
            listener = server._listener
            assert listener is not None
            listener._accept(listener.sockets[0])
            await server.shutdown()
        with peer:
            assert b"" == await asyncio.to_thread(peer.recv, 1)
        gc.collect()  # a socket that nobody closed is a warning, and an error here

    run(main)


def test_idle_connections_are_pinged_together(run: Run) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0, limits=Limits(ping_interval=20)) as server:
            peers = [await meet(server) for _ in range(3)]
            assert {Late} == {type(carrier._timer) for carrier in server._connections}
            for peer in peers:
                async with peer:
                    peer.writer.write(frame(8))

    run(main)


# Accepting


def test_a_server_without_descriptors_goes_on_when_there_are_some(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynciolistener, "BACK_OFF", 0.05)

    async def main() -> None:
        async with serve(EchoWebSocket, port=0, limits=QUIET) as server, await meet(server) as early:
            waiting = [socket.create_connection(server.address) for _ in range(20)]
            last = socket.create_connection(server.address)
            # Nobody of them was accepted so far: the loop had no turn.
            with none_left():
                for i in range(5):
                    await asyncio.sleep(0.06)
                    early.writer.write(frame(1, b"%d" % i))
                    assert (0x81, b"%d" % i) == await early.frame()
            for sock in waiting:
                sock.close()
            async with Peer(*await asyncio.open_connection(sock=last)) as late:
                late.writer.write(request())
                assert (await late.head()).startswith(b"HTTP/1.1 101")

    run(main)
    assert 1 == len([entry for entry in caplog.records if "Cannot accept" in entry.getMessage()])


def test_a_listener_that_is_gone_is_reported(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    class Dead(socket.socket):
        def accept(self) -> Any:
            raise OSError(errno.EINVAL, "not listening")

    async def main() -> None:
        dead = Dead()
        dead.bind(("127.0.0.1", 0))
        dead.listen()
        async with serve(EchoWebSocket, sock=dead) as server:
            with socket.create_connection(server.address):
                while not caplog.records:
                    await asyncio.sleep(0)

    run(main)
    assert ["Cannot accept connections any more: [Errno 22] not listening"] == [
        entry.getMessage() for entry in caplog.records
    ]


@pytest.mark.parametrize("left_with", ["reset", "end", "nonsense"])
def test_who_leaves_within_the_handshake_of_tls_leaves_nothing(run: Run, left_with: str) -> None:
    async def main() -> None:
        async with serve(EchoWebSocket, port=0, ssl_context=server_context(), limits=QUIET) as server:
            for _ in range(5):
                async with await dial(
                    server, b"\x16\x03\x01" if left_with != "nonsense" else b"GET / HTTP/1.1\r\n\r\n"
                ) as peer:
                    if left_with == "reset":
                        peer.reset()
                    elif left_with == "end":
                        peer.writer.write_eof()
                    if left_with != "reset":
                        await peer.reader.read()
            async with await meet(server, client_context()):
                pass
            async with await dial(server, b"\x16\x03\x01"):
                pass  # still at it when the server stops

    run(main)


def test_who_is_too_many_gets_a_503_and_time_to_read_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncioserver, "MAX_PARTING", 4)

    async def main() -> None:
        async with serve(EchoWebSocket, port=0, limits=QUIET, max_connections=1) as server, await meet(server):
            refused = [await dial(server) for _ in range(10)]
            answers = []
            for peer in refused:
                async with peer:
                    try:
                        answers.append((await peer.head()).split()[1])
                    except (OSError, asyncio.IncompleteReadError):
                        answers.append(b"cut off")
            assert {b"503", b"cut off"} >= set(answers)
            assert answers.count(b"503") >= 4
            assert len(server._parting) <= 5

    run(main)
