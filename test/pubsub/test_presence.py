"""Who is in a topic of all hubs of a bus: over memory, and over brokers by processes that are killed."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from test.client.peers import Peer
from test.many import eventually
from test.programs import Program
from ws4py_ng.codes import TEXT
from ws4py_ng.pubsub import Hub, MemoryBus, Presence
from ws4py_ng.pubsub.announcer import MAX_INFO, PORTION, PRESENCE
from ws4py_ng.pubsub.bus import Publication
from ws4py_ng.shared import SharedMessage

from .brokers import Broker, nats_server, redis_server
from .people import Person
from .test_line import Toy
from .test_transports import ask, joined

# Nobody is silent for so long.
LONG = 60.0
SHORT = 1.0
SERVERS: dict[str, Callable[..., Any]] = {"redis": redis_server, "streams": redis_server, "nats": nats_server}


@contextmanager
def hubs(count: int, interval: float = LONG, **options: Any) -> Iterator[list[Hub]]:
    """Join hubs of one process by a bus, as if they were of several."""
    bus = MemoryBus()
    made = [Hub(bus, presence_interval=interval, **options) for _ in range(count)]
    try:
        yield made
    finally:
        for hub in made:
            hub.close()


def infos(hub: Hub, topic: str = "a") -> list[str]:
    return sorted(str(each.info) for each in hub.presence(topic))


def test_who_is_there_is_known_everywhere_whoever_came_first() -> None:
    with hubs(2) as (one, other):
        people = {name: Person() for name in ("Ada", "Bob", "Eve")}
        one.subscribe(people["Ada"].ws, "a", info="Ada")
        other.subscribe(people["Bob"].ws, "a", info="Bob")
        assert eventually(lambda: ["Ada", "Bob"] == infos(one) == infos(other))
        one.subscribe(people["Eve"].ws, "b", info="Eve")
        assert eventually(lambda: ["Eve"] == infos(other, "b"))
        with Hub(one._bus, presence_interval=LONG) as late:
            assert eventually(lambda: ["Ada", "Bob"] == infos(late))
            assert eventually(lambda: 2 == one.status.processes == late.status.processes)
            assert 3 == late.status.members_elsewhere
        one.unsubscribe(people["Ada"].ws)
        people["Bob"].link.cut_off()
        assert eventually(lambda: [] == infos(one) == infos(other))
        assert [Presence("b", "Eve", None, one._origin.hex())] == other.presence("b")
        assert [] == other.members("b")
        one.close()
        assert eventually(lambda: ([], 0) == (infos(other, "b"), other.status.processes))


def test_events_tell_of_others_in_their_order() -> None:
    seen: list[Any] = []
    told = {"joined": lambda one: seen.append(("joined", *one)), "left": lambda one: seen.append(("left", *one))}
    bus = MemoryBus()
    with Hub(bus, presence_interval=LONG) as one, Hub(bus, presence_interval=LONG, **told):
        process = one._origin.hex()
        for name in ("Ada", "Bob"):
            person = Person()
            one.subscribe(person.ws, "a", info=name)
            assert eventually(lambda name=name: ("joined", "a", name, None, process) in seen)
            person.link.cut_off()
            assert eventually(lambda name=name: ("left", "a", name, None, process) == seen[-1])
    assert 4 == len(seen)


def test_a_hub_without_an_interval_tells_nothing_and_hears_nothing() -> None:
    with hubs(1) as (one,), Hub(one._bus) as quiet:
        ada, bob = Person(), Person()
        one.subscribe(ada.ws, "a", info="Ada")
        quiet.subscribe(bob.ws, "a", info=object())
        with Hub(one._bus, presence_interval=LONG) as late:
            assert eventually(lambda: ["Ada"] == infos(late))
        assert [Presence("a", "Ada", ada.ws)] == one.presence("a")
        assert [bob.ws] == [each.websocket for each in quiet.presence("a")]


def test_many_are_told_in_portions() -> None:
    with hubs(1) as (one,):
        people = [Person() for _ in range(200)]
        for number, person in enumerate(people):
            one.subscribe(person.ws, "a", info=f"{number:03}" + "x" * 900)
        said: list[bytes] = []
        one._bus.open(lambda topic, publication, _: said.append(publication.message.data), lambda _: None)
        with Hub(one._bus, presence_interval=LONG) as late:
            assert eventually(lambda: 200 == len(infos(late)))
        assert [f"{number:03}" for number in range(200)] == [each[:3] for each in infos(one)]
        assert PORTION < max(map(len, said)) < PORTION + 2 * MAX_INFO


@pytest.mark.parametrize(
    ("info", "expected"), [(object(), "as JSON: Object of type object"), ("x" * MAX_INFO, "is 1026 bytes as JSON")]
)
def test_what_cannot_be_told_is_refused(info: object, expected: str) -> None:
    with hubs(1) as (one,), pytest.raises(ValueError, match=expected):
        one.subscribe(Person().ws, "a", info=info)


@pytest.mark.parametrize("interval", [0, -1.0, float("nan")])
def test_an_interval_that_makes_no_sense_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0 seconds"):
        Hub(presence_interval=interval)


def test_the_topic_on_which_it_is_said_is_nobody_elses() -> None:
    with hubs(1) as (one,):
        with pytest.raises(ValueError, match="begins with NUL is the hub's own"):
            one.subscribe(Person().ws, PRESENCE)
        with pytest.raises(ValueError, match="begins with NUL is the hub's own"):
            one.publish(PRESENCE, "x")


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"[" * 100_000, b'{"is": "here"}', b'{"is": "ask", "of": 7}'])
def test_nonsense_is_passed_over(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with hubs(1) as (one,):
        with caplog.at_level(logging.WARNING, "ws4py_ng"):
            one._receive(PRESENCE, Publication(b"12345678", SharedMessage(TEXT, raw)), "")
        assert "What process 3132333435363738 says of its members is passed over" in caplog.text


def test_nothing_is_kept_for_a_bus_that_is_away_and_all_is_said_when_it_is_back() -> None:
    toy = Toy()
    with Hub(toy, presence_interval=0.01) as hub:
        ada = Person()
        hub.subscribe(ada.ws, "a", info="Ada")
        assert eventually(lambda: any(b'"Ada"' in raw for _, raw in toy.sent))
        toy.away = True
        toy.lose()
        assert eventually(lambda: not hub.status.bus.connected)
        said = len(toy.sent)
        for _ in range(100):
            hub.unsubscribe(ada.ws)
            hub.subscribe(ada.ws, "a", info="Ada")
        assert hub._announcer is not None
        assert eventually(lambda: not hub._announcer._joined)  # type: ignore[union-attr]
        toy.away = False
        assert eventually(lambda: 1 == hub.status.bus.reconnects)
        assert eventually(lambda: any(b'"state"' in raw and b'"Ada"' in raw for _, raw in toy.sent[said:]))
        assert 0 == hub.status.bus.refused


# Processes and brokers


def balance(events: list[str]) -> dict[str, int]:
    """Count how often somebody has come and not gone; nobody goes who is not there."""
    there: Counter[str] = Counter()
    for each in events:
        there[each[1:]] += 1 if each[0] == "+" else -1
        assert there[each[1:]] in (0, 1)
    return dict(+there)


class Site:
    """Hold a process with a hub, and its boss."""

    def __init__(self, stack: ExitStack, kind: str, broker: Broker) -> None:
        command = [sys.executable, "-m", "test.pubsub.site", "aio", kind, broker.url, str(SHORT)]
        self.program = stack.enter_context(Program(command))
        self.port = int(self.program.line().rpartition(" ")[2])
        self._stack = stack
        self._boss = stack.enter_context(joined(self.port, False, topic="other"))

    def join(self, name: str) -> Peer:
        return self._stack.enter_context(joined(self.port, False, topic=f"news&name={name}"))

    def look(self) -> tuple[list[str], list[str]]:
        ask(self._boss, "present")
        present, events = json.loads(self._boss.take_frame()[1])
        return present, [each for each in events if "other" not in each]


@pytest.mark.parametrize("kind", SERVERS)
def test_processes_know_of_each_other_and_who_is_killed_is_forgotten(kind: str, tmp_path: Path) -> None:
    with SERVERS[kind](tmp_path) as broker, ExitStack() as stack:
        one, other = Site(stack, kind, broker), Site(stack, kind, broker)
        ada, _ = one.join("Ada"), one.join("Ann")
        other.join("Bob")
        assert eventually(lambda: ["Ada", "Ann", "Bob"] == one.look()[0] == other.look()[0])
        late = Site(stack, kind, broker)
        assert eventually(lambda: ["Ada", "Ann", "Bob"] == late.look()[0])
        ada.sock.close()
        assert eventually(lambda: ["Ann", "Bob"] == one.look()[0] == other.look()[0] == late.look()[0])
        other.program.send_signal(signal.SIGKILL)
        assert eventually(lambda: ["Ann"] == one.look()[0] == late.look()[0])
        broker.kill()
        broker.start()
        one.join("Eve")
        assert eventually(lambda: ["Ann", "Eve"] == late.look()[0])
        # What was told adds up: on a machine that sleeps somebody may have gone and come again.
        assert eventually(lambda: {"Ann": 1, "Eve": 1} == balance(late.look()[1]))
