"""Scenes with servers and clients of gevent or eventlet: ``python -m test.server.greenlets LIBRARY SCENE``.

Both ends are in one process, which the tests start: those libraries would not leave pytest's as it is.
"""

from __future__ import annotations

import importlib
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import Limits
from ws4py_ng.websocket import EchoWebSocket, WebSocket

WAIT = 20.0
QUIET = Limits(ping_interval=None)
SCENES: dict[str, Callable[..., None]] = {}
REQUEST = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Library:
    """Name what the two libraries have in common."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = importlib.import_module(name)
        self.kit = importlib.import_module(f"ws4py_ng.transports.{name}_kit")
        self.server_class = importlib.import_module(f"ws4py_ng.server.{name}server").WSGIServer
        self.client_class = importlib.import_module(f"ws4py_ng.client.{name}client").WebSocketClient
        self.spawn = self.module.spawn
        self.sleep = self.module.sleep

    def serve(self, handlers: Any, **options: Any) -> Any:
        """Start a server."""
        from ws4py_ng.server.wsgi import WebSocketApplication

        quiet: dict[str, Any] = {"log": None} if self.name == "gevent" else {"log_output": False}
        application = WebSocketApplication(handlers, **{"limits": QUIET, "deflate": False, **options})
        server = self.server_class(("127.0.0.1", 0), application, **quiet)
        server.start()
        return server

    @contextmanager
    def serving(self, handlers: Any, **options: Any) -> Iterator[str]:
        """Serve for a while; give the URL."""
        server = self.serve(handlers, **options)
        try:
            yield f"ws://127.0.0.1:{server.server_port}/"
        finally:
            server.stop()

    def connect(self, url: str, **options: Any) -> Any:
        """Connect a client."""
        client = self.client_class(url, **{"limits": QUIET, "deflate": False, **options})
        client.connect()
        return client

    def wait_for(self, happens: Callable[[], object]) -> None:
        """Let the others run until something happens."""
        deadline = monotonic() + WAIT
        while not happens():
            assert monotonic() < deadline, "it does not happen"
            self.sleep(0.005)


def scene(function: Callable[[Library], None]) -> Callable[[Library], None]:
    """Register a scene."""
    SCENES[function.__name__] = function
    return function


class Ended(WebSocket):
    """Remember how connections ended."""

    endings: list[int]

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.endings.append(code)


@scene
def stop_closes_all_with_1001(library: Library) -> None:
    """`stop` closes every connection, and waits for the peers."""
    ended = type("Ended", (Ended,), {"endings": []})
    server = library.serve(ended)
    clients = [library.connect(f"ws://127.0.0.1:{server.server_port}/") for _ in range(5)]
    codes: list[Any] = []
    for client in clients:
        client.closed = lambda code, reason=None: codes.append((code, bytes(reason)))
    library.wait_for(lambda: all(client._th for client in clients))
    server.stop()
    for client in clients:
        client.run_forever()
    assert [(1001, b"Server is shutting down")] * 5 == codes, codes
    library.wait_for(lambda: ended.endings == [1001] * 5)
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", server.server_port), timeout=1).close()
        raise AssertionError("it listens still")


@scene
def many_greenlets_send_on_one_connection(library: Library) -> None:
    """Messages of many senders come whole, and each sender's in order."""

    class Choir(WebSocket):
        def opened(self) -> None:
            for singer in range(20):
                library.spawn(self.sing, singer)

        def sing(self, singer: int) -> None:
            for verse in range(50):
                if verse % 5:
                    self.send(bytes([singer, verse]) * 5000, binary=True)
                else:
                    self.send((bytes([singer, verse]) * 1000 for _ in range(5)), binary=True)
                if verse % 7 == 0:
                    library.sleep(0)

    with library.serving(Choir) as url:
        client = library.connect(url)
        heard: dict[int, list[int]] = {}
        for _ in range(1000):
            data = client.receive().data
            assert 10_000 == len(data)
            assert 1 == len(set(data[0::2])) == len(set(data[1::2]))
            heard.setdefault(data[0], []).append(data[1])
        assert {singer: list(range(50)) for singer in range(20)} == heard
        client.close()
        assert client.receive() is None


@scene
def a_peer_that_never_rests_starves_nobody(library: Library) -> None:
    """While one floods us, another gets its answers."""
    with library.serving({"/": EchoWebSocket, "/sink": WebSocket}) as url:
        port = int(url.split(":")[2].strip("/"))
        stop = threading.Event()

        def flood() -> None:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(REQUEST.format("/sink").encode())
                frames = b"\x82\xfe\x10\x00\0\0\0\0" + b"x" * 4096
                while not stop.is_set():
                    sock.sendall(frames * 64)

        floods = [threading.Thread(target=flood, daemon=True) for _ in range(2)]
        for each in floods:
            each.start()
        client = library.connect(url)
        for number in range(50):
            client.send(f"{number}")
            assert f"{number}" == str(client.receive())
        client.close()
        client.run_forever()
        stop.set()


