"""A stream in pieces carries what a Stream carries, under every chunking, and holds next to nothing of it."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from test.cases import CASES, Case, binary, more, ping, text
from test.chunking import chunkings, cut, deflated, frames, wire
from test.drivers import Result, RowRecorder
from ws4py_ng.exc import ProtocolError
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.messaging import PingControlMessage
from ws4py_ng.receiving import PieceStream

MIB = 1024 * 1024


def codec(role: str) -> Any:
    factory = PerMessageDeflateFactory()
    agreed = factory.accept(factory.offer())
    assert agreed is not None
    return agreed[1] if role == "server" else factory.confirm(agreed[0])


class Joining(RowRecorder):
    """Take note of the hooks, and join the pieces of a message."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Any] = []

    def received_message(self, message: Any) -> None:
        self.parts.append(message)
        assert self.parts[0].opcode == message.opcode
        if message.completed:
            data = b"".join(part.data for part in self.parts)
            self.parts = []
            self.events.append(("text", data.decode()) if message.is_text else ("binary", data))


def by_hand(case: Case, role: str, chunks: list[bytes]) -> Result:
    """Drive a session over a stream in pieces."""
    endpoint = Joining()
    endpoint.case = case
    is_client = role == "client"
    endpoint._stream = PieceStream(always_mask=is_client, expect_masking=not is_client)
    endpoint._configure(case.limits, [codec(role)] if case.deflate else [])
    session = endpoint.session()
    out = b""
    try:
        next(session)
        for chunk in (*chunks, b""):
            out += endpoint.bytes_to_send()
            session.send(chunk)
        raise AssertionError("the session goes on behind the end of the stream")
    except StopIteration as stop:
        ending = stop.value
    out += endpoint.bytes_to_send()
    return Result(endpoint.events, frames(out, masked=is_client), ending, endpoint.errors)


ROWS = [pytest.param(case, role, id=f"{role}: {case.name}") for case in CASES for role in case.roles]


@pytest.mark.parametrize(("case", "role"), ROWS)
def test_every_rule_of_the_protocol_holds(case: Case, role: str) -> None:
    for how, chunks in chunkings(case.wire(role)):
        found = by_hand(case, role, chunks)
        assert [("opened",), *case.events] == found.events, how
        assert list(case.out) == found.out, how
        assert [] == found.errors, how


def plain(**options: Any) -> PieceStream:
    """Make a client's stream: what comes is not masked, and so readable here."""
    return PieceStream(always_mask=True, expect_masking=False, **options)


def seen(stream: PieceStream, chunks: list[bytes]) -> list[tuple[bytes, bool]]:
    """Feed a stream; return the data of all messages and pieces, and whether they are complete."""
    found = []
    for chunk in chunks:
        stream._reader.feed(chunk)
        while (message := stream.try_message()) is not None:
            found.append((message.data, message.completed))
    return found


def test_what_came_whole_is_whole_and_the_rest_is_handed_on_as_it_comes() -> None:
    data = wire([text("whole"), binary(b"0123456789"), text("a", fin=0), ping(b"p"), more(b"b")], masked=False)
    assert [
        (b"whole", True),
        (b"01234", False),
        (b"56789", True),
        (b"a", False),
        (b"p", False),
        (b"b", True),
    ] == seen(plain(), cut(data, [7 + 2 + 5]))


def test_a_masked_frame_may_be_cut_anywhere() -> None:
    payload = bytes(range(40))
    data = wire([binary(payload), binary(payload, fin=0), more(payload)], masked=True)
    for place in range(1, len(data)):
        for other in range(place + 1, len(data), 7):
            pieces = seen(PieceStream(), cut(data, [place, other]))
            assert payload * 3 == b"".join(piece for piece, _ in pieces)


def test_next_to_nothing_of_a_large_frame_is_held() -> None:
    stream = plain(limits=Limits(max_message_size=64 * MIB))
    head = wire([binary(b"", length=32 * MIB, form=64)], masked=False)
    stream._reader.feed(head)
    assert stream.try_message() is None
    total = 0
    chunk = bytes(65537)
    while total + len(chunk) < 32 * MIB:
        stream._reader.feed(chunk)
        piece = stream.try_message()
        assert piece is not None
        total += len(piece.data)
        assert stream._reader.partial is not None
        assert b"" == stream._reader.partial.take()
    assert total % 65537 == 0


def test_a_compressed_message_is_inflated_piece_by_piece() -> None:
    plain_text = bytes(32 * MIB)
    stream = plain(limits=Limits(max_message_size=64 * MIB))
    stream.use_extension(codec("client"))
    pieces = seen(stream, [wire([binary(deflated(plain_text), rsv=4), text("x")], masked=False)])
    assert (b"x", True) == pieces.pop()
    assert 32 * MIB == sum(len(piece) for piece, _ in pieces)
    assert max(len(piece) for piece, _ in pieces) < 2 * MIB
    assert [False] * (len(pieces) - 1) + [True] == [completed for _, completed in pieces]


def test_what_is_too_much_ends_it_behind_the_pieces_that_came_before() -> None:
    stream = plain(limits=Limits(max_message_size=1000))
    stream._reader.feed(wire([text("a" * 600, fin=0), more(b"b" * 600)], masked=False))
    first = stream.try_message()
    assert first is not None
    assert 600 == len(first.data)
    with pytest.raises(ProtocolError) as caught:
        stream.try_message()
    assert 1009 == caught.value.code


def test_a_compressed_fragment_is_counted_by_what_the_ones_before_it_became() -> None:
    begin = zlib.compressobj(wbits=-12)
    nearly_all = begin.compress(bytes(19_990)) + begin.flush(zlib.Z_SYNC_FLUSH)
    stream = plain(limits=Limits(max_message_size=20_000))
    stream.use_extension(codec("client"))
    nothing = b"\x00\x00\x00\xff\xff" * 600
    data = wire([binary(nearly_all, fin=0, rsv=4), more(nothing, fin=0), more(b"\x00")], masked=False)
    with pytest.raises(ProtocolError) as caught:
        seen(stream, [data])
    assert (1009, "Frame of 3000 bytes, at most 1324 are taken") == (caught.value.code, caught.value.reason)


def test_random_streams_come_through_random_cuts() -> None:
    dice = random.Random(7692)
    for _ in range(200):
        expected, pieces = [], []
        packer = zlib.compressobj(wbits=-12)
        for _ in range(dice.randint(1, 6)):
            payload = dice.randbytes(dice.choice([0, 1, 3, 125, 700, 5000])) * dice.choice([1, 1, 20])
            expected.append(payload)
            packed = dice.random() < 0.5
            body = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH) if packed else payload
            parts = cut(body[:-4] if packed else body, [dice.randrange(len(body) + 1) for _ in range(3)]) or [b""]
            for i, part in enumerate(parts):
                kind = binary if i == 0 else more
                pieces.append(kind(part, fin=int(i == len(parts) - 1), rsv=4 if packed and i == 0 else 0))
                if dice.random() < 0.2:
                    pieces.append(ping(b"-"))
        stream = plain(limits=Limits(max_message_size=MIB))
        stream.use_extension(codec("client"))
        data = wire(pieces, masked=False)
        found, joined = [], b""
        for chunk in cut(data, [dice.randrange(len(data)) for _ in range(dice.randint(0, 9))]):
            stream._reader.feed(chunk)
            while (message := stream.try_message()) is not None:
                if isinstance(message, PingControlMessage):
                    continue
                joined += message.data
                if message.completed:
                    found.append(joined)
                    joined = b""
        assert expected == found
