"""A hub over connections in memory: topics, who is in them, what is kept, and what becomes of who is behind."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import pytest

from test.client.peers import WAIT
from test.many import eventually
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.pubsub import Hub, MemoryBus, Outcome, Policy, Presence, Receipt
from ws4py_ng.shared import SharedMessage

from .people import Person, Reader


def is_waiting(thread: threading.Thread) -> bool:
    """Tell whether a thread has come to the lock of a hub's books."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "_books"


def joined(hub: Hub, *topics: str, **options: Any) -> Person:
    """Let somebody new join topics."""
    person = Person()
    for topic in topics:
        hub.subscribe(person.ws, topic, **options)
    return person


# Topics


def test_a_publish_comes_to_every_member_of_the_topic_and_to_nobody_else() -> None:
    hub = Hub()
    ada, bob, eve = joined(hub, "a", "b"), joined(hub, "a"), joined(hub, "c")
    assert Receipt(2, Outcome.SENT) == hub.publish("a", "one")
    assert Receipt(1, Outcome.SENT) == hub.publish("b", "two")
    assert Receipt(0, Outcome.SENT) == hub.publish("d", "nobody")
    assert ["one", "two"] == ada.read()
    assert ["one"] == bob.read()
    assert [] == eve.read()


@pytest.mark.parametrize(
    ("data", "binary", "expected"),
    [
        ("text", None, "text"),
        ("", None, ""),
        (b"bytes", None, b"bytes"),
        (b"bytes", True, b"bytes"),
        ("text", True, "text"),
        ("Привет".encode(), False, "Привет"),
        (bytearray(b"x"), None, b"x"),
        (memoryview(b"xyz")[1:], None, b"yz"),
        (TextMessage("message"), None, "message"),
        (BinaryMessage(b"message"), None, b"message"),
    ],
)
def test_text_is_text_and_bytes_are_binary(data: object, binary: bool | None, expected: str | bytes) -> None:
    hub = Hub()
    person = joined(hub, "a")
    hub.publish("a", data, binary)
    assert [expected] == person.read()


@pytest.mark.parametrize(
    ("topic", "data", "binary", "expected"),
    [
        ("", "x", None, "A topic is a str that is not empty, got ''"),
        (7, "x", None, "A topic is a str that is not empty, got 7"),
        ("\0presence", "x", None, "begins with NUL is the hub's own"),
        ("half of a pair \ud83d", "x", None, "surrogates not allowed"),
        ("x" * 1025, "x", None, "at most 1024 bytes in UTF-8, got 1025"),
        ("я" * 513, "x", None, "at most 1024 bytes in UTF-8, got 1026"),
        ("a", 7, None, "Cannot publish int: expected str, bytes or a text or binary Message"),
        ("a", b"\xff", False, "not UTF-8 text .* pass binary=True"),
    ],
)
def test_what_cannot_be_published_is_refused(topic: Any, data: Any, binary: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Hub().publish(topic, data, binary)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_pending": 0}, "max_pending is 0"),
        ({"history": -1}, "history is -1"),
        ({"history_bytes": 0}, "history_bytes is 0"),
        ({"max_idle_topics": -1}, "max_idle_topics is -1"),
        ({"policy": "wait"}, "'wait' is not a valid Policy"),
        ({"presence_interval": 0}, "presence_interval is 0, expected more than 0 seconds"),
        ({"presence_interval": float("inf")}, "presence_interval is inf, expected .* 86400 at most"),
        ({"presence_interval": float("nan")}, "presence_interval is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Hub(**options)


async def nobody_awaits(*args: object) -> None: ...


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"bus": "redis://localhost"}, "bus is 'redis://localhost', expected a Bus, such as"),
        ({"bus": 5}, "bus is 5, expected a Bus"),
        ({"bus": MemoryBus}, "bus is <class .*, expected a Bus"),
        ({"history": "5"}, "history is '5', expected a whole number"),
        ({"max_pending": 1.5}, "max_pending is 1.5, expected a whole number"),
        ({"presence_interval": "2"}, "presence_interval is '2', expected a number of seconds"),
        ({"joined": nobody_awaits}, "joined is <function nobody_awaits.* no async one"),
        ({"left": nobody_awaits}, "left is <function nobody_awaits.* no async one"),
        ({"moved": nobody_awaits}, "moved is <function nobody_awaits.* no async one"),
        ({"left": "print"}, "left is 'print', expected a function"),
    ],
)
def test_settings_of_another_type_are_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        Hub(**options)


