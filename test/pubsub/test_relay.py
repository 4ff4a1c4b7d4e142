"""The bus among processes of one parent, in one process: order, bounds, and nonsense."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from test.client.peers import WAIT
from test.many import eventually
from ws4py_ng.codes import BINARY
from ws4py_ng.pubsub.bus import Publication
from ws4py_ng.pubsub.relay import MAX_FRAME, Relay, RelayBus, _Frames, _pack, _Verb
from ws4py_ng.shared import SharedMessage


class Parent:
    """Run a relay in a thread."""

    def __init__(self, max_pending: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.relay = Relay(max_pending)
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def connect(self) -> socket.socket:
        """Return the end of one more process."""
        ours, theirs = socket.socketpair()
        asyncio.run_coroutine_threadsafe(self.relay.add(ours), self.loop).result(WAIT)
        return theirs

    def close(self) -> None:
        async def end() -> None:
            self.relay.close()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(WAIT)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


@contextmanager
def parent(max_pending: int = 1 << 24) -> Iterator[Parent]:
    made = Parent(max_pending)
    try:
        yield made
    finally:
        made.close()


class Process:
    """Be one process: what came to it, in its order."""

    def __init__(self, sock: socket.socket, name: bytes, *topics: str) -> None:
        self.bus = RelayBus(sock)
        for topic in topics:
            self.bus.subscribe(topic)
        self.name = name
        self.got: list[tuple[str, bytes]] = []
        self.bus.open(lambda topic, publication, _: self.got.append((topic, publication.message.data)), lambda _: None)

    def publish(self, topic: str, data: bytes) -> None:
        self.bus.publish(topic, Publication(self.name, SharedMessage(BINARY, data)))


def settle(one: Process, other: Process, topic: str) -> None:
    """Wait until what one publishes comes to another."""

    def is_there() -> bool:
        one.publish(topic, b"?")
        return bool(other.got)

    assert eventually(is_there)
    one.publish(topic, b"!")
    assert eventually(lambda: other.got[-1] == (topic, b"!"))
    other.got.clear()


def test_who_has_subscribed_gets_it_once_and_in_order_and_nobody_else() -> None:
    with parent() as here:
        one, other, third = (Process(here.connect(), name * 8) for name in (b"1", b"2", b"3"))
        one.bus.subscribe("news")
        other.bus.subscribe("news")
        third.bus.subscribe("Wetter \U0001f327")
        settle(one, other, "news")
        settle(one, third, "Wetter \U0001f327")
        for number in range(1000):
            one.publish("news", b"%d" % number)
        one.publish("Wetter \U0001f327", bytes(1 << 20))
        assert eventually(lambda: 1000 == len(other.got) and third.got)
        assert [("news", b"%d" % number) for number in range(1000)] == other.got
        assert [("Wetter \U0001f327", bytes(1 << 20))] == third.got
        assert [] == one.got
        other.bus.unsubscribe("news")
        assert eventually(lambda: b"news" not in here.relay._followers or 1 == len(here.relay._followers[b"news"]))
        for each in (one, other, third):
            each.bus.close()
        assert eventually(lambda: not here.relay._followers)


def test_who_does_not_keep_up_loses_what_is_over_the_bound_and_is_told_and_holds_up_nobody() -> None:
    with parent(max_pending=1 << 20) as here:
        one, other = Process(here.connect(), b"1" * 8), Process(here.connect(), b"2" * 8)
        slow = here.connect()
        slow.sendall(b"\0\0\0\x04\0\0\0\x04\x02news")  # it subscribes, and reads no more
        other.bus.subscribe("news")
        assert eventually(lambda: 2 == len(here.relay._followers.get(b"news", ())))
        pieces = [b"%d" % number + bytes(100_000) for number in range(100)]
        for piece in pieces:
            one.publish("news", piece)
            assert eventually(lambda piece=piece: other.got and other.got[-1] == ("news", piece))
        assert [("news", piece) for piece in pieces] == other.got
        assert here.relay.lost >= 80
        # Now it reads: what was kept, in its order, and how much was not.
        late = Process(slow, b"3" * 8, "news")
        assert eventually(lambda: late.bus.status.lost)
        for each in (one, other, late):
            each.bus.close()
    assert here.relay.lost == late.bus.status.lost
    # Behind its Line's own check of numbers: the rest of them has come, each once.
    kept = [data for _, data in late.got]
    assert 100 - here.relay.lost == len(kept)
    assert [piece for piece in pieces if piece in kept] == kept


@pytest.mark.parametrize("head", [(MAX_FRAME + 1).to_bytes(4, "big") + b"\0\0\0\0\x01", b"\0\0\0\x01\0\0\0\x02\x01"])
def test_a_process_that_talks_nonsense_is_hung_up_on(head: bytes) -> None:
    with parent() as here, here.connect() as sock:
        sock.settimeout(WAIT)
        sock.sendall(head)
        assert b"" == sock.recv(1)


def test_a_bus_whose_parent_is_gone_keeps_a_bounded_queue() -> None:
    with parent() as here:
        bus = RelayBus(here.connect(), max_queued=3)
        bus.open(lambda *_: None, lambda _: None)
        assert eventually(lambda: bus.status.connected)
    assert eventually(lambda: not bus.status.connected)
    message = SharedMessage(BINARY, b"x")
    outcomes = [bus.publish("news", Publication(b"1" * 8, message)).value for _ in range(4)]
    assert ["queued", "queued", "queued", "refused"] == outcomes
    bus.close()


def test_who_keeps_up_and_loses_what_is_too_large_behind_another_is_told_at_once() -> None:
    with parent(max_pending=1000) as here, here.connect() as one, here.connect() as other:
        other.settimeout(WAIT)
        other.sendall(_pack(_Verb.SUBSCRIBE, b"a"))
        assert eventually(lambda: here.relay._followers)
        one.sendall(_pack(_Verb.PUBLISH, b"a", b"small") + _pack(_Verb.PUBLISH, b"a", bytes(2000)))
        frames = _Frames()
        found: list[tuple[int, bytes]] = []
        while len(found) < 2:
            found += [(frame.verb, frame.raw) for frame in frames.feed(other.recv(10_000))]
    assert [(_Verb.PUBLISH, b"small"), (_Verb.LOST, (1).to_bytes(8, "big"))] == found
