"""Drive a WebSocket class by a recording, as one more provider of bytes.

    result = replay("trace.wscap", Chat)
    result.check()

The class gets what its predecessor got, in the same pieces or in others, and what it sends is
compared with what was sent. Mask keys, how a message was compressed and the keepalive's Pings are
those of the recording, so that a class that does the same does it to the byte. What was sent from
elsewhere than a hook, as by another thread, is not: a replay has none.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import iscoroutinefunction, signature
from itertools import chain, repeat
from math import inf
from time import sleep
from typing import Any, Final, NamedTuple, TypeAlias

from ..codes import PING, PONG
from ..endpoint import Ending, Endpoint
from ..handshake.environ import environ_of
from ..keepalive import PeerTimeout
from ..limits import DEFAULT_LIMITS, Limits
from ..streaming import Stream
from ..transports.memory import Clock, MemoryTransport, run, run_async
from .conversation import Conversation, codec, understand
from .cuts import Splits, cuts_of, pieces
from .difference import Difference, first_difference
from .frames import FrameScanner, scan
from .packing import RecordedDeflate
from .reading import CaptureError, Connection, Recording
from .sources import load

__all__ = ["Call", "Replay", "Source", "check_speed", "endpoint_for", "find_connection", "replay"]

Source: TypeAlias = "str | os.PathLike[str] | Recording | Connection"

HOOKS: Final = ("opened", "received_message", "ponged", "closed")
_KEEPALIVE: Final = b"ng-"
_BEEP: Final = b"beep"
_MAX_CUTS: Final = 20
# Times as fast as it was; what took a day takes three years.
SLOWEST: Final = 0.001
# A class of `ws4py_ng.client` wants a URL; nobody connects to it.
_URL: Final = "ws://127.0.0.1/"


class Call(NamedTuple):
    """Hold what a hook was called with: a message's kind and data, or a close code and reason."""

    hook: str
    kind: str | int | None = None
    data: bytes | str | None = None


class Replay:
    """Say what came of a replay.

    ``hooks`` are the calls of hooks, ``sent`` what was sent behind the handshake, ``ending`` how the
    session ended, None if it was still open when the recording ended. ``cuts`` are the offsets at which
    the bytes were cut, ``runs`` how many times it was tried. ``difference`` is the first one, or None.
    """

    def __init__(self, conversation: Conversation, cuts: list[int]) -> None:
        self.conversation = conversation
        self.cuts = cuts
        self.runs = 1
        self.hooks: list[Call] = []
        self.sent = b""
        self.ending: Ending | None = None
        self.difference: Difference | None = None

    @property
    def messages(self) -> list[bytes | str]:
        """The data of the messages that the class received: str for text."""
        return [
            data.decode() if call.kind == "text" and isinstance(data, bytes) else data
            for call in self.hooks
            if call.hook == "received_message" and (data := call.data) is not None
        ]

    def check(self) -> Replay:
        """Return this. Raises AssertionError, with the place and a dump, if there is a difference."""
        if self.difference is not None:
            raise AssertionError(str(self.difference))
        return self

    def __repr__(self) -> str:
        state = "same" if self.difference is None else f"differs: {self.difference.what}"
        return f"<Replay of {len(self.hooks)} calls, {len(self.sent)} bytes sent, {self.runs} runs, {state}>"


class _Step(NamedTuple):
    """Hold what happens next: bytes come, the end comes, something breaks, or the keepalive sends."""

    time: float
    kind: str
    data: bytes


def find_connection(source: Source, number: int | None = None) -> Connection:
    """Return a connection of a capture. Raises CaptureError if it is not there or not clear which."""
    if isinstance(source, Connection):
        return source
    recording = source if isinstance(source, Recording) else load(source)
    return recording.connection(number)


def check_speed(speed: float | None) -> None:
    """Raise ValueError for what is no speed."""
    if speed is not None and not SLOWEST <= speed < inf:
        raise ValueError(f"speed is {speed!r}, expected {SLOWEST} or more, or None")


