"""What the manual of ws4py says of `WebSocket`, the manager, messages, streams and frames."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ws4py import configure_logger, format_addresses
from ws4py.exc import FrameTooLargeException, ProtocolException
from ws4py.framing import OPCODE_TEXT, Frame
from ws4py.manager import EPollPoller, SelectPoller, WebSocketManager
from ws4py.messaging import (
    BinaryMessage,
    CloseControlMessage,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py.streaming import Stream
from ws4py.utf8validator import Utf8Validator
from ws4py.websocket import EchoWebSocket, Heartbeat, WebSocket

from test.client.peers import Peer, close_frame, frame
from test.shims.manuals.ws4py_kit import WAIT, NotedWebSocket, pair

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@contextmanager
def running(kind: Any = NotedWebSocket, **options: Any) -> Iterator[tuple[Any, Peer]]:
    """Run a WebSocket in a thread, and give it with its peer."""
    sock, peer = pair()
    ws = kind(sock, **options)
    thread = threading.Thread(target=ws.run, daemon=True)
    thread.start()
    with peer:
        yield ws, peer
    thread.join(WAIT)


def closing(peer: Peer) -> tuple[int, str]:
    """Read up to the Close frame."""
    opcode, payload = peer.take_frame()
    while opcode not in (CLOSE, -1):
        opcode, payload = peer.take_frame()
    return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")


# Basics


@pytest.mark.parametrize(("opcode", "data"), [(TEXT, "h\u00e9llo".encode()), (BINARY, b"\x00\xff"), (TEXT, b"")])
def test_an_echo_of_two_lines_sends_back_what_comes(opcode: int, data: bytes) -> None:
    class MyEcho(WebSocket):
        def received_message(self, message: Any) -> None:
            self.send(message.data, message.is_binary)

    for kind in (MyEcho, EchoWebSocket):
        with running(kind) as (_, peer):
            peer.send(frame(opcode, data))
            assert (opcode, data) == peer.take_frame()


def test_no_socket_is_needed() -> None:
    def data_source() -> Iterator[Any]:
        yield TextMessage("hello world")

    source = MagicMock(side_effect=data_source)
    ws = EchoWebSocket(sock=source)
    ws.send("hello there")
    source.sendall.assert_called_once_with(b"\x81\x0bhello there")


# ws4py.websocket


def test_the_hooks_are_called_in_order() -> None:
    with running() as (ws, peer):
        peer.send(frame(TEXT, b"text") + frame(BINARY, b"\xff") + frame(PONG, b"alone") + close_frame(4000, b"bye"))
        assert ("opened",) == ws.next()
        assert ("TextMessage", b"text") == ws.next()
        assert ("BinaryMessage", b"\xff") == ws.next()
        assert ("PongControlMessage", b"alone") == ws.next()
        assert (CLOSE, b"\x0f\xa0bye") == peer.take_frame()
        assert ("closed", 4000, "bye") == ws.next()
    assert ws.terminated
    assert ws.notes.empty()


def test_fragments_are_one_message_and_pings_between_them_are_answered() -> None:
    with running() as (ws, peer):
        peer.send(frame(TEXT, b"one ", fin=False) + frame(PING, b"here?") + frame(CONTINUATION, b"two"))
        assert (PONG, b"here?") == peer.take_frame()
        assert [("opened",), ("TextMessage", b"one two")] == [ws.next(), ws.next()]


def test_close_sends_one_frame_and_waits_for_the_answer() -> None:
    with running() as (ws, peer):
        assert ("opened",) == ws.next()
        assert not ws.server_terminated
        ws.close(1001, "leaving")
        ws.close(1001, "leaving")
        assert (True, False, False) == (ws.server_terminated, ws.client_terminated, ws.terminated)
        assert (CLOSE, b"\x03\xe9leaving") == peer.take_frame()
        peer.send(close_frame(1001))
        assert (-1, b"") == peer.take_frame()
        assert ("closed", 1001) == ws.next()[:2]
    assert ws.terminated


def test_a_peer_that_is_gone_is_1006_and_everything_is_let_go() -> None:
    with running(environ={"PATH_INFO": "/"}) as (ws, peer):
        assert ({"PATH_INFO": "/"}, ("opened",)) == (ws.environ, ws.next())
        peer.sock.close()
        assert ("closed", 1006) == ws.next()[:2]
    assert (None, None, None) == (ws.stream, ws.environ, ws.connection)


def test_an_error_of_the_socket_comes_to_its_hook() -> None:
    with running() as (ws, peer):
        assert ("opened",) == ws.next()
        peer.reset()
        assert [("error", True), ("closed", 1006)] == [ws.next(), ws.next()[:2]]


@pytest.mark.parametrize(
    ("payload", "binary", "frames"),
    [
        ("h\u00e9", False, [(TEXT, b"h\xc3\xa9")]),
        (b"text", False, [(TEXT, b"text")]),
        (bytearray(b"\xff"), True, [(BINARY, b"\xff")]),
        (TextMessage("text"), False, [(TEXT, b"text")]),
        (BinaryMessage(b"\xff"), False, [(BINARY, b"\xff")]),
        (PingControlMessage("there?"), False, [(PING, b"there?")]),
        (PongControlMessage("beep"), False, [(PONG, b"beep")]),
    ],
)
def test_what_can_be_sent(payload: Any, binary: bool, frames: list[Any]) -> None:
    with running() as (ws, peer):
        ws.send(payload, binary)
        ws.ping("last")
        assert [*frames, (PING, b"last")] == [peer.take_frame() for _ in range(len(frames) + 1)]


@pytest.mark.parametrize(("binary", "opcode"), [(False, TEXT), (True, BINARY)])
def test_a_generator_is_sent_in_fragments(binary: bool, opcode: int) -> None:
    with running() as (ws, peer):
        ws.send((part for part in (b"a", b"b", b"c")), binary)
        ws.ping("last")
        frames = [peer.take_frame() for _ in range(4)]
    assert b"abc" == b"".join(data for _, data in frames[:3])
    assert [opcode, CONTINUATION, CONTINUATION, PING] == [found for found, _ in frames]


def test_what_cannot_be_sent_is_a_value_error() -> None:
    with running() as (ws, _), pytest.raises(ValueError):  # noqa: PT011 - each library has its own words
        ws.send(42)


def test_once_and_process_say_whether_to_go_on() -> None:
    sock, peer = pair()
    with peer:
        ws = NotedWebSocket(sock)
        peer.send(frame(TEXT, b"hi"))
        while not ws.kept:
            assert ws.once() is True
        assert ws.process(close_frame(1000)[:2]) is True
        peer.send(close_frame(1000)[2:])
        assert not all(ws.once() for _ in range(10))
        ws.terminate()
        while ws.next()[0] != "closed":
            pass
        assert ws.terminated


def test_the_addresses_are_tuples() -> None:
    with running() as (ws, peer):
        here, there = peer.sock.getpeername(), peer.sock.getsockname()
        assert (here, there) == (ws.local_address, ws.peer_address)
        assert f"[Local => {here[0]}:{here[1]} | Remote => {there[0]}:{there[1]}]" == format_addresses(ws)


def test_a_heartbeat_is_a_pong_that_nobody_asked_for() -> None:
    with running() as (ws, peer), Heartbeat(ws, 0.02):
        assert [(PONG, b"beep"), (PONG, b"beep")] == [peer.take_frame(), peer.take_frame()]
    with running(heartbeat_freq=0.02) as (ws, peer):
        assert (PONG, b"beep") == peer.take_frame()


def test_close_connection_hangs_up() -> None:
    with running() as (ws, peer):
        assert ("opened",) == ws.next()
        ws.close_connection()
        assert (-1, b"") == peer.take_frame()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"("), 1007),
        (frame(TEXT, b"x", rsv=1), 1002),
        (frame(3), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", mask=False), 1002),
    ],
)
def test_a_violation_closes_with_its_code(sent: bytes, code: int) -> None:
    with running() as (_, peer):
        peer.send(sent)
        assert code == closing(peer)[0]


def test_what_a_hook_got_may_be_kept() -> None:
    with running() as (ws, peer):
        peer.send(frame(TEXT, b"kept") + frame(TEXT, b"more"))
        while ws.next() != ("TextMessage", b"more"):
            pass
        assert b"kept" == ws.kept[0].data


def test_closed_has_the_code_of_a_violation() -> None:
    with running() as (ws, peer):
        peer.send(frame(3))
        assert [("opened",), ("closed", 1002)] == [ws.next(), ws.next()[:2]]


def test_a_close_frame_that_says_nothing_good_is_1002() -> None:
    with running() as (_, peer):
        peer.send(close_frame(999))
        assert 1002 == closing(peer)[0]


def test_a_hook_that_fails_closes_with_1011() -> None:
    class Failing(NotedWebSocket):
        def received_message(self, message: Any) -> None:
            raise LookupError

        def run(self) -> None:
            with suppress(LookupError):
                super().run()

    with running(Failing) as (_, peer):
        peer.send(frame(TEXT, b"x"))
        assert 1011 == closing(peer)[0]


def test_a_message_that_is_too_large_closes_with_1009() -> None:
    with running() as (_, peer):
        peer.send(b"\x81\xff" + struct.pack("!Q", 1 << 40) + bytes(4))
        assert 1009 == closing(peer)[0]


def test_sending_behind_the_end_is_a_runtime_error() -> None:
    with running() as (ws, peer):
        assert ("opened",) == ws.next()
        peer.send(close_frame(1000))
        assert ("closed", 1000) == ws.next()[:2]
        peer.take_rest()
        with pytest.raises(RuntimeError, match="terminated websocket"):
            ws.send("late")


# Managing a pool of WebSockets


@contextmanager
def managed(poller: Any = None, kind: Any = NotedWebSocket) -> Iterator[tuple[Any, list[Any], list[Peer]]]:
    """Run a manager with two WebSockets."""
    manager = WebSocketManager(poller)
    manager.start()
    pairs = [pair() for _ in range(2)]
    sockets = [kind(sock) for sock, _ in pairs]
    for ws in sockets:
        manager.add(ws)
        assert ("opened",) == ws.next()
    try:
        yield manager, sockets, [peer for _, peer in pairs]
    finally:
        for _, peer in pairs:
            peer.sock.close()
        manager.stop()
        manager.join(WAIT)
        assert not manager.is_alive()


@pytest.mark.parametrize("poller", [None, SelectPoller, EPollPoller])
def test_a_manager_serves_whom_it_has(poller: Any) -> None:
    with managed(poller and poller(timeout=0.05)) as (manager, (one, two), (peer, other)):
        assert (2, {one, two}) == (len(manager), set(manager))
        assert one in manager
        peer.send(frame(TEXT, b"hi"))
        assert ("TextMessage", b"hi") == one.next()
        manager.broadcast("all")
        assert [(TEXT, b"all"), (TEXT, b"all")] == [peer.take_frame(), other.take_frame()]
        peer.send(close_frame(1000))
        assert (CLOSE, b"\x03\xe8") == peer.take_frame()
        assert ("closed", 1000) == one.next()[:2]
        manager.close_all()
        assert (CLOSE, b"\x03\xe9Server is shutting down") == other.take_frame()


def test_whom_a_manager_removes_stays_open() -> None:
    with managed() as (manager, (one, two), (peer, _)):
        manager.remove(one)
        assert (1, False, True) == (len(manager), one in manager, two in manager)
        one.send("still here")
        assert (TEXT, b"still here") == peer.take_frame()
        assert one.notes.empty()


def test_a_poller_tells_what_can_be_read() -> None:
    for poller in (SelectPoller(timeout=WAIT), EPollPoller(timeout=WAIT)):
        sock, peer = pair()
        with sock, peer:
            poller.register(sock.fileno())
            peer.send(b"x")
            assert [sock.fileno()] == list(poller.poll())
            poller.unregister(sock.fileno())
            poller.release()


def test_whom_we_close_in_a_manager_is_told_by_closed() -> None:
    with managed() as (_, (one, _), (peer, _)):
        one.close(1000, "enough")
        assert (CLOSE, b"\x03\xe8enough") == peer.take_frame()
        peer.send(close_frame(1000))
        assert (-1, b"") == peer.take_frame()
        assert ("closed", 1000) == one.next()[:2]


def test_a_heartbeat_beats_in_a_manager() -> None:
    class Beating(NotedWebSocket):
        def __init__(self, sock: Any) -> None:
            super().__init__(sock, heartbeat_freq=0.02)

    with managed(kind=Beating) as (_, _, (peer, _)):
        peer.sock.settimeout(2)
        assert (PONG, b"beep") == peer.take_frame()


# Messages, streams, frames and what else there is


def test_messages_say_what_they_are() -> None:
    text, data = TextMessage("h\u00e9llo"), BinaryMessage(b"\xff\xfe")
    assert (True, False, 5, "h\u00e9llo") == (text.is_text, text.is_binary, len(text), str(text))
    assert (False, True, 2, b"\xff\xfe") == (data.is_text, data.is_binary, len(data), bytes(data.data))
    text.extend(" w")
    assert ("h\u00e9llo w", False) == (str(text), text.completed)
    close = CloseControlMessage(1001, "bye")
    assert (1001, "bye", b"\x03\xe9bye") == (close.code, str(close), bytes(close.data))


def test_messages_become_frames() -> None:
    message = TextMessage("hello")
    assert b"\x81\x05hello" == message.single()
    assert (b"\x81\x85", 11) == (message.single(mask=True)[:2], len(message.single(mask=True)))
    assert b"\x01\x05hello" == message.fragment(first=True)
    assert b"\x00\x05hello" == message.fragment()
    assert b"\x80\x05hello" == message.fragment(last=True)


def test_a_stream_wants_bytes_until_it_has_a_message() -> None:
    stream = Stream()
    sent = frame(TEXT, b"hello")
    assert 1 == next(iter([stream.parser.send(sent[:1])]))
    for i in range(1, len(sent)):
        assert not stream.has_message
        stream.parser.send(sent[i : i + 1])
    assert (True, "hello") == (stream.has_message, str(stream.message))
    assert b"\x89\x02hi" == stream.ping("hi")
    assert b"\x8a\x02hi" == stream.pong("hi")
    assert (1000, "text", b"data") == (
        stream.close().code,
        str(stream.text_message("text")),
        bytes(stream.binary_message(b"data").data),
    )


def test_a_frame_is_built_and_parsed() -> None:
    key = b"\xbe\x04\xe6j"
    built = Frame(OPCODE_TEXT, b"hello world", masking_key=key, fin=1).build()
    assert "818bbe04e66ad6618a06d1249105cc6882" == built.hex()
    parsed = Frame()
    assert [1, 4] == [parsed.parser.send(built[:1]), parsed.parser.send(built[1:2])]
    parsed.parser.send(built[2:])
    assert (b"hello world", 1, OPCODE_TEXT) == (bytes(parsed.unmask(parsed.body)), parsed.fin, parsed.opcode)


def test_a_frame_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ProtocolException):
        Frame().parser.send(b"\x83")
    parsed = Frame()
    with pytest.raises(FrameTooLargeException):
        parsed.parser.send(b"\x89\xfe\x00\xff")


def test_utf8_is_checked_as_it_comes() -> None:
    validator = Utf8Validator()
    assert (True, False) == validator.validate(b"h\xc3")[:2]
    assert (True, True) == validator.validate(b"\xa9llo")[:2]
    assert not validator.validate(b"\xff")[0]
    validator.reset()
    assert (True, True) == validator.validate(b"ok")[:2]


def test_the_logger_writes_where_it_is_told(tmp_path: Path) -> None:
    logger = configure_logger(stdout=False, filepath=str(tmp_path / "log"), level=logging.DEBUG)
    logger.info("written")
    for handler in logger.handlers[:]:
        handler.close()
        logger.removeHandler(handler)
    assert "written" in (tmp_path / "log").read_text()