@pytest.mark.parametrize("nobody", [None, "x", Reader])
def test_who_is_no_websocket_is_refused(nobody: Any) -> None:
    hub = Hub()
    with pytest.raises(TypeError, match=r"websocket is .*, expected a WebSocket"):
        hub.subscribe(nobody, "a")
    for exclude in (nobody, [nobody]):
        if exclude is not None:
            with pytest.raises(TypeError, match=r"exclude is .*, expected a WebSocket"):
                hub.publish("a", "x", exclude=exclude)


def test_who_is_excluded_gets_nothing() -> None:
    hub = Hub()
    ada, bob, eve = (joined(hub, "a") for _ in range(3))
    assert 2 == hub.publish("a", "one", exclude=ada.ws).members
    assert 1 == hub.publish("a", "two", exclude=[ada.ws, bob.ws]).members
    assert [[], ["one"], ["one", "two"]] == [each.read() for each in (ada, bob, eve)]


def test_who_leaves_gets_no_more() -> None:
    hub = Hub()
    ada = joined(hub, "a", "b")
    hub.unsubscribe(ada.ws, "a")
    hub.unsubscribe(ada.ws, "a")
    hub.unsubscribe(Person().ws)
    hub.publish("a", "one")
    hub.publish("b", "two")
    hub.unsubscribe(ada.ws)
    hub.publish("b", "three")
    assert ["two"] == ada.read()
    assert (0, 0, 0) == (hub.status.topics, hub.status.members, hub.status.subscriptions)
    assert () == ada.ws._tenants


def test_what_waits_for_who_leaves_is_dropped_and_no_more() -> None:
    hub = Hub()
    ada = joined(hub, "a", "b")
    for text in TEN[:3]:  # the transport takes the first
        hub.publish("a", text)
        hub.publish("b", "b" + text)
    hub.unsubscribe(ada.ws, "a")
    status = hub.member_status(ada.ws)
    assert status is not None
    assert (3, 0) == (status.pending_messages, status.dropped)
    hub.publish("b", "last")
    assert [TEN[0], *("b" + text for text in TEN[:3]), "last"] == ada.read()
    assert 0 == hub.status.pending_bytes


def test_who_leaves_and_comes_again_gets_nothing_twice() -> None:
    hub = Hub(history=5)
    ada = joined(hub, "a")
    for text in TEN[:3]:
        hub.publish("a", text)
    hub.unsubscribe(ada.ws, "a")
    hub.subscribe(ada.ws, "a")
    assert [TEN[0], *TEN[:3]] == ada.read()  # the first was on its way already: that is the history it asks for


def test_what_is_on_its_way_home_does_not_come_to_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(history=1)
    ada, bob = joined(hub, "a"), joined(hub, "a")
    calls: list[Any] = []
    monkeypatch.setattr(type(ada.ws._transport), "call_home", lambda _, callback: calls.append(callback))
    hub.publish("a", "one")
    hub.publish("a", "two")
    hub.unsubscribe(ada.ws, "a")
    hub.subscribe(ada.ws, "a")  # with the history, "two"
    for call in calls:
        call()
    assert [["two"], ["one", "two"]] == [ada.read(), bob.read()]


def test_to_join_twice_is_to_be_there_once() -> None:
    hub = Hub()
    ada = joined(hub, "a", info="Ada", policy="drop_newest")
    hub.subscribe(ada.ws, "a", policy="close", max_pending=32 + 128)
    assert ["Ada"] == [each.info for each in hub.members("a")]
    for text in TEN:
        hub.publish("a", text)
    assert TEN[:2] == ada.read()


