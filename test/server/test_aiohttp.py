"""WebSockets in an aiohttp application; what all transports keep is in the contract."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync

from test.client.peers import frame, request
from test.programs import ROOT, Program
from ws4py_ng.server.aiohttp import websocket_handler
from ws4py_ng.websocket import EchoWebSocket, WebSocket

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


@asynccontextmanager
async def site(
    handler: Any, *middlewares: Any, prepare: Any = None, shutdown_timeout: float = 5
) -> AsyncIterator[tuple[int, web.AppRunner]]:
    """Serve a handler at /chat beside a page; yield the port."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="plain")

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", page)
    app.router.add_get("/chat", handler)

    async def prepared(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = "1"

    app.on_response_prepare.append(prepared)
    if prepare is not None:
        app.on_response_prepare.append(prepare)
    runner = web.AppRunner(app, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    everyone.clear()
    try:
        yield runner.addresses[0][1], runner
    finally:
        await runner.cleanup()


def run(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be a coroutine."""

    def wrapped() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    return wrapped


def url(port: int, path: str = "/chat") -> str:
    return f"ws://127.0.0.1:{port}{path}"


@run
async def test_cookies_and_headers_of_middlewares_and_signals_are_in_the_101() -> None:
    @web.middleware
    async def session(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        assert 101 == response.status
        return response

    handler = websocket_handler(Echo, headers=[("X-Ours", "2")])
    async with site(handler, session) as (port, _), connect(url(port, "/chat?q=1"), proxy=None) as ws:
        assert ws.response is not None
        assert ("1", "2") == tuple(ws.response.headers[name] for name in ("X-Signal", "X-Ours"))
        assert "Content-Length" not in ws.response.headers
        assert "Transfer-Encoding" not in ws.response.headers
        await ws.send("hello")
        assert "hello" == await ws.recv()
        environ, peer = everyone[0].seen
        assert ("q=1", "/chat") == (environ["QUERY_STRING"], environ["PATH_INFO"])
        assert "/chat" == environ["aiohttp.request"].path
        assert ws.local_address == peer


@run
async def test_a_frame_in_the_segment_of_the_request_is_kept() -> None:
    async with site(websocket_handler(Echo)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(port=port, line="GET /chat HTTP/1.1") + frame(1, b"early") * 3)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert b"\x81\x05early" * 3 == await reader.readexactly(21)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("target", ["/gr\xfc", "/chat?q=\udcff"])
def test_a_target_that_only_the_parser_in_python_lets_through_is_400(target: str) -> None:
    answer = asyncio.run(websocket_handler(Echo)(make_mocked_request("GET", target)))
    assert 400 == answer.status
    assert isinstance(answer, web.Response)
    assert "visible ASCII" in (answer.text or "")
    assert not answer.keep_alive


@run
async def test_a_websocket_may_follow_a_plain_request_on_its_connection() -> None:
    async with site(websocket_handler(Echo)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nplain")
        asked = request(port=port, line="GET /chat HTTP/1.1")
        writer.write(asked.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(1, b"behind it"))
        assert b"\x81\x09behind it" == await reader.readexactly(11)
        writer.close()
        await writer.wait_closed()


@run
async def test_much_in_the_segment_of_the_request_is_kept() -> None:
    """aiohttp pauses when much comes behind the head: we read on."""
    async with site(websocket_handler(Echo)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(port=port, line="GET /chat HTTP/1.1") + frame(2, bytes(300_000)) + frame(1, b"end"))
        await reader.readuntil(b"\r\n\r\n")
        assert b"\x82\x7f" == (await reader.readexactly(300_010))[:2]
        assert b"\x81\x03end" == await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()


@run
async def test_refusals_are_answers_of_aiohttp() -> None:
    async with site(websocket_handler({"/other": Echo}, origins=["https://friend.example"])) as (port, _):
        for origin, status in (("http://evil.example", 403), (None, 404)):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url(port), proxy=None, origin=origin)  # type: ignore[arg-type]
            assert status == caught.value.response.status_code
            assert "1" == caught.value.response.headers["X-Signal"]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/chat") as answer:
            assert 426 == answer.status


@run
async def test_plain_requests_are_answered_beside_many_connections() -> None:
    async with site(websocket_handler(Echo)) as (port, _), aiohttp.ClientSession() as session:
        many = [await connect(url(port), proxy=None) for _ in range(MANY)]
        for number, ws in enumerate(many):
            await ws.send(str(number))
            async with session.get(f"http://127.0.0.1:{port}/") as answer:
                assert "plain" == await answer.text()
        assert threading.active_count() < MANY // 10
        for number, ws in enumerate(many):
            assert str(number) == await ws.recv()
            await ws.close()
        while [echo for echo in everyone if len(echo.seen) < 3]:
            await asyncio.sleep(0)


@run
async def test_websockets_that_are_equal_are_counted_each() -> None:
    class Same(Echo):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Same)

    async with site(websocket_handler(Same, max_connections=2)) as (port, _):
        two = [await connect(url(port), proxy=None) for _ in range(2)]
        with pytest.raises(InvalidStatus) as caught:
            await connect(url(port), proxy=None)
        assert 503 == caught.value.response.status_code
        for ws in two:
            await ws.close()


@run
async def test_the_end_of_the_server_is_1001_whoever_registered_what() -> None:
    async with site(websocket_handler(Echo)) as (port, runner):
        ws = await connect(url(port), proxy=None)
        assert {"1"} == {ws.response.headers["X-Signal"]}  # type: ignore[union-attr]
        ending = asyncio.ensure_future(runner.cleanup())
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert (1001, "Server is shutting down") == (caught.value.rcvd.code, caught.value.rcvd.reason)
        await ending
        assert 1001 == everyone[0].seen[-1]


def test_the_access_log_has_a_101(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiohttp.access")

    async def main() -> None:
        async with site(websocket_handler(Echo)) as (port, _):
            async with connect(url(port), proxy=None):
                pass
            while not caplog.records:
                await asyncio.sleep(0)
        assert ['"GET /chat HTTP/1.1" 101'] == [
            record.getMessage()[record.getMessage().index('"') :][:24] for record in caplog.records
        ]

    asyncio.run(main())


@run
async def test_a_handler_that_is_cancelled_ends_the_connection() -> None:
    """As `handler_cancellation` and a shutdown whose patience has ended do."""

    class Slow(WebSocket):
        async def received_message(self, message: Any) -> None:
            reached.set()
            await release.wait()

        def closed(self, code: int, reason: Any = None) -> None:
            codes.append(code)

    reached, release, codes = asyncio.Event(), asyncio.Event(), []
    tasks: list[asyncio.Task[Any]] = []
    handler = websocket_handler(Slow)

    async def watched(request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        return await handler(request)

    async with site(watched) as (port, _):
        ws = await connect(url(port), proxy=None)
        await ws.send("x")
        await reached.wait()
        tasks[0].cancel()
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        release.set()
        while not codes:
            await asyncio.sleep(0)
    assert 1 == len(codes)


@run
async def test_a_hook_that_never_ends_is_cancelled_when_patience_ends() -> None:
    class Stuck(WebSocket):
        async def received_message(self, message: Any) -> None:
            reached.set()
            await asyncio.Event().wait()

        def closed(self, code: int, reason: Any = None) -> None:
            codes.append(code)

    reached, codes = asyncio.Event(), []
    async with site(websocket_handler(Stuck), shutdown_timeout=0.4) as (port, runner):
        ws = await connect(url(port), proxy=None)
        await ws.send("x")
        await reached.wait()
        await runner.cleanup()
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert 1001 == caught.value.rcvd.code
        while not codes:
            await asyncio.sleep(0)


@run
async def test_who_comes_while_the_server_stops_is_told_so_too() -> None:
    preparing, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request, response: web.StreamResponse) -> None:
        preparing.set()
        await go_on.wait()

    async with site(websocket_handler(Echo), prepare=slow) as (port, runner):
        connecting = asyncio.ensure_future(connect(url(port), proxy=None).__aenter__())
        await preparing.wait()
        ending = asyncio.ensure_future(runner.cleanup())
        while runner.sites:
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        go_on.set()
        ws = await connecting
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert 1001 == caught.value.rcvd.code
        await ending


def test_the_example_runs() -> None:
    with Program([sys.executable, "-W", "error", str(ROOT / "example" / "aiohttp_echo.py"), "0"]) as server:
        address = server.line().removeprefix("listening on ")
        with connect_sync(f"{address}echo", proxy=None) as ws:
            ws.send("hello")
            assert "hello" == ws.recv()
            server.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv()
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code
        assert (0, []) == (server.status(), server.errors())
