"""The blocking driver, over sockets that follow a script and over real ones."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from test.cases import GONE, OURS, Closes, binary, close, closes, ping, pong, ponged, text
from test.chunking import BINARY, PING, TEXT, Seen, frames, wire
from test.drivers import Recorder, as_role
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import Limits
from ws4py_ng.messaging import PongControlMessage
from ws4py_ng.transports import blocking


class Sock:
    """Be a socket that follows a script: bytes to be read, errors to be raised, calls to be made."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.sent: list[bytes] = []
        self.calls: list[str] = []
        self.broken: BaseException | None = None

    def recv(self, size: int) -> bytes:
        if not self.script:
            return b""
        step = self.script.pop(0)
        if callable(step):
            step = step()
        if isinstance(step, BaseException):
            raise step
        if len(step) > size:
            self.script.insert(0, step[size:])
        found: bytes = step[:size]
        return found

    def sendall(self, data: bytes) -> None:
        if self.broken is not None:
            raise self.broken
        self.sent.append(bytes(data))

    def settimeout(self, timeout: float | None) -> None: ...

    def shutdown(self, how: int) -> None:
        self.calls.append("shutdown")

    def close(self) -> None:
        self.calls.append("close")

    @property
    def out(self) -> list[Seen]:
        """All frames that a server sent."""
        return frames(b"".join(self.sent), masked=False)


def served(*script: Any, kind: type[Recorder] = Recorder, **limits: Any) -> tuple[Any, Sock]:
    """Run a script to its end; pieces are frames of a client."""
    sock = Sock(*(step if callable(step) or isinstance(step, BaseException) else wire(step, True) for step in script))
    endpoint = kind(sock)
    as_role(endpoint, "server", Limits(**limits))
    endpoint.run()
    return endpoint, sock


class Echo(Recorder):
    """Send back what came."""

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message.data, message.is_binary)


