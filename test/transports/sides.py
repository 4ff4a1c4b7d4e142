"""The two sides of a case: `Served` opens peers to a server under test, `Client` starts a client under test."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
from time import monotonic
from typing import Any

from .contract import ClientRow, Options, RunningClient, RunningServer, ServerRow
from .diary import WAIT, Diary, Page
from .peers import TEXT, Frame, Pairs, Peer
from .scripts import latch
from .tls import client_context, server_context

__all__ = ["Client", "Served"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Served:
    """Be the client of a server under test."""

    def __init__(self, row: ServerRow, running: RunningServer, options: Options, diary: Diary) -> None:
        self.row = row
        self.running = running
        self.options = options
        self.diary = diary
        # Log records without a tag that the case wanted.
        self.expected_logs = 0

    def stop(self) -> None:
        """Stop the server, gracefully."""
        self.running.stop()

    def socket(self, *, receive_buffer: int | None = None) -> Any:
        """Connect; TLS if the server has it."""
        sock = socket.socket()
        sock.settimeout(WAIT)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(self.running.address)
            if self.options.tls:
                sock = client_context().wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
            undo.pop_all()
        return sock

    def request(
        self,
        path: str,
        page: Page,
        *,
        query: str = "",
        headers: Pairs | None = None,
        line: str | None = None,
        drop: str = "",
    ) -> bytes:
        """Make a good request; ``headers`` are added, the one called ``drop`` left out."""
        host, port = self.running.address
        more = f"&{query}" if query else ""
        pairs = [
            ("Host", f"{host}:{port}"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", base64.b64encode(page.tag.ljust(16)[:16].encode()).decode()),
            ("Sec-WebSocket-Version", "13"),
        ]
        pairs = [(name, value) for name, value in pairs if name != drop] + (headers or [])
        first = line or f"GET {path}?tag={page.tag}{more} HTTP/1.1"
        return "\r\n".join([first, *(f"{name}: {value}" for name, value in pairs), "", ""]).encode("latin-1")

    def peer(
        self,
        path: str = "/echo",
        *,
        query: str = "",
        headers: Pairs | None = None,
        behind: bytes = b"",
        receive_buffer: int | None = None,
    ) -> Peer:
        """Connect, shake hands, and check the answer; ``behind`` goes out with the request."""
        page = self.diary.new_page()
        peer = Peer(self.socket(receive_buffer=receive_buffer), page, masks=True)
        with contextlib.ExitStack() as undo:
            undo.callback(peer.sock.close)
            peer.write(self.request(path, page, query=query, headers=headers) + behind)
            first, peer.headers = peer.take_head()
            assert first.startswith("HTTP/1.1 101"), (first, peer.headers, bytes(peer.buffer))
            answer = dict(peer.headers)
            key = base64.b64encode(page.tag.ljust(16)[:16].encode())
            assert answer["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
            assert answer["upgrade"].lower() == "websocket"
            assert "upgrade" in answer["connection"].lower()
            undo.pop_all()
        return peer

    def peer_or_refusal(self, path: str, page: Page) -> Peer:
        """Connect; whether the answer is a 101 is in ``status``."""
        peer = Peer(self.socket(), page, masks=True)
        peer.write(self.request(path, page))
        first, peer.headers = peer.take_head()
        peer.status = int(first.split(" ")[1])
        return peer

    def peer_when_free(self) -> Peer:
        """Connect to a server that was full until now, as often as it takes."""
        deadline = monotonic() + WAIT
        while True:
            peer = self.peer_or_refusal("/echo", self.diary.new_page())
            if peer.status == 101:
                return peer
            peer.sock.close()
            assert 503 == peer.status
            assert monotonic() < deadline, "the server is still full"

    def status_while_draining(self) -> int | None:
        """Try to connect: the status of the answer, None if there is none."""
        page = self.diary.new_page()
        try:
            with Peer(self.socket(), page, masks=True) as peer:
                peer.write(self.request("/echo", page))
                return int(peer.take_head()[0].split(" ")[1])
        except (OSError, AssertionError):
            return None

    def refusal(self, path: str = "/echo", **changes: Any) -> tuple[int, dict[str, str], bytes]:
        """Ask badly; return the answer: status, headers, body."""
        page = self.diary.new_page()
        with Peer(self.socket(), page, masks=True) as peer:
            peer.write(self.request(path, page, **changes))
            first, headers = peer.take_head()
            answer = dict(headers)
            length = answer.get("content-length")
            body = peer.take(int(length)) if length is not None else b""
            return int(first.split(" ")[1]), answer, body

    def check_alive(self) -> None:
        """See that the server serves a new connection, to its good end."""
        with self.peer() as peer:
            peer.text("alive?")
            assert Frame(TEXT, b"alive?") == peer.message()
            peer.finish()
            assert 1000 == peer.page.wait("closed")["code"]


class Client:
    """Be the server of a client under test."""

    def __init__(self, row: ClientRow, options: Options, diary: Diary) -> None:
        self.row = row
        self.options = options
        self.diary = diary
        self.page = diary.new_page()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.listener.settimeout(WAIT)
        self.running: RunningClient | None = None

    def close(self) -> None:
        """Wait for the client to end."""
        self.listener.close()
        if self.running is not None:
            self.running.wait()
        latch(self.page.tag).unlink(missing_ok=True)

    def start(self, hooks: str = "listen", query: str = "", path: str = "/chat") -> None:
        """Let the client connect."""
        scheme, host = ("wss", "localhost") if self.options.tls else ("ws", "127.0.0.1")
        more = f"&{query}" if query else ""
        url = f"{scheme}://{host}:{self.port}{path}?tag={self.page.tag}{more}"
        self.running = self.row.start(hooks, url, self.options)

    def pull(self, script: str) -> None:
        """Let the client connect, and run a script over the pull API."""
        url = f"ws://127.0.0.1:{self.port}/?tag={self.page.tag}"
        self.running = self.row.pull(script, url, self.options)

    def let_go(self) -> None:
        """Let a script that is busy go on."""
        latch(self.page.tag).touch()

    def accept(self, *, receive_buffer: int | None = None) -> Peer:
        """Accept the connection and read the request."""
        if receive_buffer is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock: Any = self.listener.accept()[0]
        sock.settimeout(WAIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            if self.options.tls:
                sock = server_context().wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
            peer = Peer(sock, self.page, masks=False)
            peer.request_line, peer.headers = peer.take_head()
            undo.pop_all()
        return peer

    def accept_nothing(self) -> None:
        """Accept a connection whose handshake of TLS is to fail."""
        with self.listener.accept()[0] as sock, contextlib.suppress(OSError):
            sock.settimeout(WAIT)
            server_context().wrap_socket(sock, server_side=True).close()

    def answer(self, peer: Peer, *more: tuple[str, str], behind: bytes = b"", accept: str | None = None) -> None:
        """Answer 101; ``behind`` goes out with it."""
        key = dict(peer.headers)["sec-websocket-key"].encode()
        good = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        pairs = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept or good), *more]
        lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in pairs), "", ""]
        peer.write("\r\n".join(lines).encode("latin-1") + behind)

    def peer(self, hooks: str = "listen", query: str = "", *more: tuple[str, str], **answer: Any) -> Peer:
        """Let the client connect, and accept it."""
        self.start(hooks, query)
        peer = self.accept()
        self.answer(peer, *more, **answer)
        return peer
