"""The threaded server as a whole: limits of its resources, all orders of leaving, nothing left behind."""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from test.client.peers import (
    QUIET,
    WAIT,
    Peer,
    client_context,
    close_frame,
    connect,
    echo_spy,
    frame,
    get,
    join,
    join_threads,
    open_client,
    open_files,
    request,
    running,
    server_context,
    spy,
)
from ws4py_ng.limits import Limits
from ws4py_ng.server.threadedserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket

REPO = Path(__file__).parents[2]
GOING_AWAY = (8, b"\x03\xe9Server is shutting down")


def lingering(server: Server) -> list[threading.Thread]:
    """Find the threads that a server may have left."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("ws4py_ng")]


# Listening


def test_the_address_is_bound_when_serve_returns() -> None:
    server = serve(EchoWebSocket, "127.0.0.1", 0)
    try:
        assert ("127.0.0.1", server.port) == server.address
        with connect(server) as peer:  # the kernel lets them in
            server.start()
            peer.send(request())
            assert peer.take_head().startswith(b"HTTP/1.1 101 ")
    finally:
        server.shutdown()


def test_every_interface_shares_one_port() -> None:
    with running(echo_spy(), host=None) as server:
        for address in {listener.getsockname()[0]: listener.family for listener in server.listeners}:
            host = "[::1]" if ":" in address else "127.0.0.1"
            with open_client(f"ws://{host}:{server.port}/") as client:
                client.send("hello")
                assert "hello" == get(client.messages)


def test_an_address_that_this_machine_has_not_got_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def found(*args: Any, **options: Any) -> Any:
        lost = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.1", 0))
        return [lost, *real("127.0.0.1", 0, 0, socket.SOCK_STREAM), *real("127.0.0.1", 0, 0, socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with running(echo_spy()) as server:
        assert 1 == len(server.listeners)


def test_an_address_that_is_taken_says_so() -> None:
    with running(echo_spy()) as server, pytest.raises(OSError, match=f"127.0.0.1, port {server.port}") as caught:
        serve(EchoWebSocket, "127.0.0.1", server.port)
    assert errno.EADDRINUSE == caught.value.errno
    with pytest.raises(OSError, match=r"203\.0\.113\.1") as caught:
        serve(EchoWebSocket, "203.0.113.1", 0)
    assert errno.EADDRNOTAVAIL == caught.value.errno


def test_a_listening_unix_socket_will_do(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "ws"))
    listener.listen()
    with running(echo_spy(), sock=listener) as server:
        assert str(tmp_path / "ws") == server.address
        with open_client(f"ws+unix://{tmp_path}/ws") as client:
            client.send("hello")
            assert "hello" == get(client.messages)


def test_the_path_of_a_dead_server_is_replaced_and_ours_removed(tmp_path: Path) -> None:
    path = tmp_path / "ws"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    for _ in range(2):
        with running(echo_spy(), unix_path=str(path)) as server:
            assert str(path) == server.address
            with open_client(f"ws+unix://{path}") as client:
                client.send("hello")
                assert "hello" == get(client.messages)
        assert not path.exists()


# Full


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_more_than_the_most_connections_get_503(tls: bool) -> None:
    kind = echo_spy()
    with running(kind, max_connections=3, ssl_context=server_context() if tls else None) as server:
        context = client_context() if tls else None
        peers = [join(server, context=context) for _ in range(3)]
        for _ in range(100):
            try:
                with connect(server, context=context) as peer:
                    peer.send(request() + b"x" * 3000)
                    answer = peer.take_rest()
            except OSError:
                assert tls  # without a TLS handshake there is no answer
                continue
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"Retry-After: 1\r\n" in answer
        for peer in peers:
            peer.send(frame(1, b"still here?"))
            assert (1, b"still here?") == peer.take_frame()
        peers.pop().sock.close()
        get(kind.endings)
        join_until(lambda: len(server._visitors) == 2, server)
        with join(server, context=context) as peer:
            peer.send(frame(1, b"now?"))
            assert (1, b"now?") == peer.take_frame()
        for peer in peers:
            peer.sock.close()


def join_until(done: Callable[[], bool], server: Server) -> None:
    """Wait until a connection has been forgotten."""
    with server._changed:
        assert server._changed.wait_for(done, WAIT)


def test_a_thread_that_cannot_be_started_is_a_503(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(echo_spy()) as server:
        start = threading.Thread.start

        def fail(thread: threading.Thread) -> None:
            if thread.name == "ws4py_ng connection":
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", fail)
        with connect(server) as peer:
            peer.send(request())
            assert peer.take_rest().startswith(b"HTTP/1.1 503 ")
        monkeypatch.undo()
        with join(server) as peer:
            peer.send(frame(1, b"again"))
            assert (1, b"again") == peer.take_frame()
    assert "can't start new thread" in caplog.text


def test_those_who_were_turned_away_do_not_add_up() -> None:
    with running(spy(), max_connections=1) as server, join(server):
        peers = []
        for _ in range(150):
            peer = connect(server)
            peers.append(peer)
            peer.send(request())
        for peer in peers:
            assert peer.take_rest()[:13] in (b"HTTP/1.1 503 ", b"")
        assert len(server._parting) <= 64
        for peer in peers:
            peer.sock.close()


# Leaving


def test_everybody_gets_1001() -> None:
    kind = echo_spy()
    with running(kind) as server:
        peers = [join(server) for _ in range(20)]
        leaving = threading.Thread(target=server.shutdown)
        leaving.start()
        for peer in peers:
            assert GOING_AWAY == peer.take_frame()
            peer.send(close_frame(1001))
            assert b"" == peer.take_rest()
            peer.sock.close()
        leaving.join(WAIT)
        assert not leaving.is_alive()
    assert [1001] * 20 == [get(kind.endings).code for _ in peers]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_200_connections_of_which_20_do_not_read_are_left_in_time(tls: bool) -> None:
    """Those 20 have more to read than all buffers hold, so that no Close frame gets through."""
    payload = b"x" * 16384
    stuck = threading.Semaphore(0)

    def received_message(self: Any, message: Any) -> None:
        stuck.release()
        while True:
            self.send(payload, True)

    kind = spy(received_message=received_message)
    limits = Limits(close_timeout=2, ping_interval=None, open_timeout=WAIT)
    number, deaf = (60, 10) if tls else (200, 20)
    server = serve(kind, port=0, limits=limits, ssl_context=server_context() if tls else None)
    server.start()
    context = client_context() if tls else None
    peers = [join(server, context=context) for _ in range(number - deaf)]
    deaf_peers = [join(server, context=context, rcvbuf=4096) for _ in range(deaf)]
    for peer in deaf_peers:
        peer.send(frame(1, b"go"))
        assert stuck.acquire(timeout=WAIT)
    readers = [threading.Thread(target=answer_close, args=(peer,)) for peer in peers]
    for reader in readers:
        reader.start()
    begun = time.monotonic()
    server.shutdown()
    took = time.monotonic() - begun
    for reader in readers:
        reader.join(WAIT)
    assert took < 2 + 1 + 1  # close_timeout, a second to cut off, and one for a loaded machine
    endings = [get(kind.endings).code for _ in range(number)]
    assert {1001: number - deaf, 1006: deaf} == {code: endings.count(code) for code in set(endings)}
    join_threads("ws4py_ng connection")
    for peer in deaf_peers:
        peer.sock.close()


def answer_close(peer: Peer) -> None:
    """Read until the Close frame, answer it, leave."""
    while (found := peer.take_frame())[0] not in (8, -1):
        pass
    assert GOING_AWAY == found
    peer.send(close_frame(1001))
    peer.take_rest()
    peer.sock.close()


def shut_before_start(server: Server) -> None:
    server.shutdown()


def shut_twice(server: Server) -> None:
    server.start()
    server.shutdown()
    server.shutdown()


def shut_right_after_start(server: Server) -> None:
    server.start()
    server.shutdown()


def start_after_shutdown(server: Server) -> None:
    server.shutdown()
    server.serve_forever()  # returns
    server.start()
    server.shutdown()


def shut_from_two_threads(server: Server) -> None:
    server.start()
    threads = [threading.Thread(target=server.shutdown) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)


def shut_while_the_main_thread_serves(server: Server) -> None:
    with join_in_background(server) as peer:
        stopper = threading.Thread(target=lambda: (peer.take_head(), server.shutdown()))
        stopper.start()
        server.serve_forever()
        peer.send(close_frame(1001))
        peer.sock.close()
        stopper.join(WAIT)


def shut_while_clients_storm_in(server: Server) -> None:
    server.start()
    gone = threading.Event()

    def storm() -> None:
        while not gone.is_set():
            try:
                with connect(server) as peer:
                    peer.send(request() + close_frame(1001))
                    peer.take_rest()
            except OSError:
                return

    stormers = [threading.Thread(target=storm) for _ in range(4)]
    for stormer in stormers:
        stormer.start()
    with join(server):
        pass
    server.shutdown()
    gone.set()
    for stormer in stormers:
        stormer.join(WAIT)


def shut_with_a_handshake_half_done(server: Server) -> None:
    server.start()
    with connect(server) as peer:
        peer.send(b"GET / HTTP/1.1\r\n")
        server.shutdown()


def shut_as_a_context_manager(server: Server) -> None:
    with server:
        server.start()


def shut_without_a_thread(server: Server) -> None:
    with join_in_background(server):
        server.shutdown()


ORDERS = (
    shut_before_start,
    shut_twice,
    shut_right_after_start,
    start_after_shutdown,
    shut_from_two_threads,
    shut_while_the_main_thread_serves,
    shut_while_clients_storm_in,
    shut_with_a_handshake_half_done,
    shut_as_a_context_manager,
    shut_without_a_thread,
)


def join_in_background(server: Server) -> Peer:
    """Send a request to a server that may not accept yet."""
    peer = connect(server)
    peer.send(request())
    return peer


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
def test_every_order_of_shutting_down_ends_and_leaves_nothing(
    order: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = open_files()
    begun = time.monotonic()
    order(serve(EchoWebSocket, port=0, limits=Limits(close_timeout=15, open_timeout=15)))
    assert time.monotonic() - begun < 10
    join_threads("ws4py_ng connection")
    join_threads("ws4py_ng server")
    join_threads("ws4py_ng leave")
    assert before == open_files()
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_signal_handler_may_shut_down_the_server_that_it_interrupts() -> None:
    code = """
        import os, signal, threading
        from test.client.peers import *
        from ws4py_ng.server.threadedserver import serve
        class Ender(WebSocket):
            def opened(self):
                os.kill(os.getpid(), signal.SIGTERM)
        def visit():
            with join(server) as peer:
                assert (8, b"\\x03\\xe9Server is shutting down") == peer.take_frame()
        with serve(Ender, port=0) as server:
            signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
            threading.Thread(target=visit).start()
            server.serve_forever()
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], cwd=REPO, check=True, timeout=WAIT)


