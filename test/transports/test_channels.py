"""Sockets as the blocking driver wants them: plain and TLS."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ws4py_ng.transports import channels
from ws4py_ng.transports.channels import JOIN_LIMIT, MAX_PIECES, PlainChannel, open_channel
from ws4py_ng.transports.tls_channel import TLSChannel

Pair = tuple[PlainChannel, PlainChannel]


def threaded(action: Callable[[], object]) -> Callable[[], Any]:
    """Run something in a thread; call the result for what it returned."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(action()))
    thread.start()

    def result() -> Any:
        thread.join(20)
        assert not thread.is_alive()
        return found[0]

    return result


def received(channel: PlainChannel) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: channel.recv(1 << 16), b""))


@pytest.fixture
def plain() -> Iterator[Pair]:
    first, second = map(PlainChannel, socket.socketpair())
    yield first, second
    first.close()
    second.close()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    import trustme

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Pair]:
    first, second = socket.socketpair()
    shake = threaded(lambda: contexts[0].wrap_socket(first, server_side=True))
    client = contexts[1].wrap_socket(second, server_hostname="localhost")
    server = shake()
    pair = open_channel(server), open_channel(client)
    assert all(type(channel) is TLSChannel for channel in pair)
    for channel in pair:
        channel.set_timeouts(10, 10)
    yield pair
    for channel in pair:
        channel.close()


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


