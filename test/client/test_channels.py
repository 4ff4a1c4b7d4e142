"""The channels alone: timeouts, several users, and TLS that never turns into plain text."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import WAIT, client_context, server_context
from ws4py_ng.transports.channels import PlainChannel, open_channel
from ws4py_ng.transports.tls_channel import TLSChannel

Pair = tuple[PlainChannel, Any]


def plain_pair() -> tuple[Any, Any]:
    return socket.socketpair()


def tls_pair() -> tuple[Any, Any]:
    ours, theirs = socket.socketpair()
    done: list[Any] = []
    shaking = threading.Thread(target=lambda: done.append(server_context().wrap_socket(theirs, server_side=True)))
    shaking.start()
    ours = client_context().wrap_socket(ours, server_hostname="localhost")
    shaking.join(WAIT)
    return ours, done[0]


@pytest.fixture(params=[plain_pair, tls_pair], ids=["plain", "tls"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Give a channel, and a socket at its other end that reads with a timeout."""
    ours, theirs = request.param()
    channel = open_channel(ours)
    channel.set_timeouts(WAIT, WAIT)
    theirs.settimeout(WAIT)
    yield channel, theirs
    ours.close()
    theirs.close()


def test_the_channel_fits_the_socket(pair: Pair) -> None:
    channel, theirs = pair
    assert isinstance(channel, TLSChannel) == isinstance(theirs, ssl.SSLSocket)


def test_a_read_times_out(pair: Pair) -> None:
    channel, theirs = pair
    channel.set_timeouts(0.05, WAIT)
    with pytest.raises(TimeoutError):
        channel.recv(100)
    theirs.sendall(b"hello")
    channel.set_timeouts(WAIT, WAIT)
    assert b"hello" == channel.recv(100)


def test_a_write_times_out_when_nothing_is_taken(pair: Pair) -> None:
    channel, _ = pair
    channel.set_timeouts(WAIT, 0.05)
    with pytest.raises(TimeoutError, match=r"the peer took nothing for 0\.05 s"):
        channel.send([b"x" * 10_000_000])


def test_many_pieces_arrive_as_one_stream(pair: Pair) -> None:
    channel, theirs = pair
    pieces = [b"%d," % i * (i % 700) for i in range(3000)] + [b"", b"x" * 1_000_000, b"end"]
    sending = threading.Thread(target=channel.send, args=(pieces,))
    sending.start()
    wanted, found = b"".join(pieces), b""
    while len(found) < len(wanted):
        found += theirs.recv(65536)
    sending.join(WAIT)
    assert wanted == found


def test_the_end_is_empty_and_stays_so(pair: Pair) -> None:
    channel, theirs = pair
    theirs.close()
    assert b"" == channel.recv(100)
    assert b"" == channel.recv(100)


@pytest.mark.parametrize("end", [PlainChannel.cut, PlainChannel.close, PlainChannel.stop_reading])
def test_whoever_waits_in_a_read_sees_the_end(pair: Pair, end: Callable[[PlainChannel], None]) -> None:
    channel, theirs = pair
    theirs.sendall(b"x" * 5000)
    received = 0
    while received < 5000:
        received += len(channel.recv(100))
    found: list[bytes] = []
    reading = threading.Thread(target=lambda: found.append(channel.recv(100)))
    reading.start()
    while not channel._reading:
        pass
    end(channel)
    reading.join(WAIT)
    assert [b""] == found
    assert (channel.sock.fileno() == -1) == (end is PlainChannel.close)


@pytest.mark.parametrize("end", [PlainChannel.cut, PlainChannel.close])
def test_whoever_waits_in_a_write_fails(pair: Pair, end: Callable[[PlainChannel], None]) -> None:
    channel, _ = pair
    failures: list[OSError] = []

    def push() -> None:
        try:
            channel.send([b"x" * 50_000_000])
        except OSError as error:
            failures.append(error)

    writing = threading.Thread(target=push)
    writing.start()
    while not channel._sending:
        pass
    end(channel)
    writing.join(WAIT)
    assert not writing.is_alive()
    assert not isinstance(failures[0], TimeoutError)
    assert (channel.sock.fileno() == -1) == (end is PlainChannel.close)


def test_a_closed_channel_reads_nothing_and_sends_nothing(pair: Pair) -> None:
    channel, _ = pair
    channel.close()
    channel.close()
    channel.cut()
    assert b"" == channel.recv(100)
    with pytest.raises(OSError, match="closed here") as caught:
        channel.send([b"x"])
    assert errno.EBADF == caught.value.errno


