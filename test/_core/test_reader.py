"""The reader: frames, what is refused, and that it asks for no byte too many."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

from test._core.builds import BUILDS, COMPILED, PURE, trace
from test.cases import CASES, binary, close, more, ping, text
from test.chunking import Piece, at_random, cut, one_byte, wire, xored
from ws4py_ng.exc import ProtocolError
from ws4py_ng.limits import Limits

KIB = 1024


def reader_of(build: Any, masked: bool = False, max_payload: int = 1 << 20, max_fragments: int = 1024) -> Any:
    return build.FrameReader(masked, max_payload, max_fragments)


def found(reader: Any) -> list[tuple[int, bytes]]:
    """Take all frames that are there."""
    frames = []
    while reader.try_frame():
        frames.append((reader.opcode, reader.payload))
    return frames


@pytest.mark.parametrize("build", BUILDS)
class TestFrames:
    def test_the_example_of_rfc_6455_5_7(self, build: Any) -> None:
        masked = bytes.fromhex("818537fa213d7f9f4d5158")
        assert [(1, True, 0, b"Hello")] == [step for step in trace(build, [masked]) if type(step) is tuple]
        plain = bytes.fromhex("810548656c6c6f")
        assert [(1, True, 0, b"Hello")] == [step for step in trace(build, [plain], masked=False) if type(step) is tuple]

    def test_a_whole_read_needs_one_feed(self, build: Any) -> None:
        reader = reader_of(build, masked=True)
        reader.feed(wire([text(str(n)) for n in range(1000)], masked=True))
        assert [(1, b"%d" % n) for n in range(1000)] == found(reader)
        assert 0 == reader.unread()
        assert b"" == reader.buffer

    def test_any_buffer_can_be_fed_and_is_not_kept(self, build: Any) -> None:
        for kind in (bytes, bytearray, memoryview):
            source = bytearray(wire([text("abc"), text("d")], masked=False))
            reader = reader_of(build)
            reader.feed(kind(source))
            source[:] = bytes(len(source))
            assert [(1, b"abc"), (1, b"d")] == found(reader)

    def test_the_end_is_not_taken_for_bytes(self, build: Any) -> None:
        reader = reader_of(build)
        reader.feed(wire([text("a")], masked=False) + b"\x81")
        assert [(1, b"a")] == found(reader)
        reader.feed(b"")
        assert reader.at_eof
        assert [] == found(reader)
        assert 1 == reader.unread()

    def test_forget_drops_what_was_not_parsed(self, build: Any) -> None:
        reader = reader_of(build)
        reader.feed(b"\x81\x05Hel")
        reader.feed(b"")
        reader.forget()
        assert 0 == reader.unread()

    def test_refill_asks_once_and_feeds(self, build: Any) -> None:
        reader = reader_of(build)
        refill = reader.refill()
        assert 2 == next(refill)
        with pytest.raises(StopIteration):
            refill.send(b"\x81\x00")
        assert [(1, b"")] == found(reader)

    def test_a_payload_is_unmasked_as_it_comes(self, build: Any) -> None:
        reader = reader_of(build, masked=True)
        data = bytes(range(100))
        stream = wire([binary(data)], masked=True)
        reader.feed(stream[:6])
        for place in range(6, len(stream) - 1):
            assert not reader.try_frame()
            assert data[: place - 6] == reader.partial.piece(0)
            assert len(stream) - place == reader.need
            reader.feed(stream[place : place + 1])
        assert not reader.try_frame()
        reader.feed(stream[-1:])
        assert [(2, data)] == found(reader)
        assert reader.partial is None

    @pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 65535, 65536, 100_001])
    def test_payloads_of_every_form_of_length(self, build: Any, size: int) -> None:
        data = random.Random(size).randbytes(size)
        stream = wire([binary(data), text("x")], masked=True)
        for chunks in ([stream], at_random(stream, 1), cut(stream, range(4096, len(stream), 4096))):
            seen = [step for step in trace(build, chunks) if type(step) is tuple]
            assert [(2, True, 0, data), (1, True, 0, b"x")] == seen

    def test_a_lower_budget_holds_from_the_next_frame(self, build: Any) -> None:
        reader = reader_of(build)
        reader.feed(wire([binary(b"12345", fin=0), more(b"123")], masked=False))
        assert reader.try_frame()
        reader.max_payload = 2
        with pytest.raises(ProtocolError, match="1009") as caught:
            reader.try_frame()
        assert 1009 == caught.value.code

    def test_slack_is_for_frames_that_an_extension_made(self, build: Any) -> None:
        reader = reader_of(build, max_payload=10)
        reader.allowed_rsv, reader.slack = 0x40, 5
        reader.feed(wire([binary(bytes(15), rsv=4), binary(bytes(11))], masked=False))
        assert reader.try_frame()
        assert (2, 0x40, bytes(15)) == (reader.opcode, reader.rsv, reader.payload)
        with pytest.raises(ProtocolError, match="1009"):
            reader.try_frame()

    @pytest.mark.parametrize("size", [sys.maxsize, sys.maxsize // 2 - 1])
    def test_the_largest_limit_is_counted_right(self, build: Any, size: int) -> None:
        limit = Limits(max_message_size=size).frame_budget
        for length in (limit, limit - 1, limit // 2):
            stream = wire([binary(b"", length=length)], masked=True)
            for fed in range(2, len(stream) + 1):
                reader = reader_of(build, masked=True, max_payload=limit)
                reader.feed(stream[:fed])
                assert not reader.try_frame()
                assert len(stream) - fed + (length if fed >= 10 else 0) >= reader.need >= 1
            assert length == reader.missing


@pytest.mark.parametrize("build", BUILDS)
class TestNeed:
    SMALL = (text("Hello"), ping(b"1"), binary(b""), text("x" * 125), ping(), text("a", fin=0), more(b"b"))

    @pytest.mark.parametrize("masked", [True, False])
    def test_an_exact_provider_reads_twice_for_a_small_frame(self, build: Any, masked: bool) -> None:
        stream = wire(self.SMALL, masked)
        reader = reader_of(build, masked)
        place = reads = frames = 0
        while place < len(stream) or frames < len(self.SMALL):
            if reader.try_frame():
                frames += 1
                continue
            reader.feed(stream[place : place + reader.need])
            place += reader.need
            reads += 1
        assert len(stream) == place
        assert reads <= 16

    @pytest.mark.parametrize("masked", [True, False])
    def test_an_exact_provider_never_reads_past_a_frame(self, build: Any, masked: bool) -> None:
        pieces = [
            *self.SMALL,
            *(binary(bytes(size)) for size in (126, 127, 200, 65535, 65536, 100_000)),
            *(text("x" * 300, fin=0), ping(b"y" * 125), more(bytes(70_000)), close(1000, b"bye")),
        ]
        for last in range(1, len(pieces) + 1):
            end = len(wire(pieces[:last], masked))
            stream = wire(pieces[:last], masked) + b"foreign bytes"
            reader = reader_of(build, masked)
            place = 0
            for _ in range(last):
                while not reader.try_frame():
                    assert reader.need >= 1
                    place += reader.need
                    assert place <= end
                    reader.feed(stream[place - reader.need : place])
            assert end == place

    def test_need_shrinks_as_less_than_asked_comes(self, build: Any) -> None:
        stream = wire([ping(b"123")], masked=True)
        needs = trace(build, one_byte(stream))[::2]
        assert [2, 1, 7, 6, 5, 4, 3, 2, 1] == needs[:9]


@pytest.mark.parametrize("build", BUILDS)
class TestWork:
    """Work is linear: counted in steps and in bytes that are copied, not in seconds."""

    @staticmethod
    def work(build: Any, chunks: list[bytes]) -> tuple[int, int, int]:
        """Return the calls of try_frame, the bytes that feeding copied, and the frames."""
        reader = reader_of(build, masked=True, max_payload=16 << 20, max_fragments=1 << 20)
        calls = copied = frames = 0
        for chunk in chunks:
            left = reader.unread()
            copied += left + len(chunk) if left else 0
            reader.feed(chunk)
            calls += 1
            while reader.try_frame():
                calls += 1
                frames += 1
        return calls, copied, frames

    @pytest.mark.parametrize("opcode", [1, 2])
    def test_64_kib_byte_by_byte(self, build: Any, opcode: int) -> None:
        stream = wire([Piece(opcode, b"x" * 64 * KIB)], masked=True)
        calls, copied, frames = self.work(build, one_byte(stream))
        assert 1 == frames
        assert calls == len(stream) + 1
        assert copied <= 200  # the header only

    def test_8_mib_in_pieces_of_512_bytes(self, build: Any) -> None:
        stream = wire([binary(bytes(8 << 20))], masked=True)
        chunks = cut(stream, range(512, len(stream), 512))
        calls, copied, frames = self.work(build, chunks)
        assert (1, len(chunks) + 1) == (frames, calls)
        assert copied == 0

    def test_8_mib_in_fragments_of_512_bytes(self, build: Any) -> None:
        count = (8 << 20) // 512
        body = more(bytes(512), fin=0).to_bytes(masked=True)
        stream = wire([binary(b"", fin=0)], masked=True) + body * count + wire([more()], masked=True)
        chunks = cut(stream, range(64 * KIB, len(stream), 64 * KIB))
        calls, copied, frames = self.work(build, chunks)
        assert count + 2 == frames
        assert calls == frames + len(chunks)
        assert copied <= 2 * len(stream)

    def test_many_pings_byte_by_byte(self, build: Any) -> None:
        stream = wire([ping(b"x" * 125)] * 100, masked=True)
        _, copied, frames = self.work(build, one_byte(stream))
        assert 100 == frames
        assert copied <= 131 * len(stream)


def test_both_builds_see_the_same_in_every_row() -> None:
    if COMPILED is None:
        return  # there is nothing to compare; the pure build alone is tested above
    for case in CASES:
        for role in case.roles:
            stream = case.wire(role)
            options = {
                "max_payload": case.limits.frame_budget,
                "max_fragments": case.limits.fragment_budget,
                "allowed_rsv": 0x40 if case.deflate else 0,
                "slack": 64 if case.deflate else 0,
            }
            for chunks in ([stream], one_byte(stream[:3000]), *(at_random(stream, seed) for seed in range(5))):
                pure = trace(PURE, chunks, role == "server", **options)
                assert pure == trace(COMPILED, chunks, role == "server", **options), case.name


def test_both_builds_see_the_same_in_noise() -> None:
    if COMPILED is None:
        return
    dice = random.Random(2)
    for _ in range(3000):
        good = wire(dice.choices(TestNeed.SMALL, k=3), masked=True)
        noise = bytearray(good + dice.randbytes(10))
        for _ in range(dice.randrange(4)):
            noise[dice.randrange(len(noise))] = dice.randrange(256)
        chunks = at_random(bytes(noise), dice.random())
        assert trace(PURE, chunks) == trace(COMPILED, chunks)


def test_the_masks_of_the_tests_are_right() -> None:
    assert b"Hello" == xored(bytes.fromhex("7f9f4d5158"))
