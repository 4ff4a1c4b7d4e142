"""What a program does over the pull API, as generators of steps: one script for blocking and async.

A row with ``pulls`` runs a script by `follow` or `follow_async` over a connection that it has
opened by ``with connect(url) as ws`` or ``async with``. A script gets what each step returned, or
what it raised, and notes what the case asks for.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ws4py_ng.exc import ConnectionClosed

from .diary import DIARY, note

__all__ = ["SCRIPTS", "Step", "follow", "follow_async", "latch", "latches"]

# How often a program that is busy looks whether it may go on.
LOOK = 0.01


@dataclass(frozen=True)
class Send:
    """Call ``ws.send(payload, binary)``, and await it where that is possible."""

    payload: Any
    binary: bool = False


@dataclass(frozen=True)
class SendPieces:
    """Send one message from an iterator; where things are awaited, from an async one."""

    pieces: tuple[Any, ...]
    binary: bool = False


@dataclass(frozen=True)
class Receive:
    """Call ``ws.receive(timeout)``."""

    timeout: float | None = None


@dataclass(frozen=True)
class Iterate:
    """Iterate over ``ws`` to its end; return the list of what came."""


@dataclass(frozen=True)
class Pieces:
    """Iterate over ``pieces``, or else ``ws.receive_pieces()``; return what came, that, and what it raised.

    ``at_most``: so many pieces.
    """

    at_most: int | None = None
    timeout: float | None = None
    pieces: Any = None


@dataclass(frozen=True)
class Close:
    """Call ``ws.close(code, reason)``."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True)
class BeBusy:
    """Be busy with something else, until the case lets go."""

    tag: str


Step = Send | SendPieces | Receive | Iterate | Pieces | Close | BeBusy
Script = Callable[[str], Generator[Step, Any, None]]


def latch(tag: str) -> Path:
    """Return the file whose being there lets a busy script go on."""
    return Path(tempfile.gettempdir()) / f"ws4py_ng-{os.environ[DIARY].replace(':', '-')}-{tag}"


def latches() -> list[Path]:
    """Find those that are there."""
    pattern = latch("*")
    return list(pattern.parent.glob(pattern.name))


def take_turns(tag: str) -> Generator[Step, Any, None]:
    """Send and receive by turns, then what comes until the peer closes."""
    yield Send("hello")
    note(tag, "pulled", text=str((yield Receive())))
    try:
        yield Receive(timeout=0.05)
    except TimeoutError:
        note(tag, "timed out")
    yield Send(b"go on", binary=True)
    note(tag, "iterated", texts=[str(message) for message in (yield Iterate())])


def collect(tag: str) -> Generator[Step, Any, None]:
    """Receive to the end, twice."""
    texts: list[str] = []
    try:
        while True:
            texts.append(str((yield Receive())))
    except ConnectionClosed as closed:
        note(tag, "ended", texts=texts, code=closed.code, reason=closed.reason)
    try:
        yield Receive(timeout=30)
    except ConnectionClosed as closed:
        note(tag, "ended again", code=closed.code)


def iterate(tag: str) -> Generator[Step, Any, None]:
    """Iterate to a bad end."""
    try:
        yield Iterate()
    except ConnectionClosed as closed:
        note(tag, "ended", code=closed.code, reason=closed.reason)


def leave(tag: str) -> Generator[Step, Any, None]:
    """Receive a message and close; what came before the answer can be received still."""
    note(tag, "pulled", text=str((yield Receive())))
    yield Close(4001, "enough")
    yield from collect(tag)


def be_busy(tag: str) -> Generator[Step, Any, None]:
    """Receive nothing for a while, and then all of it."""
    yield Send("busy")
    yield BeBusy(tag)
    count = crc = 0
    try:
        while True:
            crc = zlib.crc32((yield Receive()).data, crc)
            count += 1
    except ConnectionClosed as closed:
        note(tag, "ended", count=count, crc=crc, code=closed.code)


def take_pieces(tag: str) -> Generator[Step, Any, None]:
    """Take each message in pieces, and note what they are."""
    yield Send("ready")
    try:
        while True:
            found, _, error = yield Pieces()
            joined = b"".join(each.encode() if isinstance(each, str) else each for each in found)
            kinds = sorted({type(each).__name__ for each in found})
            sizes = [len(each) for each in found]
            facts = {"size": len(joined), "crc": zlib.crc32(joined), "kinds": kinds}
            note(tag, "pieces", number=len(found), longest=max(sizes, default=0), **facts)
            if error is not None:
                raise error
    except ConnectionClosed as closed:
        note(tag, "ended", code=closed.code, reason=closed.reason)