class TestBoth:
    @pytest.mark.parametrize(
        "pieces",
        [
            [b"a"],
            [b"a", b"", b"b"],
            [bytes(JOIN_LIMIT), b"a"],
            [b"x" * 100] * (MAX_PIECES + 10),
            [b"x" * 1000] * (2 * MAX_PIECES + 10),
            [b"", b"x" * JOIN_LIMIT, b"", b"", b"y" * JOIN_LIMIT, b""],
            [bytes([n]) * (n * 5000) for n in range(100)],
        ],
        ids=lambda pieces: f"{len(pieces)} of {sum(map(len, pieces))}",
    )
    def test_all_pieces_arrive_in_order(self, pair: Pair, pieces: list[bytes]) -> None:
        reading = threaded(lambda: received(pair[1]))
        pair[0].set_timeouts(10, 10)
        pair[0].send(pieces)
        pair[0].hang_up(linger=0)
        assert b"".join(pieces) == reading()

    def test_a_read_has_its_time(self, pair: Pair) -> None:
        for timeout in (0.01, 1e-7):
            pair[0].set_timeouts(timeout, None)
            with pytest.raises(TimeoutError):
                pair[0].recv(10)
        pair[1].send([b"late"])
        pair[0].set_timeouts(10, None)
        assert b"late" == pair[0].recv(10)

    def test_a_write_has_its_time(self, pair: Pair) -> None:
        pair[0].set_timeouts(None, 0.02)
        with pytest.raises(TimeoutError, match=r"took nothing for 0\.02 s"):
            pair[0].send([bytes(1 << 20)] * 8)

    def test_both_directions_work_at_once(self, pair: Pair) -> None:
        data = [bytes([n]) * 50_000 for n in range(40)]
        for channel in pair:
            channel.set_timeouts(10, 10)

        def read(channel: PlainChannel) -> bytes:
            got = b""
            while len(got) < 50_000 * 40:
                got += channel.recv(1 << 16)
            return got

        reading = [threaded(lambda channel=channel: read(channel)) for channel in pair]  # type: ignore[misc]
        writing = [threaded(lambda channel=channel: channel.send(data)) for channel in pair]  # type: ignore[misc]
        assert [None, None] == [wait() for wait in writing]
        assert [b"".join(data)] * 2 == [wait() for wait in reading]

    def test_close_wakes_the_reader_and_closes_the_socket(self, pair: Pair) -> None:
        pair[0].set_timeouts(10, None)
        reading = threaded(lambda: received(pair[0]))
        pair[0].close()
        assert b"" == reading()
        assert -1 == pair[0].sock.fileno()

    @pytest.mark.parametrize("read", [lambda channel: channel.forget_now(), lambda channel: not channel.recv_now(9)])
    def test_the_socket_is_not_closed_while_somebody_reads(
        self, plain: Pair, read: Callable[[PlainChannel], bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def recv(sock: socket.socket, *args: int) -> bytes:
            plain[0].close()  # as another thread may; the descriptor could be that of another connection then
            assert sock.fileno() != -1
            return b""

        monkeypatch.setattr(socket.socket, "recv", recv)
        assert read(plain[0])
        assert -1 == plain[0].sock.fileno()

    def test_the_socket_is_not_closed_while_tls_says_good_bye(self, tls: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        channel = tls[0]
        assert isinstance(channel, TLSChannel)
        closing = []

        def unwrap(sock: socket.socket) -> None:
            closing.append(threaded(channel.close))
            while not channel._closed:
                threading.Event().wait(0.001)
            assert sock.fileno() != -1

        monkeypatch.setattr(ssl.SSLSocket, "unwrap", unwrap)
        channel.end_tls()
        closing[0]()
        assert -1 == channel.sock.fileno()

    @pytest.mark.timeout(20)
    def test_a_signal_handler_may_close_what_is_just_being_cut(
        self, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut = socket.socket.shutdown

        def shutdown(sock: socket.socket, how: int) -> None:
            monkeypatch.undo()
            pair[0].close()
            cut(sock, how)

        monkeypatch.setattr(socket.socket, "shutdown", shutdown)
        pair[0].cut()
        assert -1 == pair[0].sock.fileno()

    def test_a_closed_channel_is_at_its_end(self, pair: Pair) -> None:
        pair[0].close()
        pair[0].close()
        pair[0].cut()
        pair[0].stop_reading()
        assert b"" == pair[0].recv(10)
        with pytest.raises(OSError, match="closed here") as caught:
            pair[0].send([b"a"])
        assert errno.EBADF == caught.value.errno

    def test_stop_reading_is_an_end_for_the_reader_only(self, plain: Pair) -> None:
        plain[0].set_timeouts(10, 10)
        reading = threaded(lambda: received(plain[0]))
        plain[0].stop_reading()
        assert b"" == reading()
        plain[0].send([b"still here"])
        assert b"still here" == plain[1].recv(100)

    def test_the_end_of_the_peer_is_no_bytes(self, pair: Pair) -> None:
        pair[0].set_timeouts(10, None)
        pair[0].send([b"x"])
        pair[1].recv(1)  # with it the tickets of TLS: what is left unread makes a reset of the end
        pair[1].close()
        assert b"" == pair[0].recv(10)

    def test_hanging_up_waits_for_the_peer_and_not_for_ever(self, pair: Pair) -> None:
        pair[1].send([b"x" * 100_000])
        pair[0].send([b"last words"])
        with pytest.raises(TimeoutError):  # the peer does not hang up at all
            pair[0].hang_up(linger=0.05)
        pair[1].set_timeouts(10, None)
        assert b"last words" == received(pair[1])

    def test_hanging_up_ends_when_the_peer_does(self, pair: Pair) -> None:
        pair[1].set_timeouts(10, 10)
        reading = threaded(lambda: (received(pair[1]), pair[1].close()))
        pair[0].hang_up(linger=60)
        assert b"" == reading()[0]


class TestPlain:
    def test_a_stand_in_needs_recv_only(self) -> None:
        class StandIn:
            def recv(self, size: int) -> bytes:
                return b"x"[:size]

        channel = PlainChannel(StandIn())
        channel.set_timeouts(1, 1)
        assert b"x" == channel.recv(5)
        channel.hang_up(linger=0)
        channel.cut()
        channel.close()

    def test_what_is_taken_in_part_is_sent_on(self) -> None:
        sent = bytearray()

        class Partial:
            def sendmsg(self, pieces: list[bytes]) -> int:
                data = b"".join(pieces)[: JOIN_LIMIT + 7]
                sent.extend(data)
                return len(data)

            def sendall(self, data: bytes) -> None:
                sent.extend(data)

        pieces = [bytes([n]) * 10_000 for n in range(30)]
        PlainChannel(Partial()).send(pieces)
        assert b"".join(pieces) == sent

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (BlockingIOError(), TimeoutError),
            (TimeoutError(), TimeoutError),
            (OSError(errno.EHOSTUNREACH, "x"), ConnectionError),
            (OSError(errno.ENOTCONN, "x"), ConnectionError),
            (ConnectionResetError(), ConnectionResetError),
            (OSError(errno.EIO, "x"), OSError),
        ],
    )
    def test_a_lost_connection_has_that_name(self, error: OSError, expected: type[OSError]) -> None:
        class Failing:
            def recv(self, size: int) -> bytes:
                raise error

        with pytest.raises(expected):
            PlainChannel(Failing()).recv(1)

    def test_nothing_waits_above_a_plain_socket(self, plain: Pair) -> None:
        plain[1].send([b"x" * 100])
        plain[0].recv(1)
        assert not plain[0].pending()

    def test_the_kernel_keeps_the_time(self, plain: Pair) -> None:
        plain[0].set_timeouts(2.5, 0.000_25)
        sock = plain[0].sock
        seconds, micro = channels.struct.unpack("@ll", sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))
        assert 2.49 <= seconds + micro / 1e6 <= 2.51
        assert sock.gettimeout() is None

    @pytest.mark.parametrize(("seconds", "expected"), [(None, (0, 0)), (1.5, (1, 500_000)), (1e-9, (0, 1000))])
    def test_a_time_is_never_taken_for_none(self, seconds: float | None, expected: tuple[int, int]) -> None:
        assert expected == channels.struct.unpack("@ll", channels._timeval(seconds))


class TestTLS:
    def test_what_openssl_has_read_ahead_is_seen(self, tls: Pair) -> None:
        assert not tls[0].pending()
        tls[1].send([b"x" * 100])
        tls[0].recv(1)
        assert tls[0].pending()
        tls[0].recv(99)
        assert not tls[0].pending()

    def test_an_end_without_good_bye_is_an_end(self, tls: Pair) -> None:
        socket.socket.shutdown(tls[1].sock, socket.SHUT_RDWR)
        assert b"" == tls[0].recv(10)

    def test_rubbish_is_a_lost_connection(self, tls: Pair) -> None:
        socket.socket.send(tls[1].sock, b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            tls[0].recv(10)
