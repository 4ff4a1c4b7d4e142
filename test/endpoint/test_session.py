"""Hooks, the session that calls them, and how it ends."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from test.cases import GONE, OURS, Closes, binary, close, closes, more, ping, pong, ponged, text
from test.chunking import PING, Piece, wire
from test.drivers import Recorder
from test.endpoint.hand import Async, Failing, Hand, begun, closed
from ws4py_ng.endpoint import Ending, Endpoint
from ws4py_ng.keepalive import PeerTimeout
from ws4py_ng.limits import Limits
from ws4py_ng.states import State
from ws4py_ng.streaming import Stream


class TestHooks:
    def test_nothing_happens_before_the_session_begins(self) -> None:
        hand = Hand(Recorder())
        assert [] == hand.endpoint.events
        assert [("opened",)] == hand.start().endpoint.events

    def test_opened_and_closed_are_called_once(self) -> None:
        hand = begun().feed(close(1000))
        hand.endpoint.terminate()
        hand.endpoint.terminate()
        assert [("opened",), ("closed", 1000, b"")] == hand.endpoint.events

    def test_hooks_that_nobody_wrote_do_nothing(self) -> None:
        hand = begun(Endpoint(Stream())).feed(text("a"), pong(b"b"), close(1000))
        assert Ending(1000, b"", True) == hand.ending

    @pytest.mark.parametrize(
        ("hook", "seen"),
        [
            ("opened", [("opened",)]),
            ("received_message", [("opened",), ("text", "a")]),
            ("ponged", [("opened",), ("text", "a"), ("ponged", b"b")]),
        ],
    )
    def test_an_error_in_a_hook_closes_with_1011(self, hook: str, seen: list[Any]) -> None:
        error = KeyError("mine")
        hand = begun(Failing(hook, error))
        if hand.ending is None:
            hand.feed(text("a"), pong(b"b"), text("c"))
        assert [*seen, ("closed", 1011, OURS)] == hand.endpoint.events
        assert [Closes(1011)] == hand.out
        assert [error] == hand.endpoint.errors
        assert Ending(1011, "Internal error", False) == hand.ending

    def test_an_error_in_closed_changes_nothing(self) -> None:
        error = KeyError("mine")
        hand = begun(Failing("closed", error)).feed(close(1000))
        assert [("opened",), ("closed", 1000, b"")] == hand.endpoint.events
        assert [closes(1000)] == hand.out
        assert [error] == hand.endpoint.errors
        assert Ending(1000, b"", True) == hand.ending

    @pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), TimeoutError("x"), RuntimeError("x")])
    def test_an_error_in_a_hook_is_logged_once(self, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
        class Quiet(Failing):
            unhandled_error = Endpoint.unhandled_error

        with caplog.at_level(logging.WARNING, "ws4py_ng"):
            begun(Quiet("opened", error))
        (record,) = caplog.records
        assert "Quiet failed" == record.getMessage()
        assert record.exc_info is not None
        assert error is record.exc_info[1]

    def test_a_lost_connection_is_no_error(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "ws4py_ng"):
            begun(Endpoint(Stream())).throw(ConnectionResetError("gone"))
        assert [(logging.INFO, "Endpoint lost its connection: gone")] == [
            (record.levelno, record.getMessage()) for record in caplog.records
        ]

    def test_an_error_in_unhandled_error_is_logged_as_well(self, caplog: pytest.LogCaptureFixture) -> None:
        class Worse(Failing):
            def unhandled_error(self, error: Exception) -> None:
                raise ZeroDivisionError

        hand = begun(Worse("opened", KeyError()))
        assert ["Worse.unhandled_error failed"] == [record.getMessage() for record in caplog.records]
        assert [Closes(1011)] == hand.out

    def test_an_error_while_closing_sends_no_second_close(self) -> None:
        hand = begun(Failing("received_message", KeyError()))
        hand.endpoint.close(1001)
        hand.feed(text("a"), close(1001))
        assert [closes(1001)] == hand.out
        assert [("closed", 1011, OURS)] == closed(hand.endpoint)

    @pytest.mark.parametrize("hook", ["opened", "received_message", "ponged"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
    def test_what_ends_the_program_gets_through_behind_closed(self, hook: str, error: BaseException) -> None:
        hand = Hand(Failing(hook, error))
        with pytest.raises(type(error)):
            hand.start().feed(text("a"), pong(b"b"))
        assert [GONE] == closed(hand.endpoint)

    def test_nothing_is_delivered_behind_closed(self) -> None:
        class Leaver(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.terminate()

        hand = begun(Leaver()).feed(text("a"), text("b"), ping(), pong(), close(1000))
        assert [("opened",), ("text", "a"), GONE] == hand.endpoint.events
        assert hand.ending is not None
        assert not hand.ending.clean


class TestAsyncHooks:
    def test_all_hooks_are_awaited_in_order(self) -> None:
        hand = Hand(Async()).start().wait().feed(text("a"), binary(b"b"), pong(b"c"), close(1000)).wait()
        expected = [("opened",), ("text", "a"), ("binary", b"b"), ("ponged", b"c"), ("closed", 1000, b"")]
        assert [event for hook in expected for event in (hook, ("done",))] == hand.endpoint.events
        assert Ending(1000, b"", True) == hand.ending

    def test_nothing_is_read_while_a_hook_is_awaited(self) -> None:
        hand = Hand(Async()).start().wait().feed(text("a"), text("b"))
        assert [("opened",), ("done",)] == hand.endpoint.events
        assert not isinstance(hand.step, int)
        hand.wait()
        assert 2 == len([event for event in hand.endpoint.events if event[0] == "text"])

    @pytest.mark.parametrize("hook", ["opened", "received_message", "ponged"])
    def test_an_error_that_was_raised_while_awaiting_closes_with_1011(self, hook: str) -> None:
        error = KeyError("mine")
        events: list[Any] = []

        async def fail(*args: object) -> None:
            raise error

        endpoint: Any = Recorder()
        endpoint.events = events
        setattr(endpoint, hook, fail)
        hand = Hand(endpoint).start().wait()
        if hand.ending is None:
            hand.feed(text("a"), pong(b"b")).wait()
        assert [Closes(1011)] == hand.out
        assert [("closed", 1011, OURS)] == closed(endpoint)
        assert [error] == endpoint.errors

    def test_an_error_that_was_raised_while_awaiting_closed_is_reported(self) -> None:
        error = KeyError("mine")

        async def fail(*args: object) -> None:
            raise error

        endpoint: Any = Recorder()
        endpoint.closed = fail
        hand = Hand(endpoint).start().feed(close(1000)).wait()
        assert Ending(1000, b"", True) == hand.ending
        assert [error] == endpoint.errors

    def test_the_rest_of_what_was_read_comes_behind_an_awaited_error(self) -> None:
        hand = Hand(Async()).start().wait().feed(text("a"), text("b"))
        hand.step.close()
        hand.throw(KeyError("not awaited"))
        hand.wait()
        assert ("text", "b") not in hand.endpoint.events
        assert [("closed", 1011, OURS)] == closed(hand.endpoint)

    def test_what_a_hook_returns_by_accident_is_ignored(self) -> None:
        class Accident(Recorder):
            def received_message(self, message: Any) -> Any:
                super().received_message(message)
                return len(message)

        hand = begun(Accident()).feed(text("a"), text("b"))
        assert [("opened",), ("text", "a"), ("text", "b")] == hand.endpoint.events

    @pytest.mark.parametrize("where", ["opened", "received_message", "reading"])
    def test_a_session_that_is_dropped_leaves_no_coroutine_behind(self, where: str) -> None:
        hand = Hand(Async()).start()
        if where != "opened":
            hand.wait()
        if where == "received_message":
            hand.feed(text("a"))
        if not isinstance(hand.step, int):
            hand.step.close()
        hand.session.close()
        assert hand.endpoint._ended
        assert State.CLOSED is hand.endpoint._state


class TestEnds:
    def test_a_provider_that_breaks_is_reported(self) -> None:
        error = OSError("cable")
        hand = begun().feed(text("a")).throw(error)
        assert [("opened",), ("text", "a"), GONE] == hand.endpoint.events
        assert [error] == hand.endpoint.errors
        assert [] == hand.out
        assert Ending(1006, "Going away", False) == hand.ending

    def test_a_provider_that_breaks_while_we_close_is_the_end(self) -> None:
        hand = begun()
        hand.endpoint.close(1001)
        hand.throw(OSError("cable"))
        assert [("opened",), GONE] == hand.endpoint.events

    def test_a_client_that_has_closed_needs_no_provider(self) -> None:
        hand = begun(role="client").feed(close(1001, b"bye")).throw(OSError("reset"))
        assert [("opened",), ("closed", 1001, b"bye")] == hand.endpoint.events
        assert Ending(1001, b"bye", True) == hand.ending
        assert [] == hand.endpoint.errors

    def test_a_server_ends_at_the_close_and_a_client_waits_for_the_end(self) -> None:
        assert Ending(1000, b"", True) == begun().feed(close(1000)).ending
        client = begun(role="client").feed(close(1000))
        assert (None, 1) == (client.ending, client.step)
        assert [("opened",)] == client.endpoint.events
        assert Ending(1000, b"", True) == client.end().ending

    def test_a_client_that_waits_for_the_end_keeps_nothing(self) -> None:
        client = begun(role="client").feed(close(1000))
        for _ in range(1000):
            client.feed(binary(bytes(1000)))
            assert 1 == client.step
        assert client.endpoint._stream._reader.unread() <= 2000
        client.end()
        assert [("opened",), ("closed", 1000, b"")] == client.endpoint.events

    @pytest.mark.parametrize("too_late", [False, True])
    def test_a_session_that_is_dropped_calls_closed(self, too_late: bool) -> None:
        class Hasty(Recorder):
            def opened(self) -> None:
                super().opened()
                if too_late:
                    self.close(1000)
                    self.send("too late")

        hand = begun(Hasty())
        hand.session.close()
        assert [("opened",), GONE] == hand.endpoint.events

    def test_a_session_that_never_began_calls_nothing(self) -> None:
        hand = Hand(Recorder())
        hand.session.close()
        assert [] == hand.endpoint.events

    def test_the_time_is_up(self) -> None:
        hand = begun().throw(PeerTimeout("silent for 5 s"))
        assert [("opened",), ("closed", 1006, "silent for 5 s")] == hand.endpoint.events
        assert [Closes(1011)] == hand.out
        assert [] == hand.endpoint.errors

    def test_the_time_is_up_while_we_close(self) -> None:
        hand = begun()
        hand.endpoint.close(1001)
        hand.throw(PeerTimeout("no answer"))
        assert [("opened",), ("closed", 1006, "no answer")] == hand.endpoint.events
        assert [closes(1001)] == hand.out

    def test_a_long_reason_of_ours_is_cut_between_characters(self) -> None:
        hand = begun().throw(PeerTimeout("ä" * 100))
        (frame,) = hand.out
        assert "ä" * 61 == frame.payload[2:].decode()


class TestNeed:
    @pytest.mark.parametrize("role", ["server", "client"])
    def test_an_exact_provider_reads_no_byte_behind_the_close(self, role: str) -> None:
        pieces = (text("a"), ping(b"1"), text("b", fin=0), pong(), more(b"c"), binary(bytes(100)), close(1000))
        stream = wire(pieces, masked=role == "server")
        hand, place, reads = begun(role=role), 0, 0
        while hand.ending is None and place < len(stream):
            place, reads, asked = place + hand.step, reads + 1, hand.step
            hand._resume(hand.session.send, (stream + b"foreign bytes")[place - asked : place])
        assert len(stream) == place
        assert reads <= 16
        assert (role == "server") == (hand.ending is not None)
        assert hand.ending is not None or 1 == hand.step


class TestTimers:
    def test_a_ping_and_its_pong_are_not_the_applications(self) -> None:
        hand = begun()
        assert 20.0 == hand.endpoint._tick(0.0)
        hand.endpoint._tick(20.0)
        (sent,) = hand.out
        assert PING == sent.opcode
        hand.feed(pong(sent.payload), pong(b"mine"))
        assert [("opened",), ("ponged", b"mine")] == hand.endpoint.events

    def test_a_silent_peer_is_given_up(self) -> None:
        hand = begun()
        hand.endpoint._tick(0.0)
        hand.endpoint._tick(20.0)
        with pytest.raises(PeerTimeout) as caught:
            hand.endpoint._tick(40.0)
        hand.throw(caught.value)
        assert [("closed", 1006, "The peer was silent for 20 s after a Ping")] == closed(hand.endpoint)

    def test_no_ping_is_sent_while_we_close(self) -> None:
        hand = begun()
        hand.endpoint._tick(0.0)
        hand.endpoint.close(1000)
        assert 15.0 == hand.endpoint._tick(5.0)
        with pytest.raises(PeerTimeout):
            hand.endpoint._tick(15.0)
        assert [closes(1000)] == hand.out

    def test_a_heartbeat_is_a_pong(self) -> None:
        hand = begun()
        hand.endpoint._keepalive.beat = 3.0
        for now in (0.0, 3.0, 6.0):
            hand.endpoint._tick(now)
        assert [ponged(b"beep"), ponged(b"beep")] == hand.out


def test_limits_are_the_endpoints() -> None:
    endpoint = Endpoint(Stream(limits=Limits(max_message_size=10)), Limits(max_message_size=10))
    session = endpoint.session()
    next(session)
    with pytest.raises(StopIteration) as stop:
        session.send(Piece(2, bytes(11)).to_bytes(masked=True))
    assert 1009 == stop.value.value.code