def replay(
    source: Source,
    websocket: Callable[..., Endpoint],
    *,
    connection: int | None = None,
    splits: Splits = "recorded",
    seed: int = 0,
    speed: float | None = None,
    against: str = "recording",
    limits: Limits = DEFAULT_LIMITS,
) -> Replay:
    """Drive a subclass of `WebSocket`, or what a function makes, by a recording.

    ``source`` is a file, or what `read` gave; of several connections ``connection`` says which, from 0.
    ``splits`` says in which pieces the bytes come: as "recorded", "whole", in single "bytes", cut once
    more at "every" offset in turn, or at "random" ones, of a ``seed``. The last two run many times; the
    first run that differs is returned. ``speed`` 1 is as fast as it was, 2 is twice that, None as fast
    as it goes. ``against="itself"`` compares the runs with the first of them only, for a class that is
    not the one that was recorded.

    Hooks may be ``async def``: they get an event loop of their own. Raises CaptureError for a recording
    that has no WebSocket in it, or not from its beginning, TypeError for what makes no WebSocket.
    """
    if against not in ("recording", "itself"):
        raise ValueError(f"against is {against!r}, expected 'recording' or 'itself'")
    check_speed(speed)
    conversation = understand(find_connection(source, connection))
    if conversation.connection.continued:
        raise CaptureError("The connection begins in a part of the capture that is not here")
    if not conversation.is_websocket:
        raise CaptureError("The recording has no WebSocket: the handshake did not succeed")
    steps = list(_steps(conversation))
    sizes = [len(step.data) for step in steps if step.kind == "data"]
    first: Replay | None = None
    runs = 0
    for cuts in cuts_of(splits, sizes, seed):
        runs += 1
        result = _run(Replay(conversation, cuts), websocket, steps, speed, limits)
        result.runs = runs
        result.difference = _compare(result, first, against)
        if result.difference is not None:
            return result
        first = first or result
    assert first is not None
    first.runs = runs
    return first


def _compare(result: Replay, first: Replay | None, against: str) -> Difference | None:
    found = None
    if against == "recording":
        expected = result.conversation.data(outgoing=True)
        what = "What was sent differs from the recording"
        found = first_difference(what, expected, result.sent, ("recorded", "replayed"))
    if first is None:
        return found
    if found is None:
        names = ("first run", "this run")
        found = first_difference("What was sent depends on the splits", first.sent, result.sent, names)
    if found is None and first.hooks != result.hooks:
        found = _first_call(first.hooks, result.hooks)
    return None if found is None else replace(found, details=f"{found.details}\n{_cuts_shown(result, first)}")


def _cuts_shown(result: Replay, first: Replay) -> str:
    """Say where a run was cut otherwise than the first one."""
    cuts = sorted(set(result.cuts) - set(first.cuts))
    more = f" and {len(cuts) - _MAX_CUTS} more" if len(cuts) > _MAX_CUTS else ""
    return f"cut at {', '.join(map(str, cuts[:_MAX_CUTS])) or 'none of the places where it was cut before'}{more}"


def _first_call(expected: list[Call], got: list[Call]) -> Difference:
    number = next((i for i, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), None)
    if number is None:
        number = min(len(expected), len(got))
    before = expected[number] if number < len(expected) else "nothing"
    after = got[number] if number < len(got) else "nothing"
    details = f"first run: {before}\nthis run: {after}"
    return Difference(f"What the hooks see depends on the splits, from call {number} on", details=details)


def _steps(conversation: Conversation) -> Iterator[_Step]:
    """Tell what happened, from the session's side."""
    scanner = FrameScanner()
    for chunk in conversation.chunks:
        if chunk.error:
            yield _Step(chunk.time, "error", chunk.error.encode())
        elif not chunk.outgoing:
            yield _Step(chunk.time, "data" if chunk.data else "eof", chunk.data)
        else:
            for frame in scanner.feed(chunk.data):
                if frame.opcode == PING and frame.payload.startswith(_KEEPALIVE):
                    yield _Step(chunk.time, "ping", frame.payload)
                elif frame.opcode == PONG and frame.payload == _BEEP:
                    yield _Step(chunk.time, "beep", frame.payload)


