"""permessage-deflate (RFC 7692): the codec of one connection and its negotiation.

What a connection holds
-----------------------
Behind a complete message DEFLATE stands at the boundary of a block and of a byte, so all that
the next message can refer to is the last window of plain bytes. These bytes are all that is
kept: zlib's objects live from the first frame of a message to its last, are shared by nobody
and are primed with the window (``zdict``) when the next message comes. Without context
takeover nothing is kept at all.

Measured with CPython 3.11, zlib 1.2.13, level 3: bytes by tracemalloc, full windows both ways, 300
codecs; JSON of 109 bytes (trades), 332 (chat) and 3,862 (lists): ratio, µs to deflate and inflate.

    window   memLevel   idle KiB, zlib kept   trades           chat             lists
     9 bits  1           1.2       17         3.55  4.0  1.8   1.39 16.3  5.0   2.03  111  30
    10 bits  2           2.2       20         3.86  4.4  1.8   3.07  9.0  3.3   2.79   68  18
    11 bits  4           4.2       31         4.06  5.4  1.9   3.40  9.3  2.9   3.62   41  13
    12 bits  5           8.2       49         4.32  7.3  1.9   3.61 10.7  2.5   3.93   38  13
    15 bits  8         294        301         4.39  2.3  2.6   3.79  5.6  3.2   4.24   34  11

So 12 bits cost 7 % of the best ratio. Without context takeover trades stay at 1.25, chat at 1.5.
Above 12 bits priming costs far more than deflating (33 µs for a trade), so there, and only there,
the compressor is kept between messages: who sets that asks for speed and pays up to 262 KiB.

A secret and text that an attacker chooses do not belong into the same context (CRIME, BREACH).
It knows no frames, no sockets and no clock.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeAlias

from ..codes import INVALID_PAYLOAD, MESSAGE_TOO_BIG
from ..exc import ProtocolError

__all__ = ["PerMessageDeflate", "PerMessageDeflateFactory"]

NAME: Final = "permessage-deflate"

MIN_WINDOW_BITS: Final = 8
MAX_WINDOW_BITS: Final = 15
MIN_DEFLATE_BITS: Final = 9
"""zlib makes no raw DEFLATE with a window of 8 bits: old ones silently take 9, new ones refuse.
Reading it needs no more than a larger window."""

DEFAULT_WINDOW_BITS: Final = 12
DEFAULT_LEVEL: Final = 3
"""95 % of the ratio of zlib's own default, 6 (4.57, 3.72, 4.12), in 70 % of its time on lists."""
DEFAULT_MEM_LEVEL: Final = 5
"""More is slower to set up and gains nothing with 12 bits: 3.61 for chat with 5, 3.62 with 8."""
DEFAULT_THRESHOLD: Final = 64
"""IP, TCP, TLS and the frame header have 70 to 90 bytes: deflating less than that cannot halve
a packet and costs 7 µs here and 1 µs there. Without context, JSON of 64 bytes becomes 55 to 61."""

PRIMED_BITS: Final = 12
"""Largest window for which a compressor is made anew, and primed, for each message."""

MAX_FINAL_BLOCKS: Final = 1024
"""Final DEFLATE blocks in one message that have more behind them in their frame. Each costs a
new decompressor (1 to 4 µs) and its sender two bytes: a frame of 1 MiB could hold 524,288. No
encoder known needs more than one. More: Close 1009."""

_INPUT_STEP: Final = 4096
"""Behind a final block input goes in by so much: the decompressor copies what it left over."""

# RFC 7692 7.2.1: every message ends with this, which is not sent.
_TAIL = b"\x00\x00\xff\xff"
# An empty final block. If the message ended where a block may begin, it ends the data there.
_END = _TAIL + b"\x03\x00"
# RFC 7692 7.2.3.6: what is left of a stored block of nothing.
_EMPTY = b"\x00"

_SERVER_NO_CONTEXT: Final = "server_no_context_takeover"
_CLIENT_NO_CONTEXT: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"

_Buffer: TypeAlias = bytes | bytearray | memoryview
_Params: TypeAlias = list[tuple[str, str | None]]
_Table: TypeAlias = dict[str, dict[str | None, int]]

