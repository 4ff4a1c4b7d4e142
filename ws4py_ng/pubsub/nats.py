"""NATS as a bus: at most once, and light. The only module that knows nats-py.

    hub = Hub(NatsBus("nats://localhost"))

It serves any program, asyncio or not: it runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nats.aio.client import Client
from nats.errors import Error

from .line import Line

__all__ = ["NatsBus"]

# Seconds in which NATS has to answer.
ANSWER = 5.0


class NatsBus(Line):
    """Publish by NATS' core: at most once. What is published while a process has no connection is lost to it.

    Topics are subjects behind ``prefix``, in which what has a meaning for NATS is escaped as in URLs.
    A message of more than the server's ``max_payload``, 1 MiB by default, is refused. Raises
    ValueError for a URL that is none.
    """

    name = "nats"
    errors = (OSError, Error)

    def __init__(self, url: str = "nats://localhost:4222", *, prefix: str = "ws4py_ng.", **options: Any) -> None:
        super().__init__(**options)
        parts = urlsplit(url)
        # A port that is none is a ValueError as well.
        if parts.scheme not in ("nats", "tls", "ws", "wss") or not parts.hostname or parts.port == 0:
            raise ValueError(f"A URL of NATS is like 'nats://localhost:4222', got {url!r:.100}")
        self._url = url
        self._prefix = prefix
        self._client: Any = None
        self._lost: asyncio.Event | None = None
        self._subscriptions: dict[str, Any] = {}

    def _subject(self, topic: str) -> str:
        return self._prefix + quote(topic, safe="").replace(".", "%2E")

    async def _connect(self) -> None:
        lost = self._lost = asyncio.Event()
        self._client = Client()

        async def note(*_: object) -> None:
            lost.set()

        async def pass_over(_: Exception) -> None: ...

        # What is lost is found again by `Line`; our own publishes are not to come back.
        await self._client.connect(
            self._url,
            no_echo=True,
            allow_reconnect=False,
            connect_timeout=int(ANSWER),
            ping_interval=int(ANSWER),
            closed_cb=note,
            disconnected_cb=note,
            error_cb=pass_over,
        )
        self.largest = self._client.max_payload

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        self._subscriptions.clear()
        if client is not None:
            with suppress(*self.errors):
                await asyncio.wait_for(client.close(), ANSWER)

    async def _follow(self, topics: list[str]) -> None:
        for topic in topics:
            if topic not in self._subscriptions:
                self._subscriptions[topic] = await self._client.subscribe(self._subject(topic), cb=self._take)

    async def _take(self, message: Any) -> None:
        self._came(unquote(message.subject[len(self._prefix) :]), message.data)

    async def _unfollow(self, topic: str) -> None:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is not None:
            await subscription.unsubscribe()

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        for topic, raw in batch:
            await self._client.publish(self._subject(topic), raw)
        await self._client.flush(int(ANSWER))

    async def _listen(self) -> None:
        assert self._lost is not None
        await self._lost.wait()
        raise ConnectionResetError(str(self._client.last_error or "the connection is lost"))
