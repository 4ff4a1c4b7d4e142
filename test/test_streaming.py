"""Streams: messages out of frames and back; `test_hostile.py` has the rules of the protocol."""

from __future__ import annotations

import codecs
import random
from typing import Any

import pytest

from test.cases import binary, close, more, ping, pong, text
from test.chunking import Seen, cut, deflated, frames, one_byte, wire
from ws4py_ng import streaming
from ws4py_ng.exc import ProtocolError
from ws4py_ng.extensions import PerMessageDeflate, PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.messaging import CloseControlMessage, PingControlMessage, PongControlMessage
from ws4py_ng.streaming import Stream


def messages(stream: Stream, chunks: list[bytes]) -> list[Any]:
    """Feed a stream; return all messages."""
    found: list[Any] = []
    for chunk in (*chunks, b""):
        while (message := stream.try_message()) is not None:
            found.append(message)
        step = stream.refill()
        assert next(step) >= 1
        with pytest.raises(StopIteration):
            step.send(chunk)
    assert stream.at_eof
    return found


def plain(**options: Any) -> Stream:
    """Make a client's stream: what comes is not masked, and so readable here."""
    return Stream(always_mask=True, expect_masking=False, **options)


class TestReceiving:
    def test_messages_of_every_kind_come_in_order(self) -> None:
        pieces = (text("a"), ping(b"b"), binary(b"c"), pong(b"d"), text("e", fin=0), more(b"f"), close(1000, b"g"))
        stream = plain()
        found = messages(stream, [wire(pieces, masked=False)])
        assert [b"a", b"b", b"c", b"d", b"ef", b"\x03\xe8g"] == [message.data for message in found]
        assert [1, 9, 2, 10, 1, 8] == [message.opcode for message in found]
        assert stream.closing is found[-1]

    def test_has_input_tells_what_was_not_looked_at(self) -> None:
        stream = plain()
        step = stream.refill()
        next(step)
        with pytest.raises(StopIteration):
            step.send(wire([text("a"), text("b")], masked=False))
        assert stream.has_input
        stream.try_message()
        assert stream.has_input
        stream.try_message()
        assert not stream.has_input

    def test_what_is_discarded_is_not_kept(self) -> None:
        stream = plain()
        for _ in range(100):
            step = stream.discard()
            assert 1 == next(step)
            with pytest.raises(StopIteration):
                step.send(bytes(1000))
        assert len(stream._reader.buffer) <= 1000
        step = stream.discard()
        next(step)
        with pytest.raises(StopIteration):
            step.send(b"")
        assert stream.at_eof

    def test_masking_can_be_expected_later(self) -> None:
        stream = Stream()
        assert stream.expect_masking
        stream.expect_masking = False
        assert not stream.expect_masking
        assert [b"a"] == [message.data for message in messages(stream, [wire([text("a")], masked=False)])]

    def test_data_of_a_message_stays_as_it_is(self) -> None:
        source = bytearray(wire([text("abc"), binary(b"d" * 500), text("e", fin=0), more(b"f")], masked=False))
        stream = plain()
        step = stream.refill()
        next(step)
        with pytest.raises(StopIteration):
            step.send(memoryview(source))
        source[:] = bytes(len(source))
        found = [stream.try_message() for _ in range(3)]
        assert [b"abc", b"d" * 500, b"ef"] == [message.data for message in found if message is not None]
        assert all(type(message.data) is bytes for message in found if message is not None)


