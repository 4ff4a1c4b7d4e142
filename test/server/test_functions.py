"""Functions instead of classes: which are served how; what all servers keep is in the contract."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

import ws4py_ng
from ws4py_ng.client import asyncioclient
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.handshake import Request
from ws4py_ng.limits import Limits
from ws4py_ng.server.acceptor import Acceptor
from ws4py_ng.server.asyncioserver import serve as serve_in_loop
from ws4py_ng.server.functions import is_router, maker_of
from ws4py_ng.server.threadedserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket

WAIT = 60.0


def plain(ws: Any) -> None:
    for message in ws:
        ws.send(message.data, message.is_binary)


async def awaited(ws: Any) -> None:
    async for message in ws:
        await ws.send(message.data, message.is_binary)


class Awaited:
    """Be called like a function."""

    async def __call__(self, ws: Any) -> None:
        await awaited(ws)


def by_name(request: Any) -> Any:
    return plain if request.target == "/function" else EchoWebSocket


def by_annotation(asked: Request) -> Any:
    return None


@pytest.mark.parametrize(
    ("function", "routes"),
    [
        (plain, False),
        (awaited, False),
        (Awaited(), False),
        (by_name, True),
        (by_annotation, True),
        (lambda ws: None, False),
        (print, False),
    ],
)
def test_a_function_of_a_request_is_a_router(function: Callable[..., Any], routes: bool) -> None:
    assert routes is is_router(function)


@pytest.mark.parametrize(
    ("handlers", "functions", "expected"),
    [
        (awaited, "threads", "awaited is async, but this server runs functions in threads or greenlets"),
        (Awaited(), "threads", "is async, but this server runs functions in threads or greenlets"),
        (plain, "tasks", "plain is a plain function, but this server runs in an event loop"),
        ({"/": plain}, "tasks", "make it `async def`"),
        (plain, None, "takes classes only: give a subclass"),
        ({"/": EchoWebSocket, "/f": awaited}, None, "asyncioserver"),
        (lambda: None, "threads", r"has the parameters \(\), expected one"),
        ({"/": lambda ws, path: None}, "threads", r"has the parameters \(ws, path\), expected one"),
        (lambda request, path: None, "threads", r"has the parameters \(request, path\), expected one"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(handlers: Any, functions: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        Acceptor(handlers=handlers, functions=functions)


@pytest.mark.parametrize("maker", [EchoWebSocket, lambda *all_of_it: EchoWebSocket(*all_of_it), print, "no class"])
def test_what_ws4py_takes_as_a_class_is_left_as_it_is(maker: Any) -> None:
    assert maker is maker_of(maker)


def test_a_function_of_a_websocket_becomes_a_class() -> None:
    made: Any = maker_of(plain)
    assert issubclass(made, WebSocket)
    assert made is maker_of(plain)
    with pytest.raises(TypeError, match="make it a plain function"):
        maker_of(awaited)


def url(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


def test_a_router_may_choose_a_function() -> None:
    with serve(by_name, port=0) as server:
        server.start()
        for path in ("/", "/function"):
            with ws4py_ng.connect(url(server, path)) as ws:
                ws.send(path)
                assert path == str(ws.receive(timeout=WAIT))


def test_a_function_that_returns_a_class_was_meant_to_choose_one(caplog: pytest.LogCaptureFixture) -> None:
    with serve(lambda asked: EchoWebSocket, port=0) as server:
        server.start()
        with ws4py_ng.connect(url(server)) as ws, pytest.raises(ConnectionClosed) as caught:
            ws.receive(timeout=WAIT)
    assert 1011 == caught.value.code
    assert "calls its parameter `request`" in caplog.text


def test_a_function_that_returns_a_coroutine_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    def wrapped(ws: Any) -> Any:
        return awaited(ws)

    with serve(wrapped, port=0) as server:
        server.start()
        with ws4py_ng.connect(url(server)) as ws, pytest.raises(ConnectionClosed) as caught:
            ws.receive(timeout=WAIT)
    assert 1011 == caught.value.code
    assert "wrapped returned a coroutine, which nobody awaits" in caplog.text


def test_an_object_that_is_called_like_an_async_function_serves() -> None:
    async def main() -> None:
        async with (
            serve_in_loop(Awaited(), port=0) as server,
            asyncioclient.connect(f"ws://127.0.0.1:{server.port}/") as ws,
        ):
            ws.send("hello")
            assert "hello" == str(await ws.receive(timeout=WAIT))

    asyncio.run(main())


def test_a_function_may_shut_the_server_down() -> None:
    servers: list[Server] = []

    def end(ws: Any) -> None:
        ws.receive()
        servers[0].shutdown()

    with serve(end, port=0, limits=Limits(close_timeout=WAIT)) as server:
        servers.append(server)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        with ws4py_ng.connect(url(server)) as ws:
            ws.send("end")
            with pytest.raises(ConnectionClosed) as caught:
                ws.receive(timeout=WAIT)
            assert 1001 == caught.value.code
        serving.join(WAIT)
        assert not serving.is_alive()


def test_a_function_that_awaits_something_else_is_cancelled_at_the_end_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def stuck(ws: Any) -> None:
            await ws.send("here")
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with (
            serve_in_loop(stuck, port=0, limits=Limits(close_timeout=0.05)) as server,
            asyncioclient.connect(f"ws://127.0.0.1:{server.port}/") as ws,
        ):
            assert "here" == str(await ws.receive())
        assert cancelled.is_set()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [] == caplog.records


def test_a_function_that_awaits_what_it_has_cancelled_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def hasty(ws: Any) -> None:
            task = asyncio.ensure_future(asyncio.Event().wait())
            task.cancel()
            await task

        async with (
            serve_in_loop(hasty, port=0) as server,
            asyncioclient.connect(f"ws://127.0.0.1:{server.port}/") as ws,
        ):
            with pytest.raises(ConnectionClosed) as caught:
                await ws.receive(timeout=WAIT)
            assert 1011 == caught.value.code

    asyncio.run(main())
    assert ["hasty failed"] == [entry.getMessage() for entry in caplog.records]
    assert "hasty let CancelledError out" in caplog.text
