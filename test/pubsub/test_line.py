"""A line to a broker that does as the test says."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import WAIT
from test.many import eventually
from ws4py_ng.codes import TEXT
from ws4py_ng.pubsub import Hub, Outcome
from ws4py_ng.pubsub.envelope import MAX_ORIGINS, Envelope, Seen
from ws4py_ng.pubsub.line import MAX_LEFT, Line

from .listeners import Listener


class Toy(Line):
    """Be a line whose broker confirms, loses or repeats what it is told."""

    name = "toy"

    def __init__(self, *, ordered: bool = False, **bounds: Any) -> None:
        super().__init__(**bounds)
        self.ordered = ordered
        self.sent: list[tuple[str, bytes]] = []
        self.failures: list[Exception] = []
        self.away = False
        self.lose_after_sending = False
        self.brings_back = ordered
        self.lost: asyncio.Event | None = None

    async def _connect(self) -> None:
        if self.away:
            raise OSError("not yet")
        if self.failures:
            raise self.failures.pop(0)
        self.lost = asyncio.Event()

    async def _disconnect(self) -> None: ...

    async def _follow(self, topics: list[str]) -> None: ...

    async def _unfollow(self, topic: str) -> None: ...

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        self.sent += batch
        if self.brings_back:
            for number, (topic, raw) in enumerate(batch):
                self._came(topic, raw, f"{len(self.sent)}-{number}")
        if self.lose_after_sending:
            self.lose_after_sending = False
            raise ConnectionResetError("gone before it has confirmed")

    async def _listen(self) -> None:
        assert self.lost is not None
        await self.lost.wait()
        raise ConnectionResetError("lost")

    def lose(self, *failures: Exception) -> None:
        self.failures += failures
        assert self.lost is not None
        self._call(self.lost.set)


def test_an_envelope_is_what_was_packed() -> None:
    envelope = Envelope(b"12345678", 7, TEXT, b"data")
    assert envelope == Envelope.unpack(envelope.pack())


@pytest.mark.parametrize("raw", [b"", b"x" * 17, b"\x02" + b"x" * 17, Envelope(b"12345678", 1, 8, b"").pack()])
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        Envelope.unpack(raw)


def test_a_number_is_new_once_and_hubs_are_remembered_in_bounds() -> None:
    seen = Seen()
    envelopes = [Envelope(b"%08d" % origin, 1, TEXT, b"") for origin in range(MAX_ORIGINS + 1)]
    assert all(map(seen.is_new, envelopes))
    assert not seen.is_new(envelopes[-1])
    assert not seen.is_new(envelopes[1])
    assert MAX_ORIGINS == len(seen._last)


@pytest.mark.parametrize("bounds", [{"max_queued": 0}, {"max_queued_bytes": 0}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        Toy(**bounds)


def test_what_was_sent_and_not_confirmed_is_sent_again_and_known_by_its_number() -> None:
    toy = Toy()
    with Hub(toy) as hub:
        assert eventually(lambda: hub.status.bus.connected)
        toy.lose_after_sending = True
        hub.publish("a", "one")
        assert eventually(lambda: 2 == len(toy.sent) and 0 == hub.status.bus.queued)
        assert toy.sent[0] == toy.sent[1]
        assert 1 == hub.status.bus.reconnects
    with Hub(other := Toy()) as hub:
        ada = Listener(hub, "a")
        for _, raw in toy.sent:
            other._came("a", raw)
        assert ["one"] == ada.got
        assert 1 == hub.status.bus.duplicates


def test_who_comes_back_does_not_get_again_what_came_before() -> None:
    raw = [Envelope(b"%08d" % 1, number, TEXT, b"%d" % number).pack() for number in range(1, 4)]
    with Hub(toy := Toy()) as hub:
        ada = Listener(hub, "a")
        toy._came("a", raw[0])
        hub.unsubscribe(ada)
        toy._came("a", raw[1])  # it is away
        hub.subscribe(ada, "a")
        for each in (*raw[:2], *raw):
            toy._came("a", each)
        assert ["1", "2", "3"] == ada.got
        for number in range(MAX_LEFT + 1):
            hub.subscribe(ada, str(number))
        hub.unsubscribe(ada)
        assert MAX_LEFT == len(toy._left)


def test_an_ordered_bus_does_not_bring_again_what_was_early() -> None:
    toy = Toy(ordered=True)
    with Hub(toy) as hub:
        ada = Listener(hub, "a")
        assert eventually(lambda: hub.status.bus.connected)
        hub.publish("a", "one")
        assert eventually(lambda: ["one"] == ada.got)
        toy.away = True
        toy.lose()
        assert eventually(lambda: not hub.status.bus.connected)
        assert Outcome.QUEUED == hub.publish("a", "two", exclude=[]).bus
        toy.away = False
        assert ["one", "two"] == ada.got
        assert eventually(lambda: 2 == len(toy.sent))
        hub.publish("a", "three")
        assert eventually(lambda: ["one", "two", "three"] == ada.got)
        assert eventually(lambda: {} == toy._own)
        assert set() == toy._early


def test_what_is_published_as_an_ordered_bus_is_lost_comes_behind_what_waited_for_it() -> None:
    toy = Toy(ordered=True)
    with Hub(toy, moved=lambda connected: connected or hub.publish("a", "four")) as hub:
        ada = Listener(hub, "a")
        assert eventually(lambda: hub.status.bus.connected)
        toy.brings_back = False
        for each in ("one", "two", "three"):
            hub.publish("a", each)
        toy.lose(*[OSError("not yet")] * 3)
        assert eventually(lambda: 4 == len(ada.got))
        assert ["one", "two", "three", "four"] == ada.got


def test_what_is_published_while_another_thread_hands_out_comes_behind_that_and_waits_for_nobody() -> None:
    def stamp(topic: str, data: bytes, offset: str) -> bytes:
        if data == b"one":
            beside = threading.Thread(target=lambda: hub.publish("a", b"two"))
            beside.start()
            beside.join(WAIT)
            assert not beside.is_alive()
        return data

    toy = Toy(ordered=True)
    toy.failures = [OSError("away")] * 1000
    with Hub(toy, stamp=stamp) as hub:
        ada = Listener(hub, "a")
        hub.publish("a", b"one")
        assert [b"one", b"two"] == ada.got


def test_a_topic_is_followed_before_what_was_published_behind_the_subscription_is_sent() -> None:
    done: list[str] = []

    class Noting(Toy):
        async def _follow(self, topics: list[str]) -> None:
            done.extend(f"follow {topic}" for topic in topics)

        async def _send(self, batch: list[tuple[str, bytes]]) -> None:
            done.extend(f"send {topic}" for topic, _ in batch)
            await super()._send(batch)

    class Late(deque[Any]):
        """Be empty, and have an order and a publish behind it in the next moment."""

        def __bool__(self) -> bool:
            found = len(self) > 0
            if not found and not waiting:
                waiting.append(Listener(hub, "b"))
                hub.publish("b", "one")
            return found

    waiting: list[Listener] = []
    toy = Noting(ordered=True)
    with Hub(toy) as hub:
        assert eventually(lambda: hub.status.bus.connected)
        toy._orders = Late()
        hub.publish("a", "any")
        assert eventually(lambda: waiting and ["one"] == waiting[0].got)
        assert done.index("follow b") < done.index("send b")


def test_what_is_more_than_the_broker_takes_is_refused_alone_and_at_once_when_that_is_known() -> None:
    class Small(Toy):
        async def _connect(self) -> None:
            await super()._connect()
            self.largest = 100

    toy = Small(ordered=True)
    toy.failures = [OSError("away")] * 1000
    with Hub(toy) as hub:
        ada = Listener(hub, "a")
        assert [Outcome.QUEUED] * 2 == [hub.publish("a", each).bus for each in ("x" * 100, "small")]
        toy.failures.clear()
        assert eventually(lambda: hub.status.bus.connected and 0 == hub.status.bus.queued)
        assert Outcome.REFUSED == hub.publish("a", "y" * 100).bus
        hub.publish("a", "last")
        assert eventually(lambda: ["x" * 100, "small", "y" * 100, "last"] == ada.got)
        assert (2, 2, 0) == (hub.status.bus.refused, len(toy.sent), toy._queued_bytes)


def test_an_ordered_bus_does_not_count_who_is_excluded() -> None:
    with Hub(Toy(ordered=True)) as hub:
        ada, bob, eve = Listener(hub, "a"), Listener(hub, "a"), Listener(hub, "b")
        assert [1, 0] == [hub.publish(topic, "x", exclude=[ada, eve]).members for topic in ("a", "b")]
        assert eventually(lambda: ["x"] == bob.got)


def test_a_stamp_that_fails_costs_its_message_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def stamp(topic: str, data: bytes, offset: str) -> Any:
        if data == b"worse":
            raise LookupError("no such page")
        return 7 if data == b"bad" else f"{data.decode()} stamped"

    class Keeper(Toy):
        async def _read(self, topic: str, since: str | None, count: int) -> list[tuple[bytes, str]]:
            return [(raw, f"{number}-0") for number, (_, raw) in enumerate(self.sent)]

    with Hub(toy := Keeper(ordered=True), stamp=stamp) as hub:
        ada = Listener(hub, "a")
        assert eventually(lambda: hub.status.bus.connected)
        for each in ("one", "bad", "worse", "two"):
            hub.publish("a", each)
        assert eventually(lambda: ["one stamped", "two stamped"] == ada.got)
        assert 2 == caplog.text.count("A hub's stamp failed: a message on topic 'a' is dropped")
        bob = Listener(hub, "a", since="0")
        assert eventually(lambda: ["one stamped", "two stamped"] == bob.got)
        assert (0, 4) == (hub.status.bus.reconnects, len(toy.sent))


def test_what_is_published_on_a_topic_that_nobody_here_is_in_leaves_nothing() -> None:
    toy = Toy(ordered=True)
    with Hub(toy) as hub:
        ada = Listener(hub, "a")
        for _ in range(10):
            hub.publish("b", "x")
        hub.publish("a", "x")
        hub.unsubscribe(ada)
        assert eventually(lambda: hub.status.bus.connected and 0 == hub.status.bus.queued)
        assert {} == toy._own


def test_the_queue_is_bounded_in_bytes() -> None:
    toy = Toy(max_queued_bytes=1000)
    toy.failures = [OSError("away")] * 1000
    hub = Hub(toy)
    assert Outcome.QUEUED == hub.publish("a", "x" * 5000).bus  # one of any size
    assert Outcome.REFUSED == hub.publish("a", "x").bus
    hub.close()


def test_a_bus_that_fails_in_its_own_way_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    toy = Toy()
    toy.failures = [LookupError("a bug")]
    with Hub(toy) as hub:
        assert eventually(lambda: hub.status.bus.connected)
    assert "The bus toy failed" in caplog.text


def test_what_waits_is_sent_when_the_hub_is_closed() -> None:
    toy = Toy()
    hub = Hub(toy)
    assert eventually(lambda: hub.status.bus.connected)
    for _ in range(2000):
        hub.publish("a", "x")
    hub.close()
    assert 2000 == len(toy.sent)
    assert not toy._thread.is_alive()  # type: ignore[union-attr]


def test_a_library_that_loses_a_cancellation_keeps_nobody() -> None:
    class Deaf(Toy):
        async def _listen(self) -> None:
            for _ in range(3):
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

    toy = Deaf()
    hub = Hub(toy)
    assert eventually(lambda: hub.status.bus.connected)
    hub.close()
    assert not toy._thread.is_alive()  # type: ignore[union-attr]


def test_who_waits_for_what_a_stream_has_kept_does_not_wait_for_a_bus_that_is_away() -> None:
    class Slow(Toy):
        async def _send(self, batch: list[tuple[str, bytes]]) -> None:
            self.sent += batch
            await asyncio.Event().wait()

    toy = Slow(ordered=True)
    hub = Hub(toy, history=5)
    assert eventually(lambda: hub.status.bus.connected)
    hub.publish("b", "on its way")
    assert eventually(lambda: toy.sent)
    ada = Listener(hub, "a")
    assert 1 == len([each for each in toy._orders if each.give_up is not None])
    toy.lose(*[OSError("not yet")] * 1000)
    assert eventually(lambda: not hub.status.bus.connected)
    hub.publish("a", "one")
    assert eventually(lambda: ["one"] == ada.got)
    bob = Listener(hub, "a")
    assert ["one"] == bob.got
    hub.close()
