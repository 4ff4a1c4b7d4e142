"""Conversations over real sockets between threads: sizes, slow and silent peers, all ways to end."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import (
    WAIT,
    Ended,
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
    memory,
    open_client,
    running,
    server_context,
    settle,
    spy,
    upgrading,
    url_of,
)
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import MIB, Limits

BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
SIZES = (0, 1, 125, 126, 127, 65535, 65536, MIB, 16 * MIB)


def tls_of(tls: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the options of a server and of a client."""
    if not tls:
        return {}, {}
    return {"ssl_context": server_context()}, {"ssl_context": client_context()}


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


# Sizes


@BOTH
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_messages_of_every_size_go_both_ways(deflate: bool, tls: bool) -> None:
    limits = Limits(max_message_size=16 * MIB, ping_interval=None)
    ours, theirs = tls_of(tls)
    noise = os.urandom(MIB)
    with (
        running(echo_spy(), deflate=deflate, limits=limits, **ours) as server,
        open_client(url_of(server), deflate=deflate, limits=limits, **theirs) as client,
    ):
        assert bool(client.extensions) == deflate
        for size in SIZES:
            binary = (noise * (size // MIB + 1))[:size]
            text = ("abc\u20ac" * (size // 6 + 1)).encode()[:size].decode(errors="ignore").ljust(size % 6)
            client.send(binary, binary=True)
            client.send(text)
            assert binary == get(client.messages)
            assert text == get(client.messages)


@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_fragments_become_one_message(deflate: bool) -> None:
    pieces = ["a" * 70000, "", "b", "\u20ac" * 1000]
    with running(echo_spy(), deflate=deflate) as server, open_client(url_of(server), deflate=deflate) as client:
        client.send(iter(pieces))
        assert "".join(pieces) == get(client.messages)
        client.send((piece.encode() for piece in pieces), binary=True)
        assert "".join(pieces).encode() == get(client.messages)
        client.send(iter(()))
        assert "" == get(client.messages)


def test_a_message_over_the_limit_is_1009_on_both_sides() -> None:
    kind = echo_spy()
    with running(kind, limits=Limits(max_message_size=1000)) as server:
        with open_client(url_of(server)) as client:
            client.send(b"x" * 1001, binary=True)
            assert 1009 == get(client.endings).code
        assert 1009 == get(kind.endings).code


def test_ping_and_pong_cross() -> None:
    pongs: list[bytes] = []
    done = threading.Event()
    kind = client_spy(ponged=lambda self, pong: (pongs.append(pong.data), done.set()))
    with running(echo_spy()) as server, open_client(url_of(server), kind=kind) as client:
        client.ping("are you there?")
        assert done.wait(WAIT)
    assert [b"are you there?"] == pongs


# Backpressure


@BOTH
def test_a_reader_that_sleeps_blocks_the_sender_and_memory_stays_flat(tls: bool) -> None:
    wake, finished = threading.Event(), threading.Event()
    payload = b"x" * MIB
    sent: list[int] = []

    def opened(self: Any) -> None:
        for i in range(64):
            self.send(payload, True)
            sent.append(i)
        finished.set()

    ours, theirs = tls_of(tls)
    with (
        running(spy(opened=opened), deflate=False, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        before = memory()
        assert not finished.wait(1.0)
        assert len(sent) < 24  # what the kernel holds
        assert memory() - before < 24 * MIB
        wake.set()
        for _ in range(64):
            assert (2, payload) == peer.take_frame()
        assert finished.wait(WAIT)
        peer.send(close_frame(1000))


def test_r03_pings_of_a_peer_that_does_not_read_stop_the_reading() -> None:
    kind = spy()
    with running(kind) as server, join(server, rcvbuf=4096) as peer:
        before = memory()
        peer.sock.settimeout(1.0)
        pings = frame(9, b"p" * 125) * 500
        sent = 0
        with suppress(TimeoutError):
            while sent < 64 * MIB:
                peer.sock.sendall(pings)
                sent += len(pings)
        assert sent < 32 * MIB
        assert memory() - before < 16 * MIB
        peer.reset()
        assert 1006 == get(kind.endings).code
        join_threads("ws4py_ng connection")


@BOTH
@pytest.mark.parametrize("where", ["hook", "thread"])
def test_a_peer_that_takes_nothing_is_given_up(where: str, tls: bool) -> None:
    failures: list[Exception] = []

    def push(self: Any) -> None:
        try:
            while True:
                self.send(b"x" * 65536, True)
        except ConnectionClosed as error:
            failures.append(error)
            raise

    kind = spy(opened=push) if where == "hook" else spy()
    ours, theirs = tls_of(tls)
    limits = Limits(write_timeout=0.3, ping_interval=None, close_timeout=60)
    with (
        running(kind, limits=limits, **ours) as server,
        join(server, context=theirs.get("ssl_context"), rcvbuf=4096),
    ):
        begun = time.monotonic()
        if where == "thread":
            ws = get(kind.seen)
            with pytest.raises(ConnectionClosed, match=r"the peer took nothing for 0\.3 s"):
                push(ws)
            with pytest.raises(ConnectionClosed):
                ws.send("again")
        assert 1006 == get(kind.endings).code
        assert time.monotonic() - begun < 15  # far less than close_timeout
        join_threads("ws4py_ng connection")
    assert 1 == len(failures)
    assert kind.endings.empty()


def test_after_half_a_frame_nothing_follows() -> None:
    """A sender that has given up leaves half a frame; another that waited for its turn may not go on behind it."""
    kind = spy()
    limits = Limits(write_timeout=0.3, ping_interval=None)
    blocked = threading.Barrier(3)
    failures: list[Exception] = []
    with running(kind, limits=limits, deflate=False) as server, join(server, rcvbuf=4096) as peer:
        ws = get(kind.seen)

        def push(payload: bytes) -> None:
            blocked.wait(WAIT)
            try:
                ws.send(payload, True)
            except ConnectionClosed as error:
                failures.append(error)

        threads = [threading.Thread(target=push, args=(letter * 16 * MIB,)) for letter in (b"a", b"b")]
        for thread in threads:
            thread.start()
        blocked.wait(WAIT)
        for thread in threads:
            thread.join(WAIT)
            assert not thread.is_alive()
        assert 2 == len(failures)
        head = peer.take(10)
        assert b"\x82\x7f\0\0\0\0\x01\0\0\0" == head
        assert 1 == len(set(peer.take_rest()))


# Silence


@BOTH
def test_a_silent_peer_is_dropped(tls: bool) -> None:
    kind = spy()
    ours, theirs = tls_of(tls)
    limits = Limits(ping_interval=0.2, ping_timeout=0.2)
    with (
        running(kind, limits=limits, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        assert 9 == peer.take_frame()[0]
        ending = get(kind.endings)
        assert (1006, "The peer was silent for 0.2 s after a Ping") == ending
        opcode, payload = peer.take_frame()
        assert (8, b"\x03\xf3") == (opcode, payload[:2])


def test_a_peer_that_answers_pings_is_kept() -> None:
    kind = spy()
    with running(kind, limits=Limits(ping_interval=0.1, ping_timeout=5)) as server, join(server) as peer:
        for _ in range(4):
            opcode, payload = peer.take_frame()
            assert 9 == opcode
            peer.send(frame(10, payload))
        assert kind.endings.empty()
        peer.send(close_frame(1000))
        assert 1000 == get(kind.endings).code


def test_a_client_drops_a_silent_server_too() -> None:
    with (
        RawServer(upgrading(Peer.take_rest)) as server,
        open_client(server.url, limits=Limits(ping_interval=0.2, ping_timeout=0.2)) as client,
    ):
        assert 1006 == get(client.endings).code


def test_k30_a_server_that_ignores_our_close_is_left_after_close_timeout() -> None:
    with (
        RawServer(upgrading(Peer.take_rest)) as server,
        open_client(server.url, limits=Limits(close_timeout=0.3)) as client,
    ):
        begun = time.monotonic()
        client.close(1000, "bye")
        assert 1006 == get(client.endings).code
        settle(client)
        assert 0.2 < time.monotonic() - begun < 10


def test_a_server_that_answers_our_close_but_stays_is_left_after_close_timeout() -> None:
    def script(peer: Peer) -> None:
        assert 8 == peer.take_frame()[0]
        peer.send(close_frame(1000, b"bye", mask=False))
        peer.take_rest()

    with (
        RawServer(upgrading(script)) as server,
        open_client(server.url, limits=Limits(close_timeout=1)) as client,
    ):
        client.close(1000)
        assert (1000, b"bye") == get(client.endings)
        settle(client)


@BOTH
def test_a_client_that_ignores_our_close_is_left_after_close_timeout(tls: bool) -> None:
    kind = spy(opened=lambda self: self.close(1000, "bye"))
    ours, theirs = tls_of(tls)
    with (
        running(kind, limits=Limits(close_timeout=0.3), **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        assert (8, b"\x03\xe8bye") == peer.take_frame()
        begun = time.monotonic()
        assert 1006 == get(kind.endings).code
        assert time.monotonic() - begun < 10


def test_a_flood_does_not_hide_that_our_close_is_ignored() -> None:
    kind = spy(opened=lambda self: self.close(1000, "bye"))
    with running(kind, limits=Limits(close_timeout=0.3)) as server, join(server) as peer:
        gone = threading.Event()

        def flood() -> None:
            while not gone.is_set():
                peer.send(frame(1, b"x" * 1000))

        flooder = threading.Thread(target=flood)
        flooder.start()
        assert 1006 == get(kind.endings).code
        gone.set()
        flooder.join(WAIT)


# All ways to end


def finish(peer: Peer) -> None:
    peer.sock.close()


def end_in_a_frame(peer: Peer) -> None:
    peer.send(b"\x81\xe4\0\0\0\0half of it")
    peer.sock.close()


def end_in_a_header(peer: Peer) -> None:
    peer.send(b"\x81")
    peer.sock.close()


def end_in_a_message(peer: Peer) -> None:
    peer.send(frame(1, b"part", fin=False))
    peer.sock.close()


def reset(peer: Peer) -> None:
    peer.reset()


def reset_in_a_frame(peer: Peer) -> None:
    peer.send(b"\x81\xe4\0\0\0\0half of it")
    peer.reset()


def half_close(peer: Peer) -> None:
    socket.socket.shutdown(peer.sock, socket.SHUT_WR)  # in TLS as well: no good-bye before the end
    assert b"" == peer.take_rest()


def end_tls_only(peer: Peer) -> None:
    with suppress(ssl.SSLError):  # the server may leave without a good-bye of its own
        peer.sock.unwrap()  # type: ignore[attr-defined]


def close_and_vanish(peer: Peer) -> None:
    peer.send(close_frame(1000, b"bye"))
    peer.sock.close()


def close_and_wait(peer: Peer) -> None:
    peer.send(close_frame(4000, b"bye"))
    assert (8, b"\x0f\xa0bye") == peer.take_frame()
    assert b"" == peer.take_rest()


def close_without_code(peer: Peer) -> None:
    peer.send(frame(8))
    assert (8, b"") == peer.take_frame()


def close_and_go_on(peer: Peer) -> None:
    peer.send(close_frame(1000, b"bye") + frame(1, b"ignored") * 1000 + close_frame(1001) * 200)
    assert (8, b"\x03\xe8bye") == peer.take_frame()
    assert b"" == peer.take_rest()


def close_in_a_message(peer: Peer) -> None:
    peer.send(frame(1, b"part", fin=False) + close_frame(1000))
    assert (8, b"\x03\xe8") == peer.take_frame()


def break_a_rule(peer: Peer) -> None:
    peer.send(frame(1, b"x", rsv=2) + frame(1, b"ignored" * 1000) * 100)
    opcode, payload = peer.take_frame()
    assert (8, b"\x03\xea") == (opcode, payload[:2])
    peer.take_rest()


GOING_AWAY = Ended(1006, "Going away")
ENDS: dict[Callable[[Peer], None], Ended] = {
    finish: GOING_AWAY,
    end_in_a_frame: GOING_AWAY,
    end_in_a_header: GOING_AWAY,
    end_in_a_message: GOING_AWAY,
    reset: GOING_AWAY,
    reset_in_a_frame: GOING_AWAY,
    half_close: GOING_AWAY,
    close_and_vanish: Ended(1000, b"bye"),
    close_and_wait: Ended(4000, b"bye"),
    close_without_code: Ended(1005, b""),
    close_and_go_on: Ended(1000, b"bye"),
    close_in_a_message: Ended(1000, b""),
    break_a_rule: Ended(1002, "Reserved bits 0x20 are set on opcode 1"),
}


@BOTH
@pytest.mark.parametrize("end", [*ENDS, end_tls_only], ids=lambda end: end.__name__)
def test_closed_is_called_once_whatever_the_end(
    end: Callable[[Peer], None], tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if end is end_tls_only and not tls:
        return
    kind = spy()
    ours, theirs = tls_of(tls)
    with running(kind, **ours) as server:
        with join(server, context=theirs.get("ssl_context")) as peer:
            get(kind.seen)
            end(peer)
            assert ENDS.get(end, GOING_AWAY) == get(kind.endings)
        join_threads("ws4py_ng connection")
    assert kind.endings.empty()
    assert kind.messages.empty()
    assert [] == errors(caplog)


def test_garbage_in_tls_is_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    kind = spy()
    with running(kind, ssl_context=server_context()) as server:
        with join(server, context=client_context()) as peer:
            get(kind.seen)
            os.write(peer.sock.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)
            assert GOING_AWAY == get(kind.endings)
        join_threads("ws4py_ng connection")
    assert isinstance(get(kind.faults), ConnectionError)
    assert [] == errors(caplog)


@pytest.mark.parametrize("row", ["masked", "rsv", "opcode", "continuation", "ping of 126", "text", "length", "close"])
def test_k20_a_server_that_breaks_a_rule_is_told_so(row: str) -> None:
    sent, code = {
        "masked": (frame(1, b"x"), 1002),
        "rsv": (frame(1, b"x", mask=False, rsv=1), 1002),
        "opcode": (frame(3, b"x", mask=False), 1002),
        "continuation": (frame(0, b"x", mask=False), 1002),
        "ping of 126": (frame(9, b"x" * 126, mask=False), 1002),
        "text": (frame(1, b"\xff", mask=False), 1007),
        "length": (b"\x82\x7f" + (1 << 62).to_bytes(8, "big"), 1009),
        "close": (close_frame(1005, mask=False), 1002),
    }[row]
    codes: list[int] = []

    def script(peer: Peer) -> None:
        peer.send(sent)
        opcode, payload = peer.take_frame()
        assert 8 == opcode
        codes.append(int.from_bytes(payload[:2], "big"))
        peer.take_rest()

    with RawServer(upgrading(script)) as server, open_client(server.url, deflate=False) as client:
        assert code == get(client.endings).code
    assert [code] == codes


# Hooks that fail


@pytest.mark.parametrize("hook", ["opened", "received_message", "ponged"])
def test_a_hook_that_fails_is_1011_and_logged_once(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise RuntimeError("a bug of the application")

    kind = spy(**{hook: fail})
    with running(kind) as server, join(server) as peer:
        peer.send(frame(1, b"x") if hook == "received_message" else frame(10, b"x"))
        opcode, payload = peer.take_frame()
        assert (8, b"\x03\xf3") == (opcode, payload[:2])
        assert b"" == peer.take_rest()
        assert 1011 == get(kind.endings).code
    (record,) = errors(caplog)
    assert record.exc_info
    assert kind.endings.empty()


def test_a_failing_closed_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise RuntimeError("a bug of the application")

    kind = spy(closed=fail)
    with running(kind) as server, join(server) as peer:
        peer.send(close_frame(1000))
        assert (8, b"\x03\xe8") == peer.take_frame()
        assert b"" == peer.take_rest()
    assert 1 == len(errors(caplog))


# The outbox is written once for each batch


def counting(kind: Any) -> list[int]:
    """Count what the WebSockets of a class give to the kernel: the size of each write."""
    sizes: list[int] = []
    opened = kind.opened

    def wrapped(self: Any) -> None:
        channel = self._transport.channel
        send = channel.send

        def counted(pieces: list[bytes]) -> None:
            sizes.append(sum(map(len, pieces)))
            send(pieces)

        channel.send = counted
        opened(self)

    kind.opened = wrapped
    return sizes


@BOTH
def test_answers_to_a_batch_leave_together(tls: bool) -> None:
    kind = echo_spy()
    sizes = counting(kind)
    ours, theirs = tls_of(tls)
    with (
        running(kind, deflate=False, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        messages = [b"%d" % i for i in range(1000)]
        peer.send(b"".join(frame(1, message) for message in messages))
        assert [(1, message) for message in messages] == [peer.take_frame() for _ in messages]
        assert len(sizes) <= 20  # a reader that is woken up early sees less at once
        peer.send(close_frame(1000))
        get(kind.endings)


def test_a_batch_of_answers_is_bounded() -> None:
    kind = echo_spy()
    limits = Limits(max_outbox=4096, ping_interval=None)
    sizes = counting(kind)
    with running(kind, deflate=False, limits=limits) as server, join(server) as peer:
        peer.send(frame(2, b"x" * 1000) * 60)
        for _ in range(60):
            assert (2, b"x" * 1000) == peer.take_frame()
        assert max(sizes) <= 4096 + 1004
        peer.send(close_frame(1000))
        get(kind.endings)


# row: what comes behind the message that the hook answers before it waits
BEHIND: dict[str, bytes] = {
    "nothing": b"",
    "a byte of the next frame": b"\x81",
    "the next frame but its last byte": frame(1, b"next")[:-1],
    "the header of a long frame": frame(1, b"x" * 70000)[:14],
    "half of a long frame": frame(1, b"x" * 70000)[:5000],
}


@BOTH
@pytest.mark.parametrize("row", BEHIND)
def test_what_a_hook_sends_before_it_waits_has_left(row: str, tls: bool) -> None:
    go_on = threading.Event()

    def received_message(self: Any, message: Any) -> None:
        self.send("working on it")
        go_on.wait(WAIT)
        self.send("done")

    kind = spy(received_message=received_message)
    ours, theirs = tls_of(tls)
    with (
        running(kind, deflate=False, **ours) as server,
        join(server, context=theirs.get("ssl_context")) as peer,
    ):
        peer.sock.settimeout(5)
        peer.send(frame(1, b"work") + BEHIND[row])
        try:
            assert (1, b"working on it") == peer.take_frame()
        finally:
            go_on.set()
        assert (1, b"done") == peer.take_frame()
        peer.sock.close()
        get(kind.endings)