def test_every_role_and_every_kind_of_compression_reads_the_same() -> None:
    hub = Hub()
    forgetful = PerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    kinds = [None, PerMessageDeflateFactory(), forgetful, PerMessageDeflateFactory(server_max_window_bits=15)]
    people = [Person(deflate=kind, role=role) for kind in kinds for role in ("server", "client") for _ in range(2)]
    for person in people:
        hub.subscribe(person.ws, "a")
    texts = [f"{number} " * 50 for number in range(3)]
    for number, text in enumerate(texts):
        for person in people:  # their own messages, before and between, share the window
            person.ws.send(f"own {number} " + text)
            person.read()
        hub.publish("a", text)
        hub.publish("a", "short")
        assert [[text, "short"]] * len(people) == [person.read() for person in people]


def test_a_message_is_encoded_once_for_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    from ws4py_ng import shared

    calls: list[int] = []
    encode = shared.encode_frame
    monkeypatch.setattr(shared, "encode_frame", lambda *args: calls.append(1) or encode(*args))
    hub = Hub()
    people = [Person(deflate=kind) for kind in (None, PerMessageDeflateFactory()) for _ in range(20)]
    people += [Person(role="client") for _ in range(20)]
    for person in people:
        hub.subscribe(person.ws, "a")
    hub.publish("a", "x" * 100)
    assert 3 == len(calls)
    assert [["x" * 100]] * 60 == [person.read() for person in people]


# Who is there


def test_presence_tells_who_is_in_a_topic_and_who_comes_and_goes() -> None:
    seen: list[Any] = []
    hub = Hub(joined=lambda one: seen.append(("joined", *one)), left=lambda one: seen.append(("left", *one)))
    ada, bob = joined(hub, "a", info="Ada"), joined(hub, "a", "b", info="Bob")
    assert [Presence("a", "Ada", ada.ws), Presence("a", "Bob", bob.ws)] == hub.members("a")
    assert [] == hub.members("c")
    assert ["a", "b"] == hub.topics()
    hub.unsubscribe(ada.ws, "a")
    bob.link.close()
    assert [
        ("joined", "a", "Ada", ada.ws, ""),
        ("joined", "a", "Bob", bob.ws, ""),
        ("joined", "b", "Bob", bob.ws, ""),
        ("left", "a", "Ada", ada.ws, ""),
        ("left", "a", "Bob", bob.ws, ""),
        ("left", "b", "Bob", bob.ws, ""),
    ] == seen
    assert [] == hub.topics()


def test_an_event_that_fails_is_logged_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Presence) -> None:
        raise LookupError("no such friend")

    hub = Hub(joined=fail)
    ada = joined(hub, "a")
    hub.publish("a", "one")
    assert ["one"] == ada.read()
    assert "A hub's fail failed" in caplog.text


def test_an_event_may_use_the_hub() -> None:
    hub = Hub(left=lambda one: hub.publish(one.topic, f"{one.info} has left"))
    ada = joined(hub, "a", info="Ada")
    bob = joined(hub, "a", info="Bob")
    ada.link.close()
    assert ["Ada has left"] == bob.read()


def test_who_has_ended_cannot_join_and_nobody_is_told_of_him() -> None:
    seen: list[Presence] = []
    hub, ada = Hub(joined=seen.append, left=seen.append), Person()
    ada.link.close()
    with pytest.raises(ConnectionClosed):
        hub.subscribe(ada.ws, "a")
    assert 0 == hub.status.members
    assert [] == seen


def test_who_ends_while_others_are_told_of_him_leaves_behind_that() -> None:
    seen: list[str] = []
    ada = Person()

    def joined(_: Presence) -> None:
        ada.link.close()
        seen.append("joined")

    hub = Hub(joined=joined, left=lambda _: seen.append("left"))
    hub.subscribe(ada.ws, "a")
    assert ["joined", "left"] == seen
    assert 0 == hub.status.members


