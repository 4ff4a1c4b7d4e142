"""Scenes with the clients of gevent and eventlet: ``python -m test.client.green_scenes LIBRARY SCENE [CA]``."""

from __future__ import annotations

import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test.server.greenlets import Library
from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake import accept_for
from ws4py_ng.limits import Limits
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

SCENES: dict[str, Callable[[Library], None]] = {}
WAIT = 20.0


def scene(function: Callable[[Library], None]) -> Callable[[Library], None]:
    """Register a scene."""
    SCENES[function.__name__] = function
    return function


def expect(kind: Any, function: Callable[[], object]) -> BaseException:
    """Call what must raise; there is no pytest where this runs."""
    try:
        function()
    except kind as error:
        found: BaseException = error
        return found
    raise AssertionError(f"expected {kind}")


def listen() -> tuple[socket.socket, str]:
    """Listen, and answer nobody."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"ws://127.0.0.1:{listener.getsockname()[1]}/"


@scene
def others_run_while_it_connects(library: Library) -> None:
    """Let other greenlets run while a server does not answer, and give it up in time."""
    listener, url = listen()
    ticks: list[int] = []

    def tick() -> None:
        while True:
            ticks.append(1)
            library.sleep(0.01)

    ticking = library.spawn(tick)
    client = library.client_class(url, limits=Limits(open_timeout=1))
    assert "open_timeout" in str(expect(TimeoutError, client.connect))
    assert len(ticks) > 5
    library.module.kill(ticking)
    listener.close()
    assert client.sock is None


@scene
def another_greenlet_may_call_it_off(library: Library) -> None:
    """Wake up when the connection is closed while the server is awaited."""
    listener, url = listen()
    for how in ("close", "close_connection"):
        client = library.client_class(url)
        library.spawn(lambda client=client, how=how: (library.sleep(0.05), getattr(client, how)()))
        expect(ConnectionAbortedError, client.connect)
        assert client.terminated
    early = library.client_class(url)
    early.close()
    expect(ConnectionAbortedError, early.connect)
    listener.close()


@scene
def a_refusal_tells_why(library: Library) -> None:
    """Raise what the server has answered."""
    with serve({"/": EchoWebSocket}, port=0) as server:
        server.start()
        client = library.client_class(f"ws://127.0.0.1:{server.port}/elsewhere")
        error: Any = expect(HandshakeError, client.connect)
        assert 404 == error.status


@scene
def a_unix_socket_will_do(library: Library) -> None:
    """Connect to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        with serve(EchoWebSocket, sock=listener) as server:
            server.start()
            client = library.connect(f"ws+unix://{path}")
            client.send("x")
            assert "x" == str(client.receive())
            client.close()
            assert client.receive() is None


@scene
def messages_behind_the_101_are_not_lost(library: Library) -> None:
    """Read what comes in the segment of the answer."""
    listener, url = listen()

    def answer() -> None:
        sock = listener.accept()[0]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(65536)
        key = next(line.split()[1] for line in head.splitlines() if line.lower().startswith(b"sec-websocket-key"))
        accept = accept_for(key.decode())
        lines = [
            "HTTP/1.1 101 X",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            "",
            "",
        ]
        sock.sendall("\r\n".join(lines).encode() + b"\x81\x03one\x81\x03two\x88\x02\x03\xe8")
        assert b"\x88" == sock.recv(65536)[:1]
        sock.close()

    thread = threading.Thread(target=answer)
    thread.start()
    client = library.client_class(url)
    client.connect()
    assert ["one", "two"] == [str(message) for message in client]
    client.run_forever()
    thread.join(WAIT)
    listener.close()


@scene
def tls_is_checked_by_options_and_by_contexts(library: Library) -> None:
    """Speak TLS with whom the given authority knows, and with nobody else."""
    folder = Path(sys.argv[3])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    ours = ssl.create_default_context(cafile=folder / "authority.pem")
    ways: list[dict[str, Any]] = [{"ssl_options": {"ca_certs": str(folder / "authority.pem")}}, {"ssl_context": ours}]
    with serve(EchoWebSocket, port=0, ssl_context=context, limits=Limits(max_message_size=1 << 22)) as server:
        server.start()
        url = f"wss://localhost:{server.port}/"
        for options in ways:
            client = library.connect(url, **options, limits=Limits(max_message_size=1 << 22))
            for size in (1, 1 << 21):
                client.send(b"x" * size, binary=True)
                assert b"x" * size == client.receive().data
            client.close()
            assert client.receive() is None
        stranger = library.client_class(url)
        assert "CERTIFICATE_VERIFY_FAILED" in str(expect(ssl.SSLError, stranger.connect))


if __name__ == "__main__":
    SCENES[sys.argv[2]](Library(sys.argv[1]))
