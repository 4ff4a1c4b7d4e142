"""`MessageStream` makes messages of a host's events and events of frames; `HostChannel` carries them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ws4py_ng.codes import BINARY, CLOSE, CONTINUATION, PING, TEXT
from ws4py_ng.exc import ProtocolError
from ws4py_ng.limits import Limits
from ws4py_ng.messaging import BinaryMessage, CloseControlMessage, TextMessage
from ws4py_ng.transports.asynciokit import AsyncioKit
from ws4py_ng.transports.messages import HostChannel, HostEvent, MessageStream
from ws4py_ng.websocket import EchoWebSocket


def taken(*events: HostEvent | None, limits: Limits | None = None) -> list[Any]:
    """Give events to a stream; return the messages."""
    stream = MessageStream(limits or Limits())
    found = []
    for event in events:
        assert stream.try_message() is None
        refill = stream.refill()
        assert 1 == next(refill)
        with pytest.raises(StopIteration):
            refill.send(event)
        message = stream.try_message()
        found.append("end" if message is None and stream.at_eof else message)
    return found


def receive(**content: Any) -> HostEvent:
    return {"type": "websocket.receive", **content}


def test_text_and_bytes_become_messages() -> None:
    text, data, empty, other = taken(
        receive(text="grüße", bytes=None), receive(bytes=b"\x00"), receive(text=""), receive(text=None, bytes=b"")
    )
    assert isinstance(text, TextMessage)
    assert ("grüße", "grüße".encode()) == (text.text, text.data)
    assert isinstance(data, BinaryMessage)
    assert b"\x00" == data.data
    assert isinstance(empty, TextMessage)
    assert isinstance(other, BinaryMessage)


@pytest.mark.parametrize("event", [receive(text="x" * 11), receive(text="ü" * 6), receive(bytes=bytes(11))])
def test_a_message_over_the_limit_is_1009(event: HostEvent) -> None:
    with pytest.raises(ProtocolError) as caught:
        taken(event, limits=Limits(max_message_size=10))
    assert 1009 == caught.value.code


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({"type": "websocket.disconnect", "code": 4000, "reason": "why"}, 4000, b"why"),
        ({"type": "websocket.disconnect", "code": 1000, "reason": None}, 1000, b""),
        ({"type": "websocket.disconnect"}, 1005, b""),
    ],
)
def test_a_disconnect_is_a_close(event: HostEvent, code: int, reason: bytes) -> None:
    (message,) = taken(event)
    assert isinstance(message, CloseControlMessage)
    assert (code, reason) == (message.code, message.reason)


@pytest.mark.parametrize("event", [{"type": "websocket.disconnect", "code": 1006}, None])
def test_an_abnormal_disconnect_is_the_end(event: HostEvent | None) -> None:
    assert ["end"] == taken(event)


def test_frames_become_events() -> None:
    stream = MessageStream(Limits())
    outbox: list[HostEvent] = []
    assert 6 == stream.encode(TEXT, "grün".encode() + b"!", outbox)
    assert 1 == stream.encode(BINARY, b"\xff", outbox)
    assert 0 == stream.encode(TEXT, b"", outbox, False)
    assert 0 == stream.encode(CONTINUATION, b"two ", outbox, False)
    assert 7 == stream.encode(CONTINUATION, b"one", outbox)
    stream.encode(CLOSE, CloseControlMessage(4000, "why").data, outbox)
    stream.encode(CLOSE, b"", outbox)
    assert [
        {"type": "websocket.send", "text": "grün!"},
        {"type": "websocket.send", "bytes": b"\xff"},
        {"type": "websocket.send", "text": "two one"},
        {"type": "websocket.close", "code": 4000, "reason": "why"},
        {"type": "websocket.close", "code": 1000, "reason": ""},
    ] == outbox


def test_a_ping_says_that_it_is_the_hosts() -> None:
    ws = EchoWebSocket()
    ws._stream = MessageStream(Limits())  # type: ignore[assignment]
    with pytest.raises(NotImplementedError, match="ASGI has no Ping"):
        ws.ping("x")
    ws.send("still open")
    with pytest.raises(NotImplementedError):
        MessageStream(Limits()).use_extension(object())
    with pytest.raises(NotImplementedError):
        MessageStream(Limits()).encode(PING, b"", [])


async def never(*arguments: object) -> Any:
    await asyncio.Event().wait()


def run_channel(receive: Any, send: Any, use: Any) -> HostChannel:
    """Use a channel over the given functions."""

    async def main() -> HostChannel:
        channel = HostChannel(receive, send, AsyncioKit())
        await use(channel)
        return channel

    return asyncio.run(main())


def test_cutting_off_wakes_whoever_waits() -> None:
    async def use(channel: HostChannel) -> None:
        reading = asyncio.ensure_future(channel.read(1))
        writing = asyncio.ensure_future(channel.write([{"type": "websocket.send", "text": ""}], lambda: None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        channel.cut_off()
        for task in (reading, writing):
            with pytest.raises(ConnectionAbortedError, match="given up"):
                await task

    run_channel(never, never, use)


def test_nothing_is_sent_behind_a_close_or_a_disconnect() -> None:
    sent: list[str] = []

    async def send(event: HostEvent) -> None:
        sent.append(event["type"])

    async def gone() -> HostEvent:
        return {"type": "websocket.disconnect", "code": 1000}

    async def close_and_send(channel: HostChannel) -> None:
        await channel.write([{"type": "websocket.close"}, {"type": "websocket.send"}], lambda: None)

    async def read_and_send(channel: HostChannel) -> None:
        await channel.read(1)
        await channel.write([{"type": "websocket.send"}], lambda: None)

    run_channel(never, send, close_and_send)
    run_channel(gone, send, read_and_send)
    assert ["websocket.close"] == sent


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.close"])
def test_what_the_host_raises_is_a_lost_connection(kind: str) -> None:
    async def send(event: HostEvent) -> None:
        raise LookupError("no such peer")

    async def use(channel: HostChannel) -> None:
        with pytest.raises(ConnectionAbortedError, match="LookupError of the ASGI server: no such peer"):
            await channel.write([{"type": kind}], lambda: None)

    channel = run_channel(never, send, use)
    assert (kind == "websocket.close") is (channel.refused is not None)


def test_an_oserror_of_the_host_stays_what_it_is() -> None:
    async def receive() -> HostEvent:
        raise BrokenPipeError("gone")

    async def use(channel: HostChannel) -> None:
        with pytest.raises(BrokenPipeError):
            await channel.read(1)

    run_channel(receive, never, use)