class TestDriving:
    def test_a_conversation_runs_to_its_end(self) -> None:
        endpoint, sock = served([text("a"), ping(b"p")], [close(1000, b"bye")])
        assert [("opened",), ("text", "a"), ("closed", 1000, b"bye")] == endpoint.events
        assert [ponged(b"p"), closes(1000, b"bye")] == sock.out
        assert "close" == sock.calls[-1]
        assert (None, True, None) == (endpoint.sock, endpoint.terminated, endpoint.stream)

    def test_frames_that_end_with_the_first_read_are_served(self) -> None:
        endpoint, _ = served([text(str(n)) for n in range(500)] + [close(1000)])
        assert 502 == len(endpoint.events)

    def test_reads_are_as_large_as_was_said(self) -> None:
        sizes = []

        class Measured(Sock):
            def recv(self, size: int) -> bytes:
                sizes.append(size)
                return super().recv(size)

        endpoint = Recorder(Measured(wire([text("hello"), close(1000)], True)))
        endpoint.reading_buffer_size = 3
        endpoint.run()
        assert ("text", "hello") in endpoint.events
        assert {3} == set(sizes[:7])

    @pytest.mark.parametrize("error", [ConnectionResetError("x"), OSError(113, "x"), BrokenPipeError()])
    def test_a_read_that_fails_is_the_end(self, error: OSError) -> None:
        endpoint, sock = served([text("a")], error)
        assert [("opened",), ("text", "a"), GONE] == endpoint.events
        assert 1 == len(endpoint.errors)
        assert "close" == sock.calls[-1]

    @pytest.mark.parametrize("error", [TimeoutError(), BlockingIOError(), InterruptedError()])
    def test_a_read_that_brings_nothing_is_repeated(self, error: OSError) -> None:
        endpoint, _ = served(error, [text("a")], error, error, [close(1000)])
        assert [("opened",), ("text", "a"), ("closed", 1000, b"")] == endpoint.events
        assert [] == endpoint.errors

    @pytest.mark.parametrize("hook", ["opened", "received_message", "ponged", "closed"])
    def test_an_async_hook_is_refused_before_anything_happens(self, hook: str) -> None:
        async def wait(*args: object) -> None: ...

        endpoint: Any = Recorder(Sock(wire([text("a")], True)))
        setattr(endpoint, hook, wait)
        with pytest.raises(TypeError, match=f"Recorder.{hook} is async.*asyncio"):
            endpoint.run()
        assert ("opened",) not in endpoint.events
        assert endpoint.terminated

    def test_an_awaitable_of_a_plain_hook_is_refused(self) -> None:
        async def wait() -> None: ...

        class Sly(Recorder):
            def received_message(self, message: Any) -> Any:
                return wait()

        endpoint, sock = served([text("a")], kind=Sly)
        assert [("opened",), ("closed", 1011, OURS)] == endpoint.events
        assert [Closes(1011)] == sock.out
        assert [TypeError] == [type(error) for error in endpoint.errors]

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
    def test_what_ends_the_program_gets_through(self, error: BaseException) -> None:
        sock = Sock(error)
        endpoint = Recorder(sock)
        with pytest.raises(type(error)):
            endpoint.run()
        assert [("opened",), GONE] == endpoint.events
        assert "close" == sock.calls[-1]

    def test_of_a_stand_in_only_recv_is_required(self) -> None:
        class Source:
            recv = Sock(wire([text("a"), ping(), close(1000, b"bye")], True)).recv

        endpoint = Recorder(Source())
        endpoint.run()
        assert [("opened",), ("text", "a"), ("closed", 1000, b"bye")] == endpoint.events
        assert [] == endpoint.errors

    def test_an_attribute_error_of_a_socket_is_not_taken_for_one(self) -> None:
        sock = Sock(wire([ping()], True))
        sock.broken = AttributeError("its own")
        endpoint = Recorder(sock)
        endpoint.run()
        assert [sock.broken] == endpoint.errors

    @pytest.mark.parametrize("error", [KeyboardInterrupt("now"), SystemExit("now"), asyncio.CancelledError("now")])
    @pytest.mark.parametrize("hook", ["opened", "received_message", "ponged", "closed"])
    def test_in_any_other_thread_it_is_a_failure_of_the_hook(self, hook: str, error: BaseException) -> None:
        class Leaver(Recorder):
            def received_message(self, message: Any) -> None:
                fail("received_message")

            def ponged(self, pong: Any) -> None:
                fail("ponged")

            def opened(self) -> None:
                fail("opened")

            def closed(self, code: int, reason: bytes | str | None = None) -> None:
                super().closed(code, reason)
                fail("closed")

        def fail(name: str) -> None:
            if name == hook:
                raise error

        sock = Sock(wire([text("a") if hook == "received_message" else pong(b"a")], True))
        endpoint = Leaver(sock)
        thread = threading.Thread(target=endpoint.run)
        thread.start()
        thread.join()
        assert [GONE if hook == "closed" else ("closed", 1011, OURS)] == endpoint.events
        assert ([] if hook == "closed" else [Closes(1011)]) == sock.out
        assert [error] == [failure.__cause__ for failure in endpoint.errors]

    def test_a_manager_drives_in_steps(self) -> None:
        sock = Sock(wire([text("a")], True), TimeoutError(), wire([text("b"), close(1000)], True))
        endpoint = Recorder(sock)
        assert [True, True, False, False] == [endpoint.once() for _ in range(4)]
        assert [("opened",), ("text", "a"), ("text", "b"), ("closed", 1000, b"")] == endpoint.events
        endpoint.terminate()
        assert not endpoint.once()

    def test_bytes_can_be_processed_that_somebody_else_read(self) -> None:
        endpoint = Recorder(Sock())
        data = wire([text("a"), close(1000)], True)
        assert [True, False, False] == [endpoint.process(part) for part in (data[:9], data[9:], b"more")]
        assert [("opened",), ("text", "a"), ("closed", 1000, b"")] == endpoint.events

    def test_the_end_of_the_bytes_can_be_processed(self) -> None:
        endpoint = Recorder(Sock())
        assert not endpoint.process(b"")
        assert [("opened",), GONE] == endpoint.events

    def test_process_after_terminate_is_no_error(self) -> None:
        endpoint = Recorder(Sock())
        assert endpoint.process(wire([text("a")], True))
        endpoint.terminate()
        assert not endpoint.process(wire([text("b")], True))
        assert not endpoint.once()
        assert [("opened",), ("text", "a"), GONE] == endpoint.events

    def test_a_hook_that_terminates_is_the_end(self) -> None:
        class Leaver(Recorder):
            def received_message(self, message: Any) -> None:
                super().received_message(message)
                self.terminate()

        endpoint, sock = served([text("a"), text("b"), ping()], [text("c")], kind=Leaver)
        assert [("opened",), ("text", "a"), GONE] == endpoint.events
        assert "close" in sock.calls

    def test_without_a_socket_there_is_nothing_to_run(self) -> None:
        with pytest.raises(RuntimeError, match="no socket of its own"):
            Recorder().run()


