"""What an application finds in ``environ["wsgi.websocket"]``."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from ...codes import BINARY, CLOSE, PING, PONG, TEXT
from ...endpoint import Buffer
from ...exc import ConnectionClosed
from ...messaging import PongControlMessage
from ...server.conversation import Conversation
from ...states import State
from ...transports.handover import Environ
from .exceptions import WebSocketError

__all__ = ["MSG_ALREADY_CLOSED", "MSG_CLOSED", "MSG_SOCKET_DEAD", "WebSocket"]

MSG_SOCKET_DEAD = "Socket is dead"
MSG_ALREADY_CLOSED = "Connection is already closed"
MSG_CLOSED = "Connection closed"


class WebSocket:
    """Send and receive messages, in any greenlet."""

    OPCODE_CONTINUATION = 0x00
    OPCODE_TEXT = TEXT
    OPCODE_BINARY = BINARY
    OPCODE_CLOSE = CLOSE
    OPCODE_PING = PING
    OPCODE_PONG = PONG

    def __init__(self, environ: Environ, conversation: Conversation, handler: Any) -> None:
        self.environ = environ
        self.handler = handler
        self.current_app: Any = None
        self._ws = conversation.ws
        self._told = False

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._ws._state is not State.OPEN

    @property
    def origin(self) -> str | None:
        """The web site that has connected, None for a program."""
        return self.environ.get("HTTP_ORIGIN")

    @property
    def protocol(self) -> str | None:
        """The subprotocols that the client offers."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")

    @property
    def version(self) -> str | None:
        """The version of the protocol: 13."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    @property
    def path(self) -> str | None:
        """The path that was asked for."""
        return self.environ.get("PATH_INFO")

    @property
    def logger(self) -> logging.Logger:
        """The server's logger."""
        logger: logging.Logger = self.handler.logger
        return logger

    def receive(self) -> str | bytearray | None:
        """Return the next message: str, or bytearray of binary data; None, once, when the connection has ended.

        Raises WebSocketError from then on.
        """
        try:
            message = self._ws.receive()
        except ConnectionClosed as error:
            if self._told:
                raise WebSocketError(MSG_ALREADY_CLOSED) from error
            self._told = True
            return None
        return bytearray(message.data) if message.is_binary else str(message)

    wait = receive

    def send(self, message: Any, binary: bool | None = None) -> None:
        """Send a message: bytes and arrays as binary data, and anything else as text, unless ``binary`` says otherwise.

        Raises WebSocketError when the connection is closed or lost.
        """
        if binary is not False and not isinstance(message, str | bytes):
            with suppress(TypeError):
                message = bytes(memoryview(message))
        if binary is None:
            binary = isinstance(message, bytes)
        if binary and isinstance(message, str):
            message = message.encode("utf-8")
        elif not isinstance(message, str | bytes | bytearray | memoryview):
            message = "" if message is None else str(message)
        self._try(lambda: self._ws.send(message, binary=binary))

    def send_frame(self, message: str | Buffer, opcode: int) -> None:
        """Send a message, a Ping, a Pong or a Close by its opcode. Raises ValueError for any other."""
        data = message.encode("utf-8") if isinstance(message, str) else bytes(message)
        if opcode in (TEXT, BINARY):
            self.send(data, binary=opcode == BINARY)
        elif opcode == PING:
            self._try(lambda: self._ws.ping(data))
        elif opcode == PONG:
            self._try(lambda: self._ws.send(PongControlMessage(data)))
        elif opcode == CLOSE:
            self.close(int.from_bytes(data[:2], "big"), data[2:]) if data else self.close()
        else:
            raise ValueError(f"Opcode {opcode} cannot be sent: expected that of text, binary data, Ping, Pong or Close")

    def close(self, code: int = 1000, message: str | Buffer = b"") -> None:
        """Begin the closing handshake; twice is no harm."""
        self._ws.close(code, message)

    def _try(self, send: Any) -> None:
        was_closed = self.closed
        try:
            send()
        except ConnectionClosed as error:
            raise WebSocketError(MSG_ALREADY_CLOSED if was_closed else MSG_SOCKET_DEAD) from error
