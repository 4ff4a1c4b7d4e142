"""Redis as a bus: pub/sub, at most once, and streams, which are kept. The only module that knows redis-py.

    hub = Hub(RedisBus("redis://localhost"))
    hub = Hub(RedisStreamBus("redis://localhost"), history=50)

Both serve any program, asyncio or not: they run in a thread of their own.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from secrets import token_hex
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .line import Line

__all__ = ["RedisBus", "RedisStreamBus"]

# Milliseconds for which a read of streams waits; a new topic ends it sooner.
PATIENCE = 5000
# Seconds in which Redis has to answer, and in which a line that is quiet is tried.
ANSWER = 5.0
_OFFSET = re.compile(r"\d{1,20}-\d{1,20}")
# Entries that are read of a stream in one go.
CHUNK = 1000


class _RedisLine(Line):
    """Hold what both have in common: a client, and the names of keys. Raises ValueError for a URL that is none."""

    errors = (OSError, RedisError, EOFError)

    def __init__(self, url: str = "redis://localhost:6379/0", *, prefix: str = "ws4py_ng:", **bounds: int) -> None:
        super().__init__(**bounds)
        Redis.from_url(url)  # raises ValueError for what is none; nothing is connected
        self._url = url
        self._prefix = prefix
        self._client: Any = None

    def _new_client(self, timeout: float | None = ANSWER) -> Any:
        # What is lost is found again by `Line`, and nothing is repeated behind its back.
        return Redis.from_url(
            self._url,
            socket_connect_timeout=ANSWER,
            socket_timeout=timeout,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )

    def _topic(self, name: bytes) -> str:
        return name.decode("utf-8")[len(self._prefix) :]

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*self.errors):
                await client.aclose()


class RedisBus(_RedisLine):
    """Publish by Redis' pub/sub: at most once. What is published while a process has no connection is lost to it.

    With ``cluster`` the sharded pub/sub of a Redis 7 cluster is used, so that a publish goes to one
    shard; ``url`` is any node's. Topics are channels behind ``prefix``.
    """

    name = "redis"

    def __init__(self, url: str = "redis://localhost:6379/0", *, cluster: bool = False, **options: Any) -> None:
        super().__init__(url, **options)
        self._cluster = cluster
        self._control = f"{self._prefix}control:{token_hex(8)}"
        self._pubsub: Any = None

    async def _connect(self) -> None:
        if self._cluster:
            self._client = RedisCluster.from_url(self._url, socket_connect_timeout=ANSWER, socket_keepalive=True)
            await self._client.initialize()
        else:
            self._client = self._new_client(None)
            await asyncio.wait_for(self._client.ping(), ANSWER)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        # Without a subscription there would be nothing to listen to.
        await self._subscribe(self._control)

    async def _disconnect(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(*self.errors):
                await pubsub.aclose()
        await super()._disconnect()

    async def _subscribe(self, *channels: str) -> None:
        await (self._pubsub.ssubscribe(*channels) if self._cluster else self._pubsub.subscribe(*channels))

    async def _follow(self, topics: list[str]) -> None:
        await self._subscribe(*(self._prefix + topic for topic in topics))

    async def _unfollow(self, topic: str) -> None:
        channel = self._prefix + topic
        await (self._pubsub.sunsubscribe(channel) if self._cluster else self._pubsub.unsubscribe(channel))

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        if self._cluster:
            for topic, raw in batch:
                await self._client.spublish(self._prefix + topic, raw)
            return
        pipeline = self._client.pipeline(transaction=False)
        for topic, raw in batch:
            pipeline.publish(self._prefix + topic, raw)
        await asyncio.wait_for(pipeline.execute(), ANSWER)

    async def _listen(self) -> None:
        while True:
            if self._cluster:
                message = await self._pubsub.get_sharded_message(timeout=ANSWER)
            else:
                message = await self._pubsub.get_message(timeout=ANSWER)
                if message is None:  # is it still there?
                    await asyncio.wait_for(self._client.ping(), ANSWER)
            if message is not None and message["type"] in ("message", "smessage"):
                channel = message["channel"]
                if channel != self._control.encode():
                    self._came(self._topic(channel), message["data"])


class RedisStreamBus(_RedisLine):
    """Publish by Redis' streams, of which ``max_length`` entries each are kept: nothing is lost while these last.

    All hubs see a topic in one order, and each message has an offset, from which a member can resume
    (`Hub.subscribe`). A hub that loses its connection goes on where it was. A topic is a stream
    behind ``prefix``; one that nobody publishes to for ``expires`` seconds is dropped. Not for a cluster.
    """

    name = "redis streams"
    ordered = True

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        max_length: int = 10_000,
        expires: int = 24 * 3600,
        **options: Any,
    ) -> None:
        super().__init__(url, **options)
        self._max_length = max_length
        self._expires = expires
        self._control = f"{self._prefix}control:{token_hex(8)}"
        self._places: dict[str, bytes] = {}
        self._reader: Any = None

    async def _connect(self) -> None:
        self._client = self._new_client()
        self._reader = self._new_client(PATIENCE / 1000 + ANSWER)
        await self._client.ping()

    async def _disconnect(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(*self.errors):
                await reader.aclose()
        await super()._disconnect()

    async def _follow(self, topics: list[str]) -> None:
        """Begin behind what there is; where we were, if we were there before."""
        for topic in topics:
            if topic not in self._places:
                last = await self._client.xrevrange(self._prefix + topic, count=1)
                self._places[topic] = last[0][0] if last else b"0-0"
        await self._nudge()

    async def _unfollow(self, topic: str) -> None:
        self._places.pop(topic, None)

    async def _nudge(self) -> None:
        """End the read that is going on: it does not know the new topics."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xadd(self._control, {b"n": b""}, maxlen=1)
        pipeline.expire(self._control, 60)
        await pipeline.execute()

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for topic, raw in batch:
            pipeline.xadd(self._prefix + topic, {b"d": raw}, maxlen=self._max_length, approximate=True)
        for topic in {topic for topic, _ in batch}:
            pipeline.expire(self._prefix + topic, self._expires)
        await pipeline.execute()

    async def _listen(self) -> None:
        control = b"0-0"
        while True:
            places = {self._prefix + topic: place for topic, place in self._places.items()}
            found = await self._reader.xread({**places, self._control: control}, count=CHUNK, block=PATIENCE)
            for key, entries in found.items() if isinstance(found, dict) else found:
                if key == self._control.encode():
                    control = entries[-1][0]
                    continue
                topic = self._topic(key)
                for place, fields in entries:
                    if topic not in self._places:
                        break
                    self._places[topic] = place
                    self._came(topic, fields.get(b"d", b""), place.decode())

    def check_offset(self, offset: str) -> None:
        """Raise ValueError for what no stream has."""
        if not _OFFSET.fullmatch(offset):
            raise ValueError(f"An offset of a stream is like '1767225600000-0', got {offset!r:.60}")

    async def _read(self, topic: str, since: str | None, count: int) -> list[tuple[bytes, str]]:
        place = self._places.get(topic)
        if place is None or place == b"0-0":
            return []
        key = self._prefix + topic
        if since is None:
            entries = list(reversed(await self._client.xrevrange(key, max=place, count=count)))
        else:
            entries = await self._client.xrange(key, min=f"({since}", max=place, count=self._max_length)
        return [(fields.get(b"d", b""), found.decode()) for found, fields in entries]
