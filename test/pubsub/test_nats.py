"""Hubs joined by a real NATS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from test.many import eventually
from ws4py_ng.pubsub import Hub, Outcome
from ws4py_ng.pubsub.nats import NatsBus

from .brokers import Broker, nats_server
from .listeners import Listener


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with nats_server(tmp_path_factory.mktemp("nats")) as broker:
        yield broker


@pytest.mark.parametrize("topic", ["a", "news.sport", "*", ">", "a b", "..", "Привет", "100%", "%2E", "я" * 512])
def test_what_one_hub_publishes_the_members_of_all_get_once(nats: Broker, topic: str) -> None:
    with Hub(NatsBus(nats.url, prefix="once.")) as one, Hub(NatsBus(nats.url, prefix="once.")) as other:
        ada, bob, eve = Listener(one, topic), Listener(other, topic), Listener(other, "elsewhere")
        ada.warm_up(one, bob)
        for number in range(50):
            assert Outcome.SENT == one.publish(topic, f"one {number}").bus
            other.publish(topic, b"%d" % number)
        assert eventually(lambda: 100 == len(ada.got) == len(bob.got))
        for listener in (ada, bob):
            assert [f"one {number}" for number in range(50)] == [each for each in listener.got if type(each) is str]
            assert [b"%d" % n for n in range(50)] == [each for each in listener.got if type(each) is bytes]
        assert [] == eve.got


def test_who_leaves_and_comes_again_gets_what_is_published_then(nats: Broker) -> None:
    with Hub(NatsBus(nats.url, prefix="again.")) as one, Hub(NatsBus(nats.url, prefix="again.")) as other:
        bob = Listener(other, "a")
        bob.warm_up(one, bob)
        other.unsubscribe(bob, "a")
        one.publish("a", "nobody hears this")
        assert eventually(lambda: 0 == one.status.bus.queued)
        other.subscribe(bob, "a")
        bob.warm_up(one, bob)
        one.publish("a", "again")
        assert eventually(lambda: ["again"] == bob.got)


def test_a_broker_that_is_away_leaves_the_local_members_alone(tmp_path: Path) -> None:
    with nats_server(tmp_path) as broker:
        hub, other = Hub(NatsBus(broker.url, max_queued=5)), Hub(NatsBus(broker.url))
        ada, bob = Listener(hub, "a"), Listener(other, "a")
        ada.warm_up(hub, bob)
        broker.kill()
        assert eventually(lambda: not hub.status.bus.connected and not other.status.bus.connected)
        outcomes = [hub.publish("a", str(number)).bus for number in range(8)]
        assert [Outcome.QUEUED] * 5 + [Outcome.REFUSED] * 3 == outcomes
        assert [str(number) for number in range(8)] == ada.got
        broker.start()
        assert eventually(lambda: hub.status.bus.connected and other.status.bus.connected)
        assert eventually(lambda: 0 == hub.status.bus.queued)
        ada.warm_up(hub, bob, keep=True)
        assert bob.got == sorted(set(bob.got))
        assert 1 == hub.status.bus.reconnects
        hub.close()
        other.close()


def test_a_message_that_nats_does_not_take_is_refused_and_holds_nobody_up(
    nats: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with Hub(NatsBus(nats.url, prefix="big.")) as one, Hub(NatsBus(nats.url, prefix="big.")) as other:
        bob = Listener(other, "a")
        bob.warm_up(one, bob)
        assert Outcome.REFUSED == one.publish("a", "x" * 2_000_000).bus
        one.publish("a", "small")
        assert eventually(lambda: ["small"] == bob.got)
        assert 1 == one.status.bus.refused
        assert "A publish of 2000018 bytes on topic 'a' is refused by the bus nats: it takes 1048576" in caplog.text


@pytest.mark.parametrize("url", ["", "localhost:4222", "redis://localhost", "nats://", "nats://localhost:0"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="A URL of NATS is like 'nats://localhost:4222', got"):
        NatsBus(url)
