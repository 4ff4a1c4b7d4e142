"""Several threads on one connection: senders, closers, terminators, signals."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from test.client.peers import (
    WAIT,
    Peer,
    RawServer,
    client_context,
    client_spy,
    close_frame,
    echo_spy,
    frame,
    get,
    join,
    join_threads,
    open_client,
    running,
    server_context,
    settle,
    spy,
    upgrading,
    url_of,
)
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import MIB, Limits
from ws4py_ng.messaging import TextMessage

REPO = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
BIG = Limits(max_message_size=32 * MIB, ping_interval=None, close_timeout=30)


def tls_of(tls: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the options of a server and of a client."""
    if not tls:
        return {}, {}
    return {"ssl_context": server_context()}, {"ssl_context": client_context()}


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No order of threads is worth a line in the log."""
    yield
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(*tasks: Callable[[], object]) -> None:
    """Run each in a thread of its own, all at the same time; raise what one of them raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(len(tasks))

    def guarded(task: Callable[[], object]) -> None:
        try:
            start.wait(WAIT)
            task()
        except BaseException as error:  # noqa: BLE001  # raised again below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


# Many senders


def marked(sender: int, number: int) -> str:
    """Make a message that shows if another one got into it."""
    size = (1, 100, 126, 5000, 70000)[number % 5]
    return f"{sender}:{number}:" + chr(97 + sender) * size


@BOTH
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_eight_threads_send_through_one_connection_and_nothing_is_torn(
    deflate: bool, tls: bool, restless: None
) -> None:
    ours, theirs = tls_of(tls)
    kind = echo_spy()
    number = 100
    with (
        running(kind, deflate=deflate, **ours) as server,
        open_client(url_of(server), deflate=deflate, **theirs) as client,
    ):

        def sender(me: int) -> Callable[[], None]:
            def send() -> None:
                for i in range(number):
                    text = marked(me, i)
                    if i % 7 == 3:
                        client.send(text[j : j + 1000] for j in range(0, len(text), 1000))
                    elif i % 7 == 5:
                        client.send(TextMessage(text))
                    else:
                        client.send(text)
                    if i % 10 == 0:
                        client.ping(b"%d" % i)

            return send

        in_threads(*map(sender, range(8)))
        found: dict[int, list[str]] = {me: [] for me in range(8)}
        for _ in range(8 * number):
            text = get(client.messages)
            found[int(text[0])].append(text)
        for me in range(8):
            assert [marked(me, i) for i in range(number)] == found[me]


@BOTH
def test_both_directions_may_be_full(tls: bool) -> None:
    ours, theirs = tls_of(tls)
    payload = b"x" * MIB
    with (
        running(echo_spy(), limits=BIG, deflate=False, **ours) as server,
        open_client(url_of(server), limits=BIG, deflate=False, **theirs) as client,
    ):
        in_threads(*[lambda: [client.send(payload, True) for _ in range(6)] for _ in range(4)])
        for _ in range(24):
            assert payload == get(client.messages)


