"""Replay against somebody who is there: a recording plays its part to a live server or client.

It sends what its side sent, waits each time for what the recording says came, and ends at the first
difference. Frames are compared, not chunks, as a network may cut anywhere; masks and the keepalive's
Pings are left out. The heads of the handshake have to agree in status, subprotocol and extensions only.
"""

from __future__ import annotations

import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import sleep
from typing import Any, Final

from ..codes import PING, PONG
from ..handshake import Headers, Response, accept_for, receive_request, receive_response
from ..uri import parse_uri
from .conversation import Conversation, understand
from .cuts import Splits
from .difference import Difference
from .frames import Frame, FrameScanner, hex_dump
from .reading import CaptureError
from .replaying import Source, check_speed, find_connection

__all__ = ["LIVE_SPLITS", "LiveReplay", "family_of", "replay_to_client", "replay_to_server"]

_KEEPALIVE: Final = b"ng-"
_BEEP: Final = b"beep"
_READ_SIZE: Final = 65536
LIVE_SPLITS: Final[tuple[Splits, ...]] = ("recorded", "bytes", "random")
_AGREED: Final = ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")


@dataclass(eq=False)
class LiveReplay:
    """Say what came of it: how many frames were as recorded, and the first difference, or None."""

    frames: int = 0
    difference: Difference | None = None

    def check(self) -> LiveReplay:
        """Return this. Raises AssertionError if there is a difference."""
        if self.difference is not None:
            raise AssertionError(str(self.difference))
        return self