def test_a_connection_at_the_place_of_one_that_was_forgotten_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("hub", "member"):
        monkeypatch.setattr(f"ws4py_ng.pubsub.{module}.id", lambda _: 7, raising=False)
    hub = Hub()
    ws = Reader()
    for topic in ("a", "b"):
        hub.subscribe(ws, topic)
    with hub._lock:  # whoever has it lets it go without a look at who has ended meanwhile
        del ws
        gc.collect()
        heir = Reader()
        thread = threading.Thread(target=hub.subscribe, args=(heir, "c"))
        thread.start()
        assert [7] == list(hub._gone)
        assert eventually(lambda: is_waiting(thread))
    thread.join(WAIT)
    assert ["c"] == hub.topics()
    assert 1 == hub.status.subscriptions


def test_who_is_closing_gets_nothing_and_does_no_harm() -> None:
    hub = Hub()
    ada, bob = joined(hub, "a"), joined(hub, "a")
    ada.ws.close()
    hub.publish("a", "one")
    assert ["one"] == bob.read()
    assert [] == ada.read()
    assert 1 == hub.status.members


def test_a_connection_that_is_forgotten_is_forgotten_by_its_hub() -> None:
    seen: list[Presence] = []
    hub = Hub(left=seen.append)
    ws = Reader()
    hub.subscribe(ws, "a", info="nobody's")
    del ws
    gc.collect()
    assert 0 == hub.status.members
    assert [Presence("a", "nobody's", None)] == seen


def test_a_connection_may_be_in_two_hubs() -> None:
    one, other = Hub(), Hub()
    ada = joined(one, "a")
    other.subscribe(ada.ws, "a")
    one.publish("a", "1")
    other.publish("a", "2")
    assert ["1", "2"] == ada.read()
    ada.link.close()
    assert (0, 0) == (one.status.members, other.status.members)


# What is kept for those who join late


def test_the_last_messages_come_before_what_is_published_later() -> None:
    hub = Hub(history=2)
    for text in ("1", "2", "3"):
        hub.publish("a", text)
    ada = joined(hub, "a")
    hub.publish("a", "4")
    bob = joined(hub, "a", replay=False)
    assert ["2", "3", "4"] == ada.read()
    assert [] == bob.read()
    assert [b"3", b"4"] == hub.history("a")
    assert [] == hub.history("b")


@pytest.mark.parametrize("since", ["", "7-0"])
def test_who_resumes_on_a_bus_without_offsets_gets_all_that_is_kept(since: str) -> None:
    hub = Hub(history=2)
    for text in ("1", "2", "3"):
        hub.publish("a", text)
    assert ["2", "3"] == joined(hub, "a", since=since).read()


def test_history_is_bounded_in_bytes_and_in_topics_that_nobody_is_in() -> None:
    hub = Hub(history=100, history_bytes=10, max_idle_topics=2)
    for number in range(4):
        hub.publish("a", str(number) * 4)
    assert [b"2222", b"3333"] == hub.history("a")
    hub.publish("a", "x" * 11)
    assert [b"x" * 11] == hub.history("a")  # the last is kept, of whatever size
    hub.publish("a", "y")
    assert [b"y"] == hub.history("a")
    for topic in ("a", "b", "c"):
        hub.publish(topic, topic)
    assert [[], [b"b"], [b"c"]] == [hub.history(topic) for topic in ("a", "b", "c")]
    ada = joined(hub, "b")
    for topic in ("d", "e", "f"):
        hub.publish(topic, topic)
    assert [b"b"] == hub.history("b")  # somebody is in it
    assert ["b"] == ada.read()


def test_a_topic_without_history_leaves_nothing() -> None:
    hub = Hub()
    for number in range(100):
        hub.publish(f"topic {number}", "x")
    assert {} == hub._topics


# Who does not keep up

TEN = [f"{number:04}" * 8 for number in range(10)]  # of 32 bytes: the transport takes one


