"""The same streams to wsproto and to us; what differs has to be explained."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong
from wsproto.extensions import PerMessageDeflate

from test.chunking import Piece, at_random, wire, xored
from test.drivers import Recorder, as_role
from ws4py_ng.limits import Limits

STREAMS = 2000
# wsproto knows no limits: ours are out of the way.
LIMITS = Limits(max_message_size=1 << 30, max_fragments=1 << 20)


class Outcome(NamedTuple):
    """Hold the messages and control frames that were seen, the code at the end (None: none yet) and why."""

    events: list[Any]
    code: int | None
    reason: str = ""


def ours(chunks: list[bytes], deflate: bool) -> Outcome:
    """Run a stream through a session."""
    endpoint = Recorder()
    as_role(endpoint, "server", LIMITS, deflate)
    session = endpoint.session()
    next(session)
    try:
        for chunk in chunks:
            session.send(chunk)
    except StopIteration:
        _, code, reason = endpoint.events[-1]
        return Outcome(endpoint.events[1:-1], code, str(reason))
    return Outcome(endpoint.events[1:], None)


def theirs(chunks: list[bytes], deflate: bool) -> Outcome:
    """Run a stream through wsproto."""
    extensions = []
    if deflate:
        extension = PerMessageDeflate(client_max_window_bits=12)
        extension.accept("permessage-deflate; client_max_window_bits=12")
        extensions.append(extension)
    connection = Connection(ConnectionType.SERVER, extensions)
    events: list[Any] = []
    parts: list[Any] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        for event in connection.events():
            if isinstance(event, CloseConnection):
                return Outcome(events, event.code, str(event.reason))
            if isinstance(event, Message):
                parts.append(event.data)
                if event.message_finished:
                    kind = "binary" if isinstance(event, BytesMessage) else "text"
                    events.append((kind, parts[0][:0].join(map(type(parts[0]), parts))))
                    parts = []
            elif isinstance(event, Pong):
                events.append(("ponged", bytes(event.payload)))
            else:
                assert isinstance(event, Ping)
    return Outcome(events, None)


class Stream(NamedTuple):
    """Hold a stream: its frames, and its bytes when somebody has played with them."""

    pieces: list[Piece]
    data: bytes
    chunks: list[bytes]
    deflate: bool


def stream(seed: int) -> Stream:
    """Make a stream: most are valid, some are nearly so, some are damaged."""
    dice = random.Random(seed)
    deflate = dice.random() < 0.3
    deflater = zlib.compressobj(wbits=-12)
    pieces: list[Piece] = []
    for _ in range(dice.randint(1, 6)):
        opcode = dice.choice([1, 1, 1, 2, 2, 9, 10, 8 if dice.random() < 0.3 else 1])
        if opcode == 8:
            code = dice.choice([1000, 1001, 1005, 1006, 1014, 1015, 999, 3000, 4999, 5000, 1004, 1012, 2000])
            payload = code.to_bytes(2, "big") + dice.choice([b"", b"bye", "grün".encode(), b"\xff"])
            pieces.append(Piece(8, dice.choice([payload, payload, b"", b"x"])))
            continue
        if opcode > 8:
            pieces.append(Piece(opcode, dice.randbytes(dice.choice([0, 5, 125]))))
            continue
        size = dice.choice([0, 1, 5, 125, 126, 200, 70_000 if dice.random() < 0.02 else 3])
        data = ("grün €𝄞" * size)[:size].encode() if opcode == 1 else dice.randbytes(size)
        if opcode == 1 and dice.random() < 0.05:
            data = data[: dice.randrange(len(data) + 1)] + dice.choice([b"\xff", b"\xed\xa0\x80", b"\xe2\x82"])
        packed = deflate and dice.random() < 0.7
        if packed:
            data = (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4] or b"\x00"
        if dice.random() < 0.4:
            place = dice.randrange(len(data) + 1)
            pieces.append(Piece(opcode, data[:place], 0, 4 if packed else 0))
            if dice.random() < 0.3:
                pieces.append(Piece(9, b"between"))
            pieces.append(Piece(0, data[place:]))
        else:
            pieces.append(Piece(opcode, data, 1, 4 if packed else 0))
    if dice.random() < 0.3:
        place = dice.randrange(len(pieces))
        pieces[place] = pieces[place]._replace(
            **dice.choice(
                [{"fin": 0}, {"rsv": dice.randrange(8)}, {"opcode": dice.randrange(16)}, {"wrong_mask": True}]
            )
        )
    data = wire(pieces, masked=True)
    if dice.random() < 0.2:
        place = dice.randrange(len(data))
        data = data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]
    return Stream(pieces, data, at_random(data, seed), deflate)


def headers(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return opcode, FIN, reserved bits and payload of the frames in a client's stream, right or wrong."""
    found = []
    while len(data) >= 6:
        first, length = data[0], data[1] & 0x7F
        size = {126: 2, 127: 8}.get(length, 0)
        length = int.from_bytes(data[2 : 2 + size], "big") if size else length
        masked = 4 * (data[1] >> 7)
        key, start = data[2 + size : 2 + size + masked], 2 + size + masked
        payload = data[start : start + length]
        found.append((first & 15, first >> 7, first >> 4 & 7, xored(payload, key) if masked else payload))
        data = data[start + length :]
    return found


def is_interrupted(us: Outcome, them: Outcome, made: Stream) -> bool:
    """Tell whether a control frame stands between the fragments of a compressed message."""
    within = False
    for opcode, fin, rsv, _ in headers(made.data):
        if opcode >= 8 and within:
            return True
        if opcode < 8:
            within = not fin and (rsv == 4 if opcode else within)
    return False


# Why an outcome may differ: (ours, theirs, the stream) -> whether that is it.
EXPLANATIONS: dict[str, Callable[[Outcome, Outcome, Stream], bool]] = {
    "wsproto takes 1014, which is in the registry, for a code that must not be sent": lambda us, them, made: (
        them.code == 1002
        and any(opcode == 8 and payload[:2] == b"\x03\xf6" for opcode, *_, payload in headers(made.data))
    ),
    "wsproto forgets that a message is compressed when a control frame comes within it": is_interrupted,
    "wsproto does not mind DEFLATE data that breaks off, or goes on behind its end": lambda us, them, made: (
        us.code == 1007 and "DEFLATE" in us.reason
    ),
    "wsproto inflates a new message that has no business there before it refuses it": lambda us, them, made: (
        us.code == 1002 and us.reason.startswith("New message") and (them.code, made.deflate) == (1007, True)
    ),
    "wsproto inflates before a frame is complete, and does not go on behind a final block": lambda us, them, made: (
        us.code is None and (them.code, made.deflate) == (1007, True)
    ),
    "wsproto has no limits": lambda us, them, made: us.code == 1009,
}


def explanation(us: Outcome, them: Outcome, made: Stream) -> str | None:
    """Name what explains a difference."""
    return next((name for name, explains in EXPLANATIONS.items() if explains(us, them, made)), None)


@pytest.mark.parametrize("block", range(4))
def test_wsproto_sees_the_same(block: int) -> None:
    unexplained = []
    size = STREAMS // 4
    for seed in range(block * size, (block + 1) * size):
        made = stream(seed)
        us, them = ours(made.chunks, made.deflate), theirs(made.chunks, made.deflate)
        if us[:2] != them[:2] and explanation(us, them, made) is None:
            unexplained.append((seed, us, them))
    assert [] == unexplained