def replay_to_server(
    source: Source,
    url: str,
    *,
    connection: int | None = None,
    splits: Splits = "recorded",
    seed: int = 0,
    speed: float | None = None,
    timeout: float = 10.0,
    ssl_context: ssl.SSLContext | None = None,
) -> LiveReplay:
    """Play the recorded client to the server at ``url``; its path is the recorded one.

    ``splits`` may be "recorded", "bytes" or "random": each piece is sent by itself. ``speed`` as for
    `replay`; ``timeout`` is how long to wait for what should come. Secrets that were redacted are sent as
    asterisks. Raises OSError if nobody answers, CaptureError for a recording without a WebSocket.
    """
    conversation = _conversation(source, connection, splits, speed)
    uri = parse_uri(url)
    if uri.unix_path is not None:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(uri.unix_path)
    else:
        sock = socket.create_connection((uri.host, int(uri.port or 0)), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with _secured(sock, uri.secure, ssl_context, uri.host) as live:
        player = _Player(live, conversation, plays_client=True, splits=splits, seed=seed, speed=speed)
        return player.run(player.ask)


def replay_to_client(
    source: Source,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    on_listening: Callable[[tuple[str, int]], object] = lambda address: None,
    connection: int | None = None,
    splits: Splits = "recorded",
    seed: int = 0,
    speed: float | None = None,
    timeout: float = 10.0,
) -> LiveReplay:
    """Play the recorded server to the first client that connects to ``host`` and ``port``.

    ``on_listening`` is called with the address, port 0 being any free one. The rest is as for
    `replay_to_server`; the client's key is answered by what fits it.
    """
    conversation = _conversation(source, connection, splits, speed)
    with socket.create_server((host, port), family=family_of(host)) as listener:
        listener.settimeout(timeout)
        on_listening(listener.getsockname()[:2])
        sock, _ = listener.accept()
    with sock:
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        player = _Player(sock, conversation, plays_client=False, splits=splits, seed=seed, speed=speed)
        return player.run(player.answer)


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of an address to listen on; of a name it is IPv4's."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _conversation(source: Source, number: int | None, splits: Splits, speed: float | None) -> Conversation:
    """Find what is to be played; nobody is talked to before what was asked for is known to be possible."""
    if splits not in LIVE_SPLITS:
        raise ValueError(f"splits is {splits!r}, expected one of {', '.join(LIVE_SPLITS)}")
    check_speed(speed)
    conversation = understand(find_connection(source, number))
    if not conversation.is_websocket or conversation.request is None:
        raise CaptureError("The recording has no WebSocket, or not from its beginning")
    return conversation


def _secured(sock: Any, secure: bool, context: ssl.SSLContext | None, name: str | None) -> Any:
    if not secure:
        return sock
    return (context or ssl.create_default_context()).wrap_socket(sock, server_hostname=name)


class _Player:
    """Play one side of a conversation over a socket."""

    def __init__(
        self,
        sock: Any,
        conversation: Conversation,
        *,
        plays_client: bool,
        splits: Splits,
        seed: int,
        speed: float | None,
    ) -> None:
        self._sock = sock
        self._conversation = conversation
        self._mine_is_outgoing = (conversation.connection.role == "client") is plays_client
        self._splits = splits
        self._random = random.Random(seed)
        self._speed = speed
        self._scanner = FrameScanner()
        self._frames: deque[Frame] = deque()
        self._at_end = False
        self._peer = "server" if plays_client else "client"
        self._result = LiveReplay()

    def run(self, shake_hands: Callable[[], Difference | None]) -> LiveReplay:
        """Play to the end, or to the first difference."""
        result = self._result
        try:
            result.difference = shake_hands() or self._converse()
        except TimeoutError:
            waited = self._sock.gettimeout()
            result.difference = Difference(f"The {self._peer} took nothing of what was sent for {waited:g} s")
        return result

    # The handshake

    def ask(self) -> Difference | None:
        """Send the recorded request, and look at the answer."""
        conversation = self._conversation
        assert conversation.request is not None
        assert conversation.response is not None
        self._sock.sendall(conversation.request.to_bytes())
        response = self._read_head(receive_response())
        if isinstance(response, Difference):
            return response
        if response.status != 101:
            return Difference(f"The server answered {response.status_text}, recorded was 101")
        return self._compare_headers(conversation.response.headers, response.headers)

    def answer(self) -> Difference | None:
        """Read a request, and send the recorded answer, as far as it does not depend on the key."""
        conversation = self._conversation
        assert conversation.request is not None
        assert conversation.response is not None
        request = self._read_head(receive_request())
        if isinstance(request, Difference):
            return request
        recorded = conversation.response
        headers = Headers(pair for pair in recorded.headers if pair[0].lower() != "sec-websocket-accept")
        headers.add("Sec-WebSocket-Accept", accept_for(request.headers.get("Sec-WebSocket-Key", "")))
        self._sock.sendall(Response(101, headers, recorded.reason).to_bytes())
        return self._compare_headers(conversation.request.headers, request.headers)

    def _compare_headers(self, recorded: Headers, got: Headers) -> Difference | None:
        for name in _AGREED:
            expected, found = recorded.get_all(name), got.get_all(name)
            if expected != found:
                return Difference(f"{name} of the {self._peer} is {found}, recorded was {expected}")
        return None

    def _read_head(self, reading: Any) -> Any:
        next(reading)
        try:
            while True:
                data = self._recv()
                if data is None:
                    return Difference(f"The {self._peer} sent no head for {self._sock.gettimeout():g} s")
                reading.send(data)
        except StopIteration as stop:
            head, leftover = stop.value
            self._take(leftover)
            return head

    # The frames

    def _converse(self) -> Difference | None:
        recorded = FrameScanner()
        chunks = self._conversation.chunks
        time = chunks[0].time if chunks else 0.0
        for number, chunk in enumerate(chunks):
            if self._speed is not None and chunk.time > time:
                sleep((chunk.time - time) / self._speed)
            time = chunk.time
            mine = chunk.outgoing is self._mine_is_outgoing
            if mine and chunk.data:
                for piece in self._cut(chunk.data):
                    with suppress(ConnectionError):  # what the other side says of that is compared
                        self._sock.sendall(piece)
            elif mine:
                self._hang_up()
            elif not chunk.data and not chunk.error:
                if not any(later.data for later in chunks[number:] if later.outgoing is self._mine_is_outgoing):
                    # RFC 6455 7.1.1: it is the server that ends the connection first.
                    self._hang_up()
                found = self._expect_end()
                if found is not None:
                    return found
            for frame in recorded.feed(chunk.data) if not mine else ():
                found = None if _is_keepalive(frame) else self._expect(frame)
                if found is not None:
                    return found
        return None

    def _hang_up(self) -> None:
        # SSLSocket.shutdown() would forget TLS, and what comes is still to be read.
        with suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        size = 1 if self._splits == "bytes" else len(data)
        start = 0
        while start < len(data):
            if self._splits == "random":
                size = self._random.randint(1, len(data) - start)
            yield data[start : start + size]
            start += size

    def _expect(self, frame: Frame) -> Difference | None:
        number = self._result.frames
        where = f"in frame {number} ({frame.name}, {frame.size} bytes), which begins at byte {frame.offset}"
        got = self._next_frame()
        if got is None:
            what = "ended" if self._at_end else f"sent nothing for {self._sock.gettimeout():g} s"
            details = f"recorded:\n{hex_dump(frame.raw, frame.offset)}\ngot:\n{hex_dump(self._scanner.rest)}"
            return Difference(f"The {self._peer} {what} {where}", frame.offset, number, details)
        if (frame.raw[0], frame.payload) != (got.raw[0], got.payload):
            details = f"recorded:\n{hex_dump(frame.raw, frame.offset)}\ngot:\n{hex_dump(got.raw, got.offset)}"
            if frame.key is not None:
                details += f"\nunmasked:\n{hex_dump(frame.payload)}\n{hex_dump(got.payload)}"
            return Difference(f"What the {self._peer} sent differs {where}", frame.offset, number, details)
        self._result.frames += 1
        return None

    def _expect_end(self) -> Difference | None:
        got = self._next_frame()
        if got is not None:
            details = hex_dump(got.raw, got.offset)
            what = f"The {self._peer} sent a frame ({got.name}, {got.size} bytes) where the recording ends"
            return Difference(what, got.offset, self._result.frames, details)
        if not self._at_end:
            return Difference(f"The {self._peer} did not end the connection for {self._sock.gettimeout():g} s")
        return None

    def _next_frame(self) -> Frame | None:
        """Wait for a frame; None at the end, or when there is none in time."""
        while not self._frames and not self._at_end:
            data = self._recv()
            if data is None:
                return None
            self._at_end = not data
            self._take(data)
        return self._frames.popleft() if self._frames else None

    def _take(self, data: bytes) -> None:
        self._frames.extend(frame for frame in self._scanner.feed(data) if not _is_keepalive(frame))

    def _recv(self) -> bytes | None:
        try:
            data: bytes = self._sock.recv(_READ_SIZE)
            return data
        except TimeoutError:
            return None
        except OSError:
            return b""


def _is_keepalive(frame: Frame) -> bool:
    """Tell whether a frame came because of the time."""
    return (frame.opcode in (PING, PONG) and frame.payload.startswith(_KEEPALIVE)) or (
        frame.opcode == PONG and frame.payload == _BEEP
    )