def test_a_hook_may_shut_the_server_down() -> None:
    done = threading.Event()

    def received_message(self: Any, message: Any) -> None:
        begun = time.monotonic()
        servers[0].shutdown()
        took.append(time.monotonic() - begun)
        done.set()

    took: list[float] = []
    kind = spy(received_message=received_message)
    with running(kind, limits=Limits(close_timeout=15)) as server:
        servers = [server]
        with join(server) as peer, join(server) as other:
            peer.send(frame(1, b"stop"))
            for each in (peer, other):
                assert GOING_AWAY == each.take_frame()
                each.send(close_frame(1001))
            other.sock.close()
            assert done.wait(WAIT)
            assert took[0] < 10  # it does not wait for itself
            assert b"" == peer.take_rest()
        assert [1001, 1001] == [get(kind.endings).code for _ in range(2)]


def test_a_connection_that_comes_while_the_server_leaves_is_not_forgotten() -> None:
    """It was accepted before the listener was closed, and is known only after everybody was told to leave."""
    accepted, go_on = threading.Event(), threading.Event()
    kind = spy()
    server = serve(kind, port=0, limits=Limits(close_timeout=15, ping_interval=None))
    plain = server.listeners[0]

    class Slow:
        def accept(self) -> Any:
            found = plain.accept()
            accepted.set()
            go_on.wait(WAIT)
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(plain, name)

    server.listeners[:] = [Slow()]  # type: ignore[list-item]
    server.start()
    with join_in_background(server) as peer:
        accepted.wait(WAIT)
        leaving = threading.Thread(target=server.shutdown)
        leaving.start()
        with server._changed:
            while not server._draining:
                server._changed.wait(0.01)
        begun = time.monotonic()
        go_on.set()
        answer = peer.take_rest()
        leaving.join(WAIT)
        assert time.monotonic() - begun < 10
        assert answer[:13] in (b"HTTP/1.1 503 ", b"")


