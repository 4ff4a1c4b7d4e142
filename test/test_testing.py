"""What users test their own classes with."""

from __future__ import annotations

import asyncio
import doctest
from typing import Any

import pytest

from test.cases import GONE
from test.chunking import Seen, frames
from test.drivers import Recorder
from ws4py_ng import testing
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.endpoint import Ending
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.testing import byte_by_byte, pair, whole
from ws4py_ng.websocket import EchoWebSocket


class Parrot(Recorder):
    """Send back what came."""

    def received_message(self, message: Any) -> None:
        super().received_message(message)
        self.send(message.data, message.is_binary)


def test_the_example_of_the_module_runs() -> None:
    assert 0 == doctest.testmod(testing).failed


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
@pytest.mark.parametrize("deflate", [None, PerMessageDeflateFactory(threshold=0)])
def test_two_ends_talk(cut: Any, deflate: PerMessageDeflateFactory | None) -> None:
    link = pair(Parrot, Recorder, cut=cut, deflate=deflate)
    for payload in ("Hello", ["Hel", "lo"], "grün" * 100):
        link.client.send(payload)
    link.client.send(b"\xff" * 300, binary=True)
    link.client.ping("x")
    link.run_until_idle()
    said = [("text", "Hello"), ("text", "Hello"), ("text", "grün" * 100), ("binary", b"\xff" * 300)]
    assert [("opened",), *said] == link.server.events  # type: ignore[attr-defined]
    assert [("opened",), *said, ("ponged", b"x")] == link.client.events  # type: ignore[attr-defined]
    link.close(4000, "done")
    assert Ending(4000, b"done", True) == link.server_ending == link.client_ending
    assert ("closed", 4000, b"done") == link.server.events[-1] == link.client.events[-1]  # type: ignore[attr-defined]
    client = frames(link.bytes_from_client, masked=True)
    assert bool(deflate) == any(frame.rsv for frame in client)
    assert client[-1].opcode == frames(link.bytes_from_server, masked=False)[-1].opcode == 8


def test_nothing_happens_before_it_is_pumped() -> None:
    link = pair(Recorder, Recorder)
    link.client.send("a")
    assert ([], [], b"") == (link.server.events, link.client.events, link.bytes_from_client)  # type: ignore[attr-defined]
    assert link.pump()
    assert [("opened",), ("text", "a")] == link.server.events  # type: ignore[attr-defined]
    assert not link.pump()


def test_the_server_may_close() -> None:
    link = pair(Recorder, Recorder)
    link.run_until_idle()
    link.server.close(1001)
    link.run_until_idle()
    assert Ending(1001, b"", True) == link.server_ending == link.client_ending
    assert link.server.terminated
    assert link.client.terminated


@pytest.mark.parametrize("error", [None, ConnectionResetError("cable")])
def test_the_network_may_be_lost(error: OSError | None) -> None:
    link = pair(Recorder, Recorder)
    link.run_until_idle()
    link.client.send("lost")
    link.cut_off(error)
    link.run_until_idle()
    assert [("opened",), GONE] == link.server.events == link.client.events  # type: ignore[attr-defined]
    assert ([error] if error else []) == link.server.errors == link.client.errors  # type: ignore[attr-defined]


def test_time_passes_when_told_to() -> None:
    link = pair(Recorder, Recorder)
    link.advance(3600)
    pings = [frame for frame in frames(link.bytes_from_client, masked=True) if frame.opcode == 9]
    assert 180 == len(pings)
    assert 0.0 == link.client._keepalive.latency
    assert [("opened",)] == link.client.events  # type: ignore[attr-defined]


def test_heartbeats_come_in_time() -> None:
    def beating() -> Recorder:
        endpoint = Recorder()
        endpoint.heartbeat_freq = 3.0
        return endpoint

    link = pair(beating, Recorder)
    link.advance(10)
    assert [("opened",), *[("ponged", b"beep")] * 3] == link.client.events  # type: ignore[attr-defined]


def test_a_peer_that_ignores_our_close_is_given_up_in_time() -> None:
    lost: list[bytes] = []  # all that is sent, and neither side knows
    link = pair(Recorder, Recorder, limits=Limits(close_timeout=7), cut=lambda data: lost.append(data) or ())
    link.run_until_idle()
    link.client.close()
    link.advance(6.9)
    assert link.client_ending is None
    link.advance(0.2)
    assert Ending(1006, "The peer did not end the connection within 7 s", False) == link.client_ending


def test_limits_hold_on_both_sides() -> None:
    link = pair(Recorder, Recorder, limits=Limits(max_message_size=10))
    link.run_until_idle()
    link.client.send("x" * 11)
    link.run_until_idle()
    assert link.server_ending is not None
    assert 1009 == link.server_ending.code


def test_a_client_with_a_url_is_a_client() -> None:
    class Client(WebSocketClient):
        def opened(self) -> None:
            self.send("hello")

        def received_message(self, message: Any) -> None:
            self.close(1000, str(message))

    link = pair(EchoWebSocket, Client)
    link.run_until_idle()
    assert Ending(1000, b"hello", True) == link.client_ending == link.server_ending


def test_two_ends_that_answer_each_other_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "MAX_ROUNDS", 50)
    link = pair(EchoWebSocket, EchoWebSocket)
    link.client.send("a")
    with pytest.raises(RuntimeError, match="Still busy after 50 rounds"):
        link.run_until_idle()


def test_async_hooks_are_awaited_in_a_loop() -> None:
    class Slow(Recorder):
        async def received_message(self, message: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            Recorder.received_message(self, message)
            await self.send(str(message).upper())

    async def conversation() -> None:
        link = pair(Slow, Recorder)
        link.client.send("a")
        link.client.send("b")
        await link.run_until_idle_async()
        await link.advance_async(60)
        assert [("opened",), ("text", "A"), ("text", "B")] == link.client.events  # type: ignore[attr-defined]

    asyncio.run(conversation())


def test_async_hooks_need_no_loop_when_they_wait_for_nothing() -> None:
    class Slow(Recorder):
        async def received_message(self, message: Any) -> None:  # type: ignore[override]
            await self.send(str(message).upper())

    link = pair(Slow, Recorder)
    link.client.send("a")
    link.run_until_idle()
    assert ("text", "A") in link.client.events  # type: ignore[attr-defined]


def test_an_agreement_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="does not agree with itself"):
        pair(deflate=PerMessageDeflateFactory(server_max_window_bits=8))


def test_a_frame_on_the_wire_can_be_looked_at() -> None:
    link = pair()
    link.client.send("Hello")
    link.run_until_idle()
    assert [Seen(1, b"Hello")] == frames(link.bytes_from_server, masked=False)
