"""A frame as an object (RFC 6455 5.2), with ws4py's name and manners.

For those who build or take apart single frames by hand. A connection does not make one
of these per frame: `_core` reads and writes bytes.
"""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct

from ._core import apply_mask, frame_head
from .codes import BINARY, CLOSE, CONTINUATION, MAX_CONTROL_PAYLOAD, OPCODES, PING, PONG, TEXT
from .exc import FrameTooLargeException, ProtocolException

__all__ = ["Frame"]

OPCODE_CONTINUATION = CONTINUATION
OPCODE_TEXT = TEXT
OPCODE_BINARY = BINARY
OPCODE_CLOSE = CLOSE
OPCODE_PING = PING
OPCODE_PONG = PONG

_unpack_medium = Struct("!H").unpack
_unpack_long = Struct("!Q").unpack

Buffer = bytes | bytearray | memoryview


class Frame:
    """Hold one frame; `build` makes its bytes and `parser` reads them.

    ``body`` is bytes, as it stands on the wire: masked if ``masking_key`` (4 bytes) was
    read. ``fin`` and the ``rsv`` bits are 0 or 1. Raises TypeError if the body is not bytes.
    """

    def __init__(
        self,
        opcode: int | None = None,
        body: bytes = b"",
        masking_key: bytes | None = None,
        fin: int = 0,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
    ) -> None:
        if not isinstance(body, bytes):
            raise TypeError(f"The body of a frame must be bytes, got {type(body).__name__}")
        self.opcode = opcode
        self.body = body
        self.masking_key = masking_key
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.payload_length = len(body)
        self._parser: Generator[int | None, Buffer | str, None] | None = None

    @property
    def parser(self) -> Generator[int | None, Buffer | str, None]:
        """Read one frame: send bytes, get the number of bytes wanted next, None at the end."""
        if self._parser is None:
            self._parser = self._parsing()
            next(self._parser)
        return self._parser

    def _cleanup(self) -> None:
        """Close the parser, if it was begun."""
        if self._parser is not None:
            self._parser.close()
            self._parser = None

    def build(self) -> bytes:
        """Return the frame's bytes; the body is masked if there is a masking key.

        Raises ValueError for an opcode or a ``fin`` that does not exist, and
        FrameTooLargeException from 2**63 bytes on. A control frame's size is not checked.
        """
        if self.opcode not in OPCODES:
            raise ValueError(f"Opcode {self.opcode!r} is not one of {sorted(OPCODES)}")
        if self.fin > 1:
            raise ValueError(f"FIN bit is {self.fin!r}, expected 0 or 1")
        if self.payload_length >= 1 << 63:
            raise FrameTooLargeException(f"Frame of {self.payload_length} bytes, expected less than 2**63")
        first = self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | self.opcode
        if not self.masking_key:
            return frame_head(first, self.payload_length, None) + self.body
        return frame_head(first, self.payload_length, self.masking_key) + bytes(self.mask(self.body))

    def mask(self, data: Buffer) -> bytearray:
        """Mask or unmask data with this frame's key."""
        if self.masking_key is None:
            raise ValueError("This frame has no masking key")
        return bytearray(apply_mask(data, self.masking_key))

    unmask = mask

    def _parsing(self) -> Generator[int | None, Buffer | str, None]:
        buffer = bytearray()

        def fed(size: int) -> Generator[int, Buffer | str, bytes]:
            while len(buffer) < size:
                data = yield size - len(buffer)
                buffer.extend(data.encode("latin-1") if isinstance(data, str) else data)
            taken = bytes(buffer[:size])
            del buffer[:size]
            return taken

        first = (yield from fed(1))[0]
        self.fin, self.rsv1, self.rsv2, self.rsv3 = first >> 7, first >> 6 & 1, first >> 5 & 1, first >> 4 & 1
        self.opcode = first & 0x0F
        if first & 0x70:
            raise ProtocolException(f"Reserved bits 0x{first & 0x70:02X} are set")
        if self.opcode not in OPCODES:
            raise ProtocolException(f"Opcode {self.opcode} is reserved")
        if self.opcode >= CLOSE and not self.fin:
            raise ProtocolException("Control frame in fragments")
        second = (yield from fed(1))[0]
        self.payload_length = second & 0x7F
        if self.opcode >= CLOSE and self.payload_length > MAX_CONTROL_PAYLOAD:
            raise FrameTooLargeException(f"Control frame of more than {MAX_CONTROL_PAYLOAD} bytes")
        if self.payload_length == 127:
            self.payload_length = _unpack_long((yield from fed(8)))[0]
            if self.payload_length >= 1 << 63:
                raise FrameTooLargeException(f"Frame of {self.payload_length} bytes, expected less than 2**63")
        elif self.payload_length == 126:
            self.payload_length = _unpack_medium((yield from fed(2)))[0]
        if second & 0x80:
            self.masking_key = yield from fed(4)
        self.body = yield from fed(self.payload_length)
        yield None
