"""Receive in tasks; what holds for every loop is in the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from ws4py_ng.client import asyncioclient, tornadoclient, trioclient
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import Server, serve
from ws4py_ng.server.trioserver import serve as serve_by_trio
from ws4py_ng.websocket import EchoWebSocket

WAIT = 60.0


def in_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be a coroutine, with a bound that only a hang reaches."""

    async def bounded() -> None:
        async with asyncio.timeout(WAIT):
            await test()

    return lambda: asyncio.run(bounded())


def url(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


@in_loop
async def test_connect_may_be_awaited() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        for connect in (asyncioclient.connect, tornadoclient.connect):
            ws: Any = await connect(url(server))
            await ws.send("hello")
            assert "hello" == str(await ws.receive(timeout=WAIT))
            ws.close()
            assert [] == [message async for message in ws]
            await ws.wait_ended()


@in_loop
async def test_it_is_not_connected_before_connect() -> None:
    with pytest.raises(RuntimeError, match="not connected"):
        await asyncioclient.connect("ws://127.0.0.1:9/").receive()


@in_loop
async def test_who_is_cancelled_loses_nothing() -> None:
    async with serve(EchoWebSocket, port=0) as server, asyncioclient.connect(url(server)) as ws:
        for i in range(20):
            receiving = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            await ws.send(f"{i}")
            for _ in range(i):
                await asyncio.sleep(0)
            receiving.cancel()
            try:
                message = await receiving
            except asyncio.CancelledError:
                message = await ws.receive()
            assert f"{i}" == str(message)


@in_loop
async def test_a_timeout_of_nothing_asks_whether_something_is_there() -> None:
    async with serve(EchoWebSocket, port=0) as server, asyncioclient.connect(url(server)) as ws:
        for _ in range(100):
            with pytest.raises(TimeoutError, match="No message within 0 s"):
                await ws.receive(timeout=0)
        ws.send("x")
        assert "x" == str(await ws.receive())


@in_loop
async def test_of_several_who_receive_each_gets_messages_of_its_own() -> None:
    found: list[str] = []

    async def collect(ws: Any) -> None:
        async for message in ws:
            found.append(str(message))

    async with serve(EchoWebSocket, port=0) as server:
        async with asyncioclient.connect(url(server)) as ws:
            tasks = [asyncio.create_task(collect(ws)) for _ in range(4)]
            for i in range(200):
                await ws.send(f"{i}")
            while len(found) < 200:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    assert sorted(map(str, range(200))) == sorted(found)


@in_loop
async def test_who_closes_with_a_full_inbox_ends_well() -> None:
    async with serve(EchoWebSocket, port=0) as server:
        async with asyncioclient.connect(url(server), limits=Limits(max_inbox=1)) as ws:
            for i in range(100):
                await ws.send(f"{i}")
            assert "0" == str(await ws.receive())
        assert "1" == str(await ws.receive())


def test_on_trio_a_break_out_of_iterating_leaves_nothing_behind() -> None:
    async def main() -> None:
        with trio.fail_after(WAIT):
            async with serve_by_trio(EchoWebSocket, port=0) as server:
                async with trioclient.connect(f"ws://127.0.0.1:{server.port}/") as ws:
                    await ws.send(["a", "b"])
                    async for message in ws:
                        assert "ab" == str(message)
                        break
                    with trio.move_on_after(0):
                        await ws.receive()
                    await ws.send("c")
                    async for piece in ws.receive_pieces():
                        assert "c" == piece
                        break
                with pytest.raises(ConnectionClosed):
                    await ws.receive()

    trio.run(main)
