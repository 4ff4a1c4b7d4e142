"""The protocol as rows: what comes in, which hooks are called, what goes out.

Each row runs in every way its bytes can be cut, under every driver (`test_hostile.py`).
Names such as F08 or C10 are those of the project's catalogue of hostile inputs. The bytes
of every row are followed by the end of the stream.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from test.chunking import BINARY, CLOSE, PING, PONG, TEXT, Piece, Raw, Seen, deflated, wire
from ws4py_ng.endpoint import Endpoint
from ws4py_ng.limits import DEFAULT_LIMITS, Limits

Event = tuple[Any, ...]


class Ours:
    """Equal every reason that this end gives itself: text."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other != ""

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<a reason of ours>"


class Closes:
    """Equal every Close frame with this code and a reason that is valid, whatever it says."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Seen) or other.opcode != CLOSE or not 2 < len(other.payload) <= 125:
            return False
        return self.code == struct.unpack("!H", other.payload[:2])[0] and bool(other.payload[2:].decode())

    def __hash__(self) -> int:
        return self.code

    def __repr__(self) -> str:
        return f"<a Close frame {self.code}>"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Hold one row; ``opened`` is what the application does in that hook."""

    name: str
    pieces: tuple[Any, ...]
    events: tuple[Event, ...]
    out: tuple[Any, ...] = ()
    clean: bool = False
    roles: tuple[str, ...] = ("server", "client")
    limits: Limits = DEFAULT_LIMITS
    deflate: bool = False
    opened: Callable[[Endpoint], object] = field(default=lambda endpoint: None)

    def wire(self, role: str) -> bytes:
        """Build what comes in; a client's frames are masked, and come to a server."""
        return wire(self.pieces, masked=role == "server")


OURS = Ours()
GONE = ("closed", 1006, "Going away")

SMALL = Limits(max_message_size=1000)


def text(data: str | bytes, **options: Any) -> Piece:
    """Make a text frame."""
    return Piece(TEXT, data.encode() if isinstance(data, str) else data, **options)


def binary(data: bytes, **options: Any) -> Piece:
    """Make a binary frame."""
    return Piece(BINARY, data, **options)


def more(data: bytes = b"", **options: Any) -> Piece:
    """Make a continuation frame."""
    return Piece(0, data, **options)


def ping(data: bytes = b"", **options: Any) -> Piece:
    """Make a Ping frame."""
    return Piece(PING, data, **options)


def pong(data: bytes = b"", **options: Any) -> Piece:
    """Make a Pong frame."""
    return Piece(PONG, data, **options)


def close(code: int | None = None, reason: bytes = b"", **options: Any) -> Piece:
    """Make a Close frame."""
    return Piece(CLOSE, b"" if code is None else struct.pack("!H", code) + reason, **options)


def ponged(data: bytes = b"") -> Seen:
    """Expect a Pong frame."""
    return Seen(PONG, data)


