"""A connection in a thread that waits for nobody: peers that read slowly or not at all, and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import (
    WAIT,
    Ended,
    client_context,
    close_frame,
    echo_spy,
    frame,
    get,
    server_context,
    spy,
)
from test.many import MIB, POLLERS, Many, connected, echoes, eventually, managing
from ws4py_ng.limits import Limits


@pytest.fixture(params=POLLERS)
def many(request: pytest.FixtureRequest) -> Iterator[Many]:
    with managing(request.param()) as found:
        yield found


# Peers that do not read


def test_28_a_broadcast_waits_for_nobody_and_parts_with_who_does_not_read(many: Many) -> None:
    kind, stuck_kind = spy(), spy()
    fine = [many.join(kind)[1] for _ in range(4)]
    _, stuck = many.join(stuck_kind, small=True)
    fine += [many.join(kind)[1] for _ in range(4)]
    payload = b"x" * 200_000
    for _ in range(20):
        many.manager.broadcast(payload, True)
        for peer in fine:
            assert (2, payload) == peer.take_frame()
    received = []
    while (found := stuck.take_frame())[0] == 2:
        assert payload == found[1]
        received.append(found)
    assert 6 <= len(received) < 20
    assert (8, b"\x03\xf5Too much is left unread") == found
    stuck.send(close_frame(1013))
    assert 1013 == get(stuck_kind.endings).code
    assert b"" == stuck.take_rest()
    stuck.sock.close()
    assert eventually(lambda: 8 == len(many.manager))


def test_a_peer_that_does_not_read_is_not_read_and_harms_no_other(many: Many) -> None:
    ws, stuck = many.join(echo_spy(), small=True)
    _, other = many.join(echo_spy())
    data = b"".join(frame(2, bytes([i % 256]) * 10_000) for i in range(1000))
    sent = 0
    stuck.sock.setblocking(False)
    paused = 0
    while sent < len(data) and paused < 100:
        try:
            sent += stuck.sock.send(data[sent:])
            paused = 0
        except BlockingIOError:
            paused += 1
            assert echoes(other)
    assert sent < len(data)
    assert 0 < ws._transport.behind < 256 * 1024
    stuck.sock.settimeout(WAIT)
    sender = threading.Thread(target=stuck.send, args=(data[sent:],))
    sender.start()
    for i in range(1000):
        assert (2, bytes([i % 256]) * 10_000) == stuck.take_frame()
    sender.join(WAIT)
    assert echoes(stuck)


def test_a_large_message_to_a_slow_reader_comes_whole(many: Many) -> None:
    payload = bytes(range(256)) * 16 * 1024
    kind = spy(received_message=lambda self, message: self.send(payload, True))
    _, slow = many.join(kind, small=True)
    slow.send(frame(1, b"go") + close_frame(1000, b"enough"))
    assert (2, payload) == slow.take_frame()
    assert (8, b"\x03\xe8enough") == slow.take_frame()
    assert b"" == slow.take_rest()
    assert Ended(1000, b"enough") == get(kind.endings)


@pytest.mark.parametrize("leaves", [False, True])
def test_a_close_frame_in_the_hands_of_another_thread_is_waited_for(many: Many, leaves: bool) -> None:
    kind = spy()
    ws, peer = many.join(kind)
    transport, looks = ws._transport, threading.Semaphore(0)
    catch_up, send = transport.catch_up, transport.channel.send
    reached, gates = threading.Semaphore(0), [threading.Event(), threading.Event()]

    def send_at_the_gate(pieces: Any) -> None:
        gate = gates[reached._value]
        reached.release()
        assert gate.wait(WAIT)
        send(pieces)

    def look() -> bool:
        looks.release()
        return bool(catch_up())

    transport.channel.send, transport.catch_up = send_at_the_gate, look
    other = threading.Thread(target=ws.send, args=("busy",))
    other.start()
    assert eventually(lambda: 1 == reached._value)
    peer.send(close_frame(1000))
    if leaves:
        peer.sock.shutdown(socket.SHUT_WR)
    assert Ended(1000, b"") == get(kind.endings)
    gates[0].set()
    assert eventually(lambda: 2 == reached._value)  # with the Close frame
    while looks.acquire(blocking=False):
        pass
    for _ in range(2):
        looks.acquire(timeout=1)  # there is none after the first if it has been cut off
    gates[1].set()
    other.join(WAIT)
    assert [(1, b"busy"), (8, b"\x03\xe8")] == [peer.take_frame() for _ in range(2)]
    assert b"" == peer.take_rest()


def test_a_hook_that_sends_without_end_is_stopped(many: Many) -> None:
    def flood(self: Any, message: Any) -> None:
        for _ in range(1000):
            self.send(b"x" * 65536, True)

    kind = spy(received_message=flood)
    _, greedy = many.join(kind, Limits(max_outbox=4096, ping_interval=None), small=True)
    _, other = many.join(echo_spy())
    greedy.send(frame(1, b"go"))
    assert echoes(other)
    count = 0
    while (found := greedy.take_frame())[0] == 2:
        count += 1
    assert 16 <= count < 100
    assert (8, b"\x03\xf5Too much is left unread") == found


def test_a_peer_that_takes_nothing_is_given_up(many: Many) -> None:
    kind = spy(opened=lambda self: None)
    ws, _ = many.join(kind, Limits(write_timeout=0.2, ping_interval=None), small=True)
    many.manager.broadcast(b"x" * 8 * MIB, True)
    assert Ended(1006, "The peer took nothing for 0.2 s") == get(kind.endings)
    assert eventually(lambda: ws.sock is None)


def test_who_takes_something_now_and_then_is_not_given_up(many: Many) -> None:
    limits = Limits(write_timeout=1, ping_interval=0.1, ping_timeout=1)
    kind = echo_spy()
    _, slow = many.join(kind, limits, small=True)
    many.manager.broadcast(b"x" * 400_000, True)
    pause = threading.Event()
    assert b"\x82\x7f" == slow.take(2)
    slow.take(8)
    left = 400_000
    while left:
        pause.wait(0.075)
        left -= len(slow.take(min(20_000, left)))
    slow.send(frame(2, b"still there"))
    while (found := slow.take_frame())[0] == 9:
        slow.send(frame(10, found[1]))
    assert (2, b"still there") == found
    assert kind.endings.empty()


def test_other_threads_wait_for_a_slow_peer_and_the_manager_does_not(many: Many) -> None:
    ws, slow = many.join(echo_spy(), small=True)
    _, other = many.join(echo_spy())
    sender = threading.Thread(target=ws.send, args=(b"y" * 8 * MIB, True))
    many.manager.broadcast(b"x" * MIB, True)
    assert (2, b"x" * MIB) == other.take_frame()
    sender.start()
    slow.send(frame(2, b"an echo"))
    assert echoes(other)
    many.manager.broadcast(b"short", True)
    assert (2, b"short") == other.take_frame()
    assert sender.is_alive()
    assert (2, b"x" * MIB) == slow.take_frame()
    found = [slow.take_frame() for _ in range(3)]
    sender.join(WAIT)
    assert sorted([(2, b"y" * 8 * MIB), (2, b"an echo"), (2, b"short")]) == sorted(found)
    assert echoes(slow)


def test_a_sender_is_told_when_the_peer_is_gone(many: Many) -> None:
    kind = spy()
    _, peer = many.join(kind, small=True)
    many.manager.broadcast(b"x" * 8 * MIB, True)
    peer.reset()
    assert 1006 == get(kind.endings).code
    assert eventually(lambda: 0 == len(many.manager))


def test_what_the_peer_did_wrong_is_told_to_it(many: Many) -> None:
    kind = spy()
    _, peer = many.join(kind)
    # What lies unread when a socket is closed makes TCP reset the connection, and lose our Close frame.
    peer.send(frame(3, b"") + frame(2, b"x" * 4 * MIB))
    opcode, payload = peer.take_frame()
    assert (8, 1002) == (opcode, int.from_bytes(payload[:2], "big"))
    assert b"" == peer.take_rest()
    assert 1002 == get(kind.endings).code
    peer.sock.close()
    assert eventually(lambda: not many.manager._leaving)


def test_a_client_leaves_it_to_the_server_to_hang_up_first(many: Many) -> None:
    def client(sock: socket.socket) -> Any:
        ws = kind(sock)
        ws.stream.always_mask, ws.stream.expect_masking = True, False
        return ws

    kind = spy()
    ws, server = many.join(client)
    server.send(close_frame(1000, mask=False))
    assert (8, b"\x03\xe8") == server.take_frame()
    server.send(b"what a server must not send any more")
    assert Ended(1000, b"") == get(kind.endings)
    server.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.sock.recv(1)
    server.sock.shutdown(socket.SHUT_WR)
    server.sock.settimeout(WAIT)
    assert b"" == server.take_rest()
    assert eventually(lambda: ws.sock is None)


class StandIn:
    """Be no socket, but have what a transport needs of one."""

    def __init__(self, sock: socket.socket) -> None:
        for name in ("recv", "sendall", "fileno", "shutdown", "close", "getpeername", "getsockname"):
            setattr(self, name, getattr(sock, name))
        self.sock = sock


def test_a_stand_in_for_a_socket_is_served(many: Many) -> None:
    kind = echo_spy()
    _, peer = many.join(lambda sock: kind(StandIn(sock)))
    assert echoes(peer)
    peer.send(close_frame(1000))
    assert (8, b"\x03\xe8") == peer.take_frame()
    assert b"" == peer.take_rest()
    assert Ended(1000, b"") == get(kind.endings)


def test_who_does_not_hang_up_is_hung_up_on(many: Many) -> None:
    ws, peer = many.join(spy())
    peer.send(close_frame(1000))
    assert (8, b"\x03\xe8") == peer.take_frame()
    assert b"" == peer.take_rest()
    assert ws.sock is not None
    assert eventually(lambda: ws.sock is None)


# TLS


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_context(), client_context()


def test_30_tls_keeps_nothing_back(many: Many, tls: Any) -> None:
    _, peer = many.join(echo_spy(), context=tls)
    for size in (1, 5, 15_000):
        frames = [bytes([i]) * size for i in range(20)]
        peer.send(b"".join(frame(2, each) for each in frames))
        assert [(2, each) for each in frames] == [peer.take_frame() for _ in frames]
    assert echoes(peer, b"z" * 900_000)
    peer.send(close_frame(1000))
    assert (8, b"\x03\xe8") == peer.take_frame()
    assert b"" == peer.sock.recv(1)  # and no ssl.SSLError: the end was not cut off


@pytest.mark.parametrize("closes", [True, False])
def test_a_peer_that_ends_tls_first_gets_the_good_bye_that_it_is_owed(many: Many, tls: Any, closes: bool) -> None:
    kind = echo_spy()
    _, peer = many.join(kind, context=tls)
    assert echoes(peer)
    if closes:
        peer.send(close_frame(1000))
        assert (8, b"\x03\xe8") == peer.take_frame()
    # It raises if the connection is cut off without TLS's own end (RFC 8446 6.1).
    peer.sock.unwrap()  # type: ignore[attr-defined]
    assert (1000 if closes else 1006) == get(kind.endings).code


def test_30_what_tls_has_read_before_add_is_not_lost(many: Many, tls: Any) -> None:
    sock, peer = connected(tls)
    many.peers.append(peer)
    peer.send(b"G" + frame(2, b"hello"))
    assert b"G" == sock.recv(1)
    ws = echo_spy()(sock)
    many.manager.add(ws)
    assert (2, b"hello") == peer.take_frame()


def test_half_a_tls_record_holds_up_nobody(many: Many, tls: Any) -> None:
    sock, peer = connected()
    many.peers.append(peer)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls[1].wrap_bio(incoming, outgoing, server_hostname="localhost")

    def serve() -> None:
        many.manager.add(echo_spy()(tls[0].wrap_socket(sock, server_side=True)))

    thread = threading.Thread(target=serve)
    thread.start()
    done = False
    while not done:
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
            done = True
        peer.sock.sendall(outgoing.read())
        if not done:
            incoming.write(peer.sock.recv(65536))
    thread.join(WAIT)
    client.write(frame(2, b"x" * 1000))
    record = outgoing.read()
    peer.sock.sendall(record[:500])
    _, other = many.join(echo_spy())
    assert echoes(other)
    peer.sock.sendall(record[500:])
    received = b""
    while len(received) < 1004:
        incoming.write(peer.sock.recv(65536))
        with suppress(ssl.SSLWantReadError):
            received += client.read(65536)
    assert b"x" * 1000 == received[-1000:]


def test_tls_to_a_slow_reader_comes_whole(many: Many, tls: Any) -> None:
    payload = bytes(range(256)) * 4096 * 4
    _, slow = many.join(spy(), context=tls, small=True)
    many.manager.broadcast(payload, True)
    many.manager.broadcast(b"and this", True)
    assert (2, payload) == slow.take_frame()
    assert (2, b"and this") == slow.take_frame()
