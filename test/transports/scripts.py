"""What a program does over the pull API, as generators of steps: one script for blocking and async.

A row with ``pulls`` runs a script by `follow` or `follow_async` over a connection that it has
opened by ``with connect(url) as ws`` or ``async with``. A script gets what each step returned, or
what it raised, and notes what the case asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from .diary import note

__all__ = ["SCRIPTS", "Iterate", "Receive", "Send", "Step", "follow", "follow_async"]


@dataclass(frozen=True)
class Send:
    """Call ``ws.send(payload, binary)``, and await it where that is possible."""

    payload: Any
    binary: bool = False


@dataclass(frozen=True)
class Receive:
    """Call ``ws.receive(timeout)``."""

    timeout: float | None = None


@dataclass(frozen=True)
class Iterate:
    """Iterate over ``ws`` to its end; return the list of what came."""


Step = Send | Receive | Iterate
Script = Callable[[str], Generator[Step, Any, None]]


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


SCRIPTS: dict[str, Script] = {"take-turns": take_turns}


def follow(script: Generator[Step, Any, None], ws: Any) -> None:
    """Run a script over an API that blocks."""
    resume, argument = script.send, None
    while True:
        try:
            step = resume(argument)
        except StopIteration:
            return
        try:
            resume, argument = script.send, _do(step, ws)
        except Exception as error:  # noqa: BLE001 - the script judges it
            resume, argument = script.throw, error


def _do(step: Step, ws: Any) -> Any:
    if isinstance(step, Send):
        return ws.send(step.payload, step.binary)
    return ws.receive(step.timeout) if isinstance(step, Receive) else list(ws)


async def follow_async(script: Generator[Step, Any, None], ws: Any) -> None:
    """Run a script over an API that is awaited."""
    resume, argument = script.send, None
    while True:
        try:
            step = resume(argument)
        except StopIteration:
            return
        try:
            if isinstance(step, Iterate):
                resume, argument = script.send, [message async for message in ws]
            else:
                resume, argument = script.send, await _do(step, ws)
        except Exception as error:  # noqa: BLE001 - the script judges it
            resume, argument = script.throw, error
