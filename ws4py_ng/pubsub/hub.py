"""Topics with members on any transport: subscribe, publish, and who is there.

    hub = Hub()

    class Chat(WebSocket):
        def opened(self):
            hub.subscribe(self, "lobby", info="Ada")

        def received_message(self, message):
            hub.publish("lobby", message, exclude=self)

A message is encoded once for each way of encoding that its members have, and handed to each
transport without waiting for any peer. The lock is held to change the books and never to send. A
connection that ends has left every topic before its `closed` is called.

A topic is a name, and there are no wildcards: a publish is then one look into a table however many
topics there are, a message that several patterns fit cannot come twice, and history, presence and a
bus's subscriptions mean the same everywhere. Who wants several topics subscribes to each.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from secrets import token_bytes

from ..codes import TEXT
from ..endpoint import Endpoint
from ..exc import ConnectionClosed
from ..shared import SharedMessage
from ..states import State
from .announcer import PRESENCE, Announcer, info_for_others
from .books import Books, Event
from .bus import Bus, MemoryBus, Moved, Publication
from .checks import check_bus, check_callbacks, check_interval, check_member, check_topic, check_whole, keys_of
from .member import Member, MemberStatus, Policy, Subscription
from .roster import Absentee
from .status import HubStatus, Presence, Receipt
from .topics import Group, Topic, hand_out

__all__ = ["Hub"]

logger = logging.getLogger("ws4py_ng")

# Called with a topic, a payload and its offset, "" if it has none yet; returns what the members are sent.
Stamp = Callable[[str, bytes, str], "str | bytes"]
Kept = list[SharedMessage]

KIB = 1024
MIB = 1024 * 1024


class Hub(Books):
    """Publish to the members of topics, from any thread.

    ``policy`` and ``max_pending`` (bytes) are for members who cannot keep up: what waits for one
    beyond what its transport takes (`Limits.max_outbox`), and beside the history it is sent. ``history`` messages
    of each topic, of ``history_bytes`` at most or one of any size, are sent to who joins late; 1 is the last value. Of
    topics that nobody is in, ``max_idle_topics`` keep their history. ``joined`` and ``left`` are called with a
    `Presence`, without a lock. ``bus`` brings what the hubs of other processes publish; ``moved`` is
    called with whether it is there. ``stamp`` puts the offset into what members are sent, on a bus that
    has offsets: it is called with topic, payload and offset, once for each message. What it fails on is dropped.

    With a ``presence_interval`` hubs of the same bus tell each other who is there, for `presence`,
    ``joined`` and ``left``, and each so many seconds that they are alive: who is silent for three of them is gone.
    """

    def __init__(
        self,
        bus: Bus | None = None,
        *,
        policy: Policy | str = Policy.CLOSE,
        max_pending: int = 1 * MIB,
        history: int = 0,
        history_bytes: int = 256 * KIB,
        max_idle_topics: int = 1000,
        joined: Event | None = None,
        left: Event | None = None,
        moved: Moved | None = None,
        stamp: Stamp | None = None,
        presence_interval: float | None = None,
    ) -> None:
        check_whole(1, max_pending=max_pending, history_bytes=history_bytes)
        check_whole(0, history=history, max_idle_topics=max_idle_topics)
        check_bus(bus, stamp)
        check_callbacks(joined=joined, left=left, moved=moved, stamp=stamp)
        check_interval(presence_interval)
        Books.__init__(self, MemoryBus() if bus is None else bus, history, history_bytes, max_idle_topics, left)
        self._policy = Policy(policy)
        self._max_pending = max_pending
        self._joined = joined
        self._moved = moved
        self._stamp = stamp
        self._origin = token_bytes(8)
        self._subscribed = self._number = self._received = self._handed_out = self._handed_out_bytes = 0
        self._dropped: dict[str, int] = {each.value: 0 for each in Policy}
        self._counting = threading.Lock()
        if presence_interval is not None:
            self._announcer = Announcer(
                self._origin.hex(),
                presence_interval,
                books=self._books,
                subscriptions=lambda: (s for topic in self._topics.values() for s in topic.subscriptions.values()),
                say=lambda raw: self._bus.publish(PRESENCE, Publication(self._origin, SharedMessage(TEXT, raw))),
                is_heard=lambda: self._bus.status.connected,
                tell=self._tell_elsewhere,
            )
        self._bus.open(self._receive, self._bus_moved)
        if self._announcer is not None:
            self._bus.subscribe(PRESENCE)
            self._announcer.start()

    # Members

    def subscribe(
        self,
        websocket: Endpoint,
        topic: str,
        *,
        info: object = None,
        policy: Policy | str | None = None,
        max_pending: int | None = None,
        replay: bool = True,
        since: str | None = None,
    ) -> None:
        """Let a connection have what is published on a topic, from now on; again changes ``max_pending`` alone.

        What is kept of the topic's history is sent first, unless ``replay`` is False; with ``since``, an
        offset that ``stamp`` was told, all that was published behind it, as far as that is kept; on a bus
        without offsets, all that is kept. ``info`` is for those who ask who is there; JSON of 1 KiB at most
        where other processes are told. ``policy`` is for this topic, ``max_pending`` for all that waits for
        this connection. Raises ConnectionClosed when the connection has ended already, RuntimeError when the
        hub is closed.
        """
        check_member(websocket)
        check_topic(topic)
        terms = self._policy if policy is None else Policy(policy)
        said = "" if self._announcer is None else info_for_others(info)
        if max_pending is not None:
            check_whole(1, max_pending=max_pending)
        if since is not None:
            self._bus.check_offset(since)
        with self._books():
            self._check_open()
            member = self._members.get(id(websocket))
            if member is None or member.ws() is not websocket:
                member = Member(websocket, self._max_pending, self._count, self._forget, self._gone)
                self._members[id(websocket)] = member
                member.enter(websocket)
            if max_pending is not None:
                member.max_pending = max_pending
            if topic in member.subscriptions:
                return
            self._subscribed += 1
            found = Subscription(member, topic, terms, info, self._subscribed, said)
            kept = self._replay(found, self._add(found), replay, since)
        if kept is not None:
            self._bus.fetch(topic, since, self._history, partial(self._fetched, found, kept))
        if websocket._state is State.CLOSED:
            member.ended()
            raise ConnectionClosed("Cannot subscribe a terminated websocket: it is closed")
        self._tell(self._joined, Presence(topic, info, websocket))
        with self._books():
            found.is_known = True
            has_left = found.has_ended
        if has_left:
            self._tell(self._left, Presence(topic, info, websocket))
        if member.waiting:
            websocket._transport.call_home(member.has_room)

    def _replay(self, found: Subscription, topic: Topic, replay: bool, since: str | None) -> Kept | None:
        """Let a new member have what is kept; if the bus is to be asked first, return that. The lock is held."""
        if not replay and since is None:
            return None
        behind = topic.history(since)
        kept = topic.history() or [] if behind is None else behind
        # The bus may have kept more than this hub has seen.
        if self._bus.ordered and (behind is None or len(behind) < (self._history if since is None else 1)):
            found.member.hold()
            return kept
        found.member.replay(found, kept)
        return None

    def _fetched(self, found: Subscription, kept: Kept, messages: list[tuple[SharedMessage, str]] | None) -> None:
        """Let a new member go on, with what the bus has kept; with what was kept here if it is away."""
        if messages is not None:
            stamped = [self._stamped(found.topic, message, offset) for message, offset in messages]
            kept = [message for message in stamped if message is not None]
        found.member.release(found, kept)

    def _stamped(self, topic: str, message: SharedMessage, offset: str) -> SharedMessage | None:
        if self._stamp is not None:
            try:
                message = SharedMessage.of(self._stamp(topic, message.data, offset))
            except Exception:
                logger.exception("A hub's stamp failed: a message on topic %r is dropped", topic)
                return None
        message.offset = offset
        return message

    def unsubscribe(self, websocket: Endpoint, topic: str | None = None) -> None:
        """Let a connection leave a topic, or all of them; none is no harm.

        What waits of it for this connection is dropped. What its transport has taken is sent, and
        what another thread is just handing out may be.
        """
        ended: list[Subscription] = []
        left: list[Subscription] = []
        with self._books():
            member = self._members.get(id(websocket))
            if member is not None and member.ws() is websocket:
                ended = [each for name, each in member.subscriptions.items() if topic is None or name == topic]
                for each in ended:
                    left += self._remove(member, each.topic)
        for each in ended:
            each.member.forgo(each)
        self._tell_left(left)

    def members(self, topic: str) -> list[Presence]:
        """Tell who of this process is in a topic; `presence` knows of others as well."""
        with self._books():
            found = self._topics.get(topic)
            subscriptions = [] if found is None else list(found.subscriptions.values())
        return [Presence(topic, each.info, each.member.ws()) for each in subscriptions]

    def presence(self, topic: str) -> list[Presence]:
        """Tell who is in a topic: of this process, and of those that tell each other (``presence_interval``)."""
        others = [] if self._announcer is None else self._announcer.present(topic)
        return [*self.members(topic), *(Presence(topic, each.info, None, each.process) for each in others)]

    def _tell_elsewhere(self, is_there: bool, member: Absentee) -> None:
        event = self._joined if is_there else self._left
        self._tell(event, Presence(member.topic, member.info, None, member.process))

    def topics(self) -> list[str]:
        """Name the topics that somebody of this process is in."""
        with self._books():
            return [name for name, topic in self._topics.items() if not topic.is_idle]

    def history(self, topic: str) -> list[bytes]:
        """Return what is kept for those who join late, oldest first."""
        with self._books():
            found = self._topics.get(topic)
            return [] if found is None else [message.data for message in found.history() or ()]

    # Publishing

    def publish(
        self,
        topic: str,
        data: object,
        binary: bool | None = None,
        exclude: Endpoint | Iterable[Endpoint] | None = None,
    ) -> Receipt:
        """Send a message to every member of a topic, but ``exclude``; it waits for nobody.

        A str is text, bytes are binary unless ``binary`` is False, a Message is what it is. Says how
        many members of this process it was handed to, and what the bus did with it. Raises
        ValueError for what cannot be sent, RuntimeError when the hub is closed.
        """
        check_topic(topic)
        message = SharedMessage.of(data, binary)
        self._check_open()
        publication = Publication(self._origin, message, keys_of(exclude))
        with self._books():
            self._number += 1
            groups = () if self._bus.ordered else self._record(topic, message)
            here = self._topics[topic].subscriptions if topic in self._topics else {}
            present = len(here) - sum(key in here for key in publication.exclude)
        if self._bus.ordered:
            # It is handed out when it comes back, in the order in which all hubs see it.
            return Receipt(present, self._bus.publish(topic, publication))
        members = self._spread(groups, message, publication.exclude)
        return Receipt(members, self._bus.publish(topic, publication))

    def _record(self, name: str, message: SharedMessage) -> tuple[Group, ...]:
        """Keep a message, and tell who is to have it; the lock is held."""
        topic = self._topics.get(name)
        if topic is None:
            if not self._history:
                return ()
            topic = self._topic(name)
        topic.keep(message)
        if topic.is_idle:
            self._retire(name, topic)
        return topic.groups()

    def _spread(self, groups: tuple[Group, ...], message: SharedMessage, exclude: frozenset[int]) -> int:
        members = 0
        for group in groups:
            present = len(group.subscriptions)
            if exclude:
                present -= sum(each.member.key in exclude for each in group.subscriptions)
            members += present
            try:
                group.transport.call_home(partial(hand_out, group, message, exclude))
            except RuntimeError as error:
                logger.debug("%d members are gone with their loop: %s", present, error)
        with self._counting:
            self._handed_out += members
            self._handed_out_bytes += members * len(message.data)
        return members

    def _receive(self, topic: str, publication: Publication, offset: str) -> None:
        """Hand out what the bus brings, unless it is our own and was handed out already."""
        if topic == PRESENCE:
            if self._announcer is not None:
                self._announcer.hear(publication.origin, publication.message.data)
            return
        own = publication.origin == self._origin
        if own and not self._bus.ordered:
            return
        message = self._stamped(topic, publication.message, offset)
        if message is None:
            return
        with self._books():
            found = self._topics.get(topic)
            if found is None or found.is_idle:
                return
            self._received += not own
            groups = self._record(topic, message)
        self._spread(groups, message, publication.exclude)

    def _bus_moved(self, connected: bool) -> None:
        """Tell the application, if it wants to know."""
        if self._announcer is not None:
            self._announcer.bus_moved()
        if self._moved is not None:
            try:
                self._moved(connected)
            except Exception:
                logger.exception("A hub's moved failed")

    # How it is doing

    def _count(self, policy: Policy) -> None:
        with self._counting:
            self._dropped[policy.value] += 1

    @property
    def status(self) -> HubStatus:
        """What the hub holds now, and what it has done."""
        with self._books():
            members = list(self._members.values())
            topics = sum(not topic.is_idle for topic in self._topics.values())
        each = [member.status for member in members]
        processes, elsewhere = (0, 0) if self._announcer is None else self._announcer.numbers
        with self._counting:
            dropped, handed_out, handed_out_bytes = dict(self._dropped), self._handed_out, self._handed_out_bytes
        return HubStatus(
            topics=topics,
            members=len(members),
            subscriptions=sum(len(status.topics) for status in each),
            pending_messages=sum(status.pending_messages for status in each),
            pending_bytes=sum(status.pending_bytes for status in each),
            published=self._number,
            received=self._received,
            handed_out=handed_out,
            handed_out_bytes=handed_out_bytes,
            dropped=dropped,
            bus=self._bus.status,
            processes=processes,
            members_elsewhere=elsewhere,
        )

    def member_status(self, websocket: Endpoint) -> MemberStatus | None:
        """Say how one member is doing; None for who is none."""
        with self._books():
            member = self._members.get(id(websocket))
        return member.status if member is not None and member.ws() is websocket else None

    def close(self) -> None:
        """Let every member go, as it is, and end the bus; twice is no harm."""
        if self._closed:
            return
        self._closed = True
        with self._books():
            members = list(self._members.values())
        for member in members:
            member.ended()
        if self._announcer is not None:
            self._announcer.close()
        self._bus.close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