def test_the_reader_leaves_to_another_thread_what_that_one_is_about_to_send() -> None:
    """It would wait for a peer that may wait for us to read: each side's reader stuck in a send is a deadlock."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        ws = spy()(ours)
        transport = ws._transport
        transport.start()
        with transport.guard:  # another thread has got this far in send()
            ws._append(1, b"foreign")
        transport.feed(frame(9, b"hello"))
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        in_threads(transport.written)
        assert frame(1, b"foreign", mask=False) + frame(10, b"hello", mask=False) == theirs.recv(100)
        transport.feed(frame(9, b"again"))
        assert frame(10, b"again", mask=False) == theirs.recv(100)
        ws.terminate()


def test_the_reader_does_not_wait_for_another_thread_that_is_sending() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        ws = spy()(ours)
        transport = ws._transport
        transport.start()
        sending, go_on = threading.Event(), threading.Event()
        send = transport.channel.send

        def slow(pieces: list[bytes]) -> None:
            sending.set()
            assert go_on.wait(WAIT)
            send(pieces)

        transport.channel.send = slow
        sender = threading.Thread(target=ws.send, args=("foreign",))
        sender.start()
        assert sending.wait(WAIT)
        transport.feed(frame(9, b"one") + frame(9, b"two"))  # returns
        go_on.set()
        sender.join(WAIT)
        expected = frame(1, b"foreign", mask=False) + frame(10, b"one", mask=False) + frame(10, b"two", mask=False)
        assert expected == theirs.recv(100)
        ws.terminate()


def test_what_a_hook_may_leave_to_another_thread_is_bounded() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ws = spy(received_message=lambda self, message: [self.send(b"x" * 65536, True) for _ in range(100)])(ours)
        transport = ws._transport
        transport.start()
        sending, go_on = threading.Event(), threading.Event()
        send = transport.channel.send

        def slow(pieces: list[bytes]) -> None:
            sending.set()
            assert go_on.wait(WAIT)
            send(pieces)

        transport.channel.send = slow
        sender = threading.Thread(target=ws.send, args=("foreign",))
        sender.start()
        assert sending.wait(WAIT)
        reading = threading.Thread(target=transport.feed, args=(frame(1, b"go"),))
        reading.start()
        reading.join(0.2)
        assert reading.is_alive()
        assert ws._outbox.size < 20 * 65600
        go_on.set()
        received = 0
        while received < 100 * 65546 + 9:
            received += len(theirs.recv(65536))
        reading.join(WAIT)
        sender.join(WAIT)
        assert not reading.is_alive()
        ws.terminate()


# close() from another thread


@BOTH
def test_close_while_the_owner_reads(tls: bool) -> None:
    ours, theirs = tls_of(tls)
    kind = spy()
    with running(kind, **ours) as server:
        with open_client(url_of(server), **theirs) as client:
            in_threads(*[lambda: client.close(3000, "enough") for _ in range(8)])
            assert (3000, b"enough") == get(client.endings)
        assert (3000, b"enough") == get(kind.endings)
        assert client.endings.empty()


@BOTH
def test_close_while_the_owner_sends_comes_behind_what_is_sent(tls: bool) -> None:
    payload = b"x" * 16 * MIB
    sending = threading.Event()

    def received_message(self: Any, message: Any) -> None:
        sending.set()
        self.send(payload, True)

    ours, theirs = tls_of(tls)
    kind = spy(received_message=received_message)
    with (
        running(kind, limits=BIG, deflate=False, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        ws = get(kind.seen)
        peer.send(frame(1, b"go"))
        assert sending.wait(WAIT)
        closer = threading.Thread(target=ws.close, args=(3000, "enough"))
        with ws._transport.guard:  # the frame of the hook is in the outbox or on its way
            pass
        while not ws._transport._writing.locked():
            assert closer.ident is None
        closer.start()
        assert (2, payload) == peer.take_frame()
        assert (8, b"\x0b\xb8enough") == peer.take_frame()
        peer.send(close_frame(3000))
        closer.join(WAIT)
        assert not closer.is_alive()
        assert 3000 == get(kind.endings).code


@BOTH
def test_close_while_the_owner_is_in_a_hook_stops_its_sends(tls: bool) -> None:
    inside, go_on = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def received_message(self: Any, message: Any) -> None:
        inside.set()
        assert go_on.wait(WAIT)
        try:
            self.send("too late")
        except ConnectionClosed as error:
            failures.append(error)
            raise

    ours, theirs = tls_of(tls)
    kind = spy(received_message=received_message)
    with (
        running(kind, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        peer.send(frame(1, b"go"))
        assert inside.wait(WAIT)
        get(kind.seen).close(3000, "enough")
        assert (8, b"\x0b\xb8enough") == peer.take_frame()  # it did not wait for the hook
        peer.send(close_frame(3000, b"enough"))
        go_on.set()
        assert (3000, b"enough") == get(kind.endings)
        assert b"" == peer.take_rest()
    assert 1 == len(failures)
    assert kind.endings.empty()


@BOTH
def test_senders_that_meet_a_close_get_connection_closed_and_nothing_else(tls: bool, restless: None) -> None:
    ours, theirs = tls_of(tls)
    for _ in range(5 if tls else 10):
        kind = spy()
        with running(kind, deflate=False, **ours) as server:
            with open_client(url_of(server), deflate=False, **theirs) as client:
                begun = threading.Semaphore(0)

                def send(client: Any = client, begun: threading.Semaphore = begun) -> None:
                    with suppress(ConnectionClosed):
                        while True:
                            client.send("a" * 1000)
                            begun.release()

                def close(client: Any = client, begun: threading.Semaphore = begun) -> None:
                    for _ in range(100):
                        begun.acquire(timeout=WAIT)
                    client.close(3000)

                in_threads(send, send, send, close)
                assert 3000 == get(client.endings).code
            assert 3000 == get(kind.endings).code
            sent = kind.messages.qsize()
            assert sent >= 100
            assert {"a" * 1000} == {get(kind.messages) for _ in range(sent)}


# terminate() from another thread


def read(ws: Any) -> None: ...


def wait_in_a_hook(inside: threading.Event, go_on: threading.Event) -> Callable[..., None]:
    def received_message(self: Any, message: Any) -> None:
        inside.set()
        assert go_on.wait(WAIT)

    return received_message


def send_without_end(inside: threading.Event, go_on: threading.Event) -> Callable[..., None]:
    def received_message(self: Any, message: Any) -> None:
        inside.set()
        while True:
            self.send(b"x" * MIB, True)

    return received_message


@BOTH
@pytest.mark.parametrize("how", ["terminate", "close_connection"])
@pytest.mark.parametrize("where", ["read", "hook", "send"])
def test_another_thread_may_cut_the_connection_off(where: str, how: str, tls: bool) -> None:
    inside, go_on = threading.Event(), threading.Event()
    hooks = {"read": None, "hook": wait_in_a_hook(inside, go_on), "send": send_without_end(inside, go_on)}
    hook = hooks[where]
    kind = spy() if hook is None else spy(received_message=hook)
    ours, theirs = tls_of(tls)
    with (
        running(kind, limits=BIG, deflate=False, **ours) as server,
        join(server, context=theirs.get("ssl_context"), rcvbuf=4096) as peer,
    ):
        ws = get(kind.seen)
        if hook is not None:
            peer.send(frame(1, b"go"))
            assert inside.wait(WAIT)
        begun = time.monotonic()
        getattr(ws, how)()
        go_on.set()
        assert 1006 == get(kind.endings).code
        join_threads("ws4py_ng connection")
        assert time.monotonic() - begun < 10
        with pytest.raises(ConnectionClosed):
            ws.send("too late")
        ws.close()
        assert ws.sock is None
        peer.take_rest()
    assert kind.endings.empty()


def test_closed_is_called_once_however_many_terminate(restless: None) -> None:
    kind = spy()
    with running(kind) as server:
        for _ in range(100):
            with join(server) as peer:
                ws = get(kind.seen)
                in_threads(*[ws.terminate] * 6, lambda peer=peer: peer.send(close_frame(1000)))
                get(kind.endings)
        join_threads("ws4py_ng connection")
    assert kind.endings.empty()


def test_closed_is_called_once_when_two_threads_see_the_end_at_the_same_time() -> None:
    """Both have looked whether it was called already before one of them has taken note of it."""
    kind = spy()

    class Slow(kind):  # type: ignore[misc,valid-type]
        both = threading.Barrier(2)

        def has_ended(self) -> bool:
            found: bool = self.__dict__.get("ended", False)
            if not found and threading.current_thread().name == "racer":
                with suppress(threading.BrokenBarrierError):
                    self.both.wait(1)
            return found

    Slow._ended = property(Slow.has_ended, lambda ws, value: ws.__dict__.update(ended=value))
    ours, theirs = socket.socketpair()
    ws = Slow(ours)
    racers = [threading.Thread(target=ws.terminate, name="racer") for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(WAIT)
    theirs.close()
    get(kind.endings)
    assert kind.endings.empty()


# The number of a socket


class WatchedSocket(socket.socket):
    """Notice when it is closed while a thread is inside the kernel with its number."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inside = threading.Semaphore(0)
        self.users = 0
        self.torn = False

    @contextmanager
    def used(self) -> Iterator[None]:
        self.users += 1
        self.inside.release()
        try:
            yield
        finally:
            self.users -= 1

    def recv(self, *args: Any) -> bytes:  # type: ignore[override]
        with self.used():
            return super().recv(*args)

    def sendall(self, *args: Any) -> None:  # type: ignore[override]
        with self.used():
            super().sendall(*args)

    def sendmsg(self, *args: Any) -> int:  # type: ignore[override]
        with self.used():
            return super().sendmsg(*args)

    def close(self) -> None:
        self.torn = self.torn or self.users > 0
        super().close()