def closes(code: int | None = None, reason: bytes = b"") -> Seen:
    """Expect this Close frame."""
    return Seen(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def fine(name: str, *pieces: Any, says: tuple[Event, ...], out: tuple[Any, ...] = (), **options: Any) -> Case:
    """Make a row of what is right: the peer closes with 1000 at the end."""
    return Case(
        name=name,
        pieces=(*pieces, close(1000, b"bye")),
        events=(*says, ("closed", 1000, b"bye")),
        out=(*out, closes(1000, b"bye")),
        clean=True,
        **options,
    )


def wrong(
    name: str,
    *pieces: Any,
    code: int = 1002,
    says: tuple[Event, ...] = (),
    out: tuple[Any, ...] = (),
    behind: bool = True,
    **options: Any,
) -> Case:
    """Make a row of a violation: what comes behind it is not looked at."""
    return Case(
        name=name,
        pieces=(*pieces, text("never seen"), ping(b"never answered")) if behind else pieces,
        events=(*says, ("closed", code, OURS)),
        out=(*out, Closes(code)),
        **options,
    )


def over(name: str, *pieces: Any, says: tuple[Event, ...] = (), out: tuple[Any, ...] = (), **options: Any) -> Case:
    """Make a row of a stream that ends without a Close frame."""
    return Case(name=name, pieces=pieces, events=(*says, GONE), out=out, **options)


def messages() -> Iterator[Case]:
    """RFC 6455 5.2, 5.4, 5.6: data."""
    hello = ("text", "Hello")
    yield fine("a text message", text("Hello"), says=(hello,))
    yield fine("an empty text message", text(""), says=(("text", ""),))
    yield fine("an empty binary message", binary(b""), says=(("binary", b""),))
    for size in (1, 125, 126, 127, 128, 65535, 65536, 70000):
        data = random.Random(size).randbytes(size)
        yield fine(f"a binary message of {size} bytes", binary(data), says=(("binary", data),))
    for size in (125, 126, 65536):
        yield fine(f"a text message of {size} bytes", text("ä" * (size // 2)), says=(("text", "ä" * (size // 2)),))
    yield fine("text in two fragments", text("Hel", fin=0), more(b"lo"), says=(hello,))
    yield fine(
        "text in fragments of one byte",
        text("H", fin=0),
        *(more(bytes([c]), fin=0) for c in b"ello"),
        more(),
        says=(hello,),
    )
    yield fine("an empty first fragment", text("", fin=0), more(b"Hello"), says=(hello,))
    yield fine("empty fragments only", binary(b"", fin=0), more(fin=0), more(), says=(("binary", b""),))
    yield fine(
        "an empty last fragment",
        binary(b"ab", fin=0),
        more(fin=0),
        more(b"c", fin=0),
        more(),
        says=(("binary", b"abc"),),
    )
    yield fine(
        "control frames between fragments",
        *(text("Hel", fin=0), ping(b"1"), pong(b"2"), more(b"", fin=0), ping(b"3"), more(b"lo"), ping(b"4")),
        says=(("ponged", b"2"), hello),
        out=(ponged(b"1"), ponged(b"3"), ponged(b"4")),
    )
    yield fine(
        "messages of both kinds, in fragments or not",
        *(text("a"), binary(b"b", fin=0), more(b"c"), text("d", fin=0), more(b"e"), binary(b"f"), text("g")),
        says=(("text", "a"), ("binary", b"bc"), ("text", "de"), ("binary", b"f"), ("text", "g")),
    )
    yield fine(
        "many small messages", *(text(str(n)) for n in range(30)), says=tuple(("text", str(n)) for n in range(30))
    )
    large = random.Random(7).randbytes(3000)
    yield fine("large fragments", binary(large, fin=0), more(large, fin=0), more(large), says=(("binary", large * 3),))


def pings() -> Iterator[Case]:
    """RFC 6455 5.5.2, 5.5.3."""
    yield fine("an empty Ping", ping(), says=(), out=(ponged(),))
    yield fine("a Ping of 125 bytes", ping(b"\xff" * 125), says=(), out=(ponged(b"\xff" * 125),))
    yield fine(
        "ten Pings", *(ping(b"%d" % n) for n in range(10)), says=(), out=tuple(ponged(b"%d" % n) for n in range(10))
    )
    yield fine(
        "a Pong that nobody asked for", pong(), pong(b"\x00" * 125), says=(("ponged", b""), ("ponged", b"\x00" * 125))
    )


def framing() -> Iterator[Case]:
    """RFC 6455 5.1, 5.2, 5.5: what a frame may not be."""
    for rsv in range(1, 8):
        yield wrong(f"F01 reserved bits {rsv} on text", text("x", rsv=rsv))
        yield wrong(f"F02 reserved bits {rsv} on a Ping", ping(b"x", rsv=rsv))
    for name, piece in {"continuation": more(b"x", rsv=4), "Close": close(1000, rsv=1), "Pong": pong(rsv=2)}.items():
        yield wrong(f"F02 reserved bits on {name}", text("a", fin=0), piece)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield wrong(f"F03 opcode {opcode}", Piece(opcode, b"x"))
        yield wrong(f"F04 opcode {opcode}, empty", text("before"), Piece(opcode), says=(("text", "before"),))
    yield wrong("F03 a reserved opcode within a message", text("a", fin=0), Piece(4, b"x"))
    for piece in (text("x"), binary(b""), ping(b"x"), close(1000), more(b"x")):
        yield wrong(f"F05 the mask is wrong on opcode {piece.opcode}", piece._replace(wrong_mask=True))
    for length, form in ((0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)):
        name = f"F06 length {length} in {form} bits"
        yield wrong(name, binary(b"x" * length, form=form))
        yield wrong(f"{name}, on a continuation", text("a", fin=0), more(b"x" * length, form=form))
    yield wrong("F08 the top bit of the length", binary(b"", length=1 << 63))
    yield wrong("F08 all bits of the length", binary(b"", length=(1 << 64) - 1))
    yield wrong("F09 length 2**63-1", binary(b"", length=(1 << 63) - 1), code=1009)
    yield wrong("F10 length 64 MiB", binary(b"", length=1 << 26), code=1009)
    yield wrong("F10 the header is enough", binary(b"", length=1 << 26), code=1009, behind=False)
    for name, piece in {"Ping": ping(b"x", fin=0), "Pong": pong(fin=0), "Close": close(1000, fin=0)}.items():
        yield wrong(f"F11 {name} in fragments", piece)
    for opcode in (CLOSE, PING, PONG):
        yield wrong(f"F12 opcode {opcode} of 126 bytes", Piece(opcode, b"\x03\xe8" + b"x" * 124))
        yield wrong(f"F12 opcode {opcode} of 65536 bytes", Piece(opcode, b"", length=65536))
    yield wrong("F13 a continuation of nothing", more(b"x"))
    yield wrong("F13 a continuation of nothing, not the last", more(b"x", fin=0))
    yield wrong(
        "F13 a continuation behind a whole message", text("a", fin=0), more(b"b"), more(b"c"), says=(("text", "ab"),)
    )
    for opcode in (TEXT, BINARY):
        for first in (TEXT, BINARY):
            yield wrong(
                f"F14 opcode {opcode} within a message of {first}", Piece(first, b"a", fin=0), Piece(opcode, b"b")
            )
    yield wrong("F14 a message within an empty one", text("", fin=0), text("b", fin=0))
    yield wrong(
        "what came before a violation is delivered before it",
        *(text("a"), ping(b"1"), pong(b"2"), text("b", fin=0), ping(b"3"), text("c")),
        says=(("text", "a"), ("ponged", b"2")),
        out=(ponged(b"1"), ponged(b"3")),
    )


BAD_UTF8 = {
    "a byte that begins nothing": b"\xff",
    "a continuation byte": b"\x80",
    "overlong slash, two bytes": b"\xc0\xaf",
    "overlong slash, three bytes": b"\xe0\x80\xaf",
    "overlong slash, four bytes": b"\xf0\x80\x80\xaf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "a sequence that breaks off": b"\xe2\x82A",
    "Autobahn 6.4.1": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65\x64\x69\x74\x65\x64",
}


def utf8() -> Iterator[Case]:
    """RFC 6455 8.1: text is UTF-8."""
    greek = "κόσμε 𝄞 \U0010ffff \x00"
    raw = greek.encode()
    yield fine("F18 text beyond ASCII", text(greek), says=(("text", greek),))
    for place in (1, 2, 3, 15, 18):
        yield fine(
            f"F18 a character cut at {place}", text(raw[:place], fin=0), more(raw[place:]), says=(("text", greek),)
        )
    yield fine(
        "F18 a character in four fragments, a Ping between them",
        *(text("", fin=0), more(b"\xf0", fin=0), more(b"\x9d", fin=0), ping(), more(b"\x84", fin=0), more(b"\x9e")),
        says=(("text", "𝄞"),),
        out=(ponged(),),
    )
    yield fine("binary data need not be text", binary(b"\xff\xfe"), says=(("binary", b"\xff\xfe"),))
    yield fine(
        "bad text is fine in binary fragments", binary(b"\xff", fin=0), more(b"\xfe"), says=(("binary", b"\xff\xfe"),)
    )
    for name, bad in BAD_UTF8.items():
        yield wrong(f"F15 {name}", text(b"ok" + bad), code=1007)
        yield wrong(f"F17 {name}, message not complete", text(b"ok", fin=0), more(bad, fin=0), code=1007)
        unfinished = Piece(TEXT, b"ok" + bad + b"....", length=1000)
        yield wrong(f"F17 {name}, frame not complete", unfinished, code=1007, behind=False)
        yield wrong(
            f"F17 {name}, fragment not complete",
            text(b"ok", fin=0),
            unfinished._replace(opcode=0),
            code=1007,
            behind=False,
        )
    for place in (1, 2, 3):
        cut = "𝄞".encode()[:place]
        yield wrong(f"F15 text ends after {place} bytes of a character", text(cut), code=1007)
        yield wrong(
            f"F15 a last fragment ends after {place} bytes of a character", text(b"", fin=0), more(cut), code=1007
        )
        yield wrong(
            f"F15 an empty last fragment behind {place} bytes of a character", text(cut, fin=0), more(), code=1007
        )
    yield wrong("a message before bad text is delivered", text("a"), text(b"\xff"), code=1007, says=(("text", "a"),))


def closing() -> Iterator[Case]:
    """RFC 6455 5.5.1, 7: Close frames of the peer."""
    yield wrong("C01 a Close of one byte", Piece(CLOSE, b"\x03"))
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield wrong(f"C02 code {code}", close(code))
        yield wrong(f"C03 code {code} and a reason", close(code, b"why"))
    for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999):
        yield Case(
            name=f"C04 code {code}",
            pieces=(close(code, b"why"),),
            events=(("closed", code, b"why"),),
            out=(closes(code, b"why"),),
            clean=True,
        )
    for name, bad in BAD_UTF8.items():
        yield wrong(f"C05 {name} in the reason", close(1000, bad), code=1007)
    yield wrong("C05 half a character in the reason", close(1000, b"\xe2\x82"), code=1007)
    longest = "ä".encode() * 61 + b"!"
    for name, piece, event in (
        ("C06 an empty Close", close(), ("closed", 1005, b"")),
        ("C07 a code and no reason", close(1000), ("closed", 1000, b"")),
        ("a reason of 123 bytes", close(1000, longest), ("closed", 1000, longest)),
    ):
        out = (Seen(CLOSE, piece.payload),)
        yield Case(name=name, pieces=(piece,), events=(event,), out=out, clean=True)
        behind = (text("x"), ping(b"x"), binary(b"y" * 300), *[close(1001)] * 20, text(b"\xff"), Piece(15))
        yield Case(
            name=f"C08 {name}, and more behind it", pieces=(piece, *behind), events=(event,), out=out, clean=True
        )
    done = {"events": (("closed", 1000, b""),), "out": (closes(1000),), "clean": True}
    yield Case(name="C10 a Close within a message", pieces=(text("a", fin=0), close(1000)), **done)  # type: ignore[arg-type]
    yield Case(
        name="messages before a Close are delivered",
        pieces=(text("a"), ping(b"1"), text("b"), close(1000)),
        events=(("text", "a"), ("text", "b"), ("closed", 1000, b"")),
        out=(ponged(b"1"), closes(1000)),
        clean=True,
    )


def ended() -> Iterator[Case]:
    """RFC 6455 7.1.5: the stream ends without a Close frame."""
    hello = ("text", "Hello")
    yield over("C12 nothing at all")
    yield over("C12 the end behind a message", text("Hello"), says=(hello,))
    yield over("C12 the end behind a Ping", ping(b"1"), out=(ponged(b"1"),))
    yield over("C12 the end within a message", text("Hello", fin=0))
    for piece in (text("Hello"), binary(b"x" * 200), ping(b"12"), close(1000)):
        size = len(piece.to_bytes(masked=False))
        for cut in range(1, min(size, 8)):
            yield over(f"C12 the end {cut} bytes before that of opcode {piece.opcode}", Raw(piece, cut))
        say, left = (hello, hello), (text("Hello"), text("Hello"), Raw(piece, size - 1))
        yield over(f"C12 messages are not delivered again before half of opcode {piece.opcode}", *left, says=say)
    yield over(
        "C12 a Ping is not answered again",
        *(ping(b"1"), pong(b"2"), Raw(text("Hello"), 3)),
        says=(("ponged", b"2"),),
        out=(ponged(b"1"),),
    )


def closing_first() -> Iterator[Case]:
    """RFC 6455 7.1.2: we begin the closing handshake."""

    def leave(endpoint: Endpoint) -> None:
        endpoint.close(1001, "leaving")

    def leave_twice(endpoint: Endpoint) -> None:
        endpoint.close(1001, "leaving")
        endpoint.close(1000, "again")

    def talk_and_leave(endpoint: Endpoint) -> None:
        endpoint.send("last words")
        endpoint.close(1001, "leaving")
        endpoint.send("too late")

    told = closes(1001, b"leaving")
    for code, reason in ((1001, b"leaving"), (4000, b"other"), (1000, b"")):
        yield Case(
            name=f"we close, the peer answers {code}",
            pieces=(close(code, reason),),
            events=(("closed", code, reason),),
            out=(told,),
            clean=True,
            opened=leave,
        )
    yield Case(
        name="we close, the peer answers without a code",
        pieces=(close(),),
        events=(("closed", 1005, b""),),
        out=(told,),
        clean=True,
        opened=leave,
    )
    yield Case(
        name="we close, what the peer still sends is delivered, Pings are not answered",
        pieces=(text("a"), ping(b"1"), pong(b"2"), text("b", fin=0), more(b"c"), close(1001)),
        events=(("text", "a"), ("ponged", b"2"), ("text", "bc"), ("closed", 1001, b"")),
        out=(told,),
        clean=True,
        opened=leave,
    )
    yield Case(
        name="we close twice",
        pieces=(close(1001),),
        events=(("closed", 1001, b""),),
        out=(told,),
        clean=True,
        opened=leave_twice,
    )
    yield Case(
        name="we send after closing",
        pieces=(text("a"), close(1001)),
        events=(("text", "a"), ("closed", 1001, b"")),
        out=(Seen(TEXT, b"last words"), told),
        clean=True,
        opened=talk_and_leave,
    )
    for name, piece, code in (
        ("a reserved opcode", Piece(3), 1002),
        ("a forbidden code", close(1006), 1002),
        ("bad text", text(b"\xff"), 1007),
        ("too much", binary(b"", length=1 << 40), 1009),
    ):
        events = (("text", "a"), ("closed", code, OURS))
        yield Case(
            name=f"we close, the peer sends {name}", pieces=(text("a"), piece), events=events, out=(told,), opened=leave
        )
    yield Case(
        name="we close, the peer just ends",
        pieces=(text("a"),),
        events=(("text", "a"), GONE),
        out=(told,),
        opened=leave,
    )


def limits() -> Iterator[Case]:
    """Limits: named, checked before memory is spent."""
    just = b"x" * 1000
    yield fine("a message as long as may be", binary(just), says=(("binary", just),), limits=SMALL)
    yield fine("two of them", binary(just), binary(just), says=(("binary", just),) * 2, limits=SMALL)
    yield wrong("R07 a message too long by one byte", binary(b"", length=1001), code=1009, limits=SMALL, behind=False)
    yield fine(
        "a message as long as may be in fragments",
        *(binary(b"x" * 400, fin=0), more(b"x" * 599, fin=0), more(b"x", fin=0), more(fin=0), more(), binary(just)),
        says=(("binary", just), ("binary", just)),
        limits=SMALL,
    )
    yield wrong(
        "R07 the sum of the fragments is too long",
        *(binary(b"x" * 400, fin=0), more(b"x" * 600, fin=0), more(b"", length=1)),
        code=1009,
        limits=SMALL,
        behind=False,
    )
    yield wrong(
        "R07 the sum counts text, too",
        text("x" * 999, fin=0),
        more(b"", length=2),
        code=1009,
        limits=SMALL,
        behind=False,
    )
    frame = Limits(max_message_size=1000, max_frame_size=10)
    yield fine(
        "frames as long as may be",
        binary(b"0123456789", fin=0),
        more(b"0123456789"),
        says=(("binary", b"0123456789" * 2),),
        limits=frame,
    )
    yield wrong("a frame too long by one byte", binary(b"", length=11), code=1009, limits=frame, behind=False)
    yield fine("control frames do not count for it", ping(b"x" * 125), says=(), out=(ponged(b"x" * 125),), limits=frame)
    yield wrong(
        "a fragment too long by one byte",
        binary(b"x", fin=0),
        more(b"", length=11),
        code=1009,
        limits=frame,
        behind=False,
    )
    few = Limits(max_fragments=4)
    four = (binary(b"a", fin=0), more(fin=0), more(b"b", fin=0), more())
    yield fine(
        "as many fragments as may be", *four, ping(), *four, says=(("binary", b"ab"),) * 2, out=(ponged(),), limits=few
    )
    yield wrong("R01 a fragment too many", binary(b"", fin=0), *[more(fin=0)] * 3, more(), code=1009, limits=few)
    yield wrong(
        "R02 a fragment too many, a byte in each", text("a", fin=0), *[more(b"b", fin=0)] * 4, code=1009, limits=few
    )
    one = Limits(max_fragments=1)
    yield fine(
        "whole messages are of one fragment", text("a"), text("b"), says=(("text", "a"), ("text", "b")), limits=one
    )
    yield wrong("no fragments at all", text("a", fin=0), more(), code=1009, limits=one)
    zero = Limits(max_message_size=1)
    yield fine(
        "a limit of one byte",
        text("a"),
        binary(b""),
        text("", fin=0),
        more(b"b"),
        says=(("text", "a"), ("binary", b""), ("text", "b")),
        limits=zero,
    )


def compression() -> Iterator[Case]:
    """RFC 7692: permessage-deflate, agreed on."""
    hello = ("text", "Hello")
    packed = deflated(b"Hello")
    long = b"The quick brown fox. " * 40
    noise = random.Random(1).randbytes(1000)
    options: dict[str, Any] = {"deflate": True}
    yield fine("a compressed message", text(packed, rsv=4), says=(hello,), **options)
    yield fine("a message that is not compressed", text("Hello"), says=(hello,), **options)
    yield fine("both in turn", text(packed, rsv=4), text("Hello"), text(packed, rsv=4), says=(hello,) * 3, **options)
    yield fine(
        "RFC 7692 7.2.3.2 the window is kept",
        text(packed, rsv=4),
        text(bytes.fromhex("f200110000"), rsv=4),
        says=(hello,) * 2,
        **options,
    )
    yield fine(
        "RFC 7692 7.2.3.4 a final block", text(bytes.fromhex("f348cdc9c9070000"), rsv=4), says=(hello,), **options
    )
    yield fine(
        "F23 an empty compressed message",
        text(b"\x00", rsv=4),
        binary(b"\x00", rsv=4),
        says=(("text", ""), ("binary", b"")),
        **options,
    )
    yield fine("a compressed binary message", binary(deflated(long), rsv=4), says=(("binary", long),), **options)
    for place in range(1, len(packed)):
        parts = text(packed[:place], rsv=4, fin=0), ping(), more(packed[place:])
        yield fine(f"a compressed message cut at {place}", *parts, says=(hello,), out=(ponged(),), **options)
    parts = text(b"", rsv=4, fin=0), more(packed, fin=0), more(fin=0), more()
    yield fine("empty fragments of a compressed message", *parts, says=(hello,), **options)
    yield fine(
        "random data grows a little", binary(deflated(noise), rsv=4), says=(("binary", noise),), limits=SMALL, **options
    )
    half = deflated(noise, final=False)
    parts = binary(half[:500], rsv=4, fin=0), more(half[500:], fin=0), more(b"\x00")
    yield fine("random data grows a little, in fragments", *parts, says=(("binary", noise),), limits=SMALL, **options)
    for bits in (1, 2, 3, 5, 6, 7):
        yield wrong(f"F01 reserved bits {bits} beside compression", text(packed, rsv=bits), **options)
    for piece in (ping(b"x", rsv=4), pong(rsv=4), close(1000, rsv=4)):
        yield wrong(f"F19 opcode {piece.opcode} is compressed", piece, **options)
    yield wrong("F20 a continuation is marked as compressed", text(packed, rsv=4, fin=0), more(b"", rsv=4), **options)
    yield wrong("F20 only a continuation is", text("a", fin=0), more(packed, rsv=4), **options)
    yield wrong("F21 no DEFLATE data", text(b"\xff" * 10, rsv=4), code=1007, **options)
    yield wrong("F21 in a fragment", text(b"\xff" * 10, rsv=4, fin=0), code=1007, **options)
    yield wrong("F21 it breaks off", text(packed[:3], rsv=4), code=1007, **options)
    yield wrong(
        "F22 garbage behind a final block", text(bytes.fromhex("f348cdc9c90700ffffff"), rsv=4), code=1007, **options
    )
    yield wrong("F24 it is bad text", text(deflated(b"\xff"), rsv=4), code=1007, **options)
    yield wrong("F24 in a fragment", text(deflated(b"ok\xff", final=False), rsv=4, fin=0), code=1007, **options)
    yield wrong("R05 a bomb", binary(deflated(bytes(100_000)), rsv=4), code=1009, limits=SMALL, **options)
    bomb = deflated(bytes(1001), final=False)
    yield wrong(
        "R06 a bomb in fragments",
        binary(bomb[:4], rsv=4, fin=0),
        more(bomb[4:], fin=0),
        code=1009,
        limits=SMALL,
        **options,
    )
    yield wrong(
        "R05 a bomb behind a full message",
        binary(deflated(bytes(1000), final=False), rsv=4, fin=0),
        more(deflated(b"x")),
        code=1009,
        limits=SMALL,
        **options,
    )
    yield fine(
        "just no bomb", binary(deflated(bytes(1000)), rsv=4), says=(("binary", bytes(1000)),), limits=SMALL, **options
    )
    yield wrong(
        "compressed data far over the limit, by the header",
        binary(b"", rsv=4, length=5000),
        code=1009,
        limits=SMALL,
        behind=False,
        **options,
    )
    yield wrong(
        "more than the limit that is not compressed",
        binary(b"", length=1001),
        code=1009,
        limits=SMALL,
        behind=False,
        **options,
    )
    yield over("the end within a compressed message", text(packed, rsv=4, fin=0), **options)
    yield over("the end within a compressed frame", Raw(text(packed, rsv=4), 2), **options)


CASES = [
    *(*messages(), *pings(), *framing(), *utf8(), *closing(), *ended(), *closing_first(), *limits(), *compression()),
]