class TestWriting:
    def test_what_is_answered_to_one_read_leaves_in_one_write(self) -> None:
        _, sock = served([ping(b"%d" % n) for n in range(100)], [close(1000)])
        assert 101 == len(sock.out)
        assert 2 == len(sock.sent)

    def test_echoes_of_one_read_leave_in_one_write(self) -> None:
        _, sock = served([text(str(n)) for n in range(100)], kind=Echo)
        assert [Seen(TEXT, b"%d" % n) for n in range(100)] == sock.out
        assert 1 == len(sock.sent)

    def test_the_outbox_does_not_grow_over_its_limit(self) -> None:
        _, sock = served([binary(bytes(500))] * 60, kind=Echo, max_outbox=2000)
        assert 60 == len(sock.out)
        assert max(map(len, sock.sent)) <= 2000 + 504
        assert len(sock.sent) <= 16

    def test_a_send_from_outside_a_hook_leaves_at_once(self) -> None:
        sock = Sock()
        endpoint = Recorder(sock)
        endpoint._start()
        endpoint.send("a")
        assert [Seen(TEXT, b"a")] == sock.out

    def test_a_send_of_another_thread_leaves_while_a_hook_runs(self) -> None:
        seen = []

        class Helped(Recorder):
            def received_message(self, message: Any) -> None:
                helper = threading.Thread(target=self.send, args=("helped",))
                helper.start()
                helper.join()
                seen.append(list(self.sock.out))

        served([text("a"), text("b")], kind=Helped)
        assert [Seen(TEXT, b"helped")] == seen[0]

    @pytest.mark.parametrize("action", ["send", "ping"])
    def test_a_write_that_fails_is_a_connection_that_is_closed(self, action: str) -> None:
        sock = Sock()
        endpoint = Recorder(sock)
        endpoint._start()
        sock.broken = BrokenPipeError("pipe")
        with pytest.raises(ConnectionClosed, match="pipe") as caught:
            getattr(endpoint, action)("a")
        assert isinstance(caught.value.__cause__, BrokenPipeError)
        with pytest.raises(ConnectionClosed):
            endpoint.send("b")
        endpoint.close()
        endpoint.run()
        assert [("opened",), GONE] == endpoint.events

    def test_a_close_that_cannot_be_written_is_quiet(self) -> None:
        sock = Sock()
        endpoint = Recorder(sock)
        endpoint._start()
        sock.broken = BrokenPipeError("pipe")
        endpoint.close()
        endpoint.run()
        assert [("opened",), GONE] == endpoint.events

    def test_a_pong_that_cannot_be_written_is_the_end(self) -> None:
        sock = Sock(wire([text("a"), ping(), text("b")], True), wire([text("never read")], True))
        sock.broken = BrokenPipeError("pipe")
        endpoint = Recorder(sock)
        endpoint.run()
        assert [("opened",), ("text", "a"), ("text", "b"), GONE] == endpoint.events
        assert [] == endpoint.errors

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
    def test_nothing_follows_a_write_that_was_interrupted(self, error: BaseException) -> None:
        sock = Sock()
        endpoint = Recorder(sock)
        endpoint._start()
        sock.broken = error
        with pytest.raises(type(error)):
            endpoint.send("half of this may be on the wire")
        sock.broken = None
        with pytest.raises(ConnectionClosed):
            endpoint.send("b")
        assert [] == sock.sent

    def test_a_message_within_a_message_is_refused(self) -> None:
        sock = Sock()
        endpoint = Recorder(sock)
        endpoint._start()

        def pieces() -> Iterator[str]:
            yield "a"
            yield "b"
            endpoint.send("torn")

        with pytest.raises(RuntimeError, match="within the iterable"):
            endpoint.send(pieces())
        assert [Seen(TEXT, b"a", 0), Closes(1011)] == sock.out