# Nothing is left behind


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_files_and_threads_return_to_where_they_were_after_500_connections(tls: bool) -> None:
    kind = echo_spy()
    rounds = 10 if tls else 50
    with running(kind, ssl_context=server_context() if tls else None) as server:
        context = client_context() if tls else None
        with join(server, context=context) as peer:  # whatever is made once is made now
            peer.send(close_frame(1000))
            peer.take_rest()
        join_threads("ws4py_ng connection")
        files, threads = open_files(), threading.active_count()
        for _ in range(rounds):
            peers = [join(server, context=context) for _ in range(10)]
            for peer in peers:
                peer.send(frame(1, b"hello"))
                assert (1, b"hello") == peer.take_frame()
            for i, peer in enumerate(peers):
                if i % 3 == 0:
                    peer.reset()
                elif i % 3 == 1:
                    peer.send(close_frame(1000))
                    peer.take_rest()
                peer.sock.close()
        join_threads("ws4py_ng connection")
        assert (files, threads) == (open_files(), threading.active_count())
        assert 10 * rounds + 1 == kind.endings.qsize()


def test_a_websocket_is_garbage_without_a_collector_run() -> None:
    code = """
        import gc, threading, weakref
        from test.client.peers import *
        kind = echo_spy(unhandled_error=lambda self, error: None)
        with running(kind) as server:
            gc.collect(); gc.disable()
            for leave in (lambda peer: peer.reset(), lambda peer: (peer.send(close_frame(1000)), peer.take_rest())):
                with join(server) as peer:
                    peer.send(frame(1, b"hello"))
                    peer.take_frame()
                    gone = threading.Event()
                    ref = weakref.ref(get(kind.seen), lambda ref: gone.set())
                    leave(peer)
                    get(kind.endings)
                    # The server's thread may still be about to leave the function that has started theirs.
                    assert gone.wait(WAIT), gc.get_referrers(ref())
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], cwd=REPO, check=True, timeout=WAIT)


# Short of files


EMFILE = """
    import logging, resource, sys, time
    from ws4py_ng.server.threadedserver import serve
    from ws4py_ng.websocket import EchoWebSocket
    logging.basicConfig(stream=sys.stderr)
    soft = 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    server = serve(EchoWebSocket, port=0)
    server.start()
    print(server.port, flush=True)
    sys.stdin.readline()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_utime + usage.ru_stime, flush=True)
    sys.stdin.readline()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_utime + usage.ru_stime, flush=True)
    sys.stdin.readline()
    server.shutdown()
