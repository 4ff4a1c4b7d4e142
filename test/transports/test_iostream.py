"""What `take_out` takes out of an IOStream, and leaves in it; what else there is, the contract goes through."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream

from test.client.peers import server_context
from ws4py_ng.transports.iostream import address_of, take_out

# More than a socket holds by itself.
MUCH = bytes(4 << 20)

Main = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    """Run a coroutine in a loop of each kind."""
    new_loop = asyncio.new_event_loop if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def run_it(main: Main) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())

    return run_it


@contextmanager
def pair() -> Iterator[tuple[IOStream, socket.socket]]:
    """Join a stream and a socket."""
    ours, theirs = socket.socketpair()
    stream = IOStream(ours)
    with theirs:
        try:
            yield stream, theirs
        finally:
            stream.close()


def test_the_socket_outlives_its_stream(run: Callable[[Main], None]) -> None:
    async def main() -> None:
        with pair() as (stream, theirs):
            stream.set_close_callback(lambda: None)  # it is watched from now on
            number = stream.socket.fileno()
            assert number in IOLoop.current().handlers
            taken = take_out(stream)
            assert taken is not None
            sock, leftover = taken
            with sock:
                assert (number, 0.0, b"") == (sock.fileno(), sock.gettimeout(), leftover)
                assert number not in IOLoop.current().handlers
                assert stream.closed()
                stream.close()
                del stream
                gc.collect()
                theirs.sendall(b"heard")
                assert b"heard" == await asyncio.get_running_loop().sock_recv(sock, 10)
                sock.sendall(b"said")
                assert b"said" == theirs.recv(10)

    run(main)


def test_what_was_read_ahead_is_not_lost(run: Callable[[Main], None]) -> None:
    async def main() -> None:
        with pair() as (stream, theirs):
            theirs.sendall(b"head\n" + b"behind" * 1000)
            assert b"head\n" == await stream.read_until(b"\n")
            theirs.sendall(b"later")
            theirs.shutdown(socket.SHUT_WR)
            taken = take_out(stream)
            assert taken is not None
            sock, leftover = taken
            with sock:
                rest = b""
                while data := await asyncio.get_running_loop().sock_recv(sock, 100_000):
                    rest += data
                assert b"behind" * 1000 + b"later" == leftover + rest
                assert leftover.startswith(b"behind")

    run(main)


def test_a_default_timeout_is_none_of_a_socket_of_the_loop() -> None:
    async def main() -> None:
        with pair() as (stream, _):
            socket.setdefaulttimeout(30)
            taken = take_out(stream)
            assert taken is not None
            with taken[0] as sock:
                assert 0.0 == sock.gettimeout()

    before = socket.getdefaulttimeout()
    try:
        asyncio.run(main())
    finally:
        socket.setdefaulttimeout(before)


def test_a_stream_that_still_writes_keeps_its_socket() -> None:
    async def main() -> None:
        with pair() as (stream, _):
            written = stream.write(MUCH)
            assert take_out(stream) is None
            assert not stream.closed()
            assert not written.done()

    asyncio.run(main())


def test_a_stream_whose_peer_has_left_stays_one() -> None:
    async def main() -> None:
        with pair() as (stream, theirs):
            theirs.close()
            assert take_out(stream) is None
            assert stream.closed()
            assert take_out(stream) is None
            assert address_of(stream, "getpeername") is None

    asyncio.run(main())


def test_tls_stays_with_its_stream() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            wrapped = server_context().wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
            assert isinstance(wrapped, ssl.SSLSocket)
            stream = SSLIOStream(wrapped)
            assert take_out(stream) is None
            stream.close()

    asyncio.run(main())


def test_small_messages_of_tcp_do_not_wait_for_each_other() -> None:
    """A socket that was made without naming its protocol is one that asyncio leaves as it is."""

    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with socket.create_connection(listener.getsockname()):
                taken = take_out(IOStream(listener.accept()[0]))
                assert taken is not None
                with taken[0] as sock:
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    asyncio.run(main())
