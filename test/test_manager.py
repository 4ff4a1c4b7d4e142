"""Many connections in one thread, and none of them harms another: real sockets, several pollers.

Numbers are those of ws4py's defects that a test is the row for.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterator
from time import monotonic
from typing import Any
from unittest.mock import MagicMock

import pytest

from test.client.peers import (
    WAIT,
    Ended,
    Peer,
    close_frame,
    echo_spy,
    frame,
    get,
    open_files,
    spy,
)
from test.many import (
    MIB,
    POLLERS,
    CountingPoller,
    Duck,
    Many,
    OwnPoller,
    connected,
    echoes,
    eventually,
    managing,
)
from ws4py_ng.limits import Limits
from ws4py_ng.manager import EPollPoller, WebSocketManager


@pytest.fixture(params=POLLERS)
def many(request: pytest.FixtureRequest) -> Iterator[Many]:
    with managing(request.param()) as found:
        yield found


# A connection's life


def test_a_connection_is_served_from_opened_to_closed(many: Many) -> None:
    opened_in: list[threading.Thread] = []
    kind = echo_spy()
    kind.opened = lambda self: opened_in.append(threading.current_thread())
    ws, peer = many.join(kind)
    assert [threading.current_thread()] == opened_in
    assert ws in many.manager
    assert [ws] == list(many.manager)
    assert echoes(peer)
    many.manager.add(ws)
    assert [threading.current_thread()] == opened_in
    peer.send(frame(1, b"bye") + close_frame(1000, b"thanks"))
    assert (1, b"bye") == peer.take_frame()
    assert (8, b"\x03\xe8thanks") == peer.take_frame()
    assert Ended(1000, b"thanks") == get(kind.endings)
    assert b"" == peer.take_rest()
    peer.sock.close()
    assert eventually(lambda: ws.sock is None)
    assert ws not in many.manager
    assert 0 == len(many.manager)
    assert kind.endings.empty()


def test_24_after_our_close_the_answer_ends_the_connection(many: Many) -> None:
    kind = spy()
    ws, peer = many.join(kind)
    ws.close(4000, "that is all")
    assert (8, b"\x0f\xa0that is all") == peer.take_frame()
    peer.send(close_frame(4000))
    assert Ended(4000, b"") == get(kind.endings)
    assert b"" == peer.take_rest()
    peer.sock.close()
    assert eventually(lambda: ws.sock is None)
    assert 0 == len(many.manager)
    assert kind.endings.empty()


def test_25_a_hook_closes_its_own_socket(many: Many) -> None:
    kind = spy(received_message=lambda self, message: self.close_connection())
    ws, peer = many.join(kind)
    _, other = many.join(echo_spy())
    peer.send(frame(1, b"now"))
    assert Ended(1006, "Going away") == get(kind.endings)
    assert eventually(lambda: 1 == len(many.manager))
    assert ws not in many.manager
    assert echoes(other)


def test_26_another_thread_terminates_it(many: Many) -> None:
    kind = spy()
    ws, _ = many.join(kind)
    _, other = many.join(echo_spy())
    ws.terminate()
    assert Ended(1006, "Going away") == get(kind.endings)
    assert echoes(other)
    assert eventually(lambda: 1 == len(many.manager))
    assert kind.endings.empty()


@pytest.mark.parametrize("poller", POLLERS)
def test_25_another_thread_closes_its_socket_before_the_start(poller: Any) -> None:
    with managing(poller(), start=False) as many:
        kind = spy()
        ws, _ = many.join(kind)
        _, other = many.join(echo_spy())
        ws.close_connection()
        many.manager.start()
        assert echoes(other)
        assert Ended(1006, "Going away") == get(kind.endings)
        assert eventually(lambda: 1 == len(many.manager))


def test_26_27_nothing_spins() -> None:
    poller = CountingPoller()
    with managing(poller) as many:
        ws, _ = many.join(spy())
        ws.terminate()
        dead = Duck(terminated=True)
        dead.peer.send(b"something to read")
        many.manager.add(dead)
        closed, peer = many.join(spy())
        closed.sock.close()
        many.join(spy(), small=True)
        many.manager.broadcast(b"x" * 8 * MIB, True)
        peer.sock.close()
        assert eventually(lambda: 1 == len(many.manager))
        assert 1 == dead.terminations
        assert poller.is_quiet()


def test_a_websocket_of_another_kind_is_served_as_well(many: Many) -> None:
    ws = Duck()
    many.manager.add(ws)
    assert 1 == ws.openings
    ws.peer.close()
    assert eventually(lambda: ws.terminations)
    assert 0 == len(many.manager)
    assert 1 == ws.terminations


def test_an_error_of_one_is_not_that_of_the_others(many: Many, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*args: object) -> bool:
        raise RuntimeError("broken on purpose")

    ws = Duck(once=fail)
    terminate = ws.terminate
    ws.terminate = lambda: (terminate(), fail())
    many.manager.add(ws)
    _, other = many.join(echo_spy())
    ws.peer.send(b"x")
    assert eventually(lambda: ws.terminations)
    assert echoes(other)
    assert "Terminating websocket Duck" in caplog.text


NO_EXCEPTIONS = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]


@pytest.mark.parametrize("error", NO_EXCEPTIONS)
@pytest.mark.parametrize("hook", ["received_message", "ponged", "closed", "unhandled_error", "once"])
def test_nor_is_what_ends_a_thread_elsewhere(
    hook: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Any, *args: object) -> None:
        raise error("on purpose")

    with managing() as many:
        hooks = {"received_message": lambda self, message: 1 / 0} if hook == "unhandled_error" else {}
        ws, peer = many.join(spy(**{**hooks, hook: fail}))
        _, other = many.join(echo_spy())
        peer.send(frame(10, b"x") if hook == "ponged" else frame(1, b"x") + close_frame(1000))
        if hook in ("received_message", "ponged") and error is not GeneratorExit:
            assert (8, b"\x03\xf3Internal error") == peer.take_frame()
        peer.take_rest()
        peer.sock.close()
        assert eventually(lambda: ws.sock is None)
        assert echoes(other)
        assert echoes(many.join(echo_spy())[1])
        assert many.manager.is_alive()
    logged = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert 1 == len(logged), [entry.getMessage() for entry in logged]
    assert "on purpose" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_in_the_main_thread_it_ends_the_program(error: type[BaseException]) -> None:
    def fail(self: Any, message: Any) -> None:
        raise error

    with managing(start=False) as many:
        kind = spy(received_message=fail)
        ws, peer = many.join(kind)
        peer.send(frame(1, b"x"))
        with pytest.raises(error):
            many.manager.run()
        assert Ended(1006, "Going away") == get(kind.endings)
        assert ws.sock is None


def test_a_mock_is_good_enough_for_the_books() -> None:
    manager = WebSocketManager(poller=MagicMock())
    ws = MagicMock()
    manager.add(ws)
    assert ws in manager
    manager.broadcast("hello")
    ws.send.assert_not_called()  # a mock is terminated
    ws.terminated = False
    manager.broadcast("hello", binary=True)
    ws.send.assert_called_once_with("hello", True)
    manager.remove(ws)
    manager.remove(ws)
    manager.poller.unregister.assert_called_once_with(ws.sock.fileno())
    assert 0 == len(manager)


class Lenient(OwnPoller):
    """Take whatever is registered, as a mock does."""

    def register(self, fd: Any) -> None:
        if isinstance(fd, int):
            super().register(fd)

    def unregister(self, fd: Any) -> None:
        self.fds.discard(fd)


class Unsure(Duck):
    """Fail when it is asked whether it is over."""

    unsure = False

    @property
    def terminated(self) -> bool:
        return bool(1 // (not self.unsure)) and False

    @terminated.setter
    def terminated(self, value: bool) -> None: ...


# What a websocket has when it is added, and what becomes of it then.
NONSENSE: dict[str, tuple[type[Duck], dict[str, Any], dict[str, Any]]] = {
    "its descriptor is a mock": (Duck, {"sock": MagicMock()}, {"terminated": True}),
    "its descriptor is a text": (Duck, {"sock": MagicMock(fileno=lambda: "seven")}, {"terminated": True}),
    "it loses its descriptor": (Duck, {}, {"sock": MagicMock(fileno=MagicMock(side_effect=TypeError("gone")))}),
    "it loses its socket": (Duck, {}, {"sock": object()}),
    "nobody knows whether it is over": (Unsure, {}, {"unsure": True}),
}


@pytest.mark.parametrize("row", NONSENSE)
def test_nonsense_of_one_ends_that_one_alone(row: str, caplog: pytest.LogCaptureFixture) -> None:
    kind, at_first, then = NONSENSE[row]
    with managing(Lenient()) as many:
        odd = kind()
        sock = odd.sock
        vars(odd).update(at_first)
        odd.terminate = MagicMock()  # type: ignore[method-assign]
        many.manager.add(odd)
        _, other = many.join(echo_spy())
        vars(odd).update(then)
        assert eventually(lambda: odd.terminate.called)  # type: ignore[attr-defined]
        assert echoes(other)
        assert 1 == len(many.manager)
        odd.terminate.assert_called_once_with()  # type: ignore[attr-defined]
        for each in (sock, odd.peer):
            each.close()
    assert bool(caplog.records) is ("terminated" not in then)


def test_a_hook_may_remove_its_websocket_which_then_runs_in_a_thread(many: Many) -> None:
    removed = threading.Event()

    def leave(self: Any, message: Any) -> None:
        if self in many.manager:
            many.manager.remove(self)
            self.send("removed")
            removed.set()
        else:
            self.send(threading.current_thread().name)

    kind = spy(received_message=leave)
    ws, peer = many.join(kind)
    peer.send(frame(1, b"x"))
    assert (1, b"removed") == peer.take_frame()
    assert removed.wait(WAIT)
    thread = threading.Thread(target=ws.run, name="my own")
    thread.start()
    peer.send(frame(1, b"x"))
    assert (1, b"my own") == peer.take_frame()
    peer.send(close_frame(1000))
    assert (8, b"\x03\xe8") == peer.take_frame()
    peer.sock.close()
    thread.join(WAIT)
    assert Ended(1000, b"") == get(kind.endings)


def test_it_is_over_before_it_is_added(many: Many) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError("broken on purpose")

    kind = spy(opened=fail, unhandled_error=lambda self, error: None)
    _, peer = many.join(kind)
    assert (8, b"\x03\xf3Internal error") == peer.take_frame()
    assert b"" == peer.take_rest()
    assert 1011 == get(kind.endings).code
    peer.sock.close()
    gone = spy(opened=lambda self: self.terminate())
    many.join(gone)
    assert 1006 == get(gone.endings).code
    assert eventually(lambda: 0 == len(many.manager))
    assert kind.endings.empty()
    assert gone.endings.empty()


def test_an_async_hook_is_refused_at_once(many: Many) -> None:
    async def opened(self: Any) -> None: ...

    sock, peer = connected()
    with peer, sock, pytest.raises(TypeError, match="opened is async"):
        many.manager.add(spy(opened=opened)(sock))
    assert 0 == len(many.manager)


def test_a_poller_that_cannot_take_it_is_an_error_of_add() -> None:
    poller = MagicMock()
    poller.register.side_effect = ValueError("too many")
    manager = WebSocketManager(poller)
    sock, peer = connected()
    kind = spy()
    with peer, pytest.raises(ValueError, match="too many"):
        manager.add(kind(sock))
    assert 1006 == get(kind.endings).code
    assert 0 == len(manager)


def test_a_descriptor_that_is_used_again_belongs_to_the_new_one(many: Many) -> None:
    old = echo_spy()
    ws, _ = many.join(old)
    fd = ws.sock.fileno()
    sock, peer = connected()
    ws.sock.close()
    many.peers.append(peer)
    with sock:
        os.dup2(sock.fileno(), fd)
    new = echo_spy()(socket.socket(fileno=fd))
    many.manager.add(new)
    assert Ended(1006, "Going away") == get(old.endings)
    assert echoes(peer)
    assert new in many.manager
    assert ws not in many.manager
    assert old.endings.empty()


# The thread


def test_29_add_waits_for_no_poll(many: Many) -> None:
    many.manager.stop()
    many.manager.join(WAIT)
    many.manager.poller.timeout = WAIT
    many.manager.start()
    for _ in range(3):
        begun = monotonic()
        _, peer = many.join(echo_spy())
        assert echoes(peer)
        assert monotonic() - begun < WAIT / 2
    many.manager.stop()
    many.manager.join(WAIT / 2)
    assert not many.manager.is_alive()


def test_it_is_a_thread_that_can_be_started_again(many: Many) -> None:
    manager = many.manager
    assert isinstance(manager, threading.Thread)
    assert not manager.daemon
    manager.name = "mine"
    with pytest.raises(RuntimeError):
        manager.start()
    for _ in range(20):
        assert manager.running
        assert manager.is_alive()
        assert "mine" == manager.name
        _, peer = many.join(echo_spy())
        assert echoes(peer)
        peer.sock.close()
        manager.stop()
        assert not manager.running
        manager.start()


def test_its_name_is_that_of_ws4py() -> None:
    assert "WebSocketManager" == WebSocketManager().name


def test_stop_closes_with_1001_and_waits_for_the_answer(many: Many) -> None:
    kind = spy()
    peers = [many.join(kind)[1] for _ in range(5)]
    many.manager.stop()
    for peer in peers:
        assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
        peer.send(close_frame(1001))
    for peer in peers:
        assert b"" == peer.take_rest()
        peer.sock.close()
    many.manager.join(WAIT)
    assert [Ended(1001, b"")] * 5 == [get(kind.endings) for _ in peers]
    assert kind.endings.empty()
    assert 0 == len(many.manager)


def test_stop_does_not_wait_for_ever_and_cuts_off_who_does_not_answer(many: Many) -> None:
    kind = spy()
    _, silent = many.join(kind)
    ws = Duck(close=lambda code, reason: None)
    many.manager.add(ws)
    many.manager.close_all(4000, "bye")
    many.manager.stop()
    many.manager.join(WAIT)
    assert (8, b"\x0f\xa0bye") == silent.take_frame()
    assert b"" == silent.take_rest()
    assert 1006 == get(kind.endings).code
    assert 1 == ws.terminations


def test_stop_without_a_start_ends_everything(many: Many) -> None:
    with managing(type(many.manager.poller)(), start=False) as other:
        kind = spy()
        _, peer = other.join(kind)
        other.manager.stop()
        assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
        assert 1006 == get(kind.endings).code
        assert 0 == len(other.manager)


def test_it_stops_where_no_thread_can_be_started_any_more(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    kind = spy()
    _, peer = many.join(kind)
    monkeypatch.setattr(threading.Timer, "start", refuse)
    many.manager.stop()
    assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
    peer.send(close_frame(1001))
    assert 1001 == get(kind.endings).code
    many.manager.join(WAIT)
    assert not many.manager.is_alive()


def test_a_hook_may_stop_the_manager(many: Many) -> None:
    kind = spy(received_message=lambda self, message: many.manager.stop())
    _, peer = many.join(kind)
    peer.send(frame(1, b"stop"))
    assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
    peer.send(close_frame(1001))
    assert b"" == peer.take_rest()
    peer.sock.close()
    many.manager.join(WAIT)
    assert 1001 == get(kind.endings).code


def test_it_may_run_in_a_thread_of_the_user() -> None:
    with managing(start=False) as many:
        _, peer = many.join(echo_spy())
        thread = threading.Thread(target=many.manager.run)
        thread.start()
        assert echoes(peer)
        assert many.manager.running
        peer.sock.close()
        many.manager.stop()
        thread.join(WAIT)
        assert not thread.is_alive()


def test_a_poller_that_fails_now_and_then_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    class Unwell(EPollPoller):
        failures = 2

        def poll(self) -> list[int]:
            if self.failures:
                self.failures -= 1
                raise OSError("unwell")
            return super().poll()

    with managing(Unwell()) as many:
        _, peer = many.join(echo_spy())
        assert echoes(peer)
    assert "Unwell failed: unwell" in caplog.text


def test_a_poller_that_is_released_under_us_does_not_end_the_thread() -> None:
    with managing(EPollPoller()) as many:
        many.manager.poller.release()
        _, peer = many.join(echo_spy())
        assert echoes(peer)


def test_the_poller_is_replaced_before_the_start() -> None:
    with managing(start=False) as many:
        many.manager.poller.release()
        many.manager.poller = OwnPoller()
        many.manager.start()
        _, peer = many.join(echo_spy())
        assert echoes(peer)


def test_no_lock_is_held_while_a_websocket_is_called(many: Many) -> None:
    def locks(self: Any, *args: Any, **options: Any) -> None:
        assert many.manager.lock.acquire(timeout=WAIT)
        many.manager.lock.release()
        called.append(1)

    called: list[int] = []
    kind = type("Locks", (echo_spy(),), dict.fromkeys(("opened", "send", "close", "closed"), locks))
    _, peer = many.join(kind)
    many.manager.broadcast("x")
    many.manager.close_all()
    peer.sock.close()
    assert eventually(lambda: 4 == len(called))


def test_a_broadcast_passes_over_who_fails(many: Many, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ws4py_ng")
    failing = Duck(send=MagicMock(side_effect=KeyError("broken")))
    failing.close = MagicMock(side_effect=OSError("dead"))
    many.manager.add(failing)
    _, peer = many.join(spy())
    many.manager.broadcast("hello")
    assert (1, b"hello") == peer.take_frame()
    many.manager.close_all()
    assert (8, b"\x03\xe9Server is shutting down") == peer.take_frame()
    assert "Duck is passed over in a broadcast: 'broken'" in caplog.text
    failing.terminate()


# Timers


def test_an_idle_connection_is_pinged_and_a_silent_one_given_up(many: Many) -> None:
    kind = spy()
    _, peer = many.join(kind, Limits(ping_interval=0.1, ping_timeout=0.1))
    assert 9 == peer.take_frame()[0]
    assert Ended(1006, "The peer was silent for 0.1 s after a Ping") == get(kind.endings)
    assert 8 == peer.take_frame()[0]
    assert eventually(lambda: 0 == len(many.manager))


def test_a_heart_beats(many: Many) -> None:
    kind = type("Beating", (spy(),), {})
    sock, peer = connected()
    many.peers.append(peer)
    ws = kind(sock, heartbeat_freq=0.05)
    many.manager.add(ws)
    assert [(10, b"beep")] * 2 == [peer.take_frame() for _ in range(2)]


def test_a_close_that_is_not_answered_ends_in_time(many: Many) -> None:
    kind = spy()
    ws, peer = many.join(kind, Limits(ping_interval=None, close_timeout=0.1))
    ws.close()
    assert (8, b"\x03\xe8") == peer.take_frame()
    assert 1006 == get(kind.endings).code
    assert eventually(lambda: 0 == len(many.manager))


# Nothing is left


def test_ten_thousand_added_and_removed_leave_nothing() -> None:
    with managing() as many:
        manager = many.manager
        _, peer = many.join(echo_spy())
        assert echoes(peer)
        kind = spy()
        references = []
        files = open_files()
        for _ in range(10_000):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ws = kind(ours)
                manager.add(ws)
                manager.remove(ws)
            kind.seen.get()
            references.append(weakref.ref(ws))
        del ws
        assert echoes(peer)
        assert files == open_files()
        assert 1 == len(manager)
        assert [] == [*manager._slow, *manager._leaving, *manager._noted]
        gc.collect()
        assert [] == [each for each in references if each() is not None]


def test_two_thousand_connections_leave_nothing() -> None:
    with managing() as many:
        kind = spy(opened=lambda self: None)
        _, first = many.join(echo_spy())
        assert echoes(first)
        files = open_files()
        references = []
        for _ in range(2000):
            ours, theirs = socket.socketpair()
            with Peer(theirs) as peer:
                ws = kind(ours)
                references.append(weakref.ref(ws))
                many.manager.add(ws)
                peer.send(close_frame(1000))
                assert (8, b"\x03\xe8") == peer.take_frame()
        del ws
        assert [Ended(1000, b"")] * 2000 == [get(kind.endings) for _ in range(2000)]
        assert eventually(lambda: files == open_files())
        assert kind.endings.empty()
        assert 1 == len(many.manager)
        gc.collect()
        assert [] == [each for each in references if each() is not None]