def leave_pieces(tag: str) -> Generator[Step, Any, None]:
    """Take a piece, wait in vain for the next, take it, and leave the rest."""
    yield Send("ready")
    first, pieces, _ = yield Pieces(at_most=1, timeout=0.05)
    none, _, error = yield Pieces(pieces=pieces)
    note(tag, "pulled", first=first, none=none, error=type(error).__name__)
    yield Send("more")
    second, _, _ = yield Pieces(at_most=1, pieces=pieces)
    note(tag, "pulled", second=second)
    note(tag, "pulled", text=str((yield Receive())))
    _, _, error = yield Pieces(pieces=pieces)
    note(tag, "pulled", error=type(error).__name__)
    yield from collect(tag)


def send_pieces(tag: str) -> Generator[Step, Any, None]:
    """Send from iterators."""
    yield SendPieces(("one ", "two ", "three"))
    yield SendPieces((b"\x00", b"\xff"), binary=True)
    yield Send("behind")
    yield from collect(tag)


def greet(tag: str) -> Generator[Step, Any, None]:
    """Answer one message."""
    yield Send(f"hello {(yield Receive())}")


def echo(tag: str) -> Generator[Step, Any, None]:
    """Answer every message by itself."""
    while True:
        yield Send(str((yield Receive())))


SCRIPTS: dict[str, Script] = {
    "greet": greet,
    "echo": echo,
    "take-turns": take_turns,
    "collect": collect,
    "iterate": iterate,
    "leave": leave,
    "be-busy": be_busy,
    "take-pieces": take_pieces,
    "leave-pieces": leave_pieces,
    "send-pieces": send_pieces,
}


def follow(script: Generator[Step, Any, None], ws: Any, sleep: Callable[[float], object]) -> None:
    """Run a script over an API that blocks."""
    resume, argument = script.send, None
    while True:
        try:
            step = resume(argument)
        except StopIteration:
            return
        try:
            resume, argument = script.send, _do(step, ws, sleep)
        except Exception as error:  # noqa: BLE001 - the script judges it
            resume, argument = script.throw, error


def _do(step: Step, ws: Any, sleep: Callable[[float], object]) -> Any:
    if isinstance(step, BeBusy):
        while not latch(step.tag).exists():
            sleep(LOOK)
        return None
    if isinstance(step, Pieces):
        return _pieces(step, ws)
    if isinstance(step, Iterate):
        return list(ws)
    if isinstance(step, SendPieces):
        return ws.send(iter(step.pieces), step.binary)
    return _simple(step, ws)


def _simple(step: Send | Receive | Close, ws: Any) -> Any:
    if isinstance(step, Send):
        return ws.send(step.payload, step.binary)
    return ws.receive(step.timeout) if isinstance(step, Receive) else ws.close(step.code, step.reason)


def _pieces(step: Pieces, ws: Any) -> Any:
    pieces = ws.receive_pieces(step.timeout) if step.pieces is None else step.pieces
    found: list[Any] = []
    try:
        while step.at_most is None or len(found) < step.at_most:
            found.append(next(pieces))
    except StopIteration:
        pass
    except Exception as error:  # noqa: BLE001 - the script judges it
        return found, pieces, error
    return found, pieces, None


async def follow_async(
    script: Generator[Step, Any, None], ws: Any, sleep: Callable[[float], Awaitable[object]]
) -> None:
    """Run a script over an API that is awaited."""
    resume, argument = script.send, None
    while True:
        try:
            step = resume(argument)
        except StopIteration:
            return
        try:
            resume, argument = script.send, await _do_async(step, ws, sleep)
        except Exception as error:  # noqa: BLE001 - the script judges it
            resume, argument = script.throw, error


async def _do_async(step: Step, ws: Any, sleep: Callable[[float], Awaitable[object]]) -> Any:
    if isinstance(step, BeBusy):
        while not latch(step.tag).exists():
            await sleep(LOOK)
        return None
    if isinstance(step, Pieces):
        return await _pieces_async(step, ws)
    if isinstance(step, Iterate):
        return [message async for message in ws]
    if isinstance(step, SendPieces):
        return await ws.send(_slowly(step.pieces, sleep), step.binary)
    outcome = _simple(step, ws)
    return None if outcome is None else await outcome


async def _slowly(pieces: tuple[Any, ...], sleep: Callable[[float], Awaitable[object]]) -> AsyncIterator[Any]:
    for piece in pieces:
        await sleep(0)
        yield piece


async def _pieces_async(step: Pieces, ws: Any) -> Any:
    pieces = ws.receive_pieces(step.timeout) if step.pieces is None else step.pieces
    found: list[Any] = []
    try:
        while step.at_most is None or len(found) < step.at_most:
            found.append(await anext(pieces))
    except StopAsyncIteration:
        pass
    except Exception as error:  # noqa: BLE001 - the script judges it
        return found, pieces, error
    return found, pieces, None
