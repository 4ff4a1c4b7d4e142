"""A recording drives a class again: the same calls, the same bytes, however it is cut."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Semaphore

import pytest

from test.capture.recorded import LARGE, Talker, talk, with_asyncio, with_client, with_threads
from test.chunking import CLOSE, TEXT, Piece
from test.client.peers import request
from test.recordings.make import HERE
from ws4py_ng.capture import CaptureError, read, replay, replay_to_client, replay_to_server
from ws4py_ng.capture.cuts import SPLITS
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.server import threadedserver
from ws4py_ng.websocket import EchoWebSocket, WebSocket

TRACE = HERE / "text.wscap.gz"
DEFLATE = [
    None,
    True,
    PerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True, level=9),
    PerMessageDeflateFactory(server_max_window_bits=10, client_max_window_bits=9, threshold=0, mem_level=9),
]


class Small(WebSocketClient):
    """Say little, so that every split can be tried."""

    def opened(self) -> None:
        self.send("hello")
        self.ping("there?")
        self.send(["one ", "message"])

    def received_message(self, message) -> None:
        if message.data == b"one message":
            self.close(4000, "bye")


def small(port: int, capture=False, **options) -> None:
    client = Small(f"ws://127.0.0.1:{port}/", capture=capture, **options)
    client.connect()
    client.run_forever()


@pytest.mark.parametrize("record", [with_threads, with_asyncio])
@pytest.mark.parametrize("deflate", DEFLATE)
@pytest.mark.parametrize("splits", SPLITS)
def test_a_server_sends_the_same_bytes_again(record, deflate, splits, tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    record(path, lambda port: small(port, deflate=deflate), deflate=deflate)
    result = replay(path, EchoWebSocket, splits=splits).check()
    assert ["hello", "one message"] == result.messages
    assert ("closed", 4000, b"bye") == result.hooks[-1]
    assert result.ending is not None
    assert result.ending.clean


@pytest.mark.parametrize("deflate", DEFLATE)
@pytest.mark.parametrize("splits", SPLITS)
def test_a_client_sends_the_same_bytes_again_masks_included(deflate, splits, tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with_threads(False, lambda port: small(port, path, deflate=deflate), deflate=deflate)
    result = replay(path, Small, splits=splits).check()
    assert ["hello", "one message"] == result.messages
    assert b"there?" in [call.data for call in result.hooks if call.hook == "ponged"]


@pytest.mark.parametrize("splits", ["recorded", "whole", "random"])
def test_messages_of_more_than_a_packet_are_replayed(splits, tmp_path: Path) -> None:
    with_client(tmp_path / "trace.wscap")
    assert LARGE in replay(tmp_path / "trace.wscap", Talker, splits=splits).check().messages


def test_pings_of_the_keepalive_are_sent_again_where_they_were(tmp_path: Path) -> None:
    def wait_for_pings(port: int) -> None:
        heard = Semaphore(0)

        class Patient(WebSocketClient):
            def ponged(self, pong) -> None:  # the heartbeat of the server
                heard.release()

        client = Patient(f"ws://127.0.0.1:{port}/")
        client.connect()
        for _ in range(3):
            assert heard.acquire(timeout=60)
        client.close()
        client.run_forever()

    path = tmp_path / "trace.wscap"
    with_threads(path, wait_for_pings, limits=Limits(ping_interval=0.005), heartbeat_freq=0.01)
    assert b"ng-" in read(path).connection().outgoing()
    result = replay(path, EchoWebSocket, splits="bytes").check()
    assert ["opened", "closed"] == [call.hook for call in result.hooks]


def test_async_hooks_get_a_loop(tmp_path: Path) -> None:
    import asyncio

    class AsyncEcho(WebSocket):
        async def received_message(self, message):
            await asyncio.sleep(0)
            self.send(message.data, message.is_binary)

    with_threads(tmp_path / "trace.wscap", small)
    replay(tmp_path / "trace.wscap", AsyncEcho).check()


def test_the_first_difference_is_shown_with_its_frame_and_a_dump(tmp_path: Path) -> None:
    class Shouts(WebSocket):
        def received_message(self, message):
            self.send(message.data.upper() if message.data == b"one message" else message.data)

    with_threads(tmp_path / "trace.wscap", lambda port: small(port, deflate=None))
    result = replay(tmp_path / "trace.wscap", Shouts)
    with pytest.raises(AssertionError, match=r"at byte 17, in frame 2 \(text, 11 bytes\), which begins at byte 15"):
        result.check()
    assert "6f 6e 65" in str(result.difference)
    assert "4f 4e 45" in str(result.difference)
    assert "differs" in repr(result)


class Bursts(WebSocket):
    """Answer at the end of a burst, for which it takes the end of what was read: that is wrong."""

    def opened(self) -> None:
        self.burst: list[bytes] = []

    def received_message(self, message) -> None:
        self.burst.append(message.data)
        if not self.buf:
            self.send(b"+".join(self.burst))
            self.burst = []


def test_a_bug_that_shows_only_in_some_splits_is_found(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"

    def burst(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(request())
            assert b"101 Switching Protocols" in sock.recv(1000)
            sock.sendall(b"".join(Piece(TEXT, text).to_bytes(masked=True) for text in (b"abc", b"def")))
            assert b"\x81\x07abc+def" == sock.recv(100)
            sock.sendall(Piece(CLOSE, b"\x03\xe8").to_bytes(masked=True))
            assert b"\x88\x02\x03\xe8" == sock.recv(100)

    with threadedserver.serve(Bursts, "127.0.0.1", 0, capture=path) as server:
        server.start()
        burst(server.port)
    replay(path, Bursts).check()
    result = replay(path, Bursts, splits="every")
    assert result.difference is not None
    assert "at byte 1, in frame 0 (text, 7 bytes)" in str(result.difference)
    assert str(result.difference).endswith("\ncut at 9")
    # In single bytes it shows as well, and does not depend on what was recorded.
    assert replay(path, Bursts, splits="random", against="itself").difference is not None


def test_a_replay_takes_its_time_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("ws4py_ng.capture.replaying.sleep", waits.append)
    with_threads(tmp_path / "trace.wscap", small)
    chunks = read(tmp_path / "trace.wscap").connection().chunks
    replay(tmp_path / "trace.wscap", EchoWebSocket, speed=2).check()
    assert 0 < sum(waits) <= (chunks[-1].time - chunks[0].time) / 2


def test_what_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"

    def twice(port: int) -> None:
        talk(port)
        talk(port)

    with_threads(path, twice)
    with pytest.raises(CaptureError, match="has 2 connections: say which"):
        replay(path, EchoWebSocket)
    with pytest.raises(CaptureError, match="Connection 2 of 2"):
        replay(path, EchoWebSocket, connection=2)
    replay(path, EchoWebSocket, connection=1).check()
    with pytest.raises(ValueError, match="splits is 'some', expected one of recorded"):
        replay(path, EchoWebSocket, connection=0, splits="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="against is 'me'"):
        replay(path, EchoWebSocket, connection=0, against="me")


def handler(ws) -> None: ...


@pytest.mark.parametrize("speed", [0, -1, 1e-300, float("nan"), float("inf")])
def test_what_is_no_speed_is_refused(speed: float) -> None:
    for play in (
        lambda: replay(TRACE, EchoWebSocket, speed=speed),
        lambda: replay_to_server(TRACE, "ws://127.0.0.1:1/", speed=speed),
        lambda: replay_to_client(TRACE, speed=speed),
    ):
        with pytest.raises(ValueError, match=f"speed is {speed}, expected 0.001 or more, or None"):
            play()


@pytest.mark.parametrize(
    ("websocket", "message"),
    [
        (handler, "wants arguments: expected a class, or what makes a WebSocket of none"),
        (None, "websocket is None, expected a subclass of WebSocket"),
        (dict, "websocket is <class 'dict'>, expected a subclass of WebSocket"),
        (EchoWebSocket(), "websocket is <.*EchoWebSocket object at .*>, expected a subclass of WebSocket"),
    ],
)
def test_what_makes_no_websocket_is_refused(websocket, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        replay(TRACE, websocket)


def test_the_request_is_in_the_environ(tmp_path: Path) -> None:
    seen = []

    class Looks(EchoWebSocket):
        def opened(self):
            seen.append((self.environ["QUERY_STRING"], self.peer_address[0]))

    with_threads(tmp_path / "trace.wscap")
    replay(tmp_path / "trace.wscap", Looks).check()
    assert [("token=secret&x=1", "127.0.0.1")] == seen
