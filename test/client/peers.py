"""What the tests over real sockets share: raw peers, recording WebSockets, certificates.

Every wait ends at an event and has a bound that only a hang reaches: `WAIT` seconds.
"""

from __future__ import annotations

import os
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.handshake import accept_for
from ws4py_ng.limits import Limits
from ws4py_ng.server.threadedserver import Server, serve
from ws4py_ng.websocket import WebSocket

WAIT = 20.0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
# Nothing of the keepalive in a test that is not about it.
QUIET = Limits(ping_interval=None, close_timeout=30, open_timeout=30)

Headers = list[tuple[str, str]]


# Certificates


class Certificates(NamedTuple):
    """Hold an authority and what it has issued."""

    authority: trustme.CA
    server: trustme.LeafCert
    client: trustme.LeafCert


@cache
def certificates() -> Certificates:
    """Make an authority, a server's certificate for localhost, and a client's."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    return Certificates(authority, server, authority.issue_cert("client@example.org"))


def server_context(leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Make the context of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (leaf or certificates().server).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Make the context of a client that trusts our authority."""
    context = ssl.create_default_context()
    certificates().authority.configure_trust(context)
    return context


# A peer of bytes


def request(*changes: tuple[str, str | None], port: int = 9, line: str = "GET / HTTP/1.1") -> bytes:
    """Make a good request and change it: None drops a header, a value replaces or repeats it."""
    good = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    changed = {name for name, _ in changes}
    pairs = [(name, value) for name, value in good.items() if name not in changed]
    pairs += [(name, value) for name, value in changes if value is not None]
    return (line + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n").encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, mask: bool = True, fin: bool = True, rsv: int = 0) -> bytes:
    """Make a frame, by other code than that under test."""
    size = len(payload)
    if size < 126:
        length = bytes([mask << 7 | size])
    elif size < 65536:
        length = struct.pack("!BH", mask << 7 | 126, size)
    else:
        length = struct.pack("!BQ", mask << 7 | 127, size)
    head = bytes([fin << 7 | rsv << 4 | opcode]) + length
    # A key of zeros masks nothing.
    return head + (b"\0\0\0\0" if mask else b"") + payload


def close_frame(code: int, reason: bytes = b"", *, mask: bool = True) -> bytes:
    """Make a Close frame."""
    return frame(8, struct.pack("!H", code) + reason, mask=mask)


class Peer:
    """Read and write bytes on a socket, and know frames and HTTP just enough."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(WAIT)
        self.sock = sock
        self.buffer = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it; a peer that has left already is no error."""
        with suppress(ConnectionError):
            self.sock.sendall(data)

    def take(self, size: int) -> bytes:
        """Read so many bytes, fewer only at the end."""
        while len(self.buffer) < size and (data := self._recv()):
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def take_head(self) -> bytes:
        """Read a head of HTTP."""
        while b"\r\n\r\n" not in self.buffer and (data := self._recv()):
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def take_rest(self) -> bytes:
        """Read to the end."""
        while data := self._recv():
            self.buffer += data
        return self.take(len(self.buffer))

    def take_frame(self) -> tuple[int, bytes]:
        """Read a frame: opcode and payload; opcode -1 at the end."""
        head = self.take(2)
        if len(head) < 2:
            return -1, b""
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        key = self.take(4) if head[1] & 0x80 else b""
        payload = self.take(length)
        if key:
            whole = (key * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        return head[0] & 0x0F, payload

    def reset(self) -> None:
        """Leave by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _recv(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return b""


def connect(server: Server, *, context: ssl.SSLContext | None = None, rcvbuf: int | None = None) -> Peer:
    """Connect to a server, without a handshake."""
    sock = socket.socket(server.listeners[0].family)
    try:
        sock.settimeout(WAIT)
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.connect(server.address)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
    except BaseException:
        sock.close()
        raise
    return Peer(sock)


def join(server: Server, *changes: tuple[str, str | None], line: str = "GET / HTTP/1.1", **options: Any) -> Peer:
    """Connect to a server and shake hands."""
    peer = connect(server, **options)
    port = server.port if server.listeners[0].family != socket.AF_UNIX else 9
    peer.send(request(*changes, port=port, line=line))
    head = peer.take_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return peer


def key_of(head: bytes) -> str:
    """Give the key of a request."""
    (key,) = [line[18:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    return key.decode("ascii")


def answer_to(head: bytes, *changes: tuple[str, str | None], line: str = "HTTP/1.1 101 Switching Protocols") -> bytes:
    """Make the answer to a request, and change it as `request` does."""
    good = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_for(key_of(head))}
    changed = {name for name, _ in changes}
    pairs = [(name, value) for name, value in good.items() if name not in changed]
    pairs += [(name, value) for name, value in changes if value is not None]
    return (line + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n").encode("latin-1")


class RawServer:
    """Listen, and play a script with everybody who comes; its failure is the test's."""

    def __init__(
        self, script: Callable[[Peer], None], context: ssl.SSLContext | None = None, rcvbuf: int | None = None
    ) -> None:
        self.script = script
        self.context = context
        self.listener = socket.socket()
        if rcvbuf is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]
        self.visits = 0
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="RawServer", daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, where: object) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
        if error is None and self.errors:
            raise self.errors[0]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'wss' if self.context else 'ws'}://localhost:{self.port}/"

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            try:
                sock.settimeout(WAIT)
                if self.context is not None:
                    sock = self.context.wrap_socket(sock, server_side=True)
                with Peer(sock) as peer:
                    self.script(peer)
            except ssl.SSLError:
                sock.close()
            except BaseException as error:  # noqa: BLE001  # raised again by __exit__
                self.errors.append(error)


