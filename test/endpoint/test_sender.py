"""What may be sent, and when."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from test.cases import OURS, Closes, binary, close, closes, more, ping, ponged, text
from test.chunking import BINARY, PING, PONG, TEXT, Seen
from test.drivers import Recorder
from test.endpoint.hand import begun, closed
from ws4py_ng.endpoint import Ending
from ws4py_ng.exc import ConnectionClosed, WebSocketException
from ws4py_ng.extensions import PerMessageDeflate
from ws4py_ng.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py_ng.states import State


class TestSending:
    @pytest.mark.parametrize(
        ("payload", "options", "expected"),
        [
            ("grün", {}, [Seen(TEXT, "grün".encode())]),
            ("", {}, [Seen(TEXT, b"")]),
            ("a", {"binary": True}, [Seen(TEXT, b"a")]),
            (b"abc", {}, [Seen(TEXT, b"abc")]),
            (b"\xff", {"binary": True}, [Seen(BINARY, b"\xff")]),
            (bytearray(b"abc"), {}, [Seen(TEXT, b"abc")]),
            (bytearray(b"\xff"), {"binary": True}, [Seen(BINARY, b"\xff")]),
            (memoryview(b"abc"), {}, [Seen(TEXT, b"abc")]),
            (memoryview(b"\xff"), {"binary": True}, [Seen(BINARY, b"\xff")]),
            (memoryview(b"abcd").cast("H"), {"binary": True}, [Seen(BINARY, b"abcd")]),
            (TextMessage("a"), {}, [Seen(TEXT, b"a")]),
            (BinaryMessage(b"\xff"), {}, [Seen(BINARY, b"\xff")]),
            (PingControlMessage("a"), {}, [Seen(PING, b"a")]),
            (PongControlMessage("a"), {}, [Seen(PONG, b"a")]),
            (CloseControlMessage(1001, "bye"), {}, [closes(1001, b"bye")]),
            (CloseControlMessage(1005), {}, [closes()]),
            (["a"], {}, [Seen(TEXT, b"a")]),
            (["a", "b", "c"], {}, [Seen(TEXT, b"a", 0), Seen(0, b"b", 0), Seen(0, b"c")]),
            (("a", b"b", bytearray(b"c")), {}, [Seen(TEXT, b"a", 0), Seen(0, b"b", 0), Seen(0, b"c")]),
            ([memoryview(b"a"), memoryview(b"b")], {}, [Seen(TEXT, b"a", 0), Seen(0, b"b")]),
            ([b"\xff", b"\xfe"], {"binary": True}, [Seen(BINARY, b"\xff", 0), Seen(0, b"\xfe")]),
            ((piece for piece in ("a", "b")), {}, [Seen(TEXT, b"a", 0), Seen(0, b"b")]),
            (iter(()), {}, [Seen(TEXT, b"")]),
            ((piece for piece in ()), {"binary": True}, [Seen(BINARY, b"")]),
            ([b"\xe2", b"\x82\xac"], {}, [Seen(TEXT, b"\xe2", 0), Seen(0, b"\x82\xac")]),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("role", ["server", "client"])
    def test_every_kind_of_payload(self, payload: Any, options: Any, expected: list[Seen], role: str) -> None:
        if isinstance(payload, Iterator):
            payload = list(payload) if role == "server" else (piece for piece in _again(payload, expected))
        hand = begun(role=role)
        assert hand.endpoint.send(payload, **options) is None
        assert expected == hand.out

    @pytest.mark.parametrize(
        "payload",
        [
            *(None, 5, 1.5, {"a": 1}, object(), b"\xff", bytearray(b"\xff"), memoryview(b"\xff"), "\ud800"),
            *(Message(0), Message(3), Message(15), Message(8, b"x"), PingControlMessage(b"x" * 126)),
            *(CloseControlMessage(1006), CloseControlMessage(999)),
        ],
        ids=lambda payload: repr(payload).partition(" at 0x")[0],  # the same in every process
    )
    def test_what_cannot_be_sent_is_a_value_error_and_nothing_is_sent(self, payload: Any) -> None:
        hand = begun()
        with pytest.raises(ValueError, match=r"."):
            hand.endpoint.send(payload)
        assert [] == hand.out
        hand.endpoint.send("still open")
        assert [Seen(TEXT, b"still open")] == hand.out

    @pytest.mark.parametrize(
        ("pieces", "out"),
        [
            (["a", "b", None], [Seen(TEXT, b"a", 0)]),
            (["a", "b", "c", "\ud800", "d"], [Seen(TEXT, b"a", 0), Seen(0, b"b", 0)]),
            ([b"a", b"b", b"\xff", b"c"], [Seen(TEXT, b"a", 0)]),
            ([b"a", b"\xe2"], [Seen(TEXT, b"a", 0)]),
            ([b"a", b"\xe2", "b"], [Seen(TEXT, b"a", 0)]),
        ],
    )
    def test_a_piece_that_cannot_be_sent_breaks_the_message_off(self, pieces: list[Any], out: list[Seen]) -> None:
        hand = begun()
        with pytest.raises(ValueError, match=r"."):
            hand.endpoint.send(pieces)
        assert [*out, Closes(1011)] == hand.out
        with pytest.raises(ConnectionClosed):
            hand.endpoint.send("more")

    @pytest.mark.parametrize("pieces", [[5], ["a", None], [b"\xff"], ["\ud800", "a"], ["a", b"\xff", "b"], [b"\xe2"]])
    def test_a_first_piece_that_cannot_be_sent_is_the_callers(self, pieces: list[Any]) -> None:
        hand = begun()
        with pytest.raises(ValueError, match=r"."):
            hand.endpoint.send(pieces)
        assert [] == hand.out
        hand.endpoint.send(["a", "b"])
        assert [Seen(TEXT, b"a", 0), Seen(0, b"b")] == hand.out

    @pytest.mark.parametrize(
        "error", [KeyError("x"), KeyboardInterrupt(), ConnectionClosed("another"), GeneratorExit()]
    )
    @pytest.mark.parametrize("pieces", [2, 3])
    def test_an_iterable_that_breaks_off_is_followed_by_1011(self, error: BaseException, pieces: int) -> None:
        def broken() -> Iterator[str]:
            yield from ["a"] * pieces
            raise error

        hand = begun()
        with pytest.raises(type(error)):
            hand.endpoint.send(broken())
        assert [Seen(TEXT, b"a", 0), *[Seen(0, b"a", 0)] * (pieces - 2), Closes(1011)] == hand.out
        with pytest.raises(ConnectionClosed):
            hand.endpoint.send("more")

    @pytest.mark.parametrize("pieces", [0, 1])
    def test_an_iterable_that_breaks_off_at_once_is_the_callers(self, pieces: int) -> None:
        def broken() -> Iterator[str]:
            yield from ["a"] * pieces
            raise KeyError

        hand = begun()
        with pytest.raises(KeyError):
            hand.endpoint.send(broken())
        assert [] == hand.out
        hand.endpoint.send("a")
        assert [Seen(TEXT, b"a")] == hand.out

    def test_an_iterable_may_reuse_its_buffer(self) -> None:
        def pieces() -> Iterator[bytearray]:
            buffer = bytearray(1)
            for byte in b"abc":
                buffer[0] = byte
                yield buffer

        hand = begun()
        hand.endpoint.send(pieces())
        assert [Seen(TEXT, b"a", 0), Seen(0, b"b", 0), Seen(0, b"c")] == hand.out

    def test_pings_and_close_go_between_fragments(self) -> None:
        hand = begun()

        def pieces() -> Iterator[str]:
            yield "a"
            yield "b"
            hand.endpoint.ping("p")
            yield "c"
            hand.endpoint.close(1001)
            yield "d"

        with pytest.raises(ConnectionClosed):
            hand.endpoint.send(pieces())
        assert [Seen(TEXT, b"a", 0), Seen(PING, b"p"), Seen(0, b"b", 0), closes(1001)] == hand.out
        assert State.CLOSING is hand.endpoint._state

    @pytest.mark.parametrize("payload", ["torn", ["to", "rn"], TextMessage("torn")])
    def test_a_message_within_a_message_is_refused(self, payload: Any) -> None:
        hand = begun()

        def pieces() -> Iterator[str]:
            yield "a"
            yield "b"
            hand.endpoint.send(payload)
            yield "c"

        with pytest.raises(RuntimeError, match="within the iterable"):
            hand.endpoint.send(pieces())
        assert [Seen(TEXT, b"a", 0), Closes(1011)] == hand.out

    def test_a_frame_that_fails_to_be_made_leaves_the_connection_usable(self) -> None:
        hand = begun()

        class Broken(PerMessageDeflate):
            def compress(self, payload: Any, final: bool = True) -> bytes:
                raise MemoryError

        hand.endpoint._stream.use_extension(Broken())
        with pytest.raises(MemoryError):
            hand.endpoint.send(["a", "b"])
        hand.endpoint.send("a")
        assert [Seen(TEXT, b"a")] == hand.out

    def test_a_payload_may_change_once_it_is_sent(self) -> None:
        hand = begun()
        for size in (10, 100_000):
            data = bytearray(b"x" * size)
            hand.endpoint.send(data, binary=True)
            data[:] = bytes(size)
            assert [Seen(BINARY, b"x" * size)] == hand.out

    def test_bytes_to_send_are_taken_once(self) -> None:
        hand = begun()
        hand.endpoint.send("a")
        assert b"\x81\x01a" == hand.endpoint.bytes_to_send()
        assert b"" == hand.endpoint.bytes_to_send()
        assert 0 == hand.endpoint._outbox.size

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("grün", "grün".encode()),
            (b"\xff", b"\xff"),
            (bytearray(b"a"), b"a"),
            (memoryview(b"a.b.")[::2], b"ab"),
            (array("H", [0x4141]), b"AA"),
        ],
    )
    def test_ping_sends_a_ping(self, message: Any, expected: bytes) -> None:
        hand = begun()
        hand.endpoint.ping(message)
        assert [Seen(PING, expected)] == hand.out

    def test_a_ping_has_at_most_125_bytes(self) -> None:
        hand = begun()
        hand.endpoint.ping(b"x" * 125)
        with pytest.raises(ValueError, match="at most 125 bytes, got 126"):
            hand.endpoint.ping("ä" * 63)
        assert 1 == len(hand.out)

    @pytest.mark.parametrize("message", [5, None, 1.0, True, ["a"]])
    def test_a_ping_that_is_no_text_or_bytes_is_a_type_error(self, message: Any) -> None:
        hand = begun()
        with pytest.raises(TypeError, match=re.escape(f"A Ping's message is str or bytes, got {message!r}")):
            hand.endpoint.ping(message)
        assert [] == hand.out

    def test_pongs_leave_in_the_order_of_what_they_answer(self) -> None:
        class Echo(Recorder):
            def received_message(self, message: Any) -> None:
                self.send(message.data, message.is_binary)

        hand = begun(Echo()).feed(
            text("a"), ping(b"1"), binary(b"b"), ping(b"2"), text("c", fin=0), ping(b"3"), more(b"d")
        )
        expected = [Seen(TEXT, b"a"), ponged(b"1"), Seen(BINARY, b"b"), ponged(b"2"), ponged(b"3"), Seen(TEXT, b"cd")]
        assert expected == hand.out


def _again(pieces: Any, expected: list[Seen]) -> Any:
    """Say again what an iterator said that was used up by the other role."""
    return [frame.payload for frame in expected] if expected[0].payload else []


class TestClose:
    @pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
    def test_a_code_and_a_reason_are_sent(self, code: int) -> None:
        hand = begun()
        hand.endpoint.close(code, "grün")
        assert [closes(code, "grün".encode())] == hand.out

    @pytest.mark.parametrize("code", [0, 1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536, -1])
    def test_a_code_that_must_not_be_sent_is_a_value_error(self, code: int) -> None:
        hand = begun()
        with pytest.raises(ValueError, match=str(code)):
            hand.endpoint.close(code)
        assert [] == hand.out
        assert State.OPEN is hand.endpoint._state

    def test_1005_sends_none(self) -> None:
        hand = begun()
        hand.endpoint.close(1005, "dropped")
        assert [closes()] == hand.out

    @pytest.mark.parametrize("reason", [b"why", bytearray(b"why"), memoryview(b"why")])
    def test_a_reason_may_be_bytes(self, reason: Any) -> None:
        hand = begun()
        hand.endpoint.close(1000, reason)
        assert [closes(1000, b"why")] == hand.out

    @pytest.mark.parametrize("code", ["1000", 1000.0, None, b"why"])
    def test_a_code_that_is_no_int_is_a_type_error(self, code: Any) -> None:
        hand = begun()
        with pytest.raises(TypeError, match=re.escape(f"A close code is an int, got {code!r}")):
            hand.endpoint.close(code)
        assert State.OPEN is hand.endpoint._state

    @pytest.mark.parametrize("reason", [7, None, True, 1.5])
    def test_a_reason_that_is_no_text_or_bytes_is_a_type_error(self, reason: Any) -> None:
        hand = begun()
        with pytest.raises(TypeError, match=re.escape(f"A close reason is str or bytes, got {reason!r}")):
            hand.endpoint.close(1000, reason)
        assert State.OPEN is hand.endpoint._state

    @pytest.mark.parametrize("reason", ["x" * 124, "ä" * 62, b"x" * 124, b"\xff", "\ud800"])
    def test_a_reason_is_at_most_123_bytes_of_text(self, reason: Any) -> None:
        hand = begun()
        with pytest.raises(ValueError, match=r"."):
            hand.endpoint.close(1000, reason)
        assert [] == hand.out
        hand.endpoint.close(1000, "x" * 123)
        assert [closes(1000, b"x" * 123)] == hand.out

    def test_close_is_sent_once(self) -> None:
        hand = begun()
        hand.endpoint.close(1000)
        hand.endpoint.close(1001)
        hand.endpoint.send(CloseControlMessage(1002))
        assert [closes(1000)] == hand.out

    def test_close_behind_the_end_does_nothing(self) -> None:
        hand = begun().end()
        hand.endpoint.close(1000)
        assert [] == hand.out

    @pytest.mark.parametrize("moment", ["closing", "closed by the peer", "ended"])
    def test_nothing_can_be_sent_then(self, moment: str) -> None:
        hand = begun(role="client")
        if moment == "closing":
            hand.endpoint.close(1000)
        elif moment == "closed by the peer":
            hand.feed(close(1000))
        else:
            hand.end()
        hand.endpoint.bytes_to_send()
        for action in (
            lambda: hand.endpoint.send("a"),
            lambda: hand.endpoint.send(b"a", binary=True),
            lambda: hand.endpoint.send(["a", "b"]),
            lambda: hand.endpoint.ping("a"),
            lambda: hand.endpoint.send(PongControlMessage("a")),
        ):
            with pytest.raises(ConnectionClosed, match="Cannot send on a terminated websocket"):
                action()
        assert [] == hand.out

    def test_a_send_too_late_is_a_runtime_error_as_in_ws4py(self) -> None:
        hand = begun().end()
        with pytest.raises(RuntimeError):
            hand.endpoint.send("a")
        with pytest.raises(WebSocketException):
            hand.endpoint.send("a")

    def test_a_hook_that_sends_too_late_still_gets_the_peers_close(self) -> None:
        class Talker(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.close(1001)
                self.send("too late")

        hand = begun(Talker()).feed(text("a"), text("b"), text("c"), close(4000, b"ok"))
        assert [("text", "a"), ("text", "b"), ("text", "c"), ("closed", 4000, b"ok")] == hand.endpoint.events[1:]
        assert [closes(1001)] == hand.out
        assert [] == hand.endpoint.errors
        assert Ending(4000, b"ok", True) == hand.ending

    def test_an_error_behind_a_send_too_late_is_reported(self) -> None:
        class Talker(Recorder):
            def received_message(self, message: Any) -> None:
                if str(message) == "bad":
                    raise KeyError(message)
                self.close(1001)
                self.send("too late")

        hand = begun(Talker()).feed(text("a"), text("bad"), close(1000))
        assert [KeyError] == [type(error) for error in hand.endpoint.errors]
        assert [("closed", 1011, OURS)] == closed(hand.endpoint)
        assert [closes(1001)] == hand.out

    def test_closed_cannot_send(self) -> None:
        class Mourner(Recorder):
            def closed(self, code: int, reason: bytes | str | None = None) -> None:
                super().closed(code, reason)
                self.send("good-bye")

        hand = begun(Mourner()).feed(close(1000))
        assert [ConnectionClosed] == [type(error) for error in hand.endpoint.errors]
        assert [closes(1000)] == hand.out

    def test_another_websocket_that_is_closed_is_an_error_of_the_hook(self) -> None:
        other = begun().end().endpoint

        class Relay(Recorder):
            def received_message(self, message: Any) -> None:
                other.send(message.data)

        hand = begun(Relay()).feed(text("a"))
        assert [Closes(1011)] == hand.out
        assert [ConnectionClosed] == [type(error) for error in hand.endpoint.errors]