"""


@pytest.fixture
def starved() -> Iterator[subprocess.Popen[str]]:
    """Run a server that may have 64 files."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(EMFILE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPO, text=True, **pipes) as process:
        yield process
        process.kill()


def test_a_server_without_free_files_waits_and_accepts_again(starved: subprocess.Popen[str]) -> None:
    assert starved.stdin is not None
    assert starved.stdout is not None

    def ask() -> str:
        starved.stdin.write("\n")  # type: ignore[union-attr]
        starved.stdin.flush()  # type: ignore[union-attr]
        return starved.stdout.readline()  # type: ignore[union-attr]

    address = ("127.0.0.1", int(starved.stdout.readline()))
    peers = []
    for _ in range(150):
        sock = socket.create_connection(address, WAIT)
        peers.append(Peer(sock))
        peers[-1].send(request())
    for peer in peers[:40]:
        assert peer.take_head().startswith(b"HTTP/1.1 101 ")
    cpu, begun = float(ask()), time.monotonic()
    # While it is short of files, those whom it has are served as ever.
    for i in range(20):
        peers[i].send(frame(1, b"hello"))
        assert (1, b"hello") == peers[i].take_frame()
    peers[-1].sock.settimeout(2)
    with pytest.raises(TimeoutError):
        peers[-1].take_head()
    spent, took = float(ask()) - cpu, time.monotonic() - begun
    assert spent < took * 0.25  # a spin is 1.0
    for peer in peers:
        peer.sock.close()
    begun = time.monotonic()
    with Peer(socket.create_connection(address, WAIT)) as peer:
        peer.send(request() + frame(1, b"again") + close_frame(1000))
        assert peer.take_head().startswith(b"HTTP/1.1 101 ")
        assert (1, b"again") == peer.take_frame()
        peer.take_rest()
    assert time.monotonic() - begun < 10
    _, log = starved.communicate("\n", timeout=WAIT)
    assert 0 == starved.returncode
    assert 1 <= len(log.splitlines()) <= 10, log
    assert "Too many open files" in log


@pytest.mark.parametrize("number", [errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EPERM, errno.ENOBUFS])
def test_no_error_of_accept_ends_the_server(number: int, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(echo_spy(), port=0, limits=QUIET)
    plain = server.listeners[0]
    failures = [OSError(number, os.strerror(number)) for _ in range(1)]

    class Faulty:
        def accept(self) -> Any:
            if failures:
                raise failures.pop()
            return plain.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(plain, name)

    server.listeners[:] = [Faulty()]  # type: ignore[list-item]
    server.start()
    try:
        with join(server) as peer:
            peer.send(frame(1, b"hello"))
            assert (1, b"hello") == peer.take_frame()
    finally:
        server.shutdown()
    assert 1 == sum(os.strerror(number) in record.getMessage() for record in caplog.records)
