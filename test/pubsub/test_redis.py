"""Hubs joined by a real Redis, by pub/sub and by streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from test.many import eventually
from ws4py_ng.pubsub import Hub, Outcome
from ws4py_ng.pubsub.redis import RedisBus, RedisStreamBus

from .brokers import Broker, redis_server
from .listeners import Listener
from .people import Person

KINDS: list[Callable[..., Any]] = [RedisBus, RedisStreamBus]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with redis_server(tmp_path_factory.mktemp("redis")) as broker:
        yield broker


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_what_one_hub_publishes_the_members_of_all_get_once(redis: Broker, kind: Any) -> None:
    with Hub(kind(redis.url, prefix="once:")) as one, Hub(kind(redis.url, prefix="once:")) as other:
        ada, bob = Listener(one, "a"), Listener(other, "a")
        ada.warm_up(one, bob)
        for number in range(100):
            assert Outcome.SENT == one.publish("a", f"one {number}").bus
            other.publish("a", b"%d" % number)
        assert eventually(lambda: 200 == len(ada.got) == len(bob.got))
        for listener in (ada, bob):
            assert [f"one {number}" for number in range(100)] == [each for each in listener.got if type(each) is str]
            assert [b"%d" % n for n in range(100)] == [each for each in listener.got if type(each) is bytes]
        assert eventually(lambda: (0, 0) == (one.status.bus.duplicates, one.status.bus.queued))


def test_who_is_excluded_gets_nothing_and_topics_are_apart(redis: Broker, kind: Any) -> None:
    with Hub(kind(redis.url, prefix="apart:")) as one, Hub(kind(redis.url, prefix="apart:")) as other:
        ada, bob, eve = Listener(one, "a"), Listener(other, "a"), Listener(other, "b")
        ada.warm_up(one, bob)
        one.publish("a", "not to ada", exclude=ada)
        one.publish("a", "the end")
        assert eventually(lambda: ["not to ada", "the end"] == bob.got)
        assert eventually(lambda: ["the end"] == ada.got)
        assert [] == eve.got


def test_who_leaves_and_comes_again_gets_what_is_published_then(redis: Broker, kind: Any) -> None:
    with Hub(kind(redis.url, prefix="again:")) as one, Hub(kind(redis.url, prefix="again:")) as other:
        bob = Listener(other, "a")
        bob.warm_up(one, bob)
        other.unsubscribe(bob, "a")
        one.publish("a", "nobody hears this")
        other.subscribe(bob, "a")
        bob.warm_up(one, bob)
        one.publish("a", "again")
        assert eventually(lambda: ["again"] == bob.got)


def test_a_broker_that_is_away_leaves_the_local_members_alone(tmp_path: Path, kind: Any) -> None:
    seen: list[bool] = []
    with redis_server(tmp_path) as broker:
        hub, other = Hub(kind(broker.url, max_queued=5), moved=seen.append), Hub(kind(broker.url))
        ada, bob = Listener(hub, "a"), Listener(other, "a")
        ada.warm_up(hub, bob)
        broker.kill()
        assert eventually(lambda: not hub.status.bus.connected and not other.status.bus.connected)
        before = hub.status.bus.refused  # of the warm-up, before it was connected
        outcomes = [hub.publish("a", str(number)).bus for number in range(8)]
        assert [Outcome.QUEUED] * 5 + [Outcome.REFUSED] * 3 == outcomes
        assert [str(number) for number in range(8)] == ada.got
        status = hub.status.bus
        assert (5, 3, 0) == (status.queued, status.refused - before, status.reconnects)
        assert status.error
        broker.start()
        assert eventually(lambda: hub.status.bus.connected and other.status.bus.connected)
        assert eventually(lambda: 0 == hub.status.bus.queued)
        ada.got.clear()
        ada.warm_up(hub, bob, keep=True)
        # On streams all that was queued has come; on pub/sub as much as came behind the other's return.
        assert bob.got[: len(bob.got)] == sorted(set(bob.got))
        if kind is RedisStreamBus:
            assert [str(number) for number in range(5)] == bob.got
        assert 1 == hub.status.bus.reconnects
        assert [True, False, True] == seen
        hub.close()
        other.close()


@pytest.mark.parametrize("url", ["", "localhost", "http://localhost"])
def test_a_url_that_is_none_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match="redis://"):
        kind(url)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_length": 0}, "max_length is 0, expected 1 or more"),
        ({"max_length": -1}, "max_length is -1, expected 1 or more"),
        ({"expires": 0}, "expires is 0, expected 1 or more"),
        ({"max_queued": 0}, "max_queued is 0, expected 1 or more"),
        ({"max_length": "5"}, "max_length is '5', expected a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises((ValueError, TypeError), match=expected):
        RedisStreamBus(**options)


def test_a_hub_may_begin_without_its_broker(tmp_path: Path, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    with redis_server(tmp_path) as broker:
        broker.kill()
        with Hub(kind(broker.url)) as hub:
            assert eventually(lambda: 1 == caplog.text.count("is away, and is tried again"))
            ada = Listener(hub, "a")
            assert Outcome.QUEUED == hub.publish("a", "early").bus
            assert ["early"] == ada.got
            assert not hub.status.bus.connected
            broker.start()
            assert eventually(lambda: hub.status.bus.connected and 0 == hub.status.bus.queued)
            hub.publish("a", "late")
            assert eventually(lambda: ["early", "late"] == ada.got)
            assert "is there; 1 publishes have waited for it" in caplog.text
            assert 1 == caplog.text.count("is away")


def test_a_bus_is_for_one_hub(redis: Broker, kind: Any) -> None:
    bus = kind(redis.url)
    with Hub(bus), pytest.raises(RuntimeError, match="belongs to another hub: make one for each"):
        Hub(bus)


def test_who_joins_late_gets_what_the_stream_has_kept(redis: Broker) -> None:
    with Hub(RedisStreamBus(redis.url, prefix="late:"), history=3) as one:
        for number in range(10):
            one.publish("a", str(number))
        assert eventually(lambda: 0 == one.status.bus.queued and one.status.bus.connected)
    with Hub(RedisStreamBus(redis.url, prefix="late:"), history=3) as other:
        assert eventually(lambda: other.status.bus.connected)
        first = Listener(other, "a")
        assert eventually(lambda: ["7", "8", "9"] == first.got)
        other.publish("a", "10")
        assert eventually(lambda: "10" in first.got)
        second = Listener(other, "a")
        assert eventually(lambda: len(second.got))
        third = Listener(other, "a", replay=False)
        other.publish("a", "11")
        assert eventually(lambda: ["7", "8", "9", "10", "11"] == first.got)
        assert eventually(lambda: "11" == second.got[-1])
        assert eventually(lambda: ["11"] == third.got)


def test_who_joins_late_gets_all_that_is_kept_whatever_the_own_hub_has_seen_of_it(redis: Broker) -> None:
    def hub() -> Hub:
        return Hub(RedisStreamBus(redis.url, prefix="all:"), history=5)

    with hub() as one, hub() as other:
        assert eventually(lambda: one.status.bus.connected and other.status.bus.connected)
        for number in range(5):
            one.publish("a", str(number))
        first = Listener(other, "a", replay=False)
        first.warm_up(one)
        # This hub was there for the end only, and nothing more is on its way to it.
        second = Listener(other, "a")
        assert eventually(lambda: 5 == len(second.got))
        other.unsubscribe(first)
        other.unsubscribe(second)
        # And now it was away for a while.
        for number in range(100, 105):
            one.publish("a", str(number))
        assert eventually(lambda: 0 == one.status.bus.queued)
        third = Listener(other, "a")
        assert eventually(lambda: ["100", "101", "102", "103", "104"] == third.got)


def test_a_member_resumes_from_an_offset_on_another_process(redis: Broker) -> None:
    def stamp(topic: str, data: bytes, offset: str) -> str:
        return f"{offset}|{data.decode()}"

    def hub() -> Hub:
        return Hub(RedisStreamBus(redis.url, prefix="resume:"), stamp=stamp)

    with hub() as one, hub() as other:
        ada = Listener(one, "a")
        assert eventually(lambda: one.status.bus.connected and other.status.bus.connected)
        ada.warm_up(one, ada)
        for number in range(20):
            one.publish("a", str(number))
        assert eventually(lambda: 20 == len(ada.got))
        offset, _, seventh = str(ada.got[7]).partition("|")
        assert "7" == seventh
        bob = Listener(other, "a", since=offset)
        for number in range(20, 40):
            one.publish("a", str(number))
        assert eventually(lambda: bob.got and str(bob.got[-1]).endswith("|39"))
        assert [str(number) for number in range(8, 40)] == [str(each).partition("|")[2] for each in bob.got]
        assert eventually(lambda: ada.got[8:] == bob.got)


def test_who_resumes_from_far_behind_gets_all_of_it_and_then_what_is_new(redis: Broker) -> None:
    with Hub(RedisStreamBus(redis.url, prefix="far:")) as hub:
        ada, bob = Listener(hub, "a"), Person()
        ada.warm_up(hub)
        for number in range(100):
            hub.publish("a", str(number))
        assert eventually(lambda: 100 == len(ada.got))
        hub.subscribe(bob.ws, "a", since="0-0", max_pending=1000)
        assert eventually(lambda: hub.status.pending_bytes > 1000)
        eve = Listener(hub, "a", replay=False)
        hub.publish("a", "new")
        assert eventually(lambda: ["new"] == eve.got)  # and bob before her
        assert [*map(str, range(100)), "new"] == bob.read()[-101:]


@pytest.mark.parametrize(
    "offset",
    ["", "7", "x-0", "+", "1-1 1-1", "\u0661\u0662-\u0660", "18446744073709551616-0", "1-99999999999999999999", 7],
)
def test_an_offset_that_no_stream_has_is_refused(offset: Any) -> None:
    with pytest.raises(ValueError, match="An offset of a stream is like"):
        RedisStreamBus().check_offset(offset)


def test_a_member_whose_query_redis_refuses_goes_on_with_what_is_new_and_takes_the_bus_from_nobody(
    redis: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with Hub(RedisStreamBus(redis.url, prefix="query:")) as hub:
        ada = Listener(hub, "a")
        ada.warm_up(hub)
        bob = Listener(hub, "a", since="18446744073709551615-18446744073709551615")
        hub.publish("a", "new")
        assert eventually(lambda: ["new"] == ada.got == bob.got)
        assert 0 == hub.status.bus.reconnects
        assert 1 == caplog.text.count("What Redis has kept of topic 'a' is not sent to a member: ")


def test_a_key_that_is_no_stream_is_the_matter_of_its_topic_alone(
    redis: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    def hub() -> Hub:
        return Hub(RedisStreamBus(redis.url, prefix="key:"))

    with Redis.from_url(redis.url) as client, hub() as one, hub() as other:
        client.set("key:bad", 1)
        ada, bob, eve = Listener(one, "good"), Listener(other, "good"), Listener(one, "bad")
        ada.warm_up(one, bob)
        one.publish("bad", "refused")
        one.publish("good", "taken")
        assert eventually(lambda: ["taken"] == ada.got == bob.got)
        assert eventually(lambda: ["refused"] == eve.got)
        assert eventually(lambda: 0 == one.status.bus.queued)
        assert "on topic 'bad' is refused by the bus redis streams: WRONGTYPE" in caplog.text
        client.set("key:good", 1)  # while it is followed
        ada.got.clear()
        one.publish("good", "refused")
        assert eventually(lambda: ["refused"] == ada.got)
        ada, bob = Listener(one, "fine"), Listener(other, "fine")
        ada.warm_up(one, bob)
        assert "What is published on topic 'good' does not come: WRONGTYPE" in caplog.text
        assert (2, 0, 0) == (one.status.bus.refused, one.status.bus.reconnects, other.status.bus.reconnects)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ],
)
def test_what_redis_does_not_take_for_now_waits(tmp_path: Path, worse: str, better: str) -> None:
    with (
        redis_server(tmp_path) as broker,
        Redis.from_url(broker.url) as client,
        Hub(RedisStreamBus(broker.url)) as one,
        Hub(RedisStreamBus(broker.url)) as other,
    ):
        bob = Listener(other, "a")
        bob.warm_up(one)
        refused = one.status.bus.refused
        client.execute_command(*worse.split())
        one.publish("a", "waits")
        assert eventually(lambda: not one.status.bus.connected)
        assert (1, refused) == (one.status.bus.queued, one.status.bus.refused)
        client.execute_command(*better.split())
        assert eventually(lambda: ["waits"] == bob.got)
        assert eventually(lambda: 0 == one.status.bus.queued)


def test_a_stamp_needs_offsets(redis: Broker) -> None:
    with pytest.raises(ValueError, match="stamp needs a bus with offsets"):
        Hub(RedisBus(redis.url), stamp=lambda topic, data, offset: data)


def test_what_no_hub_has_published_is_passed_over(redis: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with Hub(RedisBus(redis.url, prefix="odd:")) as hub, Redis.from_url(redis.url) as client:
        ada = Listener(hub, "a")
        assert eventually(lambda: client.publish("odd:a", b"nonsense"))
        ada.warm_up(hub, ada)
        hub.publish("a", "sense")
        assert ["sense"] == ada.got
        assert eventually(lambda: "What came on topic 'a' of the bus redis is passed over" in caplog.text)


def test_a_cluster_is_used_by_sharded_channels(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--cluster-enabled", "yes") as broker:
        with Redis.from_url(broker.url) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            assert eventually(lambda: "ok" in str(client.execute_command("CLUSTER INFO")).split("slots")[0])

            def channels() -> set[bytes]:
                return set(client.execute_command("PUBSUB SHARDCHANNELS", "ws4py_ng:?"))

            one, other = (Hub(RedisBus(broker.url, cluster=True)) for _ in range(2))
            topics = ["a", "b", "c"]
            listeners = [Listener(hub, topic) for topic in topics for hub in (one, other)]
            for ada, bob in zip(listeners[::2], listeners[1::2], strict=True):
                ada.warm_up(one, bob)
            assert {b"ws4py_ng:a", b"ws4py_ng:b", b"ws4py_ng:c"} == channels()
            for number in range(20):
                for topic in topics:
                    one.publish(topic, f"{topic}{number}")
            for listener in listeners:
                expected = [f"{listener.topic}{number}" for number in range(20)]
                assert eventually(lambda listener=listener, expected=expected: expected == listener.got)  # type: ignore[misc]
            for listener in listeners[:2]:
                (one if listener is listeners[0] else other).unsubscribe(listener)
            assert eventually(lambda: {b"ws4py_ng:b", b"ws4py_ng:c"} == channels())
        broker.kill()
        assert eventually(lambda: not one.status.bus.connected and not other.status.bus.connected)
        broker.start()
        assert eventually(lambda: one.status.bus.connected and other.status.bus.connected)
        listeners[2].warm_up(one, listeners[3])
        one.close()
        other.close()
