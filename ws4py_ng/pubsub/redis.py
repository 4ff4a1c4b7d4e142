"""Redis as a bus: pub/sub, at most once, and streams, which are kept. The only module that knows redis-py.

    hub = Hub(RedisBus("redis://localhost"))
    hub = Hub(RedisStreamBus("redis://localhost"), history=50)

Both serve any program, asyncio or not: they run in a thread of their own.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from secrets import token_hex
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from .checks import check_whole
from .line import Line

__all__ = ["RedisBus", "RedisStreamBus"]

logger = logging.getLogger("ws4py_ng")

# Milliseconds for which a read of streams waits; a new topic ends it sooner.
PATIENCE = 5000
# Seconds in which Redis has to answer, and in which a line that is quiet is tried.
ANSWER = 5.0
_OFFSET = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
# What Redis answers for now, and may answer otherwise later; the library has classes for some of it.
_NOT_NOW = (AskError, ClusterError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_NOT_NOW_CODES = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")
# Entries that are read of a stream in one go.
CHUNK = 1000


def _is_final(error: ResponseError) -> bool:
    """Tell whether Redis refuses what it was asked for itself, and not for now."""
    return not isinstance(error, _NOT_NOW) and not str(error).startswith(_NOT_NOW_CODES)


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

    def _confirm(self, batch: list[tuple[str, bytes]], answers: list[Any]) -> None:
        """Give up what Redis refuses for itself: the others were taken. Raises what it refuses for now."""
        refused = [
            (topic, raw, answer)
            for (topic, raw), answer in zip(batch, answers, strict=True)
            if isinstance(answer, ResponseError)
        ]
        for *_, answer in refused:
            if not _is_final(answer):
                raise answer
        for topic, raw, answer in refused:
            self._refuse(topic, raw, answer)

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
            self._confirm(batch, [await self._spublish(*each) for each in batch])
            return
        pipeline = self._client.pipeline(transaction=False)
        for topic, raw in batch:
            pipeline.publish(self._prefix + topic, raw)
        self._confirm(batch, await asyncio.wait_for(pipeline.execute(raise_on_error=False), ANSWER))

    async def _spublish(self, topic: str, raw: bytes) -> Any:
        try:
            return await self._client.spublish(self._prefix + topic, raw)
        except ResponseError as error:
            return error

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
    behind ``prefix``; one that nobody publishes to for ``expires`` seconds is dropped. Not for a cluster. A publish
    that Redis refuses for itself, as its key is no stream, is dropped and logged.
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
        check_whole(1, max_length=max_length, expires=expires)
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
                try:
                    last = await self._client.xrevrange(self._prefix + topic, count=1)
                except ResponseError as error:
                    self._pass_over(topic, error)
                else:
                    self._places[topic] = last[0][0] if last else b"0-0"
        await self._nudge()

    async def _unfollow(self, topic: str) -> None:
        self._places.pop(topic, None)

    def _pass_over(self, topic: str, error: ResponseError) -> None:
        """Do without a topic that Redis refuses to read, until the next session. Raises what it refuses for now."""
        if not _is_final(error):
            raise error
        self._places.pop(topic, None)
        logger.error("What is published on topic %r does not come: %s", topic, error)

    async def _find_unreadable(self, error: ResponseError) -> None:
        """Pass over the topics for which a read was refused as a whole. Raises that when there is none."""
        places = list(self._places.items())
        pipeline = self._client.pipeline(transaction=False)
        for topic, place in places:
            pipeline.xread({self._prefix + topic: place}, count=1)
        answers = await pipeline.execute(raise_on_error=False)
        refused = [
            (topic, each) for (topic, _), each in zip(places, answers, strict=True) if isinstance(each, ResponseError)
        ]
        if not refused:
            raise error
        for topic, answer in refused:
            self._pass_over(topic, answer)

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
        answers = await pipeline.execute(raise_on_error=False)
        for answer in answers[len(batch) :]:
            if isinstance(answer, ResponseError):
                raise answer
        self._confirm(batch, answers[: len(batch)])

    async def _listen(self) -> None:
        control = b"0-0"
        while True:
            places = {self._prefix + topic: place for topic, place in self._places.items()}
            try:
                found = await self._reader.xread({**places, self._control: control}, count=CHUNK, block=PATIENCE)
            except ResponseError as error:
                await self._find_unreadable(error)
                continue
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
        found = _OFFSET.fullmatch(offset) if isinstance(offset, str) else None
        if found is None or any(int(part) >= 1 << 64 for part in found.groups()):
            raise ValueError(f"An offset of a stream is like '1767225600000-0', got {offset!r:.60}")

    async def _read(self, topic: str, since: str | None, count: int) -> list[tuple[bytes, str]]:
        place = self._places.get(topic)
        if place is None or place == b"0-0":
            return []
        key = self._prefix + topic
        try:
            if since is None:
                entries = list(reversed(await self._client.xrevrange(key, max=place, count=count)))
            else:
                entries = await self._client.xrange(key, min=f"({since}", max=place, count=self._max_length)
        except ResponseError as error:
            if not _is_final(error):
                raise
            logger.warning("What Redis has kept of topic %r is not sent to a member: %s", topic, error)
            return []
        return [(fields.get(b"d", b""), found.decode()) for found, fields in entries]
