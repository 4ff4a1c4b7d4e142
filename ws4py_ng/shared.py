"""One message for many connections, encoded once for each way in which they encode.

What decides about the bytes is the role (a client masks, RFC 6455 5.3) and what was agreed on
compression. A `Stream` looks here whether somebody of its kind was served before. It knows no
connection, and is kept for as long as somebody has yet to be sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

from ._core import encode_frame
from .codes import BINARY, TEXT
from .extensions.sharing import compress_alone, follow, setting
from .messaging import Message

__all__ = ["Shared", "SharedMessage", "shared_frame"]


class Shared(NamedTuple):
    """Hold what is put into an outbox: a frame, or a host's event, and its size in bytes."""

    piece: Any
    size: int
    compressed: bool = False


class SharedMessage:
    """Hold a text or binary message that many connections are sent; ``frames`` is by kind of connection.

    ``plain`` is the frame of a server without compression, once there is one.
    """

    __slots__ = ("data", "frames", "offset", "opcode", "plain")

    def __init__(self, opcode: int, data: bytes, offset: str = "") -> None:
        self.opcode = opcode
        self.data = data
        self.offset = offset  # where it stands in a stream
        self.frames: dict[Hashable, Shared] = {}
        self.plain: bytes | None = None

    @classmethod
    def of(cls, payload: object, binary: bool | None = None) -> SharedMessage:
        """Make one of a str, which is text; of bytes, which are binary unless ``binary`` is False; of a Message.

        Raises ValueError for anything else, and for bytes that are no text but should be.
        """
        if isinstance(payload, str):
            return cls(TEXT, payload.encode("utf-8"))
        if isinstance(payload, bytes | bytearray | memoryview):
            data = bytes(payload)
            if binary is not False:
                return cls(BINARY, data)
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"These bytes are not UTF-8 text ({error.reason} at byte {error.start}): pass binary=True"
                ) from None
            return cls(TEXT, data)
        if isinstance(payload, Message) and payload.opcode in (TEXT, BINARY):
            return cls(payload.opcode, payload.data)
        raise ValueError(f"Cannot publish {type(payload).__name__}: expected str, bytes or a text or binary Message")


class _Encoder(Protocol):
    always_mask: bool

    def encode(self, opcode: int, data: bytes, outbox: list[bytes]) -> int: ...


def shared_frame(stream: _Encoder, message: SharedMessage, extension: Any, new_mask_key: Callable[[], bytes]) -> Shared:
    """Return the frame of a message for a stream, made by the first of its kind."""
    kind = False if extension is None else setting(extension, len(message.data))
    if kind is None:
        pieces: list[bytes] = []
        size = stream.encode(message.opcode, message.data, pieces)
        return Shared(b"".join(pieces), size)
    masks = stream.always_mask
    shared = message.frames.get((masks, kind))
    if shared is None:
        first, data = 0x80 | message.opcode, message.data
        if kind:
            data = compress_alone(extension, data)
            first |= extension.rsv
        frame = encode_frame(first, data, new_mask_key() if masks else None)
        shared = message.frames[masks, kind] = Shared(frame, len(frame), kind is not False)
        if not (masks or kind):
            message.plain = frame
    if shared.compressed:
        follow(extension, message.data)
    return shared