class TestWork:
    """Work is linear: counted in bytes that are decoded or copied, not in seconds."""

    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Count the bytes that UTF-8 decoders were given."""
        counts: list[int] = []
        new = codecs.getincrementaldecoder("utf-8")

        class Counting(new):  # type: ignore[misc, valid-type]
            def decode(self, data: Any, final: bool = False) -> str:
                counts.append(len(data))
                found: str = super().decode(data, final)
                return found

        monkeypatch.setattr(streaming, "_new_decoder", Counting)
        return counts

    def test_text_is_checked_once_when_it_comes_byte_by_byte(self, decoded: list[int]) -> None:
        raw = "grün".encode() * 3000
        chunks = one_byte(wire([text(raw)], masked=False))
        assert [raw] == [message.data for message in messages(plain(), chunks)]
        assert len(raw) == sum(decoded)
        assert len(decoded) <= len(chunks) + 2

    @pytest.mark.parametrize("masked", [True, False])
    def test_8_mib_in_pieces_of_512_bytes(self, decoded: list[int], masked: bool) -> None:
        raw = b"x" * (8 << 20)
        data = wire([text(raw)], masked=False)
        stream = plain(limits=Limits(max_message_size=8 << 20))
        found = messages(stream, cut(data, range(512, len(data), 512)))
        assert [raw] == [message.data for message in found]
        assert len(raw) == sum(decoded)

    def test_8_mib_in_fragments_of_512_bytes(self, decoded: list[int]) -> None:
        count = (8 << 20) // 512
        body = more(b"x" * 512, fin=0).to_bytes(masked=False) * count
        data = wire([text("", fin=0)], masked=False) + body + wire([more()], masked=False)
        stream = plain(limits=Limits(max_message_size=8 << 20))
        found = messages(stream, cut(data, range(65536, len(data), 65536)))
        assert [8 << 20] == [len(message.data) for message in found]
        assert (8 << 20) == sum(decoded)

    def test_a_message_is_held_once(self) -> None:
        stream = plain(limits=Limits(max_message_size=1000))
        with pytest.raises(ProtocolError, match="1009"):
            messages(stream, [wire([binary(b"x" * 900, fin=0), more(b"x" * 200)], masked=False)])
        assert 900 == len(stream._parts or b"")


def sent(stream: Stream, *pieces: tuple[int, Any, bool]) -> list[Seen]:
    """Encode frames, and take them apart again."""
    outbox: list[bytes] = []
    sizes = [stream.encode(opcode, data, outbox, fin) for opcode, data, fin in pieces]
    assert sum(sizes) == sum(map(len, outbox))
    assert all(type(part) is bytes for part in outbox)
    return frames(b"".join(outbox), masked=stream.always_mask)


class TestSending:
    @pytest.mark.parametrize("mask", [True, False])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 16383, 16384, 65535, 65536, 100_000])
    def test_a_frame_has_the_payload(self, mask: bool, kind: Any, size: int) -> None:
        data = random.Random(size).randbytes(size)
        assert [Seen(2, data)] == sent(Stream(always_mask=mask), (2, kind(data), True))

    def test_a_large_payload_is_not_copied(self) -> None:
        data = bytes(100_000)
        outbox: list[bytes] = []
        Stream().encode(2, data, outbox)
        assert outbox[1] is data

    def test_fragments_are_continued(self) -> None:
        pieces = [(1, b"a", False), (0, b"b", False), (9, b"", True), (0, b"c", True)]
        assert [Seen(1, b"a", 0), Seen(0, b"b", 0), Seen(9, b""), Seen(0, b"c")] == sent(Stream(), *pieces)

    def test_the_mask_key_comes_from_where_it_was_said(self) -> None:
        keys = iter([b"abcd", b"efgh"])
        stream = Stream(always_mask=True, new_mask_key=lambda: next(keys))
        outbox: list[bytes] = []
        stream.encode(1, b"", outbox)
        stream.encode(1, b"", outbox)
        assert [b"\x81\x80abcd", b"\x81\x80efgh"] == outbox

    def test_a_message_worth_it_is_compressed(self) -> None:
        stream = Stream()
        stream.use_extension(PerMessageDeflate(threshold=64))
        small, large = sent(stream, (1, b"a" * 63, True), (1, b"a" * 64, True))
        assert Seen(1, b"a" * 63) == small
        assert (4, True) == (large.rsv, len(large.payload) < 20)

    @pytest.mark.parametrize("own_window_bits", [8, 9, 12, 15])
    def test_fragments_are_compressed_together_or_not_at_all(self, own_window_bits: int) -> None:
        sender, receiver = Stream(), plain()
        sender.use_extension(PerMessageDeflate(own_window_bits=own_window_bits))
        receiver.use_extension(PerMessageDeflate())
        pieces = [(1, b"Hello " * 20, False), (0, b"", False), (9, b"!", True), (0, b"world" * 20, True)]
        seen = sent(sender, *pieces)
        marked = 4 if own_window_bits > 8 else 0
        assert [marked, 0, 0, 0] == [frame.rsv for frame in seen]
        found = messages(receiver, [b"".join(_rebuilt(frame) for frame in seen)])
        assert [b"!", b"Hello " * 20 + b"world" * 20] == [message.data for message in found]

    def test_control_frames_are_never_compressed(self) -> None:
        stream = Stream()
        stream.use_extension(PerMessageDeflate(threshold=0))
        assert [Seen(9, b"a" * 100), Seen(8, b"\x03\xe8")] == sent(
            stream, (9, b"a" * 100, True), (8, b"\x03\xe8", True)
        )

    def test_both_ends_of_an_agreement_understand_each_other(self) -> None:
        factory = PerMessageDeflateFactory()
        agreed = factory.accept(factory.offer())
        assert agreed is not None
        server, client = Stream(), plain()
        server.use_extension(agreed[1])
        client.use_extension(factory.confirm(agreed[0]))
        texts = [b"some text, repeated %d times" % n * n for n in range(30)]
        outbox: list[bytes] = []
        for data in texts:
            server.encode(1, data, outbox)
        assert texts == [message.data for message in messages(client, outbox)]
        back: list[bytes] = []
        for data in texts:
            client.encode(1, data, back)
        assert texts == [message.data for message in messages(server, back)]


def _rebuilt(frame: Seen) -> bytes:
    return bytes([frame.fin << 7 | frame.rsv << 4 | frame.opcode, len(frame.payload)]) + frame.payload


class TestInTheMannerOfWs4py:
    def test_the_parser_asks_and_the_outcome_is_in_the_attributes(self) -> None:
        stream = plain()
        for byte in one_byte(wire([text("Hel", fin=0), ping(b"1"), pong(b"2"), more(b"lo")], masked=False)):
            assert stream.parser.send(byte) >= 1
        assert stream.has_message
        assert "Hello" == str(stream.message)
        assert [b"1"] == [message.data for message in stream.pings]
        assert [b"2"] == [message.data for message in stream.pongs]
        assert [] == stream.errors

    def test_a_message_in_progress_shows_its_kind(self) -> None:
        for piece, kind in ((text("a", fin=0), 1), (binary(b"a", fin=0), 2)):
            stream = plain()
            stream.parser.send(piece.to_bytes(masked=False))
            assert not stream.has_message
            assert stream.message is not None
            assert (kind, False) == (stream.message.opcode, stream.message.completed)

    def test_close_is_in_closing(self) -> None:
        stream = plain()
        stream.parser.send(wire([close(1001, b"bye")], masked=False))
        assert stream.closing is not None
        assert (1001, b"bye") == (stream.closing.code, stream.closing.reason)

    @pytest.mark.parametrize(
        ("piece", "code", "closing"),
        [
            (text(b"\xff"), 1007, False),
            (text("a", rsv=1), 1002, False),
            (close(1005), 1002, True),
            (close(1000, b"\xff"), 1007, False),
        ],
    )
    def test_errors_are_in_errors(self, piece: Any, code: int, closing: bool) -> None:
        stream = plain()
        stream.parser.send(piece.to_bytes(masked=False))
        assert [code] == [error.code for error in stream.errors]
        assert closing == (stream.closing is not None)
        stream.parser.send(b"more")

    def test_nothing_at_all_is_harmless(self) -> None:
        stream = plain()
        assert 2 == stream.parser.send(b"")
        assert 1 == stream.parser.send(b"\x81")

    def test_frames_are_built(self) -> None:
        server, client = Stream(), plain()
        assert [Seen(9, b"a")] == frames(server.ping("a"), masked=False)
        assert [Seen(10, b"a")] == frames(client.pong(b"a"), masked=True)
        assert (b"a", True) == (server.text_message("a").data, server.text_message("a").is_text)
        assert (b"a", True) == (server.binary_message(b"a").data, server.binary_message(b"a").is_binary)
        made = server.close(1001, "bye")
        assert (CloseControlMessage, 1001, b"bye") == (type(made), made.code, made.reason)

    def test_cleanup_lets_go_of_everything(self) -> None:
        stream = plain()
        stream.parser.send(wire([text("a"), ping(), pong(), close(1000)], masked=False))
        stream._cleanup()
        stream._cleanup()
        assert (None, None, [], [], []) == (stream.message, stream.closing, stream.pings, stream.pongs, stream.errors)

    def test_control_messages_have_their_classes(self) -> None:
        found = messages(plain(), [wire([ping(), pong(), close()], masked=False)])
        assert [PingControlMessage, PongControlMessage, CloseControlMessage] == [type(message) for message in found]


def test_the_slack_is_for_compressed_frames_only() -> None:
    limits = Limits(max_message_size=100)
    stream = plain(limits=limits)
    stream.use_extension(PerMessageDeflate())
    noise = random.Random(3).randbytes(100)
    found = messages(stream, [wire([binary(deflated(noise), rsv=4), binary(noise)], masked=False)])
    assert [noise, noise] == [message.data for message in found]
