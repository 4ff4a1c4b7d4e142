"""No cycle of references outlives a connection: the collector is off, and nothing is left."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from test.cases import binary, close, more, ping, pong, text
from test.chunking import deflated, wire
from test.drivers import Recorder, as_role
from ws4py_ng.keepalive import PeerTimeout
from ws4py_ng.transports.memory import Clock, MemoryTransport, run

Talk = Callable[[Any, "Talker"], None]


class Talker(Recorder):
    """Misbehave on demand: the text of a message says how."""

    def __init__(self, sock: Any = None) -> None:
        super().__init__(sock)
        as_role(self, "server", deflate=True)

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        if message.is_text:
            getattr(self, f"do_{message}", lambda: self.send(message.data))()

    def do_fail(self) -> None:
        raise KeyError(self)

    def do_late(self) -> None:
        self.close(1001)
        self.send("too late")

    def do_terminate(self) -> None:
        self.terminate()

    def do_break(self) -> None:
        def pieces() -> Iterator[str]:
            yield "a"
            yield "b"
            raise KeyError(self)

        self.send(pieces())

    def unhandled_error(self, error: Exception) -> None: ...


# What a client sends; each conversation ends by the end of the stream.
CONVERSATIONS: dict[str, bytes] = {
    name: wire(pieces, masked=True)
    for name, pieces in {
        "clean": (text("a"), ping(), pong(), binary(b"b", fin=0), more(b"c"), close(1000)),
        "empty close": (close(),),
        "no close": (text("a"),),
        "half a message": (text("a", fin=0),),
        "half a frame": (text("a", fin=0), more(b"", length=100)),
        "a violation": (text("a"), text("a", rsv=1)),
        "bad text": (text(b"\xff"),),
        "compressed": (text(deflated(b"Hello" * 100), rsv=4), close(1000)),
        "a compressed message breaks off": (text(deflated(b"Hello" * 100)[:5], rsv=4, fin=0),),
        "a hook fails": (text("fail"), text("a")),
        "a hook sends too late": (text("late"), text("late"), text("late"), close(1001)),
        "a hook fails behind that": (text("late"), text("fail")),
        "a hook terminates": (text("terminate"), text("a")),
        "a message breaks off": (text("break"), close(1000)),
    }.items()
}


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    logger = logging.getLogger("ws4py_ng")
    logger.disabled = True  # a handler of pytest keeps what was logged
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    logger.disabled = False


class Watch:
    """Watch objects die."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Any]] = []

    def __call__(self, *objects: object) -> None:
        self.seen += [weakref.ref(each) for each in objects]

    def left(self) -> list[str]:
        """Name what is still alive."""
        return [repr(found) for each in self.seen if (found := each()) is not None]


def in_memory(watch: Watch, data: bytes, broken: Exception | None = None, drop: bool = False) -> None:
    endpoint = Talker()
    transport = MemoryTransport(endpoint, Clock())
    run(transport.start())
    watch(endpoint, endpoint._stream, transport, transport._session)
    run(transport.tick())
    run(transport.feed(data))
    if broken is not None:
        run(transport.break_off(broken))
    elif not drop:
        run(transport.feed(b""))
    else:
        endpoint.terminate()


class LostSocket:
    """Give some bytes, then fail."""

    def __init__(self, data: bytes, error: OSError) -> None:
        self.data, self.error = data, error

    def recv(self, size: int) -> bytes:
        if not self.data:
            raise type(self.error)("x")
        data, self.data = self.data, b""
        return data

    def sendall(self, data: bytes) -> None: ...


def over_sockets(watch: Watch, data: bytes, gone: bool = False) -> None:
    mine, theirs = socket.socketpair()
    endpoint = Talker(theirs)
    watch(endpoint, endpoint._stream, endpoint._transport, theirs)
    mine.sendall(data)
    if gone:
        mine.close()
    else:
        mine.shutdown(socket.SHUT_WR)
    endpoint.run()
    mine.close()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_in_memory_leaves_nothing(name: str) -> None:
    watch = Watch()
    for _ in range(150):
        in_memory(watch, CONVERSATIONS[name])
        assert [] == watch.left()
    assert 600 == len(watch.seen)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_over_sockets_leaves_nothing(name: str) -> None:
    watch = Watch()
    for gone in (False, True):
        for _ in range(20):
            over_sockets(watch, CONVERSATIONS[name], gone)
            assert [] == watch.left()


@pytest.mark.parametrize("error", [OSError("cable"), PeerTimeout("silent")])
@pytest.mark.parametrize("name", ["clean", "no close", "half a frame", "a hook sends too late"])
def test_a_conversation_that_breaks_leaves_nothing(name: str, error: Exception) -> None:
    watch = Watch()
    for _ in range(20):
        in_memory(watch, CONVERSATIONS[name][:-4], type(error)("x"))
        assert [] == watch.left()


@pytest.mark.parametrize("error", [OSError(), ConnectionResetError(), PeerTimeout()])
@pytest.mark.parametrize("name", ["no close", "half a frame", "a hook sends too late"])
@pytest.mark.parametrize("stepwise", [False, True])
def test_a_socket_that_breaks_leaves_nothing(name: str, error: OSError, stepwise: bool) -> None:
    def talk() -> None:
        endpoint = Talker(LostSocket(CONVERSATIONS[name][:-4], error))
        watch(endpoint, endpoint._stream, endpoint._transport)
        if isinstance(error, PeerTimeout):
            endpoint._keepalive.active = False
            endpoint._keepalive._give_up_at = 0.0
            endpoint._blocking().start()  # type: ignore[union-attr]
            endpoint._blocking().tick()  # type: ignore[union-attr]
        while stepwise and endpoint.once():
            pass
        if stepwise:
            endpoint.terminate()
        else:
            endpoint.run()

    watch = Watch()
    for _ in range(20):
        talk()
        assert [] == watch.left()


@pytest.mark.parametrize("name", ["no close", "half a frame", "a hook sends too late"])
def test_a_session_that_is_dropped_leaves_nothing(name: str) -> None:
    watch = Watch()
    for _ in range(20):
        in_memory(watch, CONVERSATIONS[name][:-4], drop=True)
        assert [] == watch.left()


def test_a_session_driven_by_hand_leaves_nothing() -> None:
    watch = Watch()
    for name, data in CONVERSATIONS.items():
        for finish in (b"", None):
            endpoint = Talker()
            session = endpoint.session()
            watch(endpoint, endpoint._stream, session)
            next(session)
            for chunk in (data, finish):
                try:
                    if chunk is not None:
                        session.send(chunk)
                except StopIteration:
                    break
            del endpoint, session
            assert [] == watch.left(), name


def test_a_parser_in_the_manner_of_ws4py_leaves_nothing() -> None:
    watch = Watch()
    for data in CONVERSATIONS.values():
        stream = Talker()._stream
        watch(stream, stream.parser)
        stream.parser.send(data)
        stream._cleanup()
        del stream
        assert [] == watch.left()


def test_many_conversations_leave_no_objects() -> None:
    watch = Watch()

    def count() -> int:
        return len(gc.get_objects())

    for _ in range(3):
        for data in CONVERSATIONS.values():
            in_memory(watch, data)
    before = count()
    for _ in range(50):
        for data in CONVERSATIONS.values():
            in_memory(Watch(), data)
    assert count() - before < 50