@scene
def a_peer_that_takes_nothing_is_given_up(library: Library) -> None:
    """After write_timeout without progress the connection is lost; senders get ConnectionClosed."""
    raised: list[BaseException] = []

    class Flood(Ended):
        endings: list[int] = []  # noqa: RUF012

        def received_message(self, message: object) -> None:
            try:
                while True:
                    self.send(b"x" * 65536, binary=True)
            except ConnectionClosed as error:
                raised.append(error)

    limits = Limits(write_timeout=0.3, ping_interval=None)
    with library.serving({"/": Flood, "/echo": EchoWebSocket}, limits=limits) as url:
        port = int(url.split(":")[2].strip("/"))
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(REQUEST.format("/").encode() + b"\x81\x80\0\0\0\0")
            client = library.connect(f"{url}echo")
            client.send("beside it")
            assert "beside it" == str(client.receive())
            library.wait_for(lambda: Flood.endings)
        assert [1006] == Flood.endings
        assert "the peer took nothing for 0.3 s" in str(raised[0])
        client.close()
        client.run_forever()


@scene
def a_reader_that_rests_makes_the_server_wait(library: Library) -> None:
    """Do not read without end what nobody receives: the server's send blocks meanwhile."""
    sent: list[int] = []

    class Flood(WebSocket):
        def opened(self) -> None:
            for number in range(3000):
                self.send(number.to_bytes(2, "big") * 5000, binary=True)
                sent.append(number)

    with library.serving(Flood) as url:
        client = library.connect(url)
        before = -1
        while before != len(sent):
            before = len(sent)
            library.sleep(0.2)
        assert 0 < len(sent) < 3000
        assert client.messages.qsize() < 200
        for number in range(3000):
            assert number.to_bytes(2, "big") * 5000 == client.receive().data
        client.close()
        client.run_forever()


@scene
def a_timeout_that_a_hook_lets_out_is_its_failure(library: Library) -> None:
    """Close with 1011, though it is no Exception; what ends a greenlet ends it."""
    ended: list[object] = []
    failures: list[Exception] = []

    class Hasty(EchoWebSocket):
        def received_message(self, message: Any) -> None:
            if str(message) == "end":
                raise importlib.import_module("greenlet").GreenletExit
            with library.module.Timeout(0.001):
                library.sleep(WAIT)

        def closed(self, code: int, reason: bytes | str | None = None) -> None:
            ended.append(code)

        def unhandled_error(self, error: Exception) -> None:
            failures.append(error)

    with library.serving(Hasty) as url:
        for text in ("go", "end"):
            client = library.connect(url)
            client.send(text)
            client.run_forever()
        library.wait_for(lambda: len(ended) == 2)
    assert [1011, 1006] == ended, ended
    assert ["Hasty let Timeout out"] == [str(error) for error in failures], failures


@scene
def nobody_waits_for_ever(library: Library) -> None:
    """At the end every receiver gets None, again and again; without blocking there may be nothing."""
    with library.serving(EchoWebSocket) as url:
        client = library.connect(url)
        try:
            client.receive(block=False)
            raise AssertionError("there is no message")
        except queue.Empty:
            pass
        ends: list[Any] = []
        for _ in range(3):
            library.spawn(lambda: ends.append(client.receive()))
        library.sleep(0.01)
        client.send("for one of them")
        library.wait_for(lambda: len(ends) == 1)
        client.close()
        library.wait_for(lambda: len(ends) == 3)
        assert ["for one of them", "None", "None"] == [str(each) for each in ends]
        assert client.receive() is None
        assert [] == list(client)


@scene
def a_client_ends_whose_messages_nobody_receives(library: Library) -> None:
    """Let a client end that was closed, though its queue is full."""

    class Flood(WebSocket):
        def opened(self) -> None:
            with suppress(ConnectionClosed):
                for _ in range(500):
                    self.send("x")

    with library.serving(Flood) as url:
        client = library.connect(url)
        library.wait_for(client.messages.full)
        client.close()
        client.run_forever()
        assert client.terminated


@scene
def a_killed_greenlet_says_goodbye(library: Library) -> None:
    """Whose greenlet is killed closes with 1001."""
    servers: list[Any] = []

    class Noting(EchoWebSocket):
        def opened(self) -> None:
            servers.append(library.kit.KIT.ident())

    with library.serving(Noting) as url:
        client = library.connect(url)
        codes: list[int] = []
        client.closed = lambda code, reason=None: codes.append(code)
        library.wait_for(lambda: servers)
        library.module.kill(servers[0])
        client.run_forever()
        assert [1001] == codes


@scene
def iterating_ends_with_the_connection(library: Library) -> None:
    """`for message in client` gives every message, those that came with the Close frame as well."""

    class Three(WebSocket):
        def opened(self) -> None:
            for word in ("one", "two", "three"):
                self.send(word)
            self.close()

    with library.serving(Three) as url:
        assert ["one", "two", "three"] == [str(message) for message in library.connect(url)]


if __name__ == "__main__":
    SCENES[sys.argv[2]](Library(sys.argv[1]))