class Clock:
    """Be the time of the driver: a read that brings nothing lets it pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 1000.0
        monkeypatch.setattr(blocking, "monotonic", lambda: self.time)

    def passes(self, seconds: float) -> Callable[[], BaseException]:
        """Return what reads for so long, in vain."""

        def step() -> BaseException:
            self.time += seconds
            return TimeoutError()

        return step


class TestTime:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        return Clock(monkeypatch)

    def test_a_ping_is_sent_and_its_pong_is_measured(self, clock: Clock) -> None:
        sock = Sock()

        def answer() -> bytes:
            clock.time += 0.5
            (sent,) = sock.out
            assert PING == sent.opcode
            return wire([pong(sent.payload)], True)

        sock.script = [clock.passes(0), clock.passes(20), answer, wire([close(1000)], True)]
        endpoint = Recorder(sock)
        endpoint.run()
        assert 0.5 == endpoint._keepalive.latency
        assert [("opened",), ("closed", 1000, b"")] == endpoint.events

    def test_a_silent_peer_is_given_up(self, clock: Clock) -> None:
        endpoint, sock = served(*[clock.passes(10)] * 5)
        assert [("opened",), ("closed", 1006, "The peer was silent for 20 s after a Ping")] == endpoint.events
        assert [PING, 8] == [frame.opcode for frame in sock.out]
        assert [] == endpoint.errors

    def test_data_keeps_a_connection_alive(self, clock: Clock) -> None:
        script: list[Any] = []
        for _ in range(10):
            script += [clock.passes(19), [binary(b"a")]]
        endpoint, _ = served(*script, [close(1000)])
        assert ("closed", 1000, b"") == endpoint.events[-1]

    def test_a_peer_that_does_not_answer_our_close_is_given_up(self, clock: Clock) -> None:
        class Leaver(Recorder):
            def opened(self) -> None:
                super().opened()
                self.close(1001)

        endpoint, sock = served(*[clock.passes(3)] * 5, kind=Leaver, close_timeout=10)
        assert [("opened",), ("closed", 1006, "The peer did not end the connection within 10 s")] == endpoint.events
        assert [closes(1001)] == sock.out

    def test_a_server_that_does_not_hang_up_is_given_up(self, clock: Clock) -> None:
        sock = Sock(wire([close(1000)], False), *[clock.passes(3)] * 5)
        endpoint = Recorder(sock)
        as_role(endpoint, "client", Limits(close_timeout=10))
        endpoint.run()
        assert [("opened",), ("closed", 1000, b"")] == endpoint.events
        assert "close" == sock.calls[-1]

    def test_heartbeats_are_pongs(self, clock: Clock) -> None:
        sock = Sock(*[clock.passes(1)] * 10, wire([close(1000)], True))
        endpoint = Recorder(sock)
        endpoint.heartbeat_freq = 3.0
        endpoint.run()
        assert [ponged(b"beep")] * 3 == sock.out[:-1]

    def test_the_timers_are_looked_at_often_enough(self) -> None:
        timeouts = []

        class Patient(Sock):
            def settimeout(self, timeout: float | None) -> None:
                timeouts.append(timeout)

        for limits in ({}, {"ping_timeout": 2.0}, dict.fromkeys(("ping_interval", "ping_timeout", "close_timeout"))):
            endpoint = Recorder(Patient())
            as_role(endpoint, "server", Limits(**limits))  # type: ignore[arg-type]
            endpoint._start()
        assert [5.0, 1.0, None] == timeouts


def over_pair(
    kind: type[Recorder] = Recorder, begun: bool = True, **limits: Any
) -> tuple[Any, socket.socket, threading.Thread]:
    """Serve one end of a socket pair in a thread; the other end is ours."""
    mine, theirs = socket.socketpair()
    mine.settimeout(20)
    is_open = threading.Event()

    class Begun(kind):  # type: ignore[misc, valid-type]
        def opened(self) -> None:
            super().opened()
            is_open.set()

    endpoint = Begun(theirs)
    as_role(endpoint, "server", Limits(**limits))
    thread = threading.Thread(target=endpoint.run)
    thread.start()
    if begun:
        assert is_open.wait(20)
    return endpoint, mine, thread


def received(sock: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


class TestThreads:
    def test_messages_of_many_threads_never_mix(self) -> None:
        count, threads = 200, 8
        endpoint, mine, thread = over_pair()
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(received(mine)))
        reader.start()

        def talk(number: int) -> None:
            for n in range(count):
                endpoint.send(f"{number} {n} ".encode() + b"x" * (n * 7 % 300))

        def fragments(n: int) -> Iterator[str]:
            for part in range(20):
                yield f"f {n} {part} "

        def dictate() -> None:
            for n in range(count):
                endpoint.send(fragments(n))

        talkers = [threading.Thread(target=talk, args=(n,)) for n in range(threads)]
        talkers.append(threading.Thread(target=dictate))
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        endpoint.close(1000)
        mine.sendall(wire([close(1000)], True))
        reader.join()
        mine.close()
        thread.join()
        counts: Counter[str] = Counter()
        last: dict[str, int] = {}
        message = b""
        for frame in frames(got[0], masked=False)[:-1]:
            assert (frame.opcode == 0) == (message != b"")
            message += frame.payload
            if frame.fin:
                number, n = message.decode().split(" ")[:2]
                assert int(n) == last.get(number, -1) + 1
                last[number] = int(n)
                counts[number] += 1
                message = b""
        assert {"f", *map(str, range(threads))} == set(counts)
        assert {count} == set(counts.values())

    def test_close_from_another_thread_ends_both_sides(self) -> None:
        endpoint, mine, thread = over_pair()
        endpoint.close(1001, "leaving")
        assert wire([close(1001, b"leaving")], False) == mine.recv(100)
        mine.sendall(wire([close(1001)], True))
        assert b"" == mine.recv(1)
        mine.close()
        thread.join()
        assert [("opened",), ("closed", 1001, b"")] == endpoint.events

    def test_terminate_from_another_thread_wakes_the_reader(self) -> None:
        endpoint, mine, thread = over_pair()
        endpoint.terminate()
        thread.join(20)
        assert not thread.is_alive()
        assert b"" == mine.recv(1)
        mine.close()
        assert [("opened",), GONE] == endpoint.events

    def test_many_threads_terminate_and_closed_is_called_once(self) -> None:
        for _ in range(50):
            endpoint, mine, thread = over_pair(begun=False)
            others = [threading.Thread(target=endpoint.terminate) for _ in range(4)]
            for other in others:
                other.start()
            for other in (*others, thread):
                other.join()
            mine.close()
            assert 1 == sum(event[0] == "closed" for event in endpoint.events)

    def test_a_peer_that_takes_nothing_is_given_up(self) -> None:
        endpoint, mine, thread = over_pair(write_timeout=0.05)
        with pytest.raises(ConnectionClosed, match=r"took nothing for 0\.05 s"):
            endpoint.send([bytes(1 << 16)] * 1000, binary=True)
        thread.join(20)
        assert not thread.is_alive()
        assert [("opened",), GONE] == endpoint.events
        mine.close()

    def test_a_slow_peer_gets_everything(self) -> None:
        endpoint, mine, thread = over_pair(write_timeout=5.0)
        data = [bytes([n]) * 300_000 for n in range(8)]
        sender = threading.Thread(target=lambda: [endpoint.send(part, binary=True) for part in data])
        sender.start()
        got = b""
        while len(got) < sum(map(len, data)) + 10 * 8:
            got += mine.recv(1 << 16)
        sender.join()
        mine.close()
        thread.join()
        assert [Seen(BINARY, part) for part in data] == frames(got, masked=False)

    def test_the_peer_can_read_our_last_words(self) -> None:
        class Rude(Recorder):
            def received_message(self, message: Any) -> None:
                raise KeyError

        _, mine, thread = over_pair(Rude)
        mine.sendall(wire([text("a")] + [binary(bytes(1000))] * 50, True))
        assert [Closes(1011)] == frames(received(mine), masked=False)
        mine.close()
        thread.join()

    def test_a_peer_that_resets_is_the_end(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        endpoint = Recorder(theirs)
        thread = threading.Thread(target=endpoint.run)
        thread.start()
        mine.sendall(wire([text("a"), ping()], True))
        mine.recv(100)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        mine.close()
        thread.join(20)
        assert [("opened",), ("text", "a"), GONE] == endpoint.events
        assert [ConnectionResetError] == [type(error) for error in endpoint.errors]

    def test_a_hook_may_send_while_others_do(self) -> None:
        endpoint, mine, thread = over_pair(Echo)
        done = threading.Event()

        def talk() -> None:
            with suppress(ConnectionClosed):
                while not done.is_set():
                    endpoint.send(PongControlMessage("x"))

        talker = threading.Thread(target=talk)
        talker.start()
        mine.sendall(wire([text(str(n)) for n in range(300)], True))
        got = b""
        while got.count(b"\x03299") == 0:
            got += mine.recv(1 << 16)
        done.set()
        talker.join()
        mine.close()
        thread.join()
        cut = got.index(b"\x03299") + 4
        texts = [frame.payload for frame in frames(got[:cut], masked=False) if frame.opcode == TEXT]
        assert [b"%d" % n for n in range(300)] == texts