@pytest.mark.parametrize("where", ["recv", "send"])
@pytest.mark.parametrize("how", ["terminate", "close_connection"])
def test_a_socket_is_not_closed_while_a_thread_uses_its_number(
    where: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number may belong to another connection a moment later: bytes would go astray."""
    leave = threading.Event()

    def script(peer: Peer) -> None:
        assert leave.wait(WAIT)

    monkeypatch.setattr(socket, "socket", WatchedSocket)
    with RawServer(upgrading(script), rcvbuf=4096) as server:
        client = client_spy()(server.url, limits=BIG, deflate=False)
        monkeypatch.undo()
        client.connect()
        sock = client.sock
        assert isinstance(sock, WatchedSocket)
        get(client.seen)
        failures: list[Exception] = []

        def push() -> None:
            try:
                client.send(b"x" * 16 * MIB, True)
            except ConnectionClosed as error:
                failures.append(error)

        pusher = threading.Thread(target=push)
        if where == "send":
            pusher.start()
        while sock.users < (2 if where == "send" else 1):
            assert sock.inside.acquire(timeout=WAIT)
        getattr(client, how)()
        settle(client)
        if where == "send":
            pusher.join(WAIT)
            assert not pusher.is_alive()
            assert 1 == len(failures)
        leave.set()
    assert not sock.torn
    assert -1 == sock.fileno()
    assert 1006 == get(client.endings).code
    assert client.endings.empty()


# Signals


SIGNALS = """
    import signal, sys, threading
    from ws4py_ng.client import WebSocketBaseClient
    from ws4py_ng.limits import Limits

    class Client(WebSocketBaseClient):
        pongs = 0
        def opened(self):
            self.send(b"x" * 1000000, binary=True)
        def received_message(self, message):
            assert 1000000 == len(message.data)
            sys.stdout.write("echo\\n")
            sys.stdout.flush()

    ticks = []
    signal.signal(signal.SIGALRM, lambda *args: ticks.append(1))
    client = Client(sys.argv[1], limits=Limits(ping_interval=1.0, ping_timeout=1.0, close_timeout=2.0))
    client.connect()
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    client.run()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(ticks) > 10
"""


def test_signals_interrupt_neither_reads_nor_timers() -> None:
    """A read that Python begins again after each signal would never come to its timeout."""
    seen: list[int] = []

    def script(peer: Peer) -> None:
        opcode, payload = peer.take_frame()
        for i in range(0, len(payload), 100000):
            peer.send((b"\x02\x7f" if i == 0 else b"\x00\x7f") + (100000).to_bytes(8, "big") + payload[:100000])
        peer.send(frame(0, b"", mask=False))
        seen.append(opcode)
        opcode, payload = peer.take_frame()
        seen.append(opcode)
        peer.send(frame(10, payload, mask=False) + close_frame(1000, mask=False))
        seen.append(peer.take_frame()[0])

    with RawServer(upgrading(script)) as server:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(SIGNALS), server.url]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (0, "echo\n", "") == (done.returncode, done.stdout, done.stderr)
    assert [2, 9, 8] == seen


def test_ctrl_c_gets_through_run_forever() -> None:
    code = """
        import os, signal, sys, threading
        from ws4py_ng.client.threadedclient import WebSocketClient
        client = WebSocketClient(sys.argv[1])
        client.connect()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            client.run_forever()
        except KeyboardInterrupt:
            client.close()
            client.run_forever()
            print("interrupted", client.terminated)
    """
    with running(echo_spy()) as server:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), url_of(server)]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (0, "interrupted True\n", "") == (done.returncode, done.stdout, done.stderr)


# Hooks and threads


def test_a_send_right_behind_connect_is_sent() -> None:
    kind = echo_spy()
    with running(kind) as server:
        for _ in range(50):
            client = client_spy()(url_of(server))
            client.connect()
            client.send("at once")
            assert "at once" == get(client.messages)
            client.close()
            settle(client)


def test_a_hook_may_connect_another_client_and_wait_for_it() -> None:
    kind = echo_spy()
    with running(kind) as server:
        answers: list[str] = []

        def received_message(self: Any, message: Any) -> None:
            with open_client(url_of(server)) as other:
                other.send("inner")
                answers.append(get(other.messages))
            self.close()

        outer = client_spy(received_message=received_message)
        with open_client(url_of(server), kind=outer) as client:
            client.send("outer")
            assert 1000 == get(client.endings).code
        assert ["inner"] == answers


def test_a_hook_may_close_or_terminate_its_own_connection() -> None:
    for how, code in (("close", 1000), ("terminate", 1006), ("close_connection", 1006)):
        kind = spy(received_message=lambda self, message, how=how: getattr(self, how)())
        with running(kind) as server, join(server) as peer:
            peer.send(frame(1, b"x"))
            if how == "close":
                assert (8, b"\x03\xe8") == peer.take_frame()
                peer.send(close_frame(1000))
            assert b"" == peer.take_rest()
            assert code == get(kind.endings).code
            join_threads("ws4py_ng connection")
            assert kind.endings.empty()


def test_clients_are_garbage_when_they_are_done() -> None:
    code = """
        import gc, weakref
        from test.client.peers import *
        from ws4py_ng.client.threadedclient import WebSocketClient
        with running(echo_spy()) as server:
            gc.collect(); gc.disable()
            client = WebSocketClient(url_of(server))
            client.connect()
            client.close()
            settle(client)
            ref = weakref.ref(client)
            del client
            assert ref() is None, gc.get_referrers(ref())
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], cwd=REPO, check=True, timeout=WAIT)


def test_an_unused_client_closes_its_socket_by_terminate() -> None:
    client = WebSocketClient("ws://127.0.0.1:9/")
    sock = client.sock
    client.terminate()
    client.terminate()
    assert -1 == sock.fileno()
