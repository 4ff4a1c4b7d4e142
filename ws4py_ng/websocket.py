"""`WebSocket`: subclass it, override `opened`, `received_message`, `closed`.

ws4py's class over `Endpoint`. With a socket it drives itself (`run`, or `once` for a
manager); other transports attach themselves and drive its session.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Awaitable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .capture.untapped import NO_TAP, AnyTap
from .codes import ABNORMAL_CLOSURE, BINARY, CLOSE, PING, PONG, TEXT
from .endpoint import NO_TRANSPORT, Endpoint, Transport
from .exc import ConnectionClosed, ProtocolError
from .extensions import engines
from .fast import libraries
from .limits import DEFAULT_LIMITS, Limits
from .messaging import BinaryMessage, CloseControlMessage, Message, PongControlMessage, TextMessage
from .shared import Shared, SharedMessage
from .states import Event, State
from .streaming import Stream
from .transports.blocking import BlockingTransport
from .transports.channels import is_tls

__all__ = ["EchoWebSocket", "Heartbeat", "WebSocket"]

logger = logging.getLogger("ws4py_ng")

engines.find_with(libraries)

DEFAULT_READING_SIZE = DEFAULT_LIMITS.read_size


class Heartbeat(threading.Thread):
    """Send an unsolicited Pong every ``frequency`` seconds, from a thread of its own.

    A connection has `heartbeat_freq` and pings for that; this is for programs that use
    ws4py's class by itself: ``with Heartbeat(websocket, 2.0): ...``.
    """

    def __init__(self, websocket: WebSocket, frequency: float | None = 2.0) -> None:
        super().__init__(name="Heartbeat", daemon=True)
        self.websocket = websocket
        self.frequency = frequency
        self._halted = threading.Event()

    def __enter__(self) -> Heartbeat:
        if self.frequency:
            self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop at once."""
        self._halted.set()

    def run(self) -> None:
        """Beat until stopped, or until the WebSocket is closed."""
        while not self._halted.wait(self.frequency) and not self.websocket.terminated:
            try:
                self.websocket.send(PongControlMessage(data="beep"))
            except ConnectionClosed:
                break


