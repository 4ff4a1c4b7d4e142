"""Every bound that a peer can run into, with its default and its reason.

All are on by default. They are checked before memory is spent. It knows numbers only:
who enforces a limit imports it from here and names the limit in the error.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Final

__all__ = ["DEFAULT_LIMITS", "LARGE_READ", "Limits"]

KIB = 1024
MIB = 1024 * 1024
# So much is read at once of a large payload.
LARGE_READ = 256 * KIB

# So that a header and the payload behind it can be counted in 63 bits, whatever the limit is.
LARGEST_FRAME: Final = 1 << 62
# Seconds, 31 years: a socket and a lock cannot wait for ten times as many, nor for ever by infinity.
LONGEST_TIME: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bound what one connection may cost. Sizes in bytes, times in seconds.

    Pass one to a server or a client: ``serve(Chat, limits=Limits(max_message_size=16 * MIB))``.
    ``None`` for a time switches it off. Raises ValueError for a value that makes no sense,
    TypeError for a time that is no number and a size that is no int.
    """

    max_message_size: int = 1 * MIB
    """Longest message, over all its fragments and after inflation; more is answered by
    Close 1009 from the frame header. One MiB is what the strictest wide-spread peer takes;
    a connection can never hold more than this of a message it has not delivered."""

    max_frame_size: int | None = None
    """Longest payload of one frame on the wire; None: as long as the message may be.
    For peers that should stream large messages in fragments. More: Close 1009."""

    max_fragments: int | None = None
    """Most frames in one message, empty ones too; None: the larger of 1024 and one per 16
    bytes of ``max_message_size``. Endless tiny fragments cost time, not size. More: Close 1009."""

    max_head_size: int = 16 * KIB
    """Whole head of a handshake request or response; more: HTTP 431. Nothing larger is
    ever buffered of a handshake."""

    max_line_size: int = 8 * KIB
    """One line of that head: the request line (HTTP 414) or a header (HTTP 431)."""

    max_headers: int = 128
    """Header lines of a handshake; more: HTTP 431."""

    open_timeout: float | None = 10.0
    """The whole opening handshake, connecting included, not each read of it: else a peer
    that sends a byte a minute holds a thread for ever. Then: HTTP 408."""

    close_timeout: float | None = 10.0
    """From our Close frame to the end of the connection. Then the socket is closed as it is."""

    ping_interval: float | None = 20.0
    """Time between two Pings. Shorter than the silence after which proxies cut (60 s is common)."""

    ping_timeout: float | None = 20.0
    """Silence after a Ping after which the peer is given up, with 1006 for the application.
    Any byte is a sign of life: a peer in the middle of a long frame cannot pong."""

    write_timeout: float | None = 40.0
    """Time for which a peer may take none of what we send. It would have failed to answer
    pings for as long (``ping_interval + ping_timeout``)."""

    max_outbox: int = 64 * KIB
    """Bytes of outgoing frames that wait in memory; beyond it a send blocks, or waits when
    awaited, and reading stops. The size of a kernel's socket buffer: more does not help."""

    max_unsent: int = 16 * MIB
    """Bytes that may wait for a slow peer where a send does not block and nobody awaits it;
    beyond it `send` raises BufferError. Who awaits, or returns what `send` returned, never meets
    it. Less would break programs that answer at once what they are asked; it is what one careless
    connection can cost."""

    max_inbox: int = 1 * MIB
    """Bytes of messages that wait for `receive`, with 512 for each message; beyond it nothing is
    read, so that TCP stops the peer. As much as one message may have: then none has to wait."""

    read_size: int = 128 * KIB
    """Most bytes taken from the provider at once: messages of 64 KiB, a common size, come whole. It
    bounds the work of a turn as well: the smallest client frame has 6 bytes, so one turn holds at
    most 21,845 of them, and on an event loop fewer, when they take long. Of the rest of
    a large payload, which is no work but a copy, an event loop takes up to 256 KiB."""

    deflate_memory: int = 1536 * KIB
    """Bytes that compressors may take which are kept between messages, in the whole process, not for
    each connection; 1 keeps none. One has 38 KiB with zlib and 160 with zlib-ng (window of 15 bits: 150
    and 272). Who talks most has one; the others make one for each message, of the last 4 KiB that they
    sent: JSON of 1 KiB takes 30 µs instead of 24 with zlib, and with the extra ``fast`` 13 instead of 17,
    but shrinks to 1/4.0 instead of 1/4.7. Of 400 connections that all have used deflate each holds 8
    KiB for it with 1, 11 with the default, 45 (zlib) or 168 (``fast``) with 64 MiB."""

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = f"Limits.{field.name}", getattr(self, field.name)
            is_time = field.name.endswith(("timeout", "interval"))
            if value is None:
                if field.default is not None and not is_time:
                    raise ValueError(f"{name} cannot be None: it is a size, expected an int >= 1")
                continue
            if isinstance(value, bool) or not isinstance(value, int | float if is_time else int):
                raise TypeError(f"{name} is {value!r}, expected {'seconds' if is_time else 'an int'}")
            if not value > 0:
                raise ValueError(f"{name} is {value!r}, expected more than 0")
            if is_time and value > LONGEST_TIME:
                raise ValueError(f"{name} is {value!r}, expected at most {LONGEST_TIME}, or None")
            if not is_time and value > sys.maxsize:
                raise ValueError(f"{name} is {value!r}, expected at most {sys.maxsize}")

    @property
    def frame_budget(self) -> int:
        """Bytes that one frame's payload may have."""
        return min(self.max_frame_size or LARGEST_FRAME, self.max_message_size, LARGEST_FRAME)

    @property
    def fragment_budget(self) -> int:
        """Frames that one message may have."""
        if self.max_fragments is None:
            return max(1024, self.max_message_size // 16)
        return self.max_fragments


DEFAULT_LIMITS = Limits()
