"""This project's clients."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from ws4py_ng.limits import Limits

from ..setup import MAX_MESSAGE, Setup
from .orders import Pace, next_order

LIMITS = Limits(max_message_size=MAX_MESSAGE, ping_interval=None)


def threads(setup: Setup) -> None:
    """Talk by a thread."""
    from ws4py_ng.client.threadedclient import WebSocketClient

    class Client(WebSocketClient):
        pace: Pace

        def received_message(self, message: Any) -> None:
            pace = self.pace
            if pace.answered(len(message.data)):
                self.send(pace.payload, True)
            elif pace.is_done:
                done.set()

    done = threading.Event()
    client = Client(f"ws://127.0.0.1:{setup.port}/", deflate=False, limits=LIMITS)
    client.connect()
    word = "ready"
    while (order := next_order(word)) is not None:
        client.pace = Pace(order)
        done.clear()
        for _ in range(client.pace.first):
            client.send(client.pace.payload, True)
        done.wait()
        word = "done"


async def _in_a_loop(setup: Setup, client_class: Any, new_event: Any, ask: Any) -> None:
    class Client(client_class):  # type: ignore[misc]
        pace: Pace
        done: Any

        def received_message(self, message: Any) -> None:
            pace = self.pace
            if pace.answered(len(message.data)):
                self.send(pace.payload, True)
            elif pace.is_done:
                self.done.set()

    async with Client(f"ws://127.0.0.1:{setup.port}/", deflate=False, limits=LIMITS) as client:
        word = "ready"
        while (order := await ask(word)) is not None:
            client.pace, client.done = Pace(order), new_event()
            for _ in range(client.pace.first):
                await client.send(client.pace.payload, True)
            await client.done.wait()
            word = "done"


async def _asyncio(setup: Setup) -> None:
    from ws4py_ng.client.asyncioclient import WebSocketClient

    async def ask(word: str) -> Any:
        return next_order(word)

    await _in_a_loop(setup, WebSocketClient, asyncio.Event, ask)


def asyncio_(setup: Setup) -> None:
    """Talk by asyncio."""
    asyncio.run(_asyncio(setup))


def uvloop_(setup: Setup) -> None:
    """Talk by uvloop."""
    import uvloop

    uvloop.run(_asyncio(setup))


def trio_(setup: Setup) -> None:
    """Talk by trio."""
    import trio

    from ws4py_ng.client.trioclient import WebSocketClient

    async def ask(word: str) -> Any:
        return next_order(word)

    trio.run(_in_a_loop, setup, WebSocketClient, trio.Event, ask)