@pytest.mark.parametrize(
    ("policy", "expected", "dropped"),
    [
        ("drop_oldest", [TEN[0], *TEN[6:]], 5),
        ("drop_newest", TEN[:5], 5),
        ("conflate", [TEN[0], TEN[9]], 8),
    ],
)
def test_who_is_behind_gets_what_the_policy_leaves(policy: str, expected: list[str], dropped: int) -> None:
    hub = Hub(policy=policy, max_pending=4 * (32 + 128))
    slow, fast = joined(hub, "a"), joined(hub, "a")
    got: list[Any] = []
    for text in TEN:
        hub.publish("a", text)
        got += fast.read()
    assert TEN == got
    status = hub.member_status(slow.ws)
    assert status is not None
    assert (("a",), len(expected) - 1, dropped) == (status.topics, status.pending_messages, status.dropped)
    assert dropped == hub.status.dropped[policy]
    assert expected == slow.read()
    assert 0 == hub.status.pending_bytes == hub.status.pending_messages
    hub.publish("a", "and on")
    assert ["and on"] == slow.read()


def test_who_is_behind_for_too_long_is_closed_with_1013(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(policy=Policy.CLOSE, max_pending=4 * (32 + 128))
    slow, fast = joined(hub, "a"), joined(hub, "a")
    got: list[Any] = []
    for text in TEN:
        hub.publish("a", text)
        got += fast.read()
    assert TEN == got
    assert "Reader is closed with 1013: 640 bytes wait for its peer" in caplog.text
    assert TEN[:5] == slow.read()
    assert (1013, b"Too much is left unread") == slow.peer.ending
    assert (1, 1) == (hub.status.members, hub.status.dropped["close"])


@pytest.mark.parametrize(
    ("policy", "expected", "ending"),
    [
        ("drop_oldest", ["c", "d"], None),
        ("drop_newest", ["a", "b"], None),
        ("conflate", ["d"], None),
        ("close", ["a", "b"], (1013, b"Too much is left unread")),
    ],
)
def test_a_history_of_any_size_is_sent_and_takes_no_room_from_what_is_new(
    policy: str, expected: list[str], ending: object
) -> None:
    hub = Hub(policy=policy, history=10, max_pending=2 * (1 + 128))
    for text in TEN:
        hub.publish("a", text)
    ada = joined(hub, "a")
    for text in ("a", "b", "c", "d"):
        hub.publish("a", text)
    assert [*TEN, *expected] == ada.read()
    assert ending == ada.peer.ending
    assert 0 == hub.status.pending_bytes
    if ending is None:
        for text in TEN:  # and now as if there had been no history: the transport takes one, and one waits
            hub.publish("a", text)
        assert 2 == len(ada.read())


def test_two_threads_that_find_a_member_behind_close_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(max_pending=32 + 128)
    slow = joined(hub, "a")
    [member] = hub._members.values()
    subscription = member.subscriptions["a"]
    count = member._count

    def be_overtaken(policy: Policy) -> None:
        monkeypatch.setattr(member, "_count", count)
        member.wait(subscription, SharedMessage.of("another thread's"))
        count(policy)

    monkeypatch.setattr(member, "_count", be_overtaken)
    for text in TEN:
        hub.publish("a", text)
    assert 1 == hub.status.dropped["close"]
    slow.read()
    assert (1013, b"Too much is left unread") == slow.peer.ending


def test_each_topic_has_its_own_policy() -> None:
    hub = Hub(policy="drop_newest", max_pending=1000)
    ada = joined(hub, "orders")
    hub.subscribe(ada.ws, "prices", policy="conflate")
    hub.subscribe(ada.ws, "rates", policy="conflate")
    for number, text in enumerate(TEN[:4]):
        hub.publish("orders", text)
        hub.publish("prices", f"price {number}")
        hub.publish("rates", f"rate {number}")
    assert [TEN[0], *TEN[1:4], "price 3", "rate 3"] == ada.read()


def test_a_member_may_have_a_bound_of_its_own() -> None:
    hub = Hub(policy="drop_oldest")
    ada, bob = joined(hub, "a"), joined(hub, "a", max_pending=2 * (32 + 128))
    for text in TEN:
        hub.publish("a", text)
    assert [TEN, [TEN[0], *TEN[8:]]] == [ada.read(), bob.read()]
    with pytest.raises(ValueError, match="max_pending is 0, expected 1 or more"):
        hub.subscribe(ada.ws, "b", max_pending=0)


def test_one_message_of_any_size_may_wait() -> None:
    hub = Hub(max_pending=1)
    ada = joined(hub, "a")
    hub.publish("a", TEN[0])
    hub.publish("a", "x" * 10_000)
    assert [TEN[0], "x" * 10_000] == ada.read()


def test_what_waits_is_shared_by_all_who_wait() -> None:
    hub = Hub()
    people = [joined(hub, "a") for _ in range(50)]
    hub.publish("a", TEN[0])
    hub.publish("a", "x" * 100_000)
    waiting = {id(member.waiting[0].message) for member in hub._members.values()}
    assert 1 == len(waiting)
    assert [[TEN[0], "x" * 100_000]] * 50 == [person.read() for person in people]


def test_a_message_waits_for_the_end_of_one_in_fragments() -> None:
    hub = Hub()
    ada = joined(hub, "a")

    def pieces() -> Any:
        yield "in "
        yield "three "  # by now the first one is sent
        hub.publish("a", "published")
        yield "pieces"

    ada.ws.send(pieces())
    assert ["in three pieces", "published"] == ada.read()


def test_a_stream_that_cannot_encode_harms_nobody_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    ada, bob = joined(hub, "a"), joined(hub, "a")

    def fail(_: object) -> None:
        raise LookupError("no such frame")

    monkeypatch.setattr(ada.ws._stream, "share", fail)
    hub.publish("a", "one")
    assert ["one"] == bob.read()
    assert "Reader cannot be sent what was published" in caplog.text


def test_no_lock_is_held_while_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    ada = joined(hub, "a")
    held: list[bool] = []
    post = ada.ws._transport.post

    def look(*args: Any) -> Any:
        held.append(hub._lock.locked())
        return post(*args)

    ada.ws._transport.post = look
    hub.publish("a", "one")
    hub.publish("a", TEN[0])
    hub.publish("a", "waits")
    assert ["one", TEN[0], "waits"] == ada.read()
    assert {False} == set(held)


# Many threads, and the end


def test_threads_may_publish_join_and_leave_at_once() -> None:
    hub = Hub(policy="drop_oldest", history=1)
    people = [Person() for _ in range(8)]
    stop = threading.Event()
    failed: list[BaseException] = []

    def churn(person: Person) -> None:
        try:
            while not stop.is_set():
                hub.subscribe(person.ws, "a")
                hub.unsubscribe(person.ws)
        except BaseException as error:  # noqa: BLE001 - the test's to judge
            failed.append(error)

    threads = [threading.Thread(target=churn, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for number in range(2000):
        hub.publish("a", str(number))
    stop.set()
    for thread in threads:
        thread.join(WAIT)
    assert [] == failed
    status = hub.status
    assert (0, 0, 0, 0) == (status.members, status.topics, status.subscriptions, status.pending_bytes)


def test_a_hub_that_is_closed_lets_everybody_go() -> None:
    with Hub() as hub:
        ada = joined(hub, "a")
    hub.close()
    assert () == ada.ws._tenants
    assert 0 == hub.status.members
    with pytest.raises(RuntimeError, match="The hub is closed"):
        hub.publish("a", "x")
    with pytest.raises(RuntimeError, match="The hub is closed"):
        hub.subscribe(ada.ws, "a")
    assert () == ada.ws._tenants
    ada.ws.send("still here")
    assert ["still here"] == ada.read()


def test_hubs_of_one_process_may_share_a_bus() -> None:
    bus = MemoryBus()
    one, other = Hub(bus), Hub(bus)
    ada, bob = joined(one, "a"), joined(other, "a")
    one.publish("a", "one")
    other.publish("a", "two")
    assert ["one", "two"] == ada.read() == bob.read()
    assert (1, 1) == (one.status.received, other.status.received)


def test_a_bus_keeps_no_hub_alive() -> None:
    bus = MemoryBus()
    hub = Hub(bus)
    for _ in range(10):
        Hub(bus).close()
    gc.collect()
    other = Hub(bus)
    assert 2 == len(bus._receivers)
    ada = joined(other, "a")
    hub.publish("a", "one")
    assert ["one"] == ada.read()