class WebSocket(Endpoint):
    """Serve one connection, as a server.

    ``sock`` is the connected socket behind the opening handshake, ``protocols`` and
    ``extensions`` what was agreed, ``environ`` the request as WSGI has it. With
    ``heartbeat_freq`` an unsolicited Pong is sent every so many seconds, beside the Pings
    of the keepalive.
    """

    _tap: AnyTap = NO_TAP
    _new_stream: type[Stream] = Stream

    def __init__(
        self,
        sock: Any = None,
        protocols: Sequence[Any] | None = None,
        extensions: Sequence[Any] | None = None,
        environ: dict[str, Any] | None = None,
        heartbeat_freq: float | None = None,
    ) -> None:
        super().__init__(self._new_stream(always_mask=False), DEFAULT_LIMITS)
        self.protocols = protocols
        self.extensions = extensions
        self.sock = sock
        self.environ = environ
        self.heartbeat_freq = heartbeat_freq
        self.reading_buffer_size = DEFAULT_READING_SIZE
        self._is_secure = sock is not None and is_tls(sock)
        self._local_address: Any = None
        self._peer_address: Any = None
        self._foreign: Any = None
        self._released = False
        if sock is not None:
            self._attach(BlockingTransport(self, sock, self._limits))

    def _configure(self, limits: Limits, extensions: Sequence[Any] = ()) -> None:
        """Apply what a server or client was set to and what the handshake agreed on."""
        self._limits = limits
        self._keepalive._limits = limits
        self._stream._set_limits(limits)
        for extension in extensions:
            self._stream.use_extension(extension)
        transport = self._transport
        if isinstance(transport, BlockingTransport):
            transport._limits = limits

    def _attach(self, transport: Transport) -> None:
        """Let a transport carry this connection; where it is recorded, whoever carries it is tapped."""
        self._transport = transport
        if self._tap:
            from .capture.taps import tap_channel  # few connections are recorded

            tap_channel(getattr(transport, "channel", None), self._tap)

    def _record(self, tap: AnyTap) -> None:
        """Record this connection from here on."""
        self._tap = tap
        self._attach(self._transport)

    # The state, in ws4py's terms

    @property
    def stream(self) -> Any:
        """The `Stream` of this connection; None after `terminate`."""
        if self._released:
            return None
        return self._foreign if self._foreign is not None else self._stream

    @stream.setter
    def stream(self, value: Any) -> None:
        if isinstance(value, Stream):
            self._foreign, self._stream = None, value
        else:
            self._foreign = value
            self._stream = _ForeignStream(value)  # type: ignore[assignment]
        self._outbox.is_plain = False

    @property
    def client_terminated(self) -> bool:
        """Whether the client has sent its Close frame, or is gone."""
        return self._has_closed(mine=self._stream.always_mask is True)

    @client_terminated.setter
    def client_terminated(self, value: bool) -> None:
        self._set_closed(value, mine=self._stream.always_mask is True)

    @property
    def server_terminated(self) -> bool:
        """Whether the server has sent its Close frame, or is gone."""
        return self._has_closed(mine=self._stream.always_mask is not True)

    @server_terminated.setter
    def server_terminated(self, value: bool) -> None:
        self._set_closed(value, mine=self._stream.always_mask is not True)

    def _has_closed(self, mine: bool) -> bool:
        one_sided = State.CLOSING if mine else State.PEER_CLOSED
        return self._state in (one_sided, State.ENDING, State.CLOSED)

    def _set_closed(self, value: bool, mine: bool) -> None:
        if value:
            self._advance(Event.CLOSE_SENT if mine else Event.CLOSE_RECEIVED)

    @property
    def terminated(self) -> bool:
        """Whether both sides have sent their Close frames, or the connection is gone."""
        return self._state in (State.ENDING, State.CLOSED)

    @property
    def connection(self) -> Any:
        """The socket; None when it is closed."""
        return self.sock

    @property
    def buf(self) -> bytes:
        """The bytes that were read and not looked at yet."""
        reader = self._stream._reader
        return reader.buffer[reader.position :]

    @property
    def local_address(self) -> Any:
        """This end's address: ``(host, port)``, or a path."""
        if self._local_address is None:
            self._local_address = _address(self.sock, "getsockname")
        return self._local_address

    @property
    def peer_address(self) -> Any:
        """The peer's address: ``(host, port)``, or a path."""
        if self._peer_address is None:
            self._peer_address = _address(self.sock, "getpeername")
        return self._peer_address

    # Driving itself over its socket

    def run(self) -> None:
        """Serve the connection to its end, in this thread."""
        transport = self._blocking()
        if transport is None:
            return
        try:
            transport.run(self._read_size)
            transport.hang_up()
        finally:
            self.terminate()

    def once(self) -> bool:
        """Read once and deal with what came; False when the connection is over."""
        if self.terminated or self.sock is None:
            return False
        transport = self._blocking()
        if transport is None:
            return False
        alive = transport.started or transport.start()
        while alive and not transport.paused:
            try:
                data = transport.receive(self._read_size())
            except OSError as error:
                return transport.break_off(error)
            if data is not None:
                alive = transport.feed(data)
            if not alive or not transport.channel.pending():
                break
        return alive and transport.tick()

    def process(self, data: bytes) -> bool:
        """Deal with bytes that came, ``b""`` for the end; False when the connection is over."""
        transport = self._blocking()
        return transport is not None and (transport.started or transport.start()) and transport.feed(data)

    def _start(self) -> bool:
        """Call `opened`, in the caller's thread; False if that was the end."""
        transport = self._blocking()
        return transport is not None and (transport.started or transport.start())

    def _blocking(self) -> BlockingTransport | None:
        """Return what drives this connection over its socket; None after `terminate`."""
        transport = self._transport
        if self._released:
            return None
        if not isinstance(transport, BlockingTransport):
            raise RuntimeError(f"{type(self).__name__} has no socket of its own to read from: its transport drives it")
        self._keepalive.beat = self.heartbeat_freq
        return transport

    def _read_size(self) -> int:
        return self.reading_buffer_size

    def close_connection(self) -> None:
        """Close the socket, whatever goes on; errors are of no interest any more."""
        sock, self.sock = self.sock, None
        cut_off = getattr(self._transport, "cut_off", None)
        if cut_off is not None:
            cut_off()
            return
        if sock is None:
            return
        with suppress(OSError, RuntimeError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, RuntimeError, AttributeError):
            sock.close()

    def terminate(self) -> None:
        """Call `closed` if that was not done, and let go of everything; twice is no harm."""
        if self._released:
            return
        closing = self._stream.closing
        if closing is None:
            self._abandon(ABNORMAL_CLOSURE, "Going away")
        else:
            self._abandon(closing.code, closing.reason)
        try:
            self.close_connection()
        finally:
            self._release()

    def _release(self) -> None:
        """Let go of everything, so that no cycle of references is left."""
        self._state = State.CLOSED
        self._released = True
        self._foreign = None
        self._transport = NO_TRANSPORT
        self.environ = None
        self._stream._cleanup()