def endpoint_for(conversation: Conversation, websocket: Callable[..., Endpoint], limits: Limits) -> Any:
    """Make a WebSocket and set it up as the one was that was recorded."""
    is_client = conversation.connection.role == "client"
    wants_url = hasattr(websocket, "handshake_request")
    endpoint: Any = _made(websocket, [_URL] if wants_url else [])
    if wants_url:
        endpoint.close_connection()  # the socket that it may have made, which is connected to nobody
    else:
        endpoint._stream = Stream(always_mask=is_client, expect_masking=not is_client)
    sent = scan(conversation.data(outgoing=True))
    keys = (frame.key for frame in sent if frame.key is not None)
    endpoint._stream._new_mask_key = chain(keys, repeat(bytes(4))).__next__
    extension = codec(conversation, is_client)
    endpoint._configure(limits, [] if extension is None else [RecordedDeflate(extension, sent)])
    if conversation.subprotocol is not None:
        endpoint.protocols = [conversation.subprotocol]
    if extension is not None:
        endpoint.extensions = [extension.name]
    request, about = conversation.request, conversation.connection.about
    if not is_client and request is not None:
        scheme = "https" if about.get("secure") else "http"
        local, peer = _address(about.get("local")), _address(about.get("peer"))
        endpoint.environ = environ_of(request, scheme, local, peer)
        endpoint._local_address, endpoint._peer_address = local, peer
    return endpoint


def _made(websocket: Callable[..., Endpoint], arguments: list[str]) -> Endpoint:
    if not isinstance(websocket, type) and callable(websocket):
        try:
            signature(websocket).bind(*arguments)
        except TypeError as error:
            raise TypeError(
                f"{websocket!r} wants arguments: expected a class, or what makes a WebSocket of none"
            ) from error
    endpoint = websocket(*arguments) if callable(websocket) else None
    if not isinstance(endpoint, Endpoint):
        raise TypeError(f"websocket is {websocket!r}, expected a subclass of WebSocket, or what makes one of them")
    return endpoint


def _address(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _run(
    result: Replay, websocket: Callable[..., Endpoint], steps: list[_Step], speed: float | None, limits: Limits
) -> Replay:
    """Run once."""
    endpoint = endpoint_for(result.conversation, websocket, limits)
    watch(endpoint, result.hooks)
    transport = MemoryTransport(endpoint, Clock())
    turns = _turns(transport, endpoint, steps, result.cuts, speed)
    if any(iscoroutinefunction(getattr(type(endpoint), name, None)) for name in HOOKS):
        asyncio.run(_run_async(turns))
    else:
        for turn in turns:
            run(turn)
    result.sent = transport.take()
    result.ending = transport.ending
    result.hooks = list(result.hooks)  # what happens at the very end is not the recording's
    endpoint.terminate()
    return result


async def _run_async(turns: Iterator[Any]) -> None:
    for turn in turns:
        await run_async(turn)


def _turns(
    transport: MemoryTransport, endpoint: Any, steps: list[_Step], cuts: list[int], speed: float | None
) -> Iterator[Any]:
    """Give what has to be run, one after the other."""
    yield transport.start()
    offset = 0
    time = steps[0].time if steps else 0.0
    pending: list[bytes] = []
    held, boundaries = 0, set(cuts)
    for number, step in enumerate(steps):
        if speed is not None and step.time > time:
            sleep((step.time - time) / speed)
        time = step.time
        if step.kind == "data":
            # Chunks in a row are one run of bytes, which is cut where this replay wants it cut.
            pending.append(step.data)
            following = steps[number + 1].kind if number + 1 < len(steps) else ""
            held += len(step.data)
            if following != "data" or offset + held in boundaries:
                data = b"".join(pending)
                pending.clear()
                for piece in pieces(data, offset, cuts):
                    yield transport.feed(piece)
                offset, held = offset + held, 0
        elif step.kind == "eof":
            yield transport.feed(b"")
        elif step.kind == "error":
            timed_out = step.data.startswith(b"PeerTimeout")
            text = step.data.decode()
            yield transport.break_off(PeerTimeout(text) if timed_out else ConnectionAbortedError(text))
        elif step.kind == "ping":
            endpoint._keepalive._payload = step.data  # its Pong is no news to the application
            endpoint._send_ping(step.data)
        else:
            endpoint._send_pong(step.data)


def watch(endpoint: Any, calls: list[Call]) -> None:
    """Write down which hooks of a WebSocket are called, and with what."""

    def watched(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls.append(_described(name, args))
            return hook(*args)

        return call

    for name in HOOKS:
        setattr(endpoint, name, watched(name, getattr(endpoint, name)))


def _described(name: str, args: tuple[Any, ...]) -> Call:
    if name == "closed":
        code, reason = (*args, None)[:2]
        return Call(name, code, reason)
    if not args:
        return Call(name)
    message = args[0]
    kind = "text" if message.is_text else "binary" if message.is_binary else "pong"
    return Call(name, kind, bytes(message.data))