# RFC 7692 7.1: the parameters, the values that each may have, and what these mean. What is
# absent is forbidden: other names, leading zeros, a value for a flag.
_FLAG: Final[dict[str | None, int]] = {None: True}
_BITS: Final[dict[str | None, int]] = {str(n): n for n in range(MIN_WINDOW_BITS, MAX_WINDOW_BITS + 1)}
_ANSWER: Final[_Table] = {
    _SERVER_NO_CONTEXT: _FLAG,
    _CLIENT_NO_CONTEXT: _FLAG,
    _SERVER_BITS: _BITS,
    _CLIENT_BITS: _BITS,
}
# Only in an offer the client may leave the value to the server (RFC 7692 7.1.2.2).
_OFFER: Final[_Table] = _ANSWER | {_CLIENT_BITS: _BITS | {None: MAX_WINDOW_BITS}}


# The one place to put another zlib (zlib-ng, isal): it needs `compressobj`, `decompressobj`,
# `error`, `DEFLATED`, `Z_DEFAULT_STRATEGY` and `Z_SYNC_FLUSH`, and takes them by position.
_zlib = zlib


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

    # The last window of plain bytes, which the next message may refer to.
    _sent: bytes = field(default=b"", init=False, repr=False)
    _received: bytes = field(default=b"", init=False, repr=False)
    # None at the start of a message; the inflater behind a final block as well.
    _deflater: zlib._Compress | None = field(default=None, init=False, repr=False)
    _inflater: zlib._Decompress | None = field(default=None, init=False, repr=False)
    _final_blocks: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        _check("own_window_bits", self.own_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        _check("peer_window_bits", self.peer_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        _check_settings(self.level, self.mem_level, self.threshold)

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
            if self.own_window_bits < MIN_DEFLATE_BITS:
                raise ValueError(
                    f"own_window_bits is {self.own_window_bits}, expected {MIN_DEFLATE_BITS} to "
                    f"{MAX_WINDOW_BITS} for compressing: ask should_compress first"
                )
            deflater = _zlib.compressobj(
                self.level,
                _zlib.DEFLATED,
                -self.own_window_bits,
                self.mem_level,
                _zlib.Z_DEFAULT_STRATEGY,
                self._sent,
            )
        data = deflater.compress(payload)
        flushed = deflater.flush(_zlib.Z_SYNC_FLUSH)
        takeover = not self.own_no_context_takeover
        if takeover and self.own_window_bits <= PRIMED_BITS:
            self._sent = _last(self._sent, payload, 1 << self.own_window_bits)
            takeover = False
        self._deflater = None if final and not takeover else deflater
        if not final:
            return data + flushed
        # Nothing at all comes out when nothing came in since the last flush.
        return data + flushed[: -len(_TAIL)] or _EMPTY

    def decompress(self, payload: _Buffer, final: bool, budget: int) -> bytes:
        """Inflate the payload of one frame; ``final`` says that it ends the message.

        ``budget`` is what the rest of the message may have. Raises ProtocolError: 1009 when
        that byte too many comes out, and no more than this one is made; 1007 when the data is
        broken or does not end where a DEFLATE block does. Both are for closing the connection.
        """
        data = b"".join((payload, _END)) if final else payload
        try:
            plain = self._inflate(memoryview(data), final, budget + 1)
        except _zlib.error as error:
            raise ProtocolError(INVALID_PAYLOAD, f"expected DEFLATE data, got: {error}") from error
        if final:
            if self._inflater is not None:
                raise ProtocolError(INVALID_PAYLOAD, "expected whole DEFLATE blocks, got a part of one")
            self._final_blocks = 0
            if self.peer_no_context_takeover:
                self._received = b""
        return plain

    def _inflate(self, data: memoryview, final: bool, room: int) -> bytes:
        pieces = []
        step = len(data)
        while data:
            inflater = self._inflater
            if inflater is None:
                if final and len(data) == len(_END):
                    break  # a final block, or nothing, came right before: no block is open
                # A block behind a final one may refer to what lies before it (RFC 7692 7.2.3.5),
                # so there the window goes in whether or not the next message will have it.
                inflater = _zlib.decompressobj(-self._inflate_bits, self._received)
            if room <= 0:
                raise _too_big()  # to zlib 0 means: without limit
            fed = data[:step]
            piece = inflater.decompress(fed, room)
            if piece:
                room -= len(piece)
                if room <= 0:
                    raise _too_big()
                pieces.append(piece)
                self._received = _last(self._received, piece, 1 << self._inflate_bits)
            # There was room left, so all of the input has been taken, or all up to the end.
            if inflater.eof:
                self._inflater = None
                data = data[len(fed) - len(inflater.unused_data) :]
                step = _INPUT_STEP
                self._final_blocks += len(data) > 0
                if self._final_blocks > MAX_FINAL_BLOCKS:
                    raise ProtocolError(MESSAGE_TOO_BIG, f"more than {MAX_FINAL_BLOCKS} final DEFLATE blocks")
            else:
                self._inflater = inflater
                data = data[step:]
        return b"".join(pieces)

    @property
    def _inflate_bits(self) -> int:
        return max(self.peer_window_bits, MIN_DEFLATE_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflateFactory:
    """Negotiate permessage-deflate, as a server (`accept`) or a client (`offer`, `confirm`).

    Pass one to a server or a client; it holds no connection's state. Raises ValueError for a
    value that makes no sense. ``level``, ``mem_level`` and ``threshold`` are about what we send.
    """

    server_no_context_takeover: bool = False
    """The server forgets its window after each message: no memory, and a third of the ratio."""

    client_no_context_takeover: bool = False
    """The client forgets its window after each message."""

    server_max_window_bits: int | None = None
    """Window of what the server sends. A server deflates with no more than this and says so;
    None: 12. A client asks for no more and refuses a server that does not agree; None: it does
    not ask, since servers that know nothing of it are many."""

    client_max_window_bits: int | bool | None = True
    """Window of what the client sends. A client deflates with no more than this (True, None:
    12) and offers to obey a smaller one, unless None. A server asks for no more (True: 12)
    unless None; a client that did not offer to obey has to do without context takeover
    instead, so that the memory that a server gives is its own to choose."""

    level: int = DEFAULT_LEVEL
    mem_level: int = DEFAULT_MEM_LEVEL
    threshold: int = DEFAULT_THRESHOLD

    name: ClassVar[str] = NAME

    def __post_init__(self) -> None:
        if self.server_max_window_bits is not None:
            _check(_SERVER_BITS, self.server_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        if self.client_max_window_bits is not None and self.client_max_window_bits is not True:
            _check(_CLIENT_BITS, self.client_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        _check_settings(self.level, self.mem_level, self.threshold)

    def accept(self, params: _Params) -> tuple[_Params, PerMessageDeflate] | None:
        """Answer a client's offer, as a server: the parameters of the answer, and the codec.

        None declines: a parameter that RFC 7692 7.1 does not have, twice, or with a value that
        it cannot have; or a window of 8 bits for us, which zlib cannot keep to.
        """
        try:
            offered = _read(params, _OFFER)
        except ValueError:
            return None
        own_bits = self.server_max_window_bits or DEFAULT_WINDOW_BITS
        own_bits = min(own_bits, offered.get(_SERVER_BITS, MAX_WINDOW_BITS))
        if own_bits < MIN_DEFLATE_BITS:
            return None
        own_forgets = self.server_no_context_takeover or _SERVER_NO_CONTEXT in offered
        peer_forgets = self.client_no_context_takeover or _CLIENT_NO_CONTEXT in offered
        wanted = MAX_WINDOW_BITS if self.client_max_window_bits is None else self._client_bits
        if _CLIENT_BITS in offered:
            peer_bits = min(wanted, offered[_CLIENT_BITS])
        else:
            peer_bits = MAX_WINDOW_BITS
            peer_forgets = peer_forgets or wanted < MAX_WINDOW_BITS
        answer: _Params = []
        if own_forgets:
            answer.append((_SERVER_NO_CONTEXT, None))
        if peer_forgets:
            answer.append((_CLIENT_NO_CONTEXT, None))
        if own_bits < MAX_WINDOW_BITS or _SERVER_BITS in offered:
            answer.append((_SERVER_BITS, str(own_bits)))
        if peer_bits < MAX_WINDOW_BITS:
            answer.append((_CLIENT_BITS, str(peer_bits)))
        return answer, self._codec(own_bits, own_forgets, peer_bits, peer_forgets)

    def offer(self) -> _Params:
        """Give the parameters of a client's offer."""
        offer: _Params = []
        if self.server_no_context_takeover:
            offer.append((_SERVER_NO_CONTEXT, None))
        if self.client_no_context_takeover:
            offer.append((_CLIENT_NO_CONTEXT, None))
        if self.server_max_window_bits is not None:
            offer.append((_SERVER_BITS, str(self.server_max_window_bits)))
        if self.client_max_window_bits is not None:
            bits = self.client_max_window_bits
            offer.append((_CLIENT_BITS, None if bits is True else str(bits)))
        return offer

    def confirm(self, params: _Params) -> PerMessageDeflate:
        """Read the server's answer to `offer`, as a client.

        Raises ValueError when RFC 7692 7.1 does not allow that answer to that offer: the client
        then has to fail the connection.
        """
        answer = _read(params, _ANSWER)
        offered = _read(self.offer(), _OFFER)
        for name in (_SERVER_NO_CONTEXT, _SERVER_BITS):
            if name in offered and name not in answer:
                raise ValueError(f"expected {name} in the answer, as offered, got none")
        if _CLIENT_BITS in answer and _CLIENT_BITS not in offered:
            raise ValueError(f"expected no {_CLIENT_BITS}, which was not offered, got {answer[_CLIENT_BITS]}")
        for name in (_SERVER_BITS, _CLIENT_BITS):
            most = offered.get(name, MAX_WINDOW_BITS)
            if answer.get(name, most) > most:
                raise ValueError(f"expected {name} of at most {most}, as offered, got {answer[name]}")
        return self._codec(
            min(self._client_bits, answer.get(_CLIENT_BITS, MAX_WINDOW_BITS)),
            self.client_no_context_takeover or _CLIENT_NO_CONTEXT in answer,
            answer.get(_SERVER_BITS, MAX_WINDOW_BITS),
            _SERVER_NO_CONTEXT in answer,
        )

    @property
    def _client_bits(self) -> int:
        bits = self.client_max_window_bits
        return DEFAULT_WINDOW_BITS if bits is None or bits is True else bits

    def _codec(self, own: int, own_forgets: bool, peer: int, peer_forgets: bool) -> PerMessageDeflate:
        return PerMessageDeflate(
            own_window_bits=own,
            own_no_context_takeover=own_forgets,
            peer_window_bits=peer,
            peer_no_context_takeover=peer_forgets,
            level=self.level,
            mem_level=self.mem_level,
            threshold=self.threshold,
        )


def _read(params: _Params, table: _Table) -> dict[str, int]:
    read: dict[str, int] = {}
    for name, value in params:
        if name not in table:
            raise ValueError(f"expected a parameter of {NAME}, got {name!r:.60}")
        if name in read:
            raise ValueError(f"expected {name} once, got it twice")
        if value not in table[name]:
            expected = "no value" if table[name] is _FLAG else f"{MIN_WINDOW_BITS} to {MAX_WINDOW_BITS}"
            raise ValueError(f"expected {name} with {expected}, got {value!r:.60}")
        read[name] = table[name][value]
    return read


def _last(window: bytes, more: _Buffer, size: int) -> bytes:
    if len(more) >= size:
        return bytes(more[-size:])
    return (window + more)[-size:]


def _too_big() -> ProtocolError:
    return ProtocolError(MESSAGE_TOO_BIG, "the message inflates to more than Limits.max_message_size")


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, expected {least} to {most}")


def _check_settings(level: int, mem_level: int, threshold: int) -> None:
    _check("level", level, 0, 9)
    _check("mem_level", mem_level, 1, 9)
    if threshold < 0:
        raise ValueError(f"threshold is {threshold!r}, expected 0 or more")