def test_tls_never_goes_on_in_plain_text() -> None:
    """SSLSocket.shutdown() forgets TLS; what is read and written afterwards is what the wire carries."""
    ours, theirs = tls_pair()
    with ours, theirs:
        channel = open_channel(ours)
        channel.set_timeouts(WAIT, WAIT)
        theirs.sendall(b"secret" * 1000)
        channel.cut()
        with suppress(OSError):
            channel.send([b"secret"])
        found = b""
        while data := channel.recv(65536):
            found += data
        assert (b"secret" * 1000).startswith(found)
    ours, theirs = tls_pair()
    with ours, theirs:
        channel = open_channel(ours)
        channel.set_timeouts(WAIT, WAIT)
        theirs.sendall(b"secret" * 1000)
        ours.shutdown(socket.SHUT_RD)  # whoever has the socket may do so
        assert b"" == channel.recv(65536)
        with pytest.raises(OSError):  # noqa: PT011  # which one is OpenSSL's business
            channel.send([b"secret"])
        raw = socket.socket(fileno=os.dup(theirs.fileno()))
        with raw:
            raw.setblocking(False)
            with suppress(BlockingIOError):
                assert b"secret" not in raw.recv(65536)


def test_hang_up_waits_until_the_peer_has_read(pair: Pair) -> None:
    channel, theirs = pair
    channel.send([b"good-bye"])
    theirs.sendall(b"x" * 100_000)  # a close would meet this with a reset, which destroys the good-bye
    hanging = threading.Thread(target=channel.hang_up)
    hanging.start()
    found = b""
    with suppress(ssl.SSLError):
        while data := theirs.recv(100):
            found += data
    theirs.close()
    hanging.join(WAIT)
    assert not hanging.is_alive()
    assert b"good-bye" == found


def test_hang_up_does_not_wait_for_ever(pair: Pair) -> None:
    channel, theirs = pair
    gone = threading.Event()

    def flood() -> None:
        with suppress(OSError):
            while not gone.is_set():
                theirs.sendall(b"x" * 10_000)

    flooding = threading.Thread(target=flood)
    flooding.start()
    begun = time.monotonic()
    with suppress(OSError):
        channel.hang_up(0.2)
    channel.close()
    gone.set()
    assert time.monotonic() - begun < 10
    flooding.join(WAIT)
    assert not flooding.is_alive()


def test_hang_up_ends_when_another_thread_closes(pair: Pair) -> None:
    channel, _ = pair
    hanging = threading.Thread(target=lambda: suppress_all(lambda: channel.hang_up(WAIT)))
    hanging.start()
    begun = time.monotonic()
    while not channel._reading:
        pass
    channel.close()
    hanging.join(WAIT)
    assert not hanging.is_alive()
    assert time.monotonic() - begun < WAIT / 2
    assert -1 == channel.sock.fileno()


def suppress_all(call: Callable[[], object]) -> None:
    with suppress(OSError):
        call()


# Stand-ins


class Only:
    """Have ``recv`` and nothing else."""

    def recv(self, size: int) -> bytes:
        return b"x" * size


def test_of_a_stand_in_only_recv_is_required() -> None:
    channel = open_channel(Only())
    channel.set_timeouts(1, 1)
    assert b"xxx" == channel.recv(3)
    channel.cut()
    channel.close()
    assert b"" == channel.recv(3)


def test_where_the_kernel_does_not_wait_writing_has_a_timeout_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = open_channel(ours)
        monkeypatch.setattr("ws4py_ng.transports.channels._has_kernel_timeouts", lambda sock: False)
        channel.set_timeouts(0.05, WAIT)
        with pytest.raises(TimeoutError):
            channel.recv(100)
        data = b"x" * 5_000_000
        begun = threading.Event()

        def read_late() -> None:
            begun.wait(WAIT)
            left = len(data)
            while left:
                left -= len(theirs.recv(65536))

        reading = threading.Thread(target=read_late)
        reading.start()
        threading.Timer(0.3, begun.set).start()  # longer than a read may take
        channel.send([data])
        reading.join(WAIT)
        assert not reading.is_alive()
        channel.set_timeouts(0.05, 0.2)
        with pytest.raises(TimeoutError, match=r"took nothing for 0\.2 s"):
            channel.send([data, data])
