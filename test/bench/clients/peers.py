"""Others' clients, each in the way its documentation shows."""

from __future__ import annotations

import asyncio
from typing import Any

from ..setup import MAX_MESSAGE, Setup
from .orders import Pace, next_order


def websocket_client(setup: Setup) -> None:
    """Talk by websocket-client."""
    import websocket

    ws = websocket.create_connection(f"ws://127.0.0.1:{setup.port}/")
    _in_turns(ws.send_binary, ws.recv)


def websockets_threads(setup: Setup) -> None:
    """Talk by the threads of websockets."""
    from websockets.sync.client import connect

    url = f"ws://127.0.0.1:{setup.port}/"
    with connect(url, compression=None, ping_interval=None, max_size=MAX_MESSAGE, proxy=None) as ws:
        _in_turns(ws.send, ws.recv)


def _in_turns(send: Any, receive: Any) -> None:
    word = "ready"
    while (order := next_order(word)) is not None:
        pace = Pace(order)
        for _ in range(pace.first):
            send(pace.payload)
        while not pace.is_done:
            if pace.answered(len(receive())):
                send(pace.payload)
        word = "done"


async def _in_turns_async(send: Any, receive: Any) -> None:
    word = "ready"
    while (order := next_order(word)) is not None:
        pace = Pace(order)
        for _ in range(pace.first):
            await send(pace.payload)
        while not pace.is_done:
            if pace.answered(len(await receive())):
                await send(pace.payload)
        word = "done"


def websockets_(setup: Setup) -> None:
    """Talk by websockets."""
    from websockets.asyncio.client import connect

    async def run() -> None:
        url = f"ws://127.0.0.1:{setup.port}/"
        async with connect(url, compression=None, ping_interval=None, max_size=MAX_MESSAGE, proxy=None) as ws:
            await _in_turns_async(ws.send, ws.recv)

    asyncio.run(run())


def aiohttp_(setup: Setup) -> None:
    """Talk by aiohttp."""
    import aiohttp

    async def run() -> None:
        url = f"ws://127.0.0.1:{setup.port}/"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=MAX_MESSAGE) as ws:
            await _in_turns_async(ws.send_bytes, ws.receive_bytes)

    asyncio.run(run())


async def _picows(setup: Setup) -> None:
    from picows import WSListener, WSMsgType, ws_connect

    class Client(WSListener):  # type: ignore[misc]
        pace: Pace
        done: asyncio.Event

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            pace = self.pace
            if pace.answered(len(frame.get_payload_as_memoryview())):
                transport.send(WSMsgType.BINARY, pace.payload)
            elif pace.is_done:
                self.done.set()

    transport, client = await ws_connect(Client, f"ws://127.0.0.1:{setup.port}/", max_frame_size=MAX_MESSAGE)
    word = "ready"
    while (order := next_order(word)) is not None:
        client.pace, client.done = Pace(order), asyncio.Event()
        for _ in range(client.pace.first):
            transport.send(WSMsgType.BINARY, client.pace.payload)
        await client.done.wait()
        word = "done"


def picows_(setup: Setup) -> None:
    """Talk by picows."""
    asyncio.run(_picows(setup))


def picows_uvloop(setup: Setup) -> None:
    """Talk by picows under uvloop."""
    import uvloop

    uvloop.run(_picows(setup))
