"""Extensions: what they look like to the layer that builds and reads frames.

An extension here works on payloads of data messages and owns one RSV bit. It knows no
sockets, no frames and no headers beyond its own parameters.
"""

from __future__ import annotations

from typing import Protocol

from ..limits import Limits
from .negotiation import PerMessageDeflateFactory
from .permessage_deflate import PerMessageDeflate

__all__ = ["Extension", "PerMessageDeflate", "PerMessageDeflateFactory"]


class Extension(Protocol):
    """Code the payloads of one connection's messages, in both directions.

    A message is coded from its first frame to its last or not at all: ``rsv`` is set in the
    first frame of a coded message and in no other. ``compress`` is called in wire order,
    under the guard that also appends the frame to the outbox.
    """

    @property
    def name(self) -> str:
        """Name the extension as in Sec-WebSocket-Extensions."""
        ...

    @property
    def rsv(self) -> int:
        """Give the RSV bit that marks a coded message, as it stands in a frame's first byte."""
        ...

    def bound(self, limits: Limits) -> None:
        """Take note of what may be spent; called once, before the first message."""
        ...

    def should_compress(self, size: int, final: bool = True) -> bool:
        """Tell whether a message that begins with a frame of this size is to be coded.

        Must be asked at the start of each message; ``final`` says that the frame is all of it.
        """
        ...

    def compress(self, payload: bytes | bytearray | memoryview, final: bool = True) -> bytes:
        """Code the payload of one frame; ``final`` says that it ends the message."""
        ...

    def decompress(self, payload: bytes | bytearray | memoryview, final: bool, budget: int) -> bytes:
        """Decode the payload of one frame; ``final`` says that it ends the message.

        Raises ProtocolError(1009) instead of making more than ``budget`` bytes, the rest of
        what the message may have, and ProtocolError(1007) for data that cannot be decoded.
        """
        ...
