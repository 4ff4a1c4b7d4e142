"""How the tornado server takes its socket away from tornado, on each loop: nothing is lost, nobody harms it."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import bind_unix_socket
from tornado.web import Application
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed

from test.client.peers import frame, request
from ws4py_ng.server.tornadoserver import WebSocketHandler, drain
from ws4py_ng.websocket import EchoWebSocket, WebSocket

from .aiopeers import Peer, Run
from .test_tornadoserver import Echo, everyone, site, url

whose: ContextVar[str] = ContextVar("whose")


async def ask(port: int, before: bytes = b"", behind: bytes = b"") -> Peer:
    """Send a request."""
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    asked = request(port=port, line="GET /chat HTTP/1.1")
    peer.writer.write(before + asked.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade") + behind)
    return peer


def test_tornado_does_not_watch_the_socket_any_more(run: Run) -> None:
    async def main() -> None:
        async with site() as (port, _):
            watched = set(IOLoop.current().handlers)
            async with connect(url(port), proxy=None) as ws:
                await ws.send("hello")
                assert "hello" == await ws.recv()
                assert watched == set(IOLoop.current().handlers)

    run(main)


def test_a_websocket_may_follow_a_plain_request_on_its_connection(run: Run) -> None:
    async def main() -> None:
        plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with site() as (port, _), await ask(port, before=plain) as peer:
            await peer.reader.readuntil(b"\r\n\r\nplain")
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            peer.writer.write(frame(1, b"behind it"))
            assert (0x81, b"behind it") == await peer.frame()

    run(main)


def test_much_in_the_segment_of_the_request_is_kept(run: Run) -> None:
    async def main() -> None:
        much = frame(2, bytes(300_000)) + frame(1, b"end")
        async with site() as (port, _), await ask(port, behind=much) as peer:
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            assert b"\x82\x7f" == (await peer.reader.readexactly(300_010))[:2]
            assert (0x81, b"end") == await peer.frame()

    run(main)


def test_over_a_unix_socket_it_is_the_same(run: Run) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "s"))
            application = Application([("/chat", WebSocketHandler, {"handler_cls": Echo})])
            server = HTTPServer(application)
            server.add_socket(bind_unix_socket(path))
            watched = set(IOLoop.current().handlers)
            everyone.clear()
            async with unix_connect(path, "ws://localhost/chat") as ws:
                await ws.send("hello")
                assert "hello" == await ws.recv()
                assert watched == set(IOLoop.current().handlers)
                assert (path, "") == (everyone[0].local_address, everyone[0].peer_address)
            server.stop()
            await drain(application)
            os.unlink(path)

    run(main)


def test_the_end_of_tornados_connections_is_not_ours(run: Run) -> None:
    async def main() -> None:
        application = Application([("/chat", WebSocketHandler, {"handler_cls": Echo})])
        server = HTTPServer(application)
        server.listen(0, "127.0.0.1")
        (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
        async with connect(url(port), proxy=None) as ws:
            await server.close_all_connections()
            await ws.send("still here")
            assert "still here" == await ws.recv()
        server.stop()
        await drain(application)

    run(main)


def test_nor_is_it_while_the_socket_changes_hands(run: Run) -> None:
    closings: list[asyncio.Future[None]] = []

    class Hasty(WebSocketHandler):
        def detach(self) -> IOStream:
            closings.append(asyncio.ensure_future(server.close_all_connections()))
            return super().detach()

    server = HTTPServer(Application([("/chat", Hasty, {"handler_cls": Echo})]))

    async def main() -> None:
        server.listen(0, "127.0.0.1")
        (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
        async with connect(url(port), proxy=None) as ws:
            await closings[0]
            await ws.send("still here")
            assert "still here" == await ws.recv()
        server.stop()

    run(main)


def test_drain_waits_for_who_is_on_the_way(run: Run) -> None:
    drains: list[asyncio.Future[None]] = []

    class Hasty(WebSocketHandler):
        def detach(self) -> IOStream:
            drains.append(asyncio.ensure_future(drain(self.application)))
            return super().detach()

    async def main() -> None:
        async with site(Hasty) as (port, _):
            ws = await connect(url(port), proxy=None)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert (1001, "Server is shutting down") == (caught.value.rcvd.code, caught.value.rcvd.reason)
            await drains[0]
            assert 1001 == everyone[0].seen[-1]

    run(main)


@pytest.mark.parametrize("stuck", [False, True], ids=["a plain hook", "a hook that waits"])
def test_a_handler_that_is_cancelled_ends_the_connection(run: Run, stuck: bool) -> None:
    codes: list[int] = []
    handlers: list[asyncio.Future[None]] = []

    class Slow(WebSocket):
        def received_message(self, message: Any) -> Any:
            self.send("got it")
            return asyncio.Event().wait() if stuck else None

        def closed(self, code: int, reason: Any = None) -> None:
            codes.append(code)

    class Handler(WebSocketHandler):
        async def get(self, *args: str, **kwargs: str) -> None:
            handlers.append(asyncio.ensure_future(super().get(*args, **kwargs)))
            await asyncio.wait(handlers)

    async def main() -> None:
        async with site(Handler, handler_cls=Slow) as (port, _):
            ws = await connect(url(port), proxy=None)
            await ws.send("x")
            assert "got it" == await ws.recv()
            handlers[0].cancel()
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code
            await asyncio.wait(handlers)
            assert handlers[0].cancelled()
            assert [1006] == codes

    run(main)


def test_a_peer_that_has_left_before_the_answer_is_1006(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        asked, left, served = asyncio.Event(), asyncio.Event(), asyncio.Event()

        class Handler(WebSocketHandler):
            def on_connection_close(self) -> None:
                left.set()

            async def get(self, *args: str, **kwargs: str) -> None:
                asked.set()
                await left.wait()
                await super().get(*args, **kwargs)
                served.set()

        async with site(Handler) as (port, _):
            async with await ask(port) as peer:
                await asked.wait()
                peer.reset()
            await served.wait()
            assert 1006 == everyone[0].seen[-1]

    caplog.set_level(logging.WARNING)
    run(main)
    assert [] == [record.getMessage() for record in caplog.records]


def test_hooks_see_what_prepare_has_put_into_a_context_variable(run: Run) -> None:
    class Handler(WebSocketHandler):
        def prepare(self) -> None:
            whose.set("of this request")

    class Answer(EchoWebSocket):
        def received_message(self, message: Any) -> Any:
            return self.send(whose.get())

    async def main() -> None:
        async with site(Handler, handler_cls=Answer) as (port, _), connect(url(port), proxy=None) as ws:
            await ws.send("whose?")
            assert "of this request" == await ws.recv()

    run(main)
