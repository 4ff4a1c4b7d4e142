"""permessage-deflate (RFC 7692 7.2): the codec of one connection.

What a connection holds
-----------------------
Behind a complete message DEFLATE stands at the boundary of a block and of a byte, so all that
the next message can refer to is the last window of plain bytes. These bytes are all that a
connection keeps for certain: whatever deflates or inflates is primed with them (``zdict``).
Without context takeover nothing is kept at all.

A compressor of a connection that talks is kept as well, among those of the whole process and
within ``Limits.deflate_memory``: see `kept`. A window of more than 12 bits is the compressor's
alone. Without its compressor the connection goes on with the last 12 bits of it, since a message
*may* refer to earlier ones and need not (RFC 7692 7.2.3.2). So what a connection holds while it is
silent is 4 KiB for what it sends, whatever was agreed on, and the peer's window for what it reads.

A decompressor is made for each message. Priming one with 12 bits costs 0.6 µs, and only one that
may come to its end can tell that a message ended where a block does (see ``_END``).

What messages become depends on whether the compressor was still there. All of it is valid; that
a recording is replayed to the byte is `capture.packing`'s doing.

JSON of 109 bytes (trades), 332 (chat) and 3,862 (lists), level 3 of zlib 1.2.13: ratio by window.

    bits    memLevel   trades   chat    lists
     9      1           3.55    1.39     2.03
    10      2           3.86    3.07     2.79
    11      4           4.06    3.40     3.62
    12      5           4.32    3.61     3.93
    15      8           4.39    3.79     4.24

So 12 bits cost 7 % of the best ratio. Without context takeover trades stay at 1.25, chat at 1.5.

A secret and text that an attacker chooses do not belong into the same context (CRIME, BREACH).
It knows no frames, no sockets and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from sys import maxsize
from typing import ClassVar, Final, TypeAlias

from ..codes import INVALID_PAYLOAD, MESSAGE_TOO_BIG
from ..exc import ProtocolError
from ..limits import DEFAULT_LIMITS, Limits
from .engines import Deflater, Inflater, current
from .kept import KEPT, new_key

__all__ = ["PerMessageDeflate"]

NAME: Final = "permessage-deflate"

MIN_WINDOW_BITS: Final = 8
MAX_WINDOW_BITS: Final = 15
MIN_DEFLATE_BITS: Final = 9
"""zlib makes no raw DEFLATE with a window of 8 bits: old ones silently take 9, new ones refuse.
Reading it needs no more than a larger window."""

DEFAULT_WINDOW_BITS: Final = 12
DEFAULT_LEVEL: Final = 5
"""96 % of the ratio of zlib's own default, 6, in 92 % of its time; the same ratio with zlib-ng."""
DEFAULT_MEM_LEVEL: Final = 5
"""More is slower to set up and gains nothing with 12 bits: 3.61 for chat with 5, 3.62 with 8."""
DEFAULT_THRESHOLD: Final = 64
"""IP, TCP, TLS and the frame header have 70 to 90 bytes: deflating less than that cannot halve
a packet and costs 4 µs here and 1 µs there. Without context, JSON of 64 bytes becomes 55 to 61."""

PRIMED_SIZE: Final = 1 << 12
"""Most bytes of what was sent that a compressor is primed with: 32 KiB would cost 50 µs."""

MAX_FINAL_BLOCKS: Final = 1024
"""Final DEFLATE blocks in one message that have more behind them in their frame. Each costs a
new decompressor (1 to 4 µs) and its sender two bytes: a frame of 1 MiB could hold 524,288. No
encoder known needs more than one. More: Close 1009."""

_INPUT_STEP: Final = 4096
"""Behind a final block input goes in by so much: the decompressor copies what it left over."""

SYNC_FLUSH: Final = 2
# RFC 7692 7.2.1: every message ends with this, which is not sent.
TAIL: Final = b"\x00\x00\xff\xff"
# An empty final block. If the message ended where a block may begin, it ends the data there.
_END: Final = TAIL + b"\x03\x00"
# RFC 7692 7.2.3.6: what is left of a stored block of nothing.
EMPTY: Final = b"\x00"

_Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclass(slots=True, kw_only=True, eq=False)
class PerMessageDeflate:
    """Deflate and inflate the messages of one connection, fragment by fragment.

    ``own_*`` is for what is sent, ``peer_*`` for what is received. A peer's window of 8 bits is
    read with 9; with 8 of our own nothing is ever compressed, which RFC 7692 6 allows.
    Messages below ``threshold`` bytes are not worth it.
    """

    own_window_bits: int = DEFAULT_WINDOW_BITS
    own_no_context_takeover: bool = False
    peer_window_bits: int = MAX_WINDOW_BITS
    peer_no_context_takeover: bool = False
    level: int = DEFAULT_LEVEL
    mem_level: int = DEFAULT_MEM_LEVEL
    threshold: int = DEFAULT_THRESHOLD

    name: ClassVar[str] = NAME
    rsv: ClassVar[int] = 0x40

    # The last plain bytes, which the next message may refer to.
    _sent: bytes = field(default=b"", init=False, repr=False)
    _received: bytes = field(default=b"", init=False, repr=False)
    # None at the start of a message; the inflater behind a final block as well.
    _deflater: Deflater | None = field(default=None, init=False, repr=False)
    _inflater: Inflater | None = field(default=None, init=False, repr=False)
    _inflate_bits: int = field(init=False, repr=False)
    _primed_size: int = field(init=False, repr=False)
    _final_blocks: int = field(default=0, init=False, repr=False)
    # By what the compressor is kept, what that costs (0: it is not), and the number of our last turn.
    _key: int = field(default=0, init=False, repr=False)
    _cost: int = field(default=0, init=False, repr=False)
    _turn: int = field(default=0, init=False, repr=False)
    _room: int = field(default=DEFAULT_LIMITS.deflate_memory, init=False, repr=False)

    def __post_init__(self) -> None:
        check("own_window_bits", self.own_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        check("peer_window_bits", self.peer_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        check_settings(self.level, self.mem_level, self.threshold)
        self._inflate_bits = max(self.peer_window_bits, MIN_DEFLATE_BITS)
        self._primed_size = min(1 << self.own_window_bits, PRIMED_SIZE)

    def __del__(self, _take: Callable[[int], object] = KEPT.take) -> None:
        _take(self._key)

    def bound(self, limits: Limits) -> None:
        """Take note of what all compressors that are kept may take."""
        self._room = limits.deflate_memory

    def should_compress(self, size: int, final: bool = True) -> bool:
        """Tell whether a message that begins with a frame of this size is to be compressed.

        ``final`` says that the frame is the whole message; else its size is not known yet.
        """
        if self.own_window_bits < MIN_DEFLATE_BITS:
            return False
        return not final or size >= self.threshold

    def compress(self, payload: _Buffer, final: bool = True) -> bytes:
        """Deflate the payload of one frame; ``final`` says that it ends the message.

        Each fragment is flushed, so that the peer can read all of it when it comes. Only the
        last one loses its tail (RFC 7692 7.2.1). A memoryview must be one of bytes.
        """
        deflater = self._deflater
        if deflater is None:
            if final and not payload and self.own_window_bits >= MIN_DEFLATE_BITS:
                return EMPTY  # isal would take three bytes
            deflater = KEPT.take(self._key)
            if deflater is None:
                deflater = self._new_deflater()
        data = deflater.compress(payload)
        flushed = deflater.flush(SYNC_FLUSH)
        if not self.own_no_context_takeover:
            self._sent = _last(self._sent, payload, self._primed_size)
        if not final:
            self._deflater = deflater
            return data + flushed
        self._deflater = None
        self._turn = KEPT.bring(self._key, deflater, self._cost)
        # Nothing at all comes out when nothing came in since the last flush.
        return data + flushed[: -len(TAIL)] or EMPTY

    def _new_deflater(self) -> Deflater:
        """Make a compressor: one that stays if there is a place for it."""
        bits = self.own_window_bits
        if bits < MIN_DEFLATE_BITS:
            raise ValueError(
                f"own_window_bits is {bits}, expected {MIN_DEFLATE_BITS} to "
                f"{MAX_WINDOW_BITS} for compressing: ask should_compress first"
            )
        engines = current()
        engine = engines.kept[self.level]
        cost = 0 if self.own_no_context_takeover else engine.cost(bits, self.mem_level)
        if cost and KEPT.admits(cost, self._room, self._turn):
            self._key = self._key or new_key()
            self._cost = cost
        else:
            self._cost = 0
            engine = engines.brief[self.level]
        return engine.deflater(self.level, bits, self.mem_level, self._sent)

    def decompress(self, payload: _Buffer, final: bool, budget: int) -> bytes:
        """Inflate the payload of one frame; ``final`` says that it ends the message.

        ``budget`` is what the rest of the message may have. Raises ProtocolError: 1009 when
        that byte too many comes out, and no more than this one is made; 1007 when the data is
        broken or does not end where a DEFLATE block does. Both are for closing the connection.
        """
        data = b"".join((payload, _END)) if final else payload
        try:
            # One byte more shows that it is too much; zlib counts up to sys.maxsize.
            plain = self._inflate(data, final, budget + (budget < maxsize))
        except current().error as error:
            raise ProtocolError(INVALID_PAYLOAD, f"expected DEFLATE data, got: {error}") from error
        if final:
            if self._inflater is not None:
                raise ProtocolError(INVALID_PAYLOAD, "expected whole DEFLATE blocks, got a part of one")
            self._final_blocks = 0
            if self.peer_no_context_takeover:
                self._received = b""
        return plain

    def _inflate(self, data: _Buffer, final: bool, room: int) -> bytes:
        pieces = []
        new_inflater, bits = current().new_inflater, self._inflate_bits
        step = len(data)
        while data:
            inflater = self._inflater
            if inflater is None:
                if final and len(data) == len(_END):
                    break  # a final block, or nothing, came right before: no block is open
                # A block behind a final one may refer to what lies before it (RFC 7692 7.2.3.5),
                # so there the window goes in whether or not the next message will have it.
                inflater = new_inflater(bits, self._received)
            if room <= 0:
                raise _too_big()  # to zlib 0 means: without limit
            fed = data[:step]
            piece = inflater.decompress(fed, room)
            if piece:
                room -= len(piece)
                if room <= 0:
                    raise _too_big()
                pieces.append(piece)
                self._received = _last(self._received, piece, 1 << bits)
            # There was room left, so all of the input has been taken, or all up to the end.
            if not inflater.eof:
                self._inflater = inflater
                data = data[step:]
                continue
            self._inflater = None
            unused = len(inflater.unused_data)
            if not unused and len(fed) == len(data):
                break
            data = memoryview(data)[len(fed) - unused :]
            step = _INPUT_STEP
            self._final_blocks += 1
            if self._final_blocks > MAX_FINAL_BLOCKS:
                raise ProtocolError(MESSAGE_TOO_BIG, f"more than {MAX_FINAL_BLOCKS} final DEFLATE blocks")
        return b"".join(pieces)


def _last(window: bytes, more: _Buffer, size: int) -> bytes:
    room = size - len(more)
    return window[-room:] + more if room > 0 else bytes(more[-size:])


def _too_big() -> ProtocolError:
    return ProtocolError(MESSAGE_TOO_BIG, "the message inflates to more than Limits.max_message_size")


def check(name: str, value: int, least: int, most: int) -> None:
    """Raise ValueError for a value out of range."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, expected {least} to {most}")


def check_settings(level: int, mem_level: int, threshold: int) -> None:
    """Raise ValueError for a setting that makes no sense."""
    check("level", level, 0, 9)
    check("mem_level", mem_level, 1, 9)
    if threshold < 0:
        raise ValueError(f"threshold is {threshold!r}, expected 0 or more")
