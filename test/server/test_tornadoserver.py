"""WebSockets in a tornado application; what all transports keep is in the contract."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from test.client.peers import frame, request
from ws4py_ng.limits import Limits
from ws4py_ng.server.tornadoserver import WebSocketHandler, drain
from ws4py_ng.websocket import EchoWebSocket

MANY = 200


class Echo(EchoWebSocket):
    """Note how it ended."""

    seen: list[Any]

    def opened(self) -> None:
        self.seen = [self.environ, self.peer_address]
        everyone.append(self)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.seen.append(code)


everyone: list[Echo] = []


class Page(RequestHandler):
    """Be an ordinary page."""

    def get(self) -> None:
        self.write("plain")


class WithCookies(WebSocketHandler):
    """Set what an application sets before its handlers."""

    def prepare(self) -> None:
        self.set_cookie("session", "s1")
        self.set_header("X-Prepared", "1")


@asynccontextmanager
async def site(
    handler: type[WebSocketHandler] = WebSocketHandler, **options: Any
) -> AsyncIterator[tuple[int, Application]]:
    """Serve at /chat beside a page; yield the port."""
    application = Application([("/", Page), ("/chat", handler, {"handler_cls": Echo, **options})])
    server = HTTPServer(application)
    (sock,) = bind_sockets(0, "127.0.0.1")
    server.add_sockets([sock])
    everyone.clear()
    try:
        yield sock.getsockname()[1], application
    finally:
        server.stop()
        await drain(application)
        await server.close_all_connections()


def url(port: int, path: str = "/chat") -> str:
    return f"ws://127.0.0.1:{port}{path}"


async def meet(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Be a peer that has shaken hands, and answers nothing by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(port=port, line="GET /chat HTTP/1.1"))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def in_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be a coroutine."""

    def wrapped() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    return wrapped


@in_loop
async def test_cookies_and_headers_of_the_handler_are_in_the_101() -> None:
    async with (
        site(WithCookies, headers=[("X-Ours", "2")]) as (port, _),
        connect(url(port, "/chat?q=1"), proxy=None) as ws,
    ):
        assert ws.response is not None
        assert ("1", "2") == tuple(ws.response.headers[name] for name in ("X-Prepared", "X-Ours"))
        assert ws.response.headers["Set-Cookie"].startswith("session=s1")
        assert "Content-Type" not in ws.response.headers
        await ws.send("hello")
        assert "hello" == await ws.recv()
        environ, peer = everyone[0].seen
        assert ("q=1", "/chat") == (environ["QUERY_STRING"], environ["PATH_INFO"])
        assert "/chat" == environ["tornado.request"].path
        assert ws.local_address == peer


@in_loop
async def test_a_frame_in_the_segment_of_the_request_is_kept() -> None:
    async with site() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(port=port, line="GET /chat HTTP/1.1") + frame(1, b"early") * 3)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert b"\x81\x05early" * 3 == await reader.readexactly(21)
        writer.close()
        await writer.wait_closed()


@in_loop
async def test_refusals_are_answers_of_tornado() -> None:
    async with site(origins=["https://friend.example"], max_connections=1) as (port, _):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url(port), proxy=None, origin="http://evil.example")  # type: ignore[arg-type]
        assert 403 == caught.value.response.status_code
        assert "TornadoServer" in caught.value.response.headers["Server"]
        client = AsyncHTTPClient()
        assert 426 == (await client.fetch(f"http://127.0.0.1:{port}/chat", raise_error=False)).code
        posted = await client.fetch(f"http://127.0.0.1:{port}/chat", method="POST", body=b"", raise_error=False)
        assert (405, "GET") == (posted.code, posted.headers.get("Allow"))
        async with connect(url(port), proxy=None, origin="https://friend.example"):  # type: ignore[arg-type]
            with pytest.raises(InvalidStatus) as caught:
                await connect(url(port), proxy=None)
            assert 503 == caught.value.response.status_code


def choose(request: Any) -> Any:
    """Be a router that fails."""
    raise ValueError("nobody's business")


def test_what_a_router_raises_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with site(handler_cls=choose) as (port, _):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url(port), proxy=None)
            assert 500 == caught.value.response.status_code
            assert b"nobody's" not in (caught.value.response.body or b"")

    asyncio.run(main())
    assert any(record.exc_info for record in caplog.records if record.name == "tornado.application")


@in_loop
async def test_plain_requests_are_answered_beside_many_connections() -> None:
    async with site() as (port, _):
        client = AsyncHTTPClient()
        many = [await connect(url(port), proxy=None) for _ in range(MANY)]
        for number, ws in enumerate(many):
            await ws.send(str(number))
            assert b"plain" == (await client.fetch(f"http://127.0.0.1:{port}/")).body
        assert threading.active_count() < MANY // 10
        for number, ws in enumerate(many):
            assert str(number) == await ws.recv()
            await ws.close()


@in_loop
async def test_drain_closes_with_1001_and_waits() -> None:
    async with site() as (port, application):
        ws = await connect(url(port), proxy=None)
        draining = asyncio.ensure_future(drain(application))
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert (1001, "Server is shutting down") == (caught.value.rcvd.code, caught.value.rcvd.reason)
        await draining
        assert 1001 == everyone[0].seen[-1]
        await drain(application)  # with nobody there


@in_loop
async def test_websockets_that_are_equal_are_served_and_drained_each() -> None:
    class Same(Echo):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Same)

    async with site(handler_cls=Same) as (port, application):
        two = [await meet(port) for _ in range(2)]
        draining = asyncio.ensure_future(drain(application))
        for reader, writer in two:
            assert b"\x88\x19\x03\xe9" == await reader.readexactly(4)
            writer.close()
            await writer.wait_closed()
        await draining


@in_loop
async def test_nobody_gets_in_while_and_after_draining() -> None:
    async with site(limits=Limits(close_timeout=30)) as (port, application):
        reader, writer = await meet(port)
        draining = asyncio.ensure_future(drain(application))
        assert b"\x88\x19\x03\xe9" == await reader.readexactly(4)
        for is_over in (False, True):
            assert is_over == draining.done()
            with pytest.raises(InvalidStatus) as caught:
                await connect(url(port), proxy=None)
            assert 503 == caught.value.response.status_code
            writer.close()
            await draining
        await writer.wait_closed()
        assert b"plain" == (await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/")).body


@in_loop
async def test_drain_does_not_wait_for_ever() -> None:
    async with site(limits=Limits(close_timeout=30)) as (port, application):
        reader, writer = await meet(port)
        await drain(application, 0.05)
        assert b"\x88\x19\x03\xe9" == (await reader.read())[:4]
        writer.close()
        await writer.wait_closed()


def test_the_access_log_has_a_101(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tornado.access")

    async def main() -> None:
        async with site() as (port, _), connect(url(port), proxy=None):
            pass
        assert ["101 GET /chat (127.0.0.1)"] == [record.getMessage().rsplit(" ", 1)[0] for record in caplog.records]

    asyncio.run(main())