def upgrading(then: Callable[[Peer], None], *changes: tuple[str, str | None]) -> Callable[[Peer], None]:
    """Make a script that shakes hands first."""

    def script(peer: Peer) -> None:
        head = peer.take_head()
        peer.send(answer_to(head, *changes))
        then(peer)

    return script


# WebSockets that take note


class Ended(NamedTuple):
    """Hold what `closed` was called with."""

    code: int
    reason: bytes | str | None


class Recording:
    """Take note of the hooks; to be mixed into a WebSocket, with queues of the class or the object."""

    seen: queue.Queue[Any]
    messages: queue.Queue[Any]
    endings: queue.Queue[Ended]
    faults: queue.Queue[Exception]

    def opened(self) -> None:
        self.seen.put(self)

    def received_message(self, message: Any) -> None:
        self.messages.put(str(message) if message.is_text else message.data)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.endings.put(Ended(code, reason))

    def unhandled_error(self, error: Exception) -> None:
        self.faults.put(error)
        super().unhandled_error(error)  # type: ignore[misc]


def _queues() -> dict[str, Any]:
    return {name: queue.Queue() for name in ("seen", "messages", "endings", "faults")}


def spy(**attributes: Any) -> Any:
    """Make a class for a server that takes note; ``attributes`` are hooks and the like."""
    return type("Spy", (Recording, WebSocket), _queues() | attributes)


def echo_spy(**attributes: Any) -> Any:
    """Make a class for a server that sends back every message and takes note of the end."""

    def received_message(self: Any, message: Any) -> None:
        self.send(message.data, message.is_binary)

    return spy(received_message=received_message, **attributes)


def client_spy(**attributes: Any) -> Any:
    """Make a class of clients that take note."""
    return type("ClientSpy", (Recording, WebSocketClient), _queues() | attributes)


def get(found: queue.Queue[Any]) -> Any:
    """Take from a queue what must come."""
    return found.get(timeout=WAIT)


def settle(client: WebSocketClient) -> None:
    """Wait until a client's thread has ended."""
    client._th.join(WAIT)
    assert not client._th.is_alive()


@contextmanager
def open_client(url: str, **options: Any) -> Iterator[Any]:
    """Connect a client that takes note; at the end wait until it is gone."""
    kind = options.pop("kind", None) or client_spy()
    options.setdefault("limits", QUIET)
    client = kind(url, **options)
    client.connect()
    try:
        yield client
        client.close()
    except BaseException:
        client.close_connection()
        raise
    finally:
        settle(client)


@contextmanager
def running(handlers: Any, **options: Any) -> Iterator[Server]:
    """Run a server on a free port; at the end nothing of it is left."""
    options.setdefault("limits", QUIET)
    if "sock" not in options:
        options.setdefault("port", 0)
    server = serve(handlers, **options)
    server.start()
    try:
        yield server
    finally:
        server.shutdown()
        join_threads("ws4py_ng connection")


def url_of(server: Server, path: str = "/") -> str:
    """Give the URL of a server, by name so that TLS can check it."""
    return f"{'wss' if server.ssl_context else 'ws'}://localhost:{server.port}{path}"


# Bookkeeping


def join_threads(name: str) -> None:
    """Wait for all threads of this name."""
    for thread in threading.enumerate():
        if thread.name == name and thread is not threading.current_thread():
            thread.join(WAIT)
            assert not thread.is_alive(), f"{thread} does not end"


def open_files() -> int:
    """Count the file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def memory() -> int:
    """Give the resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