class EchoWebSocket(WebSocket):
    """Send back every message as it came."""

    def received_message(self, message: TextMessage | BinaryMessage) -> Awaitable[object] | None:
        """Send it back."""
        sent: Awaitable[object] | None = self.send(message.data, message.is_binary)
        return sent


class _ForeignStream:
    """Let an object with the interface of ws4py's Stream serve a session."""

    def __init__(self, stream: Any) -> None:
        self._it = stream
        self._extension = stream  # it has its own way to encode
        self.at_eof = False
        self.has_input = False
        self.missing = 0

    @property
    def always_mask(self) -> Any:
        return self._it.always_mask

    @property
    def closing(self) -> CloseControlMessage | None:
        found: CloseControlMessage | None = self._it.closing
        return found

    def try_message(self) -> Message | None:
        """Take what the parser left behind, in ws4py's order."""
        it = self._it
        if it.closing is not None:
            return CloseControlMessage(it.closing.code, it.closing.reason)
        if it.errors:
            error = it.errors.pop(0)
            raise ProtocolError(error.code, str(error))
        if it.has_message:
            message: Message = it.message
            it.message = None
            return message
        for queue in (it.pings, it.pongs):
            if queue:
                control: Message = queue.pop(0)
                return control
        return None

    def refill(self) -> Generator[int, Any, None]:
        data = yield 1
        if data:
            self._it.parser.send(data)
        else:
            self.at_eof = True

    discard = refill

    def encode(self, opcode: int, data: bytes, outbox: list[bytes], fin: bool = True) -> int:
        it, mask = self._it, self._it.always_mask
        if opcode in (PING, PONG):
            frame: bytes = (it.ping if opcode == PING else it.pong)(data)
        elif opcode == CLOSE:
            message = Message(CLOSE, data)
            frame = message.single(mask=mask)
        else:
            make = {TEXT: it.text_message, BINARY: it.binary_message}.get(opcode, it.binary_message)
            made = make(data)
            frame = made.single(mask=mask) if opcode and fin else made.fragment(first=bool(opcode), last=fin, mask=mask)
        outbox.append(frame)
        return len(frame)

    def share(self, message: SharedMessage) -> Shared:
        """Encode a message that others are sent as well: here for this connection alone."""
        outbox: list[bytes] = []
        size = self.encode(message.opcode, message.data, outbox)
        return Shared(outbox[0], size)

    def _cleanup(self) -> None:
        self._it._cleanup()


def _address(sock: Any, name: str) -> Any:
    address = getattr(sock, name)() if sock is not None else None
    return address[:2] if isinstance(address, tuple) else address


if not TYPE_CHECKING:  # it would let a type checker take any name

    def __getattr__(name: str) -> Any:
        """Give ws4py's names ``ssl`` and ``pyOpenSSLError``; pyOpenSSL itself is not needed, and ssl not by all."""
        if name not in ("ssl", "pyOpenSSLError"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import ssl

        return ssl if name == "ssl" else ssl.SSLError
